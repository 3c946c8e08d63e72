// In charge of: what a PostgreSQL is to the rest of the program, wherever it came from: how each role logs in, how it fares, how it is closed.
import type { ClientConfig } from 'pg';
import type { LoginRole } from '../db.ts';

export interface PostgresServer {
  readonly engine: 'embedded' | 'system' | 'external' | 'pglite';
  /** 18 */
  readonly major: number;
  /** 18.4, as the server says it. */
  readonly version: string;
  /** What `pg` needs to log in as `role`; the database is `postgres` (external: the URL's own) unless named. Fresh each time. */
  login(role: LoginRole, database?: string): ClientConfig;
  /**
   * The same for LISTEN, replication and migrations, which a transaction pooler cannot carry; external: by `DIRECT_URL`.
   * Undefined: only a pooler leads there.
   */
  directLogin(role: LoginRole, database?: string): ClientConfig | undefined;
  /** For people and their tools; it holds the password. */
  readonly url: string;
  /** Sentences that the person who starts the program should read once. */
  readonly notices: readonly string[];
  /** `off` behind a transaction pooler: named statements do not survive it. */
  readonly prepared: 'auto' | 'off';
  /** Passwords that the roles must be given, so that `login` works: where there is no `peer` (Windows). Empty elsewhere. */
  readonly passwords: Readonly<Partial<Record<LoginRole, string>>>;
  /** The folder that holds the state; undefined for an external server. */
  readonly stateFolder: string | undefined;
  /** The postmaster's, while it runs as our child. */
  readonly processId: number | undefined;
  /** Asks the server itself, bounded. */
  health(): Promise<ServerHealth>;
  /** `listener` hears it once when the server has gone and is not coming back. Gives back its removal. */
  onExit(listener: (reason: Error) => void): () => void;
  /** Ends every session at once, cleanly, and waits until the server is gone. Does nothing to an external server. */
  stop(): Promise<void>;
}

export interface ServerHealth {
  readonly ok: boolean;
  readonly sentence: string;
}

/** Every role that Millrace itself logs in as, in the order of the peer map. */
export const loginRoles: readonly LoginRole[] = [
  'supabase_admin',
  'authenticator',
  'millrace_admin',
  'postgres',
  'supabase_auth_admin',
  'supabase_storage_admin',
  'supabase_realtime_admin',
];
