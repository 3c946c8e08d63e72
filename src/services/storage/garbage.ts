// In charge of: blobs that no row names any more. A trigger writes them down in the transaction that lets go of them, whoever that is; here they are removed.
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../../engine/db/db.ts';
import type { Blobs } from './blobs/blobs.ts';

export interface Garbage {
  /** There may be some: after a commit. Nobody waits for it. */
  wake(): void;
  /** Removes what there is now. */
  collect(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface GarbageOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly blobs: Blobs;
  readonly observe: Observe;
}

const batchSize = 200;

/** Rows stay locked until their blobs are gone: one process has each, and of one that dies another takes over. */
const takeStatement = `
  select id::text, version from _millrace.blob_garbage order by id limit ${batchSize} for update skip locked`;

export function openGarbage({ db, blobs, observe }: GarbageOptions): Garbage {
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let again = false;

  async function collect(signal: AbortSignal): Promise<void> {
    for (let count: number = batchSize; count === batchSize && !signal.aborted; ) {
      count = await db.asOwner('millrace_admin', async (client) => {
        await client.query('begin');
        try {
          const { rows } = await client.query<{ id: string; version: string }>(takeStatement);
          await blobs.remove(rows.map(({ version }) => version));
          await client.query('delete from _millrace.blob_garbage where id = any ($1)', [
            rows.map(({ id }) => id),
          ]);
          await client.query('commit');
          return rows.length;
        } catch (error) {
          await client.query('rollback');
          throw error;
        }
      });
    }
  }

  async function work(): Promise<void> {
    do {
      again = false;
      try {
        await collect(closing.signal);
      } catch (error) {
        // It is still written down: the task comes by again.
        observe({ kind: 'storage.garbage_failed', level: 'warn', error });
      }
    } while (again && !closing.signal.aborted);
    running = undefined;
  }

  return {
    wake() {
      again = true;
      running ??= work();
    },
    collect,
    async close() {
      closing.abort();
      await running;
    },
  };
}
