// In charge of: going through all objects of this project, page by page and a few at once, and trying again what another project did not answer.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from '../../../engine/db/db.ts';

/** Files on their way at once. */
export const parallelFiles = 4;
export const pageSize = 1_000;
const tries = 4;
const firstPauseMs = 500;
/** So many in one run, and the other project is away rather than a file damaged or refused there. */
export const maxFailures = 100;

export interface EachObject<Row> {
  readonly db: Pick<Db, 'asOwner'>;
  /** By id, `pageSize` of them behind `$1`, or from the first where it is null. */
  readonly statement: string;
  readonly signal: AbortSignal;
  /** A throw ends it. */
  readonly work: (row: Row) => Promise<void>;
}

export async function eachObject<Row extends { readonly id: string }>(
  options: EachObject<Row>,
): Promise<void> {
  const { db, statement, signal, work } = options;
  for (let after: string | null = null; ; ) {
    const page: readonly Row[] = await db.asOwner('supabase_storage_admin', async (client) => {
      const { rows } = await client.query<Row>(statement, [after]);
      return rows;
    });
    const left = [...page];
    const worker = async () => {
      for (let row = left.shift(); row !== undefined; row = left.shift()) {
        signal.throwIfAborted();
        await work(row);
      }
    };
    await Promise.all(Array.from({ length: parallelFiles }, worker));
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    after = last.id;
  }
}

/** Again after a pause, and after a longer one. @param isFinal an error that will be the same */
export async function patiently<T>(
  work: () => Promise<T>,
  isFinal: (error: unknown) => boolean,
  signal: AbortSignal,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await work();
    } catch (error) {
      if (isFinal(error) || signal.aborted || tried === tries) throw error;
      await sleep(firstPauseMs * 2 ** (tried - 1), undefined, { signal });
    }
  }
}
