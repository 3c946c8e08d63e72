// In charge of: an upload whose bytes are all here: its parts become one blob, and the object names it, under the rights of whoever sent the last.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ServiceRequest } from '../../../engine/service/http.ts';
import { askRows } from '../ask.ts';
import { type Asking, asService, type Storage } from '../context.ts';
import { longWork } from '../long-work.ts';
import { completeUpload, letGo, metadataOf, type Target } from '../upload.ts';
import { parseUserMetadata } from '../user-metadata.ts';
import { aborted } from './refusal.ts';
import type { UploadId } from './upload-id.ts';
import {
  announceObject,
  findUpload,
  listParts,
  markComplete,
  type Part,
  type Turn,
  type UploadRow,
} from './uploads.ts';

/** Under whose rights, and whose the object is. */
export interface Rights {
  readonly asking: Asking;
  readonly owner: string | undefined;
  readonly isUpsert: boolean;
}

export const defaultMimeType = 'application/octet-stream';

export const userMetadataIn = ({ metadata }: { readonly metadata?: string | null }) =>
  metadata ? parseUserMetadata(metadata) : undefined;

/** @param last the part that no row names yet. @throws AccessDenied, KeyAlreadyExists, and what a trigger of the project's says */
export async function complete(
  storage: Storage,
  upload: UploadRow,
  turn: Turn,
  { asking, owner, isUpsert }: Rights,
  last: Part | undefined,
  request: Pick<ServiceRequest, 'stillWorking'>,
): Promise<void> {
  const { bucket, name, metadata } = upload;
  const recorded = await listParts(storage.db, upload.version);
  const parts =
    last === undefined ? recorded : [...recorded.filter(({ number }) => number !== last.number), last];
  const version = await longWork(request, () => gather(storage, bucket, parts, last));
  // Also says whether it is still our turn, now that gathering may have taken a while.
  if (!(await announceObject(storage.db, upload.version, turn, version))) {
    await letGo(storage, version);
    throw aborted();
  }
  const facts = {
    mimeType: metadata.contentType || defaultMimeType,
    cacheControl: metadata.cacheControl ?? 'no-cache',
    userMetadata: userMetadataIn(metadata),
  };
  const target: Target = { bucket, name, owner, isUpsert };
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  const bytes = { sizeBytes, eTag: eTagOf(parts), at: new Date(storage.now()) };
  await completeUpload(
    storage,
    asking,
    target,
    facts,
    { version, metadata: metadataOf(facts, bytes) },
    request,
  );
  if (last !== undefined && last.version !== version) await letGo(storage, last.version);
  try {
    await markComplete(storage.db, upload.version, version);
    storage.garbage.wake();
  } catch (error) {
    // The object is there, and `loadUpload` finds it.
    storage.observe({ kind: 'storage.upload_not_marked', level: 'warn', upload: upload.version, error });
  }
}

/** The blob that holds all parts. A single one that no row names is it. */
async function gather(
  { blobs, newBlobId }: Storage,
  bucket: string,
  parts: readonly Part[],
  last: Part | undefined,
): Promise<string> {
  if (parts.length === 1 && last !== undefined) return last.version;
  const version = await newBlobId(bucket);
  if (parts.length === 0) await blobs.write(version, Readable.from([]), { maxBytes: 0 });
  else
    await blobs.join(
      parts.map((part) => part.version),
      version,
    );
  return version;
}

/** Of several parts as S3 has it. Source: Amazon S3 User Guide, "Checking object integrity", on multipart uploads. */
function eTagOf(parts: readonly Part[]): string {
  if (parts.length === 1) return `"${parts[0]!.md5}"`;
  const digest = createHash('md5');
  for (const { md5 } of parts) digest.update(md5, 'hex');
  return parts.length === 0 ? `"${digest.digest('hex')}"` : `"${digest.digest('hex')}-${parts.length}"`;
}

/** The upload as it is. One whose process was killed between its object and the word that it is complete is told to be so now. */
export async function loadUpload(
  storage: Storage,
  asking: Asking,
  id: UploadId,
): Promise<UploadRow | undefined> {
  const upload = await findUpload(storage.db, id);
  if (upload === undefined || upload.isComplete || upload.objectVersion === undefined) return upload;
  const text = 'select id from storage.objects where bucket_id = $1 and name = $2 and version = $3';
  const params = [id.bucket, id.name, upload.objectVersion];
  const objects = await askRows(storage.db, asService(asking), { text, params });
  if (objects.length === 0) return upload;
  await markComplete(storage.db, id.version, upload.objectVersion);
  storage.garbage.wake();
  return findUpload(storage.db, id);
}
