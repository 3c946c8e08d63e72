// In charge of: a part of an upload over S3: its bytes and its row; and how many bytes it may have.
import type { Readable } from 'node:stream';
import { findBucketRules } from '../buckets.ts';
import { asService } from '../context.ts';
import { noSuchBucket } from '../errors.ts';
import { isRefusal, letGo, maxBytesFor, writeBlob } from '../upload.ts';
import { replacePart, sumOfParts, type UploadPlace } from './upload-rows.ts';
import type { S3Visit } from './visit.ts';

export interface PartBounds {
  /** For all parts together. */
  readonly maxBytes: number;
  /** For this one. */
  readonly room: number;
}

/** How many bytes a part may have now. */
export async function roomFor(
  { storage, asking, bucket, key }: S3Visit,
  id: string,
  number: number,
): Promise<PartBounds> {
  const rules = await findBucketRules(storage.db, asService(asking), bucket);
  if (rules === undefined) throw noSuchBucket();
  const maxBytes = maxBytesFor(storage, rules, key);
  const others = await sumOfParts(storage.db, asService(asking), id, number);
  return { maxBytes, room: maxBytes - others };
}

/** A part's bytes and its row; without the row nothing is kept. */
export async function keepPart(
  { storage, asking }: S3Visit,
  place: UploadPlace,
  number: number,
  body: Readable,
  { declaredBytes, maxBytes, room }: PartBounds & { readonly declaredBytes: number },
): Promise<string> {
  const version = await storage.newBlobId(place.bucket);
  const owner = asking.caller.subject;
  const claiming = { id: version, bucket: place.bucket, name: place.key, owner, declaredBytes };
  return storage.claims.hold(claiming, async () => {
    const { sizeBytes, md5 } = await storage.transfers.run(() => writeBlob(storage, version, body, room));
    const etag = `"${md5}"`;
    try {
      await replacePart(
        storage.db,
        asService(asking),
        place,
        { number, etag, sizeBytes, version, owner },
        maxBytes,
      );
    } catch (error) {
      if (isRefusal(error)) await letGo(storage, version);
      throw error;
    } finally {
      storage.garbage.wake();
    }
    return etag;
  });
}
