// In charge of: a look into a backend's database from beside it: as its superuser over the local socket, or as a person over the port.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { Report } from './backend.ts';

/** The part of a running backend that is needed. */
export interface WithUrl {
  readonly report: Pick<Report, 'DB_URL'>;
}

/** One value, asked as `postgres` over the database port. */
export async function askDatabase(backend: WithUrl, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: backend.report.DB_URL, application_name: 'test' });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

/** A session of a person's, in which `sql` has run; ended by `await using`. */
export async function openSession(backend: WithUrl, sql: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: backend.report.DB_URL, application_name: 'test' });
  client.on('error', () => {});
  await client.connect();
  await client.query(sql);
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** The superuser's session: only the user who started the program may open one, through the socket in the state folder. */
export async function openSuperuser(stateFolder: string): Promise<pg.Client & AsyncDisposable> {
  // Sound: the program writes this file for tools beside it.
  const { socketFolder, port } = JSON.parse(await readFile(join(stateFolder, 'state.json'), 'utf8')) as {
    socketFolder: string;
    port: number;
  };
  const client = new pg.Client({
    host: socketFolder,
    port,
    user: 'supabase_admin',
    database: 'postgres',
    application_name: 'test superuser',
  });
  client.on('error', () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
