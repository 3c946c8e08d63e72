// In charge of: that a project's own `pgrst.*` settings hold at once: from a migration, and as Supabase's guides have them typed in.
// Source: PostgREST 14.12, docs/references/configuration.rst "In-Database Configuration"; supabase.com/docs, "Using custom schemas" and
// "Converting from SQL to JavaScript API" (aggregate functions).
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let postgres: pg.Client;
beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': '[api]\nschemas = ["public"]\nauto_expose_new_tables = true\n',
    'supabase/migrations/20260701000000_films.sql': `
      create table public.films (id int primary key, year int not null);
      insert into public.films values (1, 1972), (2, 1979), (3, 1979);
      create schema shop;
      grant usage on schema shop to anon;
      create table shop.orders (id int primary key);
      grant select on shop.orders to anon;`,
  });
  backend = await startBackend(project.folder);
  postgres = new pg.Client({ connectionString: backend.report.DB_URL });
  await postgres.connect();
});
afterAll(async () => {
  await postgres?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

async function get(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${backend.report.REST_URL}${path}`, {
    headers: { apikey: backend.report.ANON_KEY, ...headers },
  });
  // Sound: the tests compare it.
  return { status: response.status, body: (await response.json()) as { readonly length?: number } };
}

const soon = { timeout: 10_000, interval: 25 };

async function migrate(name: string, sql: string) {
  await writeFile(join(project.folder, 'supabase', 'migrations', name), sql);
  return runCli(['migrate', '--project', project.folder]);
}

describe('alter role authenticator set pgrst.…', () => {
  const orders = () => get('/orders', { 'accept-profile': 'shop' });

  it('in a migration exposes a schema of a running backend', async () => {
    expect(await orders()).toMatchObject({ status: 406, body: { code: 'PGRST106' } });
    const done = await migrate(
      '20260702000000_shop.sql',
      `alter role authenticator set pgrst.db_schemas = 'public, shop';`,
    );
    expect(done.code, done.stderr).toBe(0);
    await expect.poll(orders, soon).toEqual({ status: 200, body: [] });
  });

  it('in a migration holds also when a later one is refused', async () => {
    await migrate('20260703000000_rows.sql', `alter role authenticator set pgrst.db_max_rows = '2';`);
    const before = () => get('/films?select=id').then(({ body }) => body.length);
    await expect.poll(before, soon).toBe(2);
    await writeFile(
      join(project.folder, 'supabase', 'migrations', '20260704000000_rows.sql'),
      `alter role authenticator set pgrst.db_max_rows = '1';`,
    );
    const refused = await migrate('20260705000000_wrong.sql', 'select 1 / 0;');
    expect(refused.code).toBe(1);
    await expect.poll(before, soon).toBe(1);
  });

  it('by postgres on any session holds from `notify pgrst` on, and until it is reset', async () => {
    const sums = () => get('/films?select=year.sum()');
    expect(await sums()).toMatchObject({ status: 400, body: { code: 'PGRST123' } });
    await postgres.query(`alter role authenticator set pgrst.db_aggregates_enabled = 'true'`);
    await postgres.query(`notify pgrst, 'reload config'`);
    await expect.poll(sums, soon).toEqual({ status: 200, body: [{ sum: 5930 }] });
    await postgres.query('alter role authenticator reset pgrst.db_aggregates_enabled');
    await postgres.query(`notify pgrst, 'reload config'`);
    await expect.poll(sums, soon).toMatchObject({ status: 400 });
  });

  it('with a value that it cannot have is left out, and said', async () => {
    await postgres.query(`alter role authenticator set pgrst.db_tx_end = 'maybe'`);
    await postgres.query(`notify pgrst, 'reload config'`);
    await expect.poll(() => backend.log(), soon).toMatch(/PGRST_DB_TX_END.*maybe/);
    expect(await get('/films?select=id&id=eq.1')).toMatchObject({ status: 200 });
  });

  it('leaves errors with code and message alone when it says so', async () => {
    await postgres.query(`alter role authenticator set pgrst.client_error_verbosity = 'minimal'`);
    await postgres.query(`notify pgrst, 'reload config'`);
    await expect
      .poll(() => get('/filmz'), soon)
      .toEqual({
        status: 404,
        body: {
          code: 'PGRST205',
          message: "Could not find the table 'public.filmz' in the schema cache",
        },
      });
  });
});
