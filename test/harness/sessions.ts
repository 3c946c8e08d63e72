// In charge of: a look into a backend's database from beside it: as its superuser over the local socket, or as a person over the port.
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
