// In charge of: work on auth's own tables, in one transaction on a session of their owner.
import type { PoolClient, QueryResultRow } from 'pg';
import { errorCode, Fault } from '../../base/errors.ts';
import type { Db } from '../../engine/db/db.ts';
import { tooManyAtOnce } from './errors.ts';

/** An open transaction on auth's tables; times come as Postgres writes them, because a Date would cut their microseconds off. */
export interface Tx {
  query<R extends QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: R[]; readonly rowCount: number }>;
}

export const owner = 'supabase_auth_admin';

/** Where transactions run. */
export interface TxDb extends Pick<Db, 'asOwner'> {
  /** How long a transaction waits for a row that another one has, in milliseconds; undefined: as long as a statement may take. */
  readonly lockTimeoutMs?: () => number | undefined;
  /** What is said when that is over. Unset: 429. */
  readonly refusal?: (cause?: unknown) => Fault;
}

/**
 * Runs `work` in a transaction. A throw undoes it and is rethrown; the connection stays, because a refusal is nothing that a
 * connection should be closed for. Whoever wants to refuse and keep what was written returns the refusal and throws it afterwards.
 * @throws DatabaseUnavailable, Fault 429 over_request_rate_limit where a row was not to be had, and what `work` throws
 */
export async function inTransaction<T>(db: TxDb, work: (tx: Tx) => Promise<T>): Promise<T> {
  const lockMs = db.lockTimeoutMs?.();
  const outcome = await db.asOwner(owner, async (client) => {
    await client.query(lockMs === undefined ? 'begin' : `begin; set local lock_timeout = ${lockMs}`);
    try {
      const value = await work(txOf(client));
      await client.query('commit');
      return { value };
    } catch (error) {
      // A connection that cannot even do this is closed by whoever opened it.
      await client.query('rollback');
      return { error };
    }
  });
  if ('error' in outcome)
    throw lockMs !== undefined && isHeldBack(outcome.error)
      ? (db.refusal ?? tooManyAtOnce)(outcome.error)
      : outcome.error;
  return outcome.value;
}

/** lock_not_available: somebody else has the row for longer than is waited for. */
const isHeldBack = (error: unknown) => errorCode(reasonOf(error)) === '55P03';

/** What Postgres said, also where a refusal was made of it. */
export const reasonOf = (error: unknown): unknown => (error instanceof Fault ? error.cause : error);

/**
 * For work that makes what there can be one of: who loses a race for it does the work once more, and finds then what the other one made.
 * Two windows of a person who signs in for the first time make one user.
 */
export async function onceMoreAfterRace<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!hasLostRace(error)) throw error;
    return work();
  }
}

export function inOneOfTwoTransactions<T>(db: TxDb, work: (tx: Tx) => Promise<T>): Promise<T> {
  return onceMoreAfterRace(() => inTransaction(db, work));
}

/** Whether somebody else has made meanwhile what there can be one of. */
export const hasLostRace = (error: unknown) => errorCode(reasonOf(error)) === uniqueViolation;
const uniqueViolation = '23505';

/** Runs single statements, each its own transaction. */
export async function withTables<T>(db: Pick<Db, 'asOwner'>, work: (tx: Tx) => Promise<T>): Promise<T> {
  const outcome = await db.asOwner(owner, async (client) => {
    try {
      return { value: await work(txOf(client)) };
    } catch (error) {
      // Still there, when it was the statement and not the connection that failed.
      if (!(error instanceof Fault)) await client.query('select');
      return { error };
    }
  });
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}

function txOf(client: PoolClient): Tx {
  return {
    async query<R extends QueryResultRow>(text: string, values: readonly unknown[] = []) {
      const { rows, rowCount } = await client.query<R>({ text, values: [...values], types: timesAsText });
      return { rows, rowCount: rowCount ?? 0 };
    },
  };
}

/** How values are read: switches, small numbers and JSON as what they are, everything else as text. Source: PostgreSQL pg_type.dat for the numbers. */
const parsers: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [16, (text) => text === 't'],
  [21, Number],
  [23, Number],
  [114, JSON.parse],
  [3802, JSON.parse],
]);

const timesAsText = {
  getTypeParser: (oid: number) => parsers.get(oid) ?? asText,
};

const asText = (text: string) => text;
