// In charge of: blobs that no row names and nobody wrote down: a process was killed between the bytes and the row. Those that a second sweep still
// sees after the time of grace are removed; by no clock but the database's.
import type { Observe } from '../../../base/observe.ts';
import type { Db } from '../../../engine/db/db.ts';
import { assertFence } from '../../../engine/db/leases.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { Garbage } from '../garbage.ts';
import { type Difference, listDifferences } from './differences.ts';

export interface SweepOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly blobs: Pick<Blobs, 'list' | 'find' | 'removeUnfinished'>;
  readonly garbage: Pick<Garbage, 'wake'>;
  readonly observe: Observe;
  readonly graceSeconds: number;
  /** The lease's name, which each effect checks. */
  readonly lease: string;
  readonly fence: bigint;
  readonly signal: AbortSignal;
}

export interface Swept {
  readonly orphans: number;
  readonly removed: number;
  /** Writes that were cut off. */
  readonly unfinished: number;
  readonly missing: number;
  readonly wrongSize: number;
}

/** One sweep. @throws LeaseLost; what the store of bytes throws */
export async function sweep(options: SweepOptions): Promise<Swept> {
  const { db, blobs, observe, signal, graceSeconds } = options;
  const startedAt = await databaseTime(db);
  const counted = { orphan: 0, missing: 0, size: 0 };
  const examples: string[] = [];
  for await (const batch of listDifferences({ db, blobs, signal })) {
    await markOrphans(options, batch, startedAt);
    for (const difference of batch) {
      counted[difference.kind] += 1;
      if (difference.kind !== 'orphan' && examples.length < maxExamples) examples.push(difference.held.place);
    }
  }
  const removed = await removeSeenTwice(options, startedAt);
  const unfinished = await blobs.removeUnfinished(graceSeconds).catch((error: unknown) => {
    // A store may keep its list of them to itself.
    observe({ kind: 'storage.unfinished_not_removed', level: 'warn', error });
    return 0;
  });
  const swept = {
    orphans: counted.orphan,
    removed,
    unfinished,
    missing: counted.missing,
    wrongSize: counted.size,
  };
  const isWell = swept.missing === 0 && swept.wrongSize === 0;
  observe({
    kind: 'storage.swept',
    level: isWell ? (removed + unfinished === 0 ? 'debug' : 'info') : 'error',
    ...swept,
    ...(isWell ? {} : { examples, hint: '`millrace storage check` lists them all.' }),
  });
  return swept;
}

/** How many names one line of the log holds. */
const maxExamples = 10;

async function databaseTime(db: Pick<Db, 'asOwner'>): Promise<string> {
  const { rows } = await db.asOwner('millrace_admin', (client) =>
    client.query<{ now: string }>('select clock_timestamp()::text as now'),
  );
  return rows[0]!.now;
}

async function markOrphans(options: SweepOptions, batch: readonly Difference[], startedAt: string) {
  const ids = batch.flatMap((one) => (one.kind === 'orphan' ? [one.blob.id] : []));
  if (ids.length > 0) await underLease(options, markStatement, [ids, startedAt]);
}

const markStatement = `
  insert into _millrace.blob_orphans (id, last_seen_at) select unnest($1::text[]), $2::timestamptz
  on conflict (id) do update set last_seen_at = excluded.last_seen_at`;

async function removeSeenTwice(options: SweepOptions, startedAt: string): Promise<number> {
  // What this sweep did not see has been removed meanwhile, or a row names it now.
  await underLease(options, 'delete from _millrace.blob_orphans where last_seen_at < $1', [startedAt]);
  const removed = await underLease(options, removeStatement, [options.graceSeconds]);
  if (removed > 0) options.garbage.wake();
  return removed;
}

const removeStatement = `
  with due as (
    delete from _millrace.blob_orphans where first_seen_at <= clock_timestamp() - make_interval(secs => $1) returning id
  )
  insert into _millrace.blob_garbage (version) select id from due`;

async function underLease(
  { db, lease, fence }: SweepOptions,
  statement: string,
  params: readonly unknown[],
): Promise<number> {
  return db.asOwner('millrace_admin', async (client) => {
    await client.query('begin');
    try {
      await assertFence(client, lease, fence);
      const { rowCount } = await client.query(statement, [...params]);
      await client.query('commit');
      return rowCount ?? 0;
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
  });
}
