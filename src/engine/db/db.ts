// In charge of: the database as the rest of the program sees it. One round trip under a caller's rights, or a session of a named owner.
import type { PoolClient } from 'pg';
import type { Cancellation } from '../../base/cancellation.ts';
import type { Caller } from '../identity/caller.ts';

/** One SQL statement. The text holds structure and quoted names only; every value is a parameter. */
export interface Statement {
  readonly text: string;
  /** In Postgres's text format; null is NULL. */
  readonly params: readonly (string | null)[];
}

/** Rows as Postgres sent them, in text format. */
export interface Rows {
  readonly rows: readonly (readonly (string | null)[])[];
  /** Rows that the command tag counts (`INSERT 0 3` → 3). */
  readonly affected: number;
}

/** What one request asks of the database: context, then one statement, in one implicit transaction. */
export interface Work {
  readonly statement: Statement;
  /** Transaction-local settings beside role and claims: `search_path`, `request.method`, `statement_timeout`, … Values of the plan, never names from a client. */
  readonly settings?: readonly (readonly [name: string, value: string])[];
  /** Runs between the context and the statement, in the same transaction: PostgREST's `db-pre-request`. */
  readonly before?: Statement;
  /** The transaction may not write. */
  readonly readOnly?: boolean;
  /** Needs an explicit BEGIN, so it costs no extra round trip but two more messages. */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable';
  /** `rollback`: everything is undone after the answer is read (PostgREST's `tx=rollback`). */
  readonly end?: 'commit' | 'rollback';
  /** Looks at the rows before the transaction ends, at the price of a second round trip. A throw undoes the transaction and is rethrown. */
  readonly verdict?: (rows: Rows) => 'commit' | 'rollback';
  /** When it says so, the query is cancelled in Postgres. */
  readonly cancellation?: Cancellation;
}

/** Why the database did not answer at all. Each service gives it its protocol's status and code. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';
  /** `unreachable`: no server, or it went away; `timeout`: no connection came free in time; `overloaded`: too many wait already. */
  readonly reason: 'unreachable' | 'timeout' | 'overloaded';
  readonly retryAfterSeconds: number;

  constructor(
    reason: DatabaseUnavailable['reason'],
    message: string,
    retryAfterSeconds: number,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The roles that Millrace logs in as. No request ever uses `supabase_admin`. */
export type LoginRole =
  | 'authenticator'
  | 'millrace_admin'
  | 'postgres'
  | 'supabase_admin'
  | 'supabase_auth_admin'
  | 'supabase_storage_admin'
  | 'supabase_realtime_admin';

/** Made when they are first needed, and closed when they have been idle. */
export const patientConnections = 8;

export interface Db {
  /**
   * Runs `work` with the caller's role and claims in place, in one round trip and one transaction.
   * @throws DatabaseError (of `pg`, with its SQLSTATE) as Postgres sent it; DatabaseUnavailable when no connection
   * came free in time, too many requests wait for one, or the database cannot be reached.
   */
  as(caller: Caller, work: Work): Promise<Rows>;
  /** Several statements of one caller in one transaction: each sees what the earlier ones wrote. A throw undoes all. */
  transaction<T>(
    caller: Caller,
    run: (step: (work: Work) => Promise<Rows>) => Promise<T>,
    options?: Pick<Work, 'cancellation' | 'isolation' | 'readOnly' | 'end'>,
  ): Promise<T>;
  /**
   * A plain session of a named owner, for a service's own tables. Said out loud where row-level security is not meant to hold. `patient`: on one
   * of `patientConnections` others, for work that waits for somebody outside with its transaction open, so that nothing else waits with it.
   */
  asOwner<T>(owner: LoginRole, run: (client: PoolClient) => Promise<T>, kind?: 'patient'): Promise<T>;
  /** Each transaction keeps everybody else out until it ends (PGlite): whoever asks on a second connection meanwhile waits for itself. */
  readonly hasOneSession?: boolean;
  /** Columns may have other types than before: every statement is prepared anew at its next use. */
  schemaChanged(): void;
}
