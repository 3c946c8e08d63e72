// In charge of: the buckets that config.toml names, and the files that belong into them: made and brought up to date through the API itself, as a
// client of it, so that every rule about names, sizes and types holds for them too.
// Source: supabase/cli apps/cli-go/internal/seed/buckets/buckets.go, apps/cli-go/pkg/storage/{batch,objects}.go.
import { openAsBlob } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { getMimeType } from 'hono/utils/mime';
import { parseSizeBytes } from '../base/bytes.ts';
import { errorMessage } from '../base/errors.ts';
import type { ProjectConfig } from '../engine/project/config.ts';
import { isSection } from '../engine/project/config-values.ts';

export interface SeedOptions {
  readonly project: Pick<ProjectConfig, 'project' | 'section'>;
  /** Sends a request to the backend; its URL begins with `base`. */
  readonly send: (request: Request) => Response | Promise<Response>;
  readonly base: string;
  readonly key: string;
  /**
   * `all`: every file, also those that are there as they are in the folder; `changed`: those that are missing, or newer in the folder;
   * `into_new_buckets`: only those of buckets that are made just now. What people have changed or deleted since is theirs.
   */
  readonly files: 'all' | 'changed' | 'into_new_buckets';
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

interface BucketRows {
  readonly public?: unknown;
  readonly file_size_limit?: unknown;
  readonly allowed_mime_types?: unknown;
}

/** As many files on their way at once. */
const parallel = 5;
const filesPerLine = 250;
/** What went wrong with more files than this is only counted. */
const maxComplaints = 10;

/** What could not be done, a sentence for each: a file that is refused keeps no server from starting. */
export async function seedBuckets(options: SeedOptions): Promise<readonly string[]> {
  const complaints: string[] = [];
  for (const [name, bucket] of Object.entries(options.project.section('storage.buckets'))) {
    if (!isSection(bucket)) continue;
    const { objects_path: path, ...rules } = bucket;
    try {
      const isNew = await settleBucket(options, name, rules);
      if (options.files === 'into_new_buckets' && !isNew) continue;
      if (typeof path === 'string' && path !== '') await uploadAll(options, name, path, complaints);
    } catch (error) {
      options.signal.throwIfAborted();
      complaints.push(`config.toml [storage.buckets.${name}]: ${errorMessage(error)}`);
    }
  }
  if (complaints.length <= maxComplaints) return complaints;
  const more = complaints.length - maxComplaints;
  return [...complaints.slice(0, maxComplaints), `and ${more} more files of [storage.buckets] like these.`];
}

/** Whether it is new. */
async function settleBucket(options: SeedOptions, name: string, given: BucketRows): Promise<boolean> {
  const wanted = rulesOf(given);
  const path = `/bucket/${encodeURIComponent(name)}`;
  const found = await ask(options, 'GET', path);
  if (!found.ok) {
    await must(ask(options, 'POST', '/bucket', JSON.stringify({ ...wanted, name })));
    return true;
  }
  // Sound: an answer of ours.
  const there = (await found.json()) as Readonly<Record<string, unknown>>;
  const isSame = Object.entries(wanted).every(
    ([member, value]) => JSON.stringify(there[member]) === JSON.stringify(value),
  );
  if (Object.keys(wanted).length > 0 && !isSame)
    await must(ask(options, 'PUT', path, JSON.stringify(wanted)));
  return false;
}

/** What the file says; what it does not say stays as it is. */
function rulesOf({ public: isPublic, file_size_limit: limit, allowed_mime_types: types }: BucketRows) {
  const bytes = limit === undefined ? undefined : parseSizeBytes(limit);
  if (limit !== undefined && bytes === undefined)
    throw new Error(`file_size_limit ${JSON.stringify(limit)} is no size; write one such as "50MiB".`);
  return {
    ...(isPublic !== undefined && { public: isPublic }),
    ...(bytes !== undefined && bytes > 0 && { file_size_limit: bytes }),
    ...(types !== undefined && { allowed_mime_types: types }),
  };
}

async function uploadAll(
  options: SeedOptions,
  bucket: string,
  path: string,
  complaints: string[],
): Promise<void> {
  const root = resolve(options.project.project, 'supabase', path);
  let count = 0;
  const files = filesBelow(root);
  async function work(): Promise<void> {
    for await (const file of files) {
      options.signal.throwIfAborted();
      const name = file === root ? basename(file) : relative(root, file).split(sep).join('/');
      try {
        await uploadOne(options, bucket, name, file);
      } catch (error) {
        options.signal.throwIfAborted();
        complaints.push(`"${file}" was not uploaded to the bucket "${bucket}": ${errorMessage(error)}`);
      }
      count += 1;
      if (count % filesPerLine === 0) options.progress(`  ${count} files for the bucket "${bucket}"`);
    }
  }
  await Promise.all(Array.from({ length: parallel }, work));
}

/** Files alone: a link may lead out of the folder. */
async function* filesBelow(path: string): AsyncGenerator<string> {
  if ((await stat(path)).isFile()) {
    yield path;
    return;
  }
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) yield* filesBelow(inner);
    else if (entry.isFile()) yield inner;
  }
}

async function uploadOne(options: SeedOptions, bucket: string, name: string, file: string): Promise<void> {
  const place = `${encodeURIComponent(bucket)}/${name.split('/').map(encodeURIComponent).join('/')}`;
  if (options.files === 'changed' && (await isThere(options, place, file))) return;
  const type = await contentTypeOf(file);
  const body = await openAsBlob(file, { type });
  await must(
    ask(options, 'POST', `/object/${place}`, body, {
      'content-type': type,
      'cache-control': 'max-age=3600',
      'x-upsert': 'true',
    }),
  );
}

/** As large as the file, and written after it: then it is what was uploaded before. */
async function isThere(options: SeedOptions, place: string, file: string): Promise<boolean> {
  const found = await ask(options, 'GET', `/object/info/authenticated/${place}`);
  if (!found.ok) return false;
  // Sound: an answer of ours.
  const { size, last_modified: written } = (await found.json()) as {
    readonly size: number | null;
    readonly last_modified: string;
  };
  const { size: sizeBytes, mtimeMs } = await stat(file);
  return size === sizeBytes && new Date(written).getTime() >= mtimeMs;
}

const sniffedBytes = 512;

async function contentTypeOf(file: string): Promise<string> {
  const byName = getMimeType(file);
  if (byName !== undefined) return byName;
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(sniffedBytes), 0, sniffedBytes, 0);
    // Source: WHATWG MIME Sniffing, "binary data byte".
    const isBinary = buffer
      .subarray(0, bytesRead)
      .some((byte) => byte <= 8 || byte === 0x0b || (byte >= 0x0e && byte <= 0x1f && byte !== 0x1b));
    return isBinary ? 'application/octet-stream' : 'text/plain; charset=utf-8';
  } finally {
    await handle.close();
  }
}

async function ask(
  { send, base, key, signal }: SeedOptions,
  method: string,
  path: string,
  body?: string | Blob,
  headers: Readonly<Record<string, string>> = { 'content-type': 'application/json' },
): Promise<Response> {
  return send(
    new Request(`${base}/storage/v1${path}`, {
      method,
      headers: { apikey: key, ...(body !== undefined && headers) },
      signal,
      ...(body !== undefined && { body }),
    }),
  );
}

async function must(answer: Promise<Response>): Promise<void> {
  const response = await answer;
  const text = await response.text();
  if (!response.ok) throw new Error(`it was answered with ${response.status}: ${text}`);
}
