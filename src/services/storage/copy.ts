// In charge of: a copy of a file under another name, with bytes of its own.
// Source: supabase/storage src/storage/object.ts `copyObject`.
import { findBucketRules } from './buckets.ts';
import { asService, type Visit } from './context.ts';
import { withBytes } from './download.ts';
import { noSuchBucket } from './errors.ts';
import { longWork } from './long-work.ts';
import type { ObjectMetadata, ObjectRow } from './objects.ts';
import { checkFile, checkMayUpload, completeUpload, type Target } from './upload.ts';

/** What the copy says of itself in the place of what the original does. */
export interface CopyChanges {
  /** Undefined: as the original does. */
  readonly cacheControl: string | undefined;
  readonly mimeType: string | undefined;
  readonly userMetadata: Readonly<Record<string, unknown>> | undefined;
}

type CopyVisit = Pick<Visit, 'storage' | 'asking' | 'request'>;

/**
 * A copy of what `find` finds; of what is there now, where that is overwritten meanwhile.
 * @throws what `find` throws; AccessDenied, KeyAlreadyExists at its destination; EntityTooLarge, InvalidMimeType by its bucket
 */
export function copyInto(
  visit: CopyVisit,
  find: () => Promise<ObjectRow>,
  to: Target,
  changes?: CopyChanges,
): Promise<ObjectRow> {
  return withBytes(find, (original) => copyOf(visit, original, to, changes));
}

async function copyOf(
  { storage, asking, request }: CopyVisit,
  original: ObjectRow,
  to: Target,
  changes: CopyChanges | undefined,
): Promise<ObjectRow> {
  const { metadata, version } = original;
  const mimeType = changes?.mimeType ?? metadata?.mimetype ?? 'application/octet-stream';
  const facts = {
    mimeType,
    cacheControl: changes?.cacheControl ?? '',
    declaredBytes: metadata?.size,
    userMetadata: (changes ? changes.userMetadata : original.user_metadata) ?? undefined,
  };
  const rules = await findBucketRules(storage.db, asService(asking), to.bucket);
  if (rules === undefined) throw noSuchBucket();
  checkFile(storage, rules, to.name, facts);
  await checkMayUpload(storage, asking, to, facts);
  const copy = await storage.newBlobId(to.bucket);
  const described: ObjectMetadata = {
    ...metadata,
    mimetype: mimeType,
    ...(changes?.cacheControl !== undefined && { cacheControl: changes.cacheControl }),
    lastModified: new Date(storage.now()).toISOString(),
  };
  const claiming = { ...to, id: copy, declaredBytes: metadata?.size ?? 0 };
  const { id } = await storage.claims.hold(claiming, async () => {
    await longWork(request, () => storage.blobs.copy(version ?? '', copy));
    return completeUpload(storage, asking, to, facts, { version: copy, metadata: described }, request);
  });
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
