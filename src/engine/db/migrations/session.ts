// In charge of: the sessions of a run of migrations. One as `postgres` that runs everything, one as `supabase_admin` that only registers what the first may not.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import type { Observe } from '../../../base/observe.ts';
import { cancelQuery } from '../cancel.ts';
import { loadPlainSql } from '../extensions/install.ts';
import type { Privileged } from './privileged.ts';

export interface MigrationLogins {
  /** Who runs what people write. Without a pooler in between that works by transaction. */
  readonly postgres: pg.ClientConfig;
  /** A superuser; undefined on a server where there is none for us: then every statement is run by `postgres`. */
  readonly admin?: pg.ClientConfig | undefined;
}

/** A statement to be run as `supabase_admin`. */
export interface Registered {
  readonly nonce: string;
  readonly statement: string;
  readonly privileged: Privileged;
}

/** An extension that the server can create. */
export interface AvailableExtension {
  readonly versions: ReadonlySet<string>;
  /** Its script needs a superuser; a trusted one runs as one whoever creates it. */
  readonly needsSuperuser: boolean;
}

/** Sessions of one run. Closed by whoever opened them; when `signal` is aborted the running statement is cancelled. */
export class MigrationSession implements AsyncDisposable {
  readonly client: pg.Client;
  readonly serverVersion: number;
  readonly observe: Observe;
  readonly signal: AbortSignal | undefined;
  readonly #adminLogin: pg.ClientConfig | undefined;
  readonly #backendPid: number;
  readonly #onAbort: () => void;
  #admin: pg.Client | undefined;
  #extensions: ReadonlyMap<string, AvailableExtension> | undefined;
  #plain: Promise<unknown> | undefined;

  private constructor(
    client: pg.Client,
    facts: { readonly version: number; readonly pid: number; readonly super: boolean },
    admin: pg.ClientConfig | undefined,
    observe: Observe,
    signal: AbortSignal | undefined,
  ) {
    this.client = client;
    this.serverVersion = facts.version;
    this.#backendPid = facts.pid;
    // Who is superuser already has nothing to be helped with, and must not be made an ordinary role on the way.
    this.#adminLogin = facts.super ? undefined : admin;
    this.observe = observe;
    this.signal = signal;
    this.#onAbort = () => {
      // Sound: cancelQuery reads what a Client and a PoolClient have in common.
      void cancelQuery(client as unknown as pg.PoolClient);
    };
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  static async open(
    logins: MigrationLogins,
    observe: Observe,
    signal: AbortSignal | undefined,
  ): Promise<MigrationSession> {
    signal?.throwIfAborted();
    const client = await connect(logins.postgres, '');
    try {
      const { rows } = await client.query<{ version: number; pid: number; super: boolean }>(
        "select current_setting('server_version_num')::int as version, pg_backend_pid() as pid, rolsuper as super from pg_catalog.pg_roles where rolname = current_user",
      );
      return new MigrationSession(client, rows[0]!, logins.admin, observe, signal);
    } catch (error) {
      await client.end();
      throw error;
    }
  }

  get mayElevate(): boolean {
    return this.#adminLogin !== undefined;
  }

  /** The superuser's session; opened when it is first needed, so that most runs have none. */
  async admin(): Promise<pg.Client | undefined> {
    if (this.#adminLogin === undefined) return undefined;
    // Event triggers are the project's code: none of them runs in a superuser's session, from the login on.
    const options = this.serverVersion >= 170000 ? '-c event_triggers=off' : '';
    this.#admin ??= await connect(this.#adminLogin, options);
    return this.#admin;
  }

  /** Makes the statements known to the server; each can be run once, by this run's session as `postgres`. */
  async register(
    statements: readonly { statement: string; privileged: Privileged }[],
  ): Promise<Registered[]> {
    const admin = await this.admin();
    if (admin === undefined) return [];
    const registered = statements.map((item) => ({ ...item, nonce: randomUUID() }));
    for (const { nonce, statement, privileged } of registered) {
      await admin.query(
        `insert into _millrace.privileged_statements (nonce, backend_pid, statement, kind, act, name, function_name)
         values ($1, $2, $3, $4, $5, $6, $7)`,
        [
          nonce,
          this.#backendPid,
          statement,
          privileged.kind,
          privileged.act,
          privileged.name,
          privileged.function,
        ],
      );
    }
    return registered;
  }

  /** Forgets what was registered and not run, of this run and of those that ended early. */
  async unregister(): Promise<void> {
    // A session that is lost has its own error; the next run tidies up.
    await this.#admin?.query('delete from _millrace.privileged_statements').catch(() => {});
  }

  /** The extensions that the server can create. */
  async availableExtensions(): Promise<ReadonlyMap<string, AvailableExtension>> {
    if (this.#extensions === undefined) {
      const { rows } = await this.client.query<{ name: string; versions: string[]; superuser: boolean }>(
        'select name, array_agg(version) as versions, bool_or(superuser) as superuser from pg_catalog.pg_available_extension_versions group by name',
      );
      this.#extensions = new Map(
        rows.map(({ name, versions, superuser }) => [
          name,
          { versions: new Set(versions), needsSuperuser: superuser },
        ]),
      );
    }
    return this.#extensions;
  }

  /** Makes the functions that run an extension's script where the server takes no files of ours. */
  async preparePlainExtensions(): Promise<void> {
    this.#plain ??= (async () => {
      const client = (await this.admin()) ?? this.client;
      try {
        await client.query(`begin;\n${await loadPlainSql()}\ncommit`);
      } catch (error) {
        await client.query('rollback').catch(() => {});
        throw error;
      }
    })();
    await this.#plain;
  }

  /** A session as if it were new: settings, role, temporary tables, listeners. A dump's `search_path` must not reach the next file. */
  async refresh(): Promise<void> {
    this.signal?.throwIfAborted();
    await this.client.query('discard all');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal?.removeEventListener('abort', this.#onAbort);
    await Promise.allSettled([this.client.end(), this.#admin?.end()]);
  }
}

/** A file of `sql/` beside this one. */
export function loadSql(name: string): Promise<string> {
  return readFile(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8');
}

async function connect(login: pg.ClientConfig, options: string): Promise<pg.Client> {
  const merged = [login.options, options].filter((part) => part !== undefined && part !== '').join(' ');
  const client = new pg.Client({
    connectionTimeoutMillis: connectTimeoutMs,
    ...login,
    ...(merged === '' ? {} : { options: merged }),
    application_name: 'millrace migrations',
  });
  // A lost connection also rejects the query that waits on it; without a listener the event would end the process.
  client.on('error', () => {});
  await client.connect();
  return client;
}

const connectTimeoutMs = 10_000;
