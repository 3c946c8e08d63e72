// In charge of: a file's way out: conditions, ranges, and the headers that browsers and caches read.
// Source: supabase/storage src/storage/renderer/{renderer,asset,head,info}.ts, src/storage/backend/file.ts, src/storage/range.ts; RFC 9110 sections 13 and 14.
import type { Answer, Headers, ServiceRequest } from '../../engine/service/http.ts';
import { BlobMissing, type ByteRange } from './blobs/blobs.ts';
import type { Storage } from './context.ts';
import { invalidHeaderChar, invalidRange, resourceNotFound } from './errors.ts';
import { isHeaderValue } from './header-value.ts';
import { json } from './json.ts';
import type { ObjectRow } from './objects.ts';
import { checkXRobotsTag } from './x-robots-tag.ts';

export interface DownloadOptions {
  /** The query's `download`: what the file shall be called; empty: by its own name. Undefined: it is shown. */
  readonly download?: string | undefined;
  /** When the link ends that it is read by. */
  readonly expires?: Date | undefined;
}

/** How often a file is looked for again that was overwritten between the row and its bytes. */
const maxTries = 3;

/**
 * The file that `find` finds. It is asked again when the bytes that a row names are gone: somebody has overwritten it just now.
 * @throws what `find` throws; NoSuchKey when the bytes are not there
 */
export function download(
  storage: Storage,
  request: Pick<ServiceRequest, 'headers'>,
  find: () => Promise<ObjectRow>,
  options: DownloadOptions = {},
): Promise<Answer> {
  return withBytes(find, (object) => answerWith(storage, request, object, options));
}

/** `use` on the object that `find` finds; on the one that is there now, where its bytes have just gone. */
export async function withBytes<T>(
  find: () => Promise<ObjectRow>,
  use: (object: ObjectRow) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const object = await find();
    try {
      return await use(object);
    } catch (error) {
      if (!(error instanceof BlobMissing)) throw error;
      if (tries === maxTries) throw resourceNotFound(error);
    }
  }
}

async function answerWith(
  { blobs }: Storage,
  { headers }: Pick<ServiceRequest, 'headers'>,
  object: ObjectRow,
  options: DownloadOptions,
): Promise<Answer> {
  const { version } = object;
  if (version === null) throw new BlobMissing('');
  const own = [...describe(object), ...cacheHeaders(object, headers, options)];
  if (isUnchanged(object, headers)) return { status: 304, headers: own, body: null };
  const sizeBytes = await sizeOf(blobs, object, version);
  const range = rangeOf(object, headers, sizeBytes);
  const stream = await blobs.read(version, range);
  const length = range === undefined ? sizeBytes : range.to - range.from + 1;
  const disposition = dispositionOf(options.download);
  return {
    status: range === undefined ? 200 : 206,
    headers: [
      ...own,
      ...(range === undefined
        ? []
        : [['content-range', `bytes ${range.from}-${range.to}/${sizeBytes}`] as const]),
      ...(disposition === undefined ? [] : [['content-disposition', disposition] as const]),
    ],
    body: { stream, sizeBytes: length },
  };
}

/** The row says it; one that somebody wrote by hand may not. */
async function sizeOf(blobs: Storage['blobs'], { metadata }: ObjectRow, version: string): Promise<number> {
  if (typeof metadata?.size === 'number') return metadata.size;
  const found = await blobs.find(version);
  if (found === undefined) throw new BlobMissing(version);
  return found.sizeBytes;
}

/** The same headers without the bytes. */
export function head(
  { headers }: Pick<ServiceRequest, 'headers'>,
  object: ObjectRow,
  options: DownloadOptions = {},
): Answer {
  const { metadata } = object;
  const length = metadata?.contentLength ?? metadata?.size;
  const own = [...describe(object), ...cacheHeaders(object, headers, options)];
  return {
    status: 200,
    headers: length === undefined ? own : [...own, ['content-length', String(length)]],
    body: null,
  };
}

/** What is known of a file, as JSON. */
export function info(object: ObjectRow): Answer {
  const { metadata } = object;
  return json({
    id: object.id,
    name: object.name,
    version: object.version,
    bucket_id: object.bucket_id,
    size: metadata?.size ?? null,
    content_type: metadata?.mimetype ?? null,
    cache_control: metadata?.cacheControl ?? null,
    etag: metadata?.eTag ?? null,
    metadata: object.user_metadata,
    last_modified: object.updated_at,
    created_at: object.created_at,
  });
}

function describe(object: ObjectRow): Headers {
  const headers = describedBy(object);
  for (const [name, value] of headers) if (!isHeaderValue(value)) throw invalidHeaderChar(name, value);
  return headers;
}

function describedBy({ metadata }: ObjectRow): Headers {
  const modified = lastModified(metadata?.lastModified);
  return [
    ['accept-ranges', 'bytes'],
    ['content-type', shownType(metadata?.mimetype)],
    ...(metadata?.eTag === undefined ? [] : [['etag', metadata.eTag] as const]),
    ['x-robots-tag', robotsTag(metadata?.xRobotsTag)],
    ...(modified === undefined ? [] : [['last-modified', modified.toUTCString()] as const]),
  ];
}

/** A page that somebody has uploaded is shown as its text: it would run on the API's own origin. */
function shownType(mimeType = 'application/octet-stream'): string {
  return mimeType.includes('text/html') ? 'text/plain' : mimeType;
}

export function robotsTag(given: unknown): string {
  if (typeof given !== 'string') return 'none';
  try {
    checkXRobotsTag(given);
    return given;
  } catch {
    return 'none';
  }
}

function lastModified(text: unknown): Date | undefined {
  if (typeof text !== 'string') return undefined;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

export function cacheHeaders(
  { metadata }: ObjectRow,
  headers: Readonly<Record<string, string>>,
  { expires }: DownloadOptions,
): Headers {
  if (expires !== undefined) return [['expires', expires.toUTCString()]];
  const asked = headers['if-none-match'];
  const parts = [metadata?.cacheControl];
  // Whoever has an older copy may show it while this one comes.
  if (asked !== undefined && asked !== metadata?.eTag) parts.push('stale-while-revalidate=30');
  const value = parts.filter((part) => typeof part === 'string' && part !== '').join(', ');
  if (!isHeaderValue(value)) throw invalidHeaderChar('cache-control', value);
  return value === '' ? [] : [['cache-control', value]];
}

/** Source: RFC 9110 section 13.2.2: with `If-None-Match` the time does not count. */
export function isUnchanged(object: ObjectRow, headers: Readonly<Record<string, string>>): boolean {
  if (headers['if-none-match'] !== undefined) return isKnown(object, headers);
  const { metadata } = object;
  const since = lastModified(headers['if-modified-since']);
  const modified = lastModified(metadata?.lastModified);
  return since !== undefined && modified !== undefined && seconds(modified) <= seconds(since);
}

/** Whether the client says that it has what is there, by its tag. */
export function isKnown({ metadata }: ObjectRow, headers: Readonly<Record<string, string>>): boolean {
  const tags = headers['if-none-match'];
  if (tags === undefined) return false;
  const own = metadata?.eTag;
  return tags.trim() === '*' || tags.split(',').some((tag) => tag.trim().replace(/^W\//, '') === own);
}

/** Such a header has no milliseconds. */
const seconds = (date: Date) => Math.floor(date.getTime() / 1000);

/** Undefined: all of it. @throws InvalidRange 416 */
function rangeOf(
  { metadata }: ObjectRow,
  headers: Readonly<Record<string, string>>,
  sizeBytes: number,
): ByteRange | undefined {
  const { range } = headers;
  if (range === undefined) return undefined;
  const condition = headers['if-range'];
  if (condition !== undefined && !isStill(metadata, condition)) return undefined;
  return parseRange(range, sizeBytes);
}

/** Source: RFC 9110 section 13.1.5. */
function isStill(metadata: ObjectRow['metadata'], condition: string): boolean {
  if (condition.startsWith('"')) return condition === metadata?.eTag;
  const modified = lastModified(metadata?.lastModified);
  return modified?.toUTCString() === condition;
}

/** One range, as upstream takes it. @throws InvalidRange 416 */
export function parseRange(header: string, sizeBytes: number): ByteRange {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header) ?? [];
  if (first === undefined || last === undefined || sizeBytes === 0) throw invalidRange();
  if (first === '') {
    const count = Number(last);
    if (last === '' || !Number.isSafeInteger(count) || count === 0) throw invalidRange();
    return { from: Math.max(sizeBytes - count, 0), to: sizeBytes - 1 };
  }
  const from = Number(first);
  const to = last === '' ? sizeBytes - 1 : Number(last);
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || to < from || from >= sizeBytes)
    throw invalidRange();
  return { from, to: Math.min(to, sizeBytes - 1) };
}

/** Source: RFC 6266. */
export function dispositionOf(download: string | undefined): string | undefined {
  if (download === undefined) return undefined;
  if (download === '') return 'attachment;';
  const name = encodeURIComponent(download);
  return `attachment; filename=${name}; filename*=UTF-8''${name}`;
}
