// In charge of: a file's way in. The policies are asked before the first byte, by a row that is undone again; then the bytes go where they are kept,
// holding no connection; then the row is written under the caller's rights, and names them. Whatever breaks off on the way leaves what was there before.
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { errorCode } from '../../base/errors.ts';
import type { ServiceRequest } from '../../engine/service/http.ts';
import { sqlStateOf } from './ask.ts';
import { TooManyBytes, type Written } from './blobs/blobs.ts';
import type { BucketRules } from './buckets.ts';
import type { Asking, Storage } from './context.ts';
import {
  entityTooLarge,
  invalidMimeType,
  invalidParameter,
  keyAlreadyExists,
  noContentProvided,
  StorageFault,
} from './errors.ts';
import { isHeaderValue } from './header-value.ts';
import { longWork } from './long-work.ts';
import { checkMimeType } from './mime-types.ts';
import { checkKey, isFolderPlaceholder } from './names.ts';
import { insertObject, type NewObject, type ObjectMetadata, upsertObject } from './objects.ts';
import { maxScannedBytes } from './scan/scanner.ts';
import { isTusRefusal } from './tus/refusal.ts';

export interface Target {
  readonly bucket: string;
  readonly name: string;
  readonly owner: string | undefined;
  readonly isUpsert: boolean;
}

export interface FileFacts {
  readonly mimeType: string;
  /** The whole header: `max-age=3600`. */
  readonly cacheControl: string;
  readonly userMetadata: Readonly<Record<string, unknown>> | undefined;
  readonly xRobotsTag?: string | undefined;
  /** What the client says that it sends. */
  readonly declaredBytes?: number | undefined;
  /** Of a form: how long it is with all that stands around the file, for policies. Source: supabase/storage src/storage/uploader.ts `declaredContentLength`. */
  readonly formBytes?: number | undefined;
}

export interface Uploaded {
  readonly id: string;
  readonly metadata: ObjectMetadata;
  readonly version: string;
}

/** How many bytes may go to a name in a bucket: the smallest of all limits; none to what stands for an empty folder. */
export function maxBytesFor(
  storage: Storage,
  { file_size_limit: ofBucket }: BucketRules,
  name: string,
): number {
  if (isFolderPlaceholder(name)) return 0;
  const most = maxBytesOfAll(storage);
  return ofBucket === null ? most : Math.min(ofBucket, most);
}

/** In any bucket. */
export function maxBytesOfAll({ config }: Pick<Storage, 'config'>): number {
  const settings = config.now();
  return Math.min(settings.fileSizeLimitBytes, maxScannedBytes(settings));
}

/** @throws InvalidKey, InvalidMimeType, EntityTooLarge: what needs no question to the database */
export function checkFile(
  storage: Storage,
  rules: BucketRules,
  name: string,
  {
    mimeType,
    cacheControl = '',
    declaredBytes,
  }: Pick<FileFacts, 'mimeType' | 'declaredBytes'> & Partial<Pick<FileFacts, 'cacheControl'>>,
): number {
  checkKey(name);
  if (!isHeaderValue(mimeType)) throw invalidMimeType(mimeType);
  if (!isHeaderValue(cacheControl)) throw invalidParameter('cacheControl');
  if (!isFolderPlaceholder(name)) checkMimeType(mimeType, rules.allowed_mime_types ?? []);
  const maxBytes = maxBytesFor(storage, rules, name);
  if (declaredBytes !== undefined && declaredBytes > maxBytes) throw entityTooLarge();
  return maxBytes;
}

/** Whether the caller may write there: the row is written and undone. @throws AccessDenied, KeyAlreadyExists, and what a trigger of the project's says */
export async function checkMayUpload(
  { db }: Pick<Storage, 'db'>,
  asking: Asking,
  target: Target,
  facts: Pick<FileFacts, 'declaredBytes' | 'formBytes' | 'userMetadata'> & {
    readonly mimeType: string | undefined;
  },
): Promise<void> {
  // As text, which `->>` gives of a number, too: quotas count numbers, and the file is smaller than its form.
  const contentLength = facts.declaredBytes ?? facts.formBytes?.toString();
  const object: NewObject = {
    ...target,
    id: randomUUID(),
    version: '1',
    metadata: { mimetype: facts.mimeType, contentLength },
    userMetadata: facts.userMetadata,
  };
  const write = target.isUpsert ? upsertObject : insertObject;
  await write(db, asking, object, { end: 'rollback' }).catch(asKeyThere);
}

/** The row that names the bytes, once they were looked at. They are removed where that or Postgres refuses them. */
export async function completeUpload(
  storage: Storage,
  asking: Asking,
  target: Target,
  facts: Pick<FileFacts, 'userMetadata'>,
  { version, metadata }: { readonly version: string; readonly metadata: ObjectMetadata },
  request: Pick<ServiceRequest, 'stillWorking'>,
): Promise<Uploaded> {
  const object: NewObject = {
    ...target,
    id: randomUUID(),
    version,
    metadata: { ...metadata },
    userMetadata: facts.userMetadata ?? {},
  };
  const write = target.isUpsert ? upsertObject : insertObject;
  try {
    const { scanner } = storage;
    if (scanner.isOn()) await longWork(request, () => scanner.check(version, metadata.size ?? 0, target));
  } catch (error) {
    // Whatever it was: no row names them.
    await letGo(storage, version);
    throw error;
  }
  try {
    const id = await write(storage.db, asking, object).catch(asKeyThere);
    return { id, metadata, version };
  } catch (error) {
    if (isRefusal(error)) await letGo(storage, version);
    throw error;
  } finally {
    storage.garbage.wake();
  }
}

/**
 * Whether no row can name the bytes: Postgres has said no, or we have. Where the connection was lost instead the row may be there, and its bytes are not ours to remove: the
 * sweeper looks for the row first.
 */
export function isRefusal(error: unknown): boolean {
  if (error instanceof StorageFault || isTusRefusal(error)) return true;
  return /^(?!08|57P)/.test(sqlStateOf(error) ?? '08');
}

/** A whole upload. @throws what the steps throw; NoContentProvided when the client goes away on the way */
export async function upload(
  storage: Storage,
  asking: Asking,
  target: Target,
  facts: FileFacts,
  body: Readable,
  maxBytes: number,
  request: Pick<ServiceRequest, 'stillWorking'>,
): Promise<Uploaded> {
  await checkMayUpload(storage, asking, target, facts);
  const version = await storage.newBlobId(target.bucket);
  const claiming = { ...target, id: version, declaredBytes: facts.declaredBytes };
  return storage.claims.hold(claiming, async (claim) => {
    const counted = claim.counted(body);
    const metadata = await storage.transfers.run(() =>
      writeBytes(storage, version, facts, counted, maxBytes),
    );
    return completeUpload(storage, asking, target, facts, { version, metadata }, request);
  });
}

async function writeBytes(
  storage: Storage,
  version: string,
  facts: FileFacts,
  body: Readable,
  maxBytes: number,
): Promise<ObjectMetadata> {
  const { sizeBytes, md5 } = await writeBlob(storage, version, body, maxBytes);
  return metadataOf(facts, { sizeBytes, eTag: `"${md5}"`, at: new Date(storage.now()) });
}

/** A client's bytes. @throws EntityTooLarge; NoContentProvided when they break off; the fault that `body` fails with */
export async function writeBlob(
  { blobs }: Pick<Storage, 'blobs'>,
  version: string,
  body: Readable,
  maxBytes: number,
): Promise<Written> {
  try {
    return await blobs.write(version, body, { maxBytes });
  } catch (error) {
    if (error instanceof TooManyBytes) throw entityTooLarge();
    if (error instanceof StorageFault) throw error;
    if (brokenOff.has(errorCode(error) ?? '') || body.errored === error)
      throw noContentProvided('The body broke off before all of it was here', error);
    throw error;
  }
}

const brokenOff: ReadonlySet<string> = new Set(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE']);

export function metadataOf(
  { mimeType, cacheControl, xRobotsTag }: Pick<FileFacts, 'mimeType' | 'cacheControl' | 'xRobotsTag'>,
  bytes: { readonly sizeBytes: number; readonly eTag: string; readonly at: Date },
): ObjectMetadata {
  return {
    eTag: bytes.eTag,
    size: bytes.sizeBytes,
    mimetype: mimeType,
    cacheControl,
    lastModified: bytes.at.toISOString(),
    contentLength: bytes.sizeBytes,
    httpStatusCode: 200,
    ...(xRobotsTag !== undefined && { xRobotsTag }),
  };
}

/** Bytes that nothing names: what cannot be removed now the sweeper finds. */
export async function letGo({ blobs, observe }: Storage, version: string): Promise<void> {
  try {
    await blobs.remove([version]);
  } catch (error) {
    observe({ kind: 'storage.blob_left', level: 'warn', version, error });
  }
}

export function asKeyThere(error: unknown): never {
  throw errorCode(error) === '23505' ? keyAlreadyExists(error) : error;
}
