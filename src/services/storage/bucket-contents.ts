// In charge of: all of a bucket at once: whether there is anything, and taking everything out.
import type { Db } from '../../engine/db/db.ts';
import { askCount, askRows } from './ask.ts';
import type { Asking, Storage } from './context.ts';
import { accessDenied, bucketNotEmpty, unableToEmptyBucket } from './errors.ts';

/** @throws ResourceNotEmpty */
export async function checkBucketIsEmpty(db: Pick<Db, 'as'>, asking: Asking, id: string): Promise<void> {
  const text = 'select exists (select from storage.objects where bucket_id = $1) as there';
  const [found] = await askRows<{ there: boolean }>(db, asking, { text, params: [id] });
  if (found?.there) throw bucketNotEmpty();
}

const batchSize = 1000;

/**
 * Deletes what was there when it was asked, and what the caller sees and may delete.
 * Source: storage-js `emptyBucket`: "`objects` table permissions: `select` and `delete`". Upstream's queue deletes everything for whoever sees one file of it.
 * @throws InvalidRequest for more than a request may empty; AccessDenied where the caller sees files and may delete none
 */
export async function emptyBucket(storage: Storage, asking: Asking, id: string): Promise<void> {
  const { db, config, garbage } = storage;
  const max = config.now().emptyBucketMaxObjects;
  const counted = await askRows<{ count: number; before: string }>(db, asking, {
    text: `
      select count(*)::int as count, clock_timestamp()::text as before
      from (select from storage.objects where bucket_id = $1 limit $2::bigint) as counted`,
    params: [id, String(max + 1)],
  });
  const { count, before } = counted[0]!;
  if (count > max)
    throw unableToEmptyBucket('Unable to empty the bucket because it contains too many objects');
  const seen = `
    select id from storage.objects
    where bucket_id = $1 and created_at < $2::timestamptz and ($3::uuid is null or id > $3::uuid)
    order by id limit ${batchSize}`;
  const remove = `
    delete from storage.objects
    where bucket_id = $1 and id = any (array(select jsonb_array_elements_text($2::jsonb)::uuid))`;
  let deleted = 0;
  try {
    for (let after: string | null = null, isMore = true; isMore && !storage.signal.aborted; ) {
      const page: readonly { readonly id: string }[] = await askRows(db, asking, {
        text: seen,
        params: [id, before, after],
      });
      const ids = JSON.stringify(page.map((row) => row.id));
      deleted += await askCount(db, asking, { text: remove, params: [id, ids] });
      after = page.at(-1)?.id ?? null;
      isMore = page.length === batchSize;
    }
  } finally {
    garbage.wake();
  }
  const isLeft = async () =>
    (await askRows(db, asking, { text: seen, params: [id, before, null] })).length > 0;
  // Where somebody else has emptied it at the same time, nobody was refused.
  if (count > 0 && deleted === 0 && (await isLeft())) throw accessDenied();
}
