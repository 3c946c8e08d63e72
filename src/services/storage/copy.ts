// In charge of: a copy of a file under another name, with bytes of its own.
// Source: supabase/storage src/storage/object.ts `copyObject`.
import { BlobMissing } from './blobs/blobs.ts';
import { findBucketRules } from './buckets.ts';
import { asService, type Visit } from './context.ts';
import { noSuchBucket, resourceNotFound } from './errors.ts';
import { longWork } from './long-work.ts';
import { loadObject, type ObjectMetadata, type ObjectRow } from './objects.ts';
import { checkFile, checkMayUpload, completeUpload, type Target } from './upload.ts';

/** What the copy says of itself in the place of what the original does. */
export interface CopyChanges {
  readonly cacheControl: string | undefined;
  readonly mimeType: string | undefined;
  readonly userMetadata: Readonly<Record<string, unknown>> | undefined;
}

/** @throws NoSuchKey for what the caller does not see; AccessDenied, KeyAlreadyExists at its destination; EntityTooLarge, InvalidMimeType by its bucket */
export async function copyInto(
  { storage, asking, request }: Pick<Visit, 'storage' | 'asking' | 'request'>,
  from: { readonly bucket: string; readonly name: string },
  to: Target,
  changes?: CopyChanges,
): Promise<ObjectRow> {
  const original = await loadObject(storage.db, asking, from.bucket, from.name);
  const { metadata, version } = original;
  const mimeType = changes?.mimeType ?? metadata?.mimetype ?? 'application/octet-stream';
  const facts = {
    mimeType,
    declaredBytes: metadata?.size,
    userMetadata: (changes ? changes.userMetadata : original.user_metadata) ?? undefined,
  };
  const rules = await findBucketRules(storage.db, asService(asking), to.bucket);
  if (rules === undefined) throw noSuchBucket();
  checkFile(storage, rules, to.name, facts);
  await checkMayUpload(storage, asking, to, facts);
  const copy = await storage.newBlobId(to.bucket);
  await longWork(request, () => storage.blobs.copy(version ?? '', copy)).catch((error: unknown) => {
    throw error instanceof BlobMissing ? resourceNotFound(error) : error;
  });
  const described: ObjectMetadata = {
    ...metadata,
    mimetype: mimeType,
    ...(changes?.cacheControl !== undefined && { cacheControl: changes.cacheControl }),
    lastModified: new Date(storage.now()).toISOString(),
  };
  const { id } = await completeUpload(
    storage,
    asking,
    to,
    facts,
    { version: copy, metadata: described },
    request,
  );
  const now = new Date(storage.now()).toISOString();
  return {
    id,
    bucket_id: to.bucket,
    name: to.name,
    owner: to.owner ?? null,
    owner_id: to.owner ?? null,
    version: copy,
    created_at: now,
    updated_at: now,
    last_accessed_at: now,
    metadata: described,
    user_metadata: facts.userMetadata ?? null,
  };
}
