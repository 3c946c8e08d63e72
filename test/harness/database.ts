// In charge of: a database for one test file.
import { randomUUID } from 'node:crypto';
import type { ClientConfig } from 'pg';
import { inject } from 'vitest';
import { withClient } from '../../src/engine/db/client.ts';
import { type Database, openDatabase } from '../../src/engine/db/database.ts';
import type { LoginRole } from '../../src/engine/db/db.ts';
import { ident } from '../../src/engine/db/ident.ts';
import type { PostgresServer } from '../../src/engine/db/postgres/server.ts';

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** What `pg` needs to log in as `role`. */
  login(role: LoginRole): ClientConfig;
  /** Runs SQL as `role` on a session of its own. */
  run(sql: string, role?: LoginRole): Promise<readonly Record<string, unknown>[]>;
  /** The program's own ways in. Closed by whoever opened them. */
  open(): Promise<Database>;
}

/** A fresh copy of the shaped database; dropped by `await using`. */
export async function openTestDatabase(): Promise<TestDatabase> {
  // Sound: written by the global setup, which gives a ClientConfig per role.
  const logins = JSON.parse(inject('logins')) as Record<LoginRole, ClientConfig>;
  const name = `test_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
  const login = (role: LoginRole): ClientConfig => ({ ...logins[role], database: name });
  // The template is `postgres` itself, where nobody works while tests run; a copy fails while somebody is connected to it.
  await withClient({ ...logins.supabase_admin, database: 'template1' }, (client) =>
    // By copying its files: a third of what copying through the write-ahead log costs, as nothing waits for the disk here.
    client.query(`create database ${ident(name)} template postgres owner postgres strategy file_copy`),
  );
  const run: TestDatabase['run'] = (sql, role = 'postgres') =>
    withClient(login(role), async (client) => {
      // Several statements give an array of results; the last one counts.
      const answer: unknown = await client.query(sql);
      const last = (Array.isArray(answer) ? answer.at(-1) : answer) as { rows: Record<string, unknown>[] };
      return last.rows;
    });
  const server = {
    login,
    directLogin: login,
    prepared: 'auto',
  } as Partial<PostgresServer> as PostgresServer;
  return {
    name,
    login,
    run,
    open: () =>
      openDatabase(
        server,
        { limits: { maxConnections: 10, acquireTimeoutMs: 5_000, maxWaiting: 100 }, prepared: 'auto' },
        () => {},
      ),
    async [Symbol.asyncDispose]() {
      await withClient({ ...logins.supabase_admin, database: 'template1' }, async (client) => {
        // A slot keeps its database from being dropped.
        await client.query(
          `select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where database = '${name}' and active_pid is not null`,
        );
        await client.query(
          `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '${name}'`,
        );
        await client.query(`drop database ${ident(name)} with (force)`);
      });
    },
  };
}
