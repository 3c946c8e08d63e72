// In charge of: all of a bucket at once: whether there is anything, and taking everything out.
import type { Db } from '../../engine/db/db.ts';
import { askCount, askRows } from './ask.ts';
import { type Asking, asService, type Storage } from './context.ts';
import { bucketNotEmpty, unableToEmptyBucket } from './errors.ts';

/** @throws ResourceNotEmpty */
export async function checkBucketIsEmpty(db: Pick<Db, 'as'>, asking: Asking, id: string): Promise<void> {
  const text = 'select exists (select from storage.objects where bucket_id = $1) as there';
  const [found] = await askRows<{ there: boolean }>(db, asking, { text, params: [id] });
  if (found?.there) throw bucketNotEmpty();
}

const batchSize = 1000;

/**
 * Deletes what was there when it was asked, whoever may see it, as upstream's queue does; the caller may see the bucket.
 * @throws InvalidRequest for more than a request may empty
 */
export async function emptyBucket(storage: Storage, asking: Asking, id: string): Promise<void> {
  const { db, config, garbage } = storage;
  const service = asService(asking);
  const max = config.now().emptyBucketMaxObjects;
  const counted = await askRows<{ count: number; before: string }>(db, service, {
    text: `
      select count(*)::int as count, clock_timestamp()::text as before
      from (select from storage.objects where bucket_id = $1 limit $2::bigint) as counted`,
    params: [id, String(max + 1)],
  });
  const { count, before } = counted[0]!;
  if (count > max)
    throw unableToEmptyBucket('Unable to empty the bucket because it contains too many objects');
  const text = `
    delete from storage.objects where id in (
      select id from storage.objects where bucket_id = $1 and created_at < $2::timestamptz limit ${batchSize})`;
  try {
    for (let deleted = batchSize; deleted === batchSize && !storage.signal.aborted; )
      deleted = await askCount(db, service, { text, params: [id, before] });
  } finally {
    garbage.wake();
  }
}
