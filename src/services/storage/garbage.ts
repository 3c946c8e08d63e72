// In charge of: blobs that no row names any more. A trigger writes them down in the transaction that lets go of them, whoever that is; here they are removed.
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../../engine/db/db.ts';
import { type Blobs, BlobsUnavailable } from './blobs/blobs.ts';

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

interface Row {
  readonly id: string;
  readonly version: string;
}

const batchSize = 200;
/** So many that cannot be removed in one run, and it is not those blobs. */
const maxStuck = 1_000;

/** Rows stay locked until their blobs are gone: one process has each, and of one that dies another takes over. */
const takeStatement = `
  select id::text, version from _millrace.blob_garbage where id <> all ($1::bigint[])
  order by id limit ${batchSize} for update skip locked`;

export function openGarbage({ db, blobs, observe }: GarbageOptions): Garbage {
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let again = false;

  /** What cannot be removed now, a file that the disk gives an error for, stands before none of the others. Those that are gone. */
  async function remove(
    rows: readonly Row[],
    onStuck: (row: Row, error: unknown) => void,
  ): Promise<readonly Row[]> {
    try {
      await blobs.remove(rows.map(({ version }) => version));
      return rows;
    } catch (error) {
      if (error instanceof BlobsUnavailable && error.reason === 'away') throw error;
    }
    const gone: Row[] = [];
    for (const row of rows) {
      try {
        await blobs.remove([row.version]);
        gone.push(row);
      } catch (error) {
        onStuck(row, error);
      }
    }
    return gone;
  }

  async function collect(signal: AbortSignal): Promise<void> {
    const stuck: string[] = [];
    let failure: unknown;
    const onStuck = (row: Row, error: unknown) => {
      stuck.push(row.id);
      failure = error;
    };
    for (let count: number = batchSize; count === batchSize && !signal.aborted && stuck.length < maxStuck; ) {
      count = await db.asOwner('millrace_admin', async (client) => {
        await client.query('begin');
        try {
          const { rows } = await client.query<Row>(takeStatement, [stuck]);
          const gone = await remove(rows, onStuck);
          await client.query('delete from _millrace.blob_garbage where id = any ($1)', [
            gone.map(({ id }) => id),
          ]);
          await client.query('commit');
          return rows.length;
        } catch (error) {
          await client.query('rollback');
          throw error;
        }
      });
    }
    if (failure !== undefined) throw failure;
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
