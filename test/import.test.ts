// In charge of: `millrace import`: a project from another server, whole; broken off and killed on the way, and gone on with; people go on signing in.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../src/engine/db/client.ts';
import { exportProject } from '../src/engine/db/dump/export.ts';
import { importProject } from '../src/engine/db/import/import.ts';
import { openSql } from '../src/engine/db/sql.ts';
import { createBackend, type TestBackend } from '../src/server/library.ts';
import { prepareProject } from '../src/server/prepare.ts';
import { migrateDatabase, openShapedServer, shapeDatabase } from '../src/server/project-database.ts';
import { checkout, makeProject, startBackend } from './harness/backend-here.ts';

const password = 'correct horse battery staple';
const jwtSecret = 'the secret of the source, which is nobody else’s';
const own = {
  MILLRACE_JWT_SECRET: jwtSecret,
  SUPABASE_PUBLISHABLE_KEY: 'sb_publishable_of_this_test_alone_0001',
  SUPABASE_SECRET_KEY: 'sb_secret_of_this_test_alone_0000000001',
  MILLRACE_DB_PASSWORD: 'a password of this test',
};
/** Bounds against hangs, on a machine that is busy with others. */
const longMs = 300_000;

const big = `create table public.big as
  select n as id, md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text) as text from generate_series(1, 100000) as n;
  select vault.create_secret('a secret of the source', 'api key', 'for the shop');
  create extension pg_cron;
  select cron.schedule('nightly', '0 3 * * *', 'select 1');
  create extension pgmq;
  select pgmq.create('mails');
  select pgmq.send('mails', '{"to": "ada"}');`;

let original: Awaited<ReturnType<typeof makeProject>>;
let source: TestBackend;
let refreshToken: string;
let project: Awaited<ReturnType<typeof makeProject>>;

beforeAll(async () => {
  project = await makeProject({});
  const everyKind = await readFile(join(checkout, 'test', 'harness', 'every-kind.sql'), 'utf8');
  original = await makeProject({
    'supabase/migrations/20260601000000_kinds.sql': everyKind,
    'supabase/migrations/20260602000000_big.sql': big,
  });
  source = await createBackend({ project: original.folder, settings: { 'auth.jwt_secret': jwtSecret } });
  // Somebody signs up there.
  const client = createClient(source.url, source.keys.publishable, { global: { fetch: source.fetch } });
  const { data, error } = await client.auth.signUp({ email: 'grace@example.com', password });
  expect(error).toBeNull();
  refreshToken = data.session!.refresh_token;
}, longMs);

afterAll(async () => {
  await source.close();
  await original[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

/** The command line to its end; longer than other commands take, as it moves rows. */
async function millrace(args: readonly string[]) {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [join(checkout, 'bin', 'millrace.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH, HOME },
    timeout: longMs,
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code: code as number | null, stdout, stderr };
}

describe('an import', () => {
  it(
    'and an export have what extensions hold: jobs, queues with their messages; of the vault’s secrets it is said that they stay',
    async () => {
      const chunks: Buffer[] = [];
      const out = new Writable({
        write(chunk: Buffer, _, done) {
          chunks.push(chunk);
          done();
        },
      });
      const { notices } = await exportProject({
        login: { connectionString: source.databaseUrl },
        out,
        parts: 'data',
        progress: () => {},
      });
      const script = Buffer.concat(chunks).toString();
      expect(notices).toEqual([
        'The secrets of the vault are left out: they are encrypted under the key of this database.',
      ]);
      expect(script).toContain("select cron.schedule('nightly', '0 3 * * *', 'select 1');");
      expect(script).toContain(`select pgmq.create('mails');`);
      expect(script).toMatch(/COPY "pgmq"."q_mails" .*\n1\t.*{"to": "ada"}/);
    },
    longMs,
  );

  it(
    'is refused with the JWT secret of another; one that loses the source on the way leaves nothing to be seen, and says how to go on',
    async () => {
      const prepared = await prepareProject({
        folder: project.folder,
        environment: {},
        commandLine: new Map([['db.port', '0']]),
        production: false,
        data: undefined,
        pgBin: undefined,
      });
      const opening = { observe: () => {}, progress: () => {}, signal: new AbortController().signal };
      const shaped = await openShapedServer(prepared, opening);
      const { server } = shaped;
      try {
        let cut: Promise<unknown> | undefined;
        const importWith = (secret: string) =>
          importProject({
            source: { connectionString: source.databaseUrl },
            login: (role, database) => server.login(role, database),
            database: 'postgres',
            bootstrap: (database) => shapeDatabase(shaped, prepared, opening, database),
            migrate: (database) => migrateDatabase(shaped, opening, database),
            parts: 'all',
            jwtSecret: secret,
            resume: false,
            observe: () => {},
            progress(line) {
              if (!line.includes('public.big')) return;
              cut ??= source.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'millrace import'",
              );
            },
          });
        // As a self-hosted project has it.
        const [place] = await source.sql<{ host: string; port: number }>(
          "select trim(both chr(34) from current_setting('unix_socket_directories')) as host, current_setting('port')::int as port",
        );
        await withClient({ ...place, user: 'supabase_admin', database: 'postgres' }, (client) =>
          client.query(`alter database postgres set "app.settings.jwt_secret" to '${jwtSecret}'`),
        );
        await expect(importWith('the secret of another')).rejects.toThrow(
          'The JWT secret that was given is not the one of the source: its setting app.settings.jwt_secret is another.',
        );
        const broken = importWith(jwtSecret);
        await expect(broken).rejects.toMatchObject({
          message: expect.stringContaining('The import broke off: '),
          hint: 'Nothing of it is visible. Go on where it stopped with: millrace import --resume, and the same --db-url.',
        });
        await cut;
        const { sql, close } = openSql(() => server.login('postgres'));
        expect(
          await sql`select to_regclass('public.big') as big, (select count(*)::int from auth.users) as users`,
        ).toEqual([{ big: null, users: 0 }]);
        await close();
      } finally {
        await server.stop();
      }
    },
    longMs,
  );

  it(
    'that is killed goes on, copies again what has changed, and reports equal rows on both sides',
    async () => {
      await source.sql(
        "update public.big set text = 'changed meanwhile' where id = 1; update shop.things set name = 'changed, too'",
      );
      const args = [
        'import',
        '--project',
        project.folder,
        '--db-port',
        '0',
        '--db-url',
        source.databaseUrl,
        '--jwt-secret',
        jwtSecret,
      ];
      const { PATH, HOME } = process.env;
      const killed = spawn(process.execPath, [join(checkout, 'bin', 'millrace.mjs'), ...args, '--resume'], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { PATH, HOME },
      });
      let said = '';
      for await (const chunk of killed.stderr) {
        said += chunk;
        if (said.includes('building indexes')) break;
      }
      killed.kill('SIGKILL');
      await once(killed, 'exit');

      const done = await millrace([...args, '--resume', '--json']);
      expect({ code: done.code, stderr: done.code === 0 ? '' : done.stderr }).toEqual({
        code: 0,
        stderr: '',
      });
      const report = JSON.parse(done.stdout) as {
        readonly tables: readonly {
          readonly table: string;
          readonly source: object;
          readonly here: object;
        }[];
        readonly roles: readonly string[];
      };
      expect(report.roles).toEqual(['app_owner', 'reporter']);
      for (const { table, source: there, here } of report.tables)
        expect({ table, ...here }).toEqual({ table, ...there });
      const rows = Object.fromEntries(
        report.tables.map(({ table, here }) => [table, (here as { rows: number }).rows]),
      );
      expect(rows).toMatchObject({
        'auth.users': 2,
        'auth.sessions': 1,
        'auth.refresh_tokens': 1,
        'public.big': 100_000,
        'shop.customers': 500,
        'shop.events_2025': 70,
        'shop.events_rest': 30,
        'shop.empty': 1,
        'storage.objects': 1,
        'supabase_migrations.schema_migrations': 2,
      });
    },
    longMs,
  );

  it(
    'of the rows alone fills what the migrations here make, and says what has no place',
    async () => {
      await using other = await makeProject({
        'supabase/migrations/20260603000000_big.sql':
          'create table public.big (id int primary key, text text, more int default 7);',
        'supabase/seed.sql': 'insert into public.big values (-1);',
      });
      const done = await millrace([
        ...['import', '--project', other.folder, '--db-port', '0', '--db-url', source.databaseUrl],
        ...['--data-only', '--json'],
      ]);
      expect({ code: done.code, stderr: done.code === 0 ? '' : done.stderr }).toEqual({
        code: 0,
        stderr: '',
      });
      const report = JSON.parse(done.stdout) as {
        readonly tables: readonly { readonly table: string; readonly here: { readonly rows: number } }[];
        readonly notices: readonly string[];
      };
      const filled = report.tables.filter(({ here }) => here.rows > 0);
      const rows = Object.fromEntries(filled.map(({ table, here }) => [table, here.rows]));
      expect(rows).toMatchObject({ 'auth.users': 2, 'public.big': 100_000 });
      expect(Object.keys(rows)).not.toContain('auth.sessions');
      expect(report.notices).toContain('shop.customers is not there here: left out.');
    },
    longMs,
  );

  it(
    'is refused into a project that has data',
    async () => {
      const again = await millrace([
        'import',
        '--project',
        project.folder,
        '--db-port',
        '0',
        '--db-url',
        source.databaseUrl,
      ]);
      expect(again.code).toBe(1);
      expect(again.stderr).toMatch(
        /The database of this project holds \d+ tables and views, 2 users and 2 applied migrations; an import takes the place of an empty one\.\nImport into data of its own \(--data DIR\)/,
      );
    },
    longMs,
  );

  it(
    'refuses the development secrets from then on; people sign in with their passwords, and sessions go on',
    async () => {
      await expect(startBackend(project.folder)).rejects.toThrow(
        'Data that came from `millrace import` refuses the public development secrets',
      );
      await using backend = await startBackend(project.folder, [], { env: own });
      const { API_URL, PUBLISHABLE_KEY, DB_URL } = backend.report;
      const person = createClient(API_URL, PUBLISHABLE_KEY);
      const refreshed = await person.auth.refreshSession({ refresh_token: refreshToken });
      expect({ error: refreshed.error, email: refreshed.data.user?.email }).toEqual({
        error: null,
        email: 'grace@example.com',
      });
      const signedIn = await person.auth.signInWithPassword({ email: 'grace@example.com', password });
      expect({ error: signedIn.error, email: signedIn.data.user?.email }).toEqual({
        error: null,
        email: 'grace@example.com',
      });

      const { sql, close } = openSql(() => ({ connectionString: DB_URL }));
      expect(await sql`select current_setting('app.settings.jwt_secret') as secret`).toEqual([
        { secret: jwtSecret },
      ]);
      // What the source has and no table of it holds.
      expect(await sql`select name, decrypted_secret from vault.decrypted_secrets`).toEqual([
        { name: 'api key', decrypted_secret: 'a secret of the source' },
      ]);
      expect(await sql`select jobname, schedule, command, database, username from cron.job`).toEqual([
        {
          jobname: 'nightly',
          schedule: '0 3 * * *',
          command: 'select 1',
          database: 'postgres',
          username: 'postgres',
        },
      ]);
      expect(await sql`select msg_id::int as id, message from pgmq.read('mails', 1, 5)`).toEqual([
        { id: 1, message: { to: 'ada' } },
      ]);
      expect(await sql`select pgmq.send('mails', '{}')::int as next`).toEqual([{ next: 2 }]);
      expect(await sql`select text from public.big where id = 1`).toEqual([{ text: 'changed meanwhile' }]);
      expect(
        await sql`select (select n from shop.counts) as n, encode(lo_get(4711), 'hex') as object,
      (select last_value from pg_sequences where sequencename = 'numbers')::int as number`,
      ).toEqual([{ n: '500', object: 'deadbeef', number: expect.any(Number) }]);
      expect(
        await sql`select count(*)::int as left from pg_database where datname like 'postgres\\_%'`,
      ).toEqual([{ left: 0 }]);
      await close();
    },
    longMs,
  );
});
