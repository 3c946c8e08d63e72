// In charge of: that each variable of PostgREST does in `start --only rest` what its documentation says; those that test/only-rest.test.ts has no
// story for. Source: PostgREST 14.12, docs/references/configuration.rst.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ignoredVariables } from '../src/server/postgrest-settings.ts';
import { startOnlyRest as startProgram } from './harness/backend.ts';
import { makeProject, type RunningBackend, runCli, startOnlyRest } from './harness/backend-here.ts';
import { openTestDatabase, type TestDatabase } from './harness/database.ts';
import { freePort } from './harness/free-port.ts';

const documented = `
  ADMIN_SERVER_HOST ADMIN_SERVER_PORT APP_SETTINGS_ANY DB_AGGREGATES_ENABLED DB_ANON_ROLE DB_CHANNEL DB_CHANNEL_ENABLED DB_CONFIG
  DB_EXTRA_SEARCH_PATH DB_HOISTED_TX_SETTINGS DB_MAX_ROWS DB_PLAN_ENABLED DB_POOL DB_POOL_ACQUISITION_TIMEOUT DB_POOL_AUTOMATIC_RECOVERY
  DB_POOL_MAX_IDLETIME DB_POOL_MAX_LIFETIME DB_PRE_CONFIG DB_PRE_REQUEST DB_PREPARED_STATEMENTS DB_ROOT_SPEC DB_SCHEMAS DB_TX_END DB_URI
  JWT_AUD JWT_CACHE_MAX_ENTRIES JWT_ROLE_CLAIM_KEY JWT_SECRET JWT_SECRET_IS_BASE64 LOG_LEVEL LOG_QUERY OPENAPI_MODE OPENAPI_SECURITY_ACTIVE
  OPENAPI_SERVER_PROXY_URI SERVER_CORS_ALLOWED_ORIGINS SERVER_HOST SERVER_PORT SERVER_TIMING_ENABLED SERVER_TRACE_HEADER SERVER_UNIX_SOCKET
  SERVER_UNIX_SOCKET_MODE DB_SCHEMA MAX_ROWS PRE_REQUEST ROOT_SPEC ROLE_CLAIM_KEY SECRET_IS_BASE64 DB_POOL_TIMEOUT`;

const schema = (name: string) => `
  create role ${name}_login login noinherit password 'in';
  create role ${name}_visitor nologin;
  grant ${name}_visitor to ${name}_login;
  create schema api;
  grant usage on schema api to ${name}_visitor, ${name}_login;
  create table api.notes (id int primary key, at timestamptz default now());
  insert into api.notes (id) select generate_series(1, 3);
  grant all on api.notes to ${name}_visitor;
  create function api.seen() returns json stable language sql as $$
    select json_build_object('path', current_setting('search_path'), 'before', current_setting('my.before', true),
      'prepared', (select count(*) from pg_prepared_statements), 'session', pg_backend_pid()) $$;
  create function api.before() returns void language sql as $$ select set_config('my.before', 'yes', true) $$;
  create function api.root() returns json stable language sql as $$ select '{"my": "root"}'::json $$;
  create function api.slow() returns text language sql set statement_timeout = '50ms' as $$ select pg_sleep(0.2); select 'done' $$;
  create function api.long() returns int language sql as $$ select pg_sleep(3); select 1 $$;
  create function api.configure() returns void language sql as $$ select set_config('pgrst.db_max_rows', '2', true) $$;
`;

let test: TestDatabase;
let folder: Awaited<ReturnType<typeof makeProject>>;
let port: unknown;
beforeAll(async () => {
  test = await openTestDatabase();
  folder = await makeProject({});
  await test.run(schema(test.name), 'supabase_admin');
  port = (await test.run('show port'))[0]?.port;
});
afterAll(async () => {
  await folder?.[Symbol.asyncDispose]();
  const roles = ['login', 'visitor'].map((kind) => `${test.name}_${kind}`);
  await test?.run(
    roles.map((role) => `drop owned by ${role} cascade; drop role ${role};`).join(''),
    'supabase_admin',
  );
  await test?.[Symbol.asyncDispose]();
});

const variables = (env: Readonly<Record<string, string>>) => ({
  PGRST_DB_URI: `postgresql://${test.name}_login:in@127.0.0.1:${port}/${test.name}`,
  PGRST_DB_SCHEMAS: 'api',
  PGRST_DB_ANON_ROLE: `${test.name}_visitor`,
  PGRST_SERVER_HOST: '127.0.0.1',
  PGRST_SERVER_PORT: '0',
  ...env,
});

const start = (env: Readonly<Record<string, string>>, args: readonly string[] = []) =>
  startOnlyRest(args, { env: variables(env), cwd: folder.folder });

async function ask(from: RunningBackend, path: string, init: RequestInit = {}) {
  const response = await fetch(`${from.report.API_URL}${path}`, init);
  const text = await response.text();
  // Sound: the tests compare it.
  const body = (/^[[{"]/.test(text) ? JSON.parse(text) : text) as Readonly<Record<string, unknown>> & {
    length?: number;
  };
  return { status: response.status, headers: response.headers, body };
}

const ofLogin = (condition: string) =>
  test.run(
    `select pid from pg_stat_activity where usename = '${test.name}_login' and ${condition}`,
    'supabase_admin',
  );

const soon = { timeout: 15_000, interval: 50 };

describe('every documented variable', () => {
  it('is known', () => {
    const names = documented
      .trim()
      .split(/\s+/)
      .map((name) => [`PGRST_${name}`, 'x'] as const);
    expect(names.length).toBeGreaterThan(40);
    expect(ignoredVariables(Object.fromEntries(names))).toEqual([]);
    expect(ignoredVariables({ PGRST_DB_POOOL: '3' })).toEqual(['Nothing here acts on PGRST_DB_POOOL.']);
  });
});

describe('PGRST_', () => {
  it('DB_AGGREGATES_ENABLED, DB_PLAN_ENABLED, SERVER_TIMING_ENABLED and DB_ROOT_SPEC are off until they are set', async () => {
    await using plain = await start({});
    expect((await ask(plain, '/notes?select=count()')).body).toMatchObject({ code: 'PGRST123' });
    const accept = { accept: 'application/vnd.pgrst.plan' };
    expect((await ask(plain, '/notes', { headers: accept })).status).toBe(406);
    const { headers, body } = await ask(plain, '/');
    expect([headers.get('server-timing'), body.swagger]).toEqual([null, '2.0']);
    await using on = await start({
      PGRST_DB_AGGREGATES_ENABLED: 'true',
      PGRST_DB_PLAN_ENABLED: 'true',
      PGRST_SERVER_TIMING_ENABLED: 'true',
      PGRST_DB_ROOT_SPEC: 'api.root',
    });
    expect((await ask(on, '/notes?select=count()')).body).toEqual([{ count: 3 }]);
    expect((await ask(on, '/notes', { headers: accept })).body).toMatch(/^Aggregate/);
    const root = await ask(on, '/');
    expect(root.headers.get('server-timing')).toMatch(/^jwt;dur=/);
    expect(root.body).toEqual({ my: 'root' });
  });

  it('DB_EXTRA_SEARCH_PATH, DB_PRE_REQUEST and DB_PREPARED_STATEMENTS reach the transaction', async () => {
    await using plain = await start({});
    await ask(plain, '/rpc/seen');
    expect((await ask(plain, '/rpc/seen')).body).toMatchObject({
      path: '"api", "public"',
      before: null,
      prepared: 2,
    });
    await using set = await start({
      PGRST_DB_EXTRA_SEARCH_PATH: 'public, "My Own"',
      PGRST_DB_PRE_REQUEST: 'api.before',
      PGRST_DB_PREPARED_STATEMENTS: 'false',
    });
    await ask(set, '/rpc/seen');
    expect((await ask(set, '/rpc/seen')).body).toMatchObject({
      path: '"api", "public", "My Own"',
      before: 'yes',
      prepared: 0,
    });
  });

  it('DB_HOISTED_TX_SETTINGS says which settings of a function hold for its whole transaction', async () => {
    await using plain = await start({});
    expect((await ask(plain, '/rpc/slow', { method: 'POST' })).body).toMatchObject({
      code: '57014',
    });
    await using other = await start({ PGRST_DB_HOISTED_TX_SETTINGS: 'work_mem' });
    expect((await ask(other, '/rpc/slow', { method: 'POST' })).body).toBe('done');
  });

  it.each<[string, string | null, string, string | null]>([
    ['commit', 'rollback', '201', null],
    ['commit-allow-override', 'rollback', '201', 'tx=rollback'],
    ['rollback', 'commit', '201', null],
    ['rollback-allow-override', 'commit', '201', 'tx=commit'],
  ])('DB_TX_END=%s', async (end, asked, status, applied) => {
    await using process = await start({ PGRST_DB_TX_END: end });
    const answer = await ask(process, '/notes', {
      method: 'POST',
      headers: { prefer: `tx=${asked}`, 'content-type': 'application/json' },
      body: '{"id": 9}',
    });
    expect([String(answer.status), answer.headers.get('preference-applied')]).toEqual([status, applied]);
    const kept = await test.run('delete from api.notes where id = 9 returning id', 'supabase_admin');
    expect(kept.length).toBe(end === 'commit' || end === 'rollback-allow-override' ? 1 : 0);
  });

  it('OPENAPI_MODE, OPENAPI_SECURITY_ACTIVE and OPENAPI_SERVER_PROXY_URI shape the description', async () => {
    await using off = await start({ PGRST_OPENAPI_MODE: 'disabled' });
    expect(await ask(off, '/')).toMatchObject({ status: 404, body: { code: 'PGRST126' } });
    await using set = await start({
      PGRST_OPENAPI_MODE: 'ignore-privileges',
      PGRST_OPENAPI_SECURITY_ACTIVE: 'true',
      PGRST_OPENAPI_SERVER_PROXY_URI: 'https://api.example:8443/v1',
    });
    expect((await ask(set, '/')).body).toMatchObject({
      host: 'api.example:8443',
      basePath: '/v1',
      schemes: ['https'],
      security: [{ JWT: [] }],
    });
  });

  it('LOG_LEVEL and LOG_QUERY say what is logged', async () => {
    await using quiet = await start({ PGRST_LOG_LEVEL: 'crit' });
    await using loud = await start({ PGRST_LOG_LEVEL: 'info', PGRST_LOG_QUERY: 'true' });
    for (const process of [quiet, loud]) await ask(process, '/notes?id=eq.1');
    await expect.poll(() => loud.log(), soon).toContain('"path":"/notes"');
    expect(loud.log()).toContain('where \\"api\\".\\"notes\\".\\"id\\" = $1');
    await quiet.stop();
    expect(quiet.log()).toBe('');
  });

  it('DB_CONFIG=false leaves what stands in the database alone, DB_CHANNEL_ENABLED=false opens no session to listen', async () => {
    await test.run(`alter role ${test.name}_login set pgrst.db_max_rows = '1'`, 'supabase_admin');
    await using process = await start({ PGRST_DB_CONFIG: 'false', PGRST_DB_CHANNEL_ENABLED: 'false' });
    expect((await ask(process, '/notes')).body.length).toBe(3);
    expect(await ofLogin(`query ilike 'listen%'`)).toEqual([]);
    await using _ = await start({});
    expect(await ofLogin(`query ilike 'listen%'`)).toHaveLength(1);
    await test.run(`alter role ${test.name}_login reset all`, 'supabase_admin');
  });

  it('DB_POOL, DB_POOL_ACQUISITION_TIMEOUT, DB_POOL_MAX_IDLETIME and JWT_CACHE_MAX_ENTRIES bound what they say', async () => {
    await using process = await start({
      PGRST_DB_POOL: '1',
      PGRST_DB_POOL_ACQUISITION_TIMEOUT: '1',
      PGRST_DB_POOL_MAX_IDLETIME: '1',
      PGRST_JWT_CACHE_MAX_ENTRIES: '0',
      PGRST_JWT_SECRET: 'x'.repeat(32),
    });
    const first = ask(process, '/rpc/long', { method: 'POST' });
    await expect.poll(() => ofLogin(`state = 'active' and query like '%"long"%'`), soon).not.toEqual([]);
    expect(await ask(process, '/notes')).toMatchObject({ status: 504, body: { code: 'PGRST003' } });
    expect((await first).status).toBe(200);
    await expect.poll(() => ofLogin(`query not ilike 'listen%'`), soon).toEqual([]);
  });

  it('DB_POOL_MAX_LIFETIME ends a connection that is older', async () => {
    await using process = await start({ PGRST_DB_POOL: '1', PGRST_DB_POOL_MAX_LIFETIME: '1' });
    const session = async () => (await ask(process, '/rpc/seen')).body.session;
    const first = await session();
    await expect.poll(session, soon).not.toBe(first);
  });

  it('DB_POOL_AUTOMATIC_RECOVERY=false ends the start where there is no database', async () => {
    const env = variables({
      PGRST_DB_URI: 'postgresql://nobody@127.0.0.1:1/nowhere',
      PGRST_DB_POOL_AUTOMATIC_RECOVERY: 'false',
    });
    expect((await runCli(['start', '--only', 'rest'], { env })).code).toBe(1);
  });

  it('ADMIN_SERVER_HOST may be another one', async () => {
    const admin = await freePort();
    await using _ = await start({
      PGRST_ADMIN_SERVER_HOST: '127.0.0.2',
      PGRST_ADMIN_SERVER_PORT: String(admin),
    });
    expect((await fetch(`http://127.0.0.2:${admin}/ready`)).status).toBe(200);
    await expect(fetch(`http://127.0.0.1:${admin}/ready`)).rejects.toThrow();
  });
});

describe('a configuration that is read again', () => {
  const secretFile = () => join(folder.folder, 'secret');
  const token = (secret: string) =>
    new SignJWT({ role: `${test.name}_visitor` })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(secret));
  const asks = async (process: RunningBackend, secret: string) =>
    (await ask(process, '/notes?limit=1', { headers: { authorization: `Bearer ${await token(secret)}` } }))
      .status;

  const byNotify = () => test.run(`notify pgrst, 'reload config'`, 'supabase_admin');
  const starts = {
    'by SIGUSR2': async (file: string) => {
      const program = await startProgram([file], { env: variables({}), cwd: folder.folder });
      return { program, reload: () => program.process.kill('SIGUSR2') };
    },
    'by notify': async (file: string) => ({ program: await start({}, [file]), reload: byNotify }),
  };

  it.each(Object.entries(starts))(
    '%s takes the file and the files that it names as they are now',
    async (_, startWith) => {
      const file = join(folder.folder, 'postgrest.conf');
      const write = (rows: string) =>
        writeFile(file, `db-max-rows = ${rows}\njwt-secret = "@${secretFile()}"\n`);
      const [old, young] = ['o'.repeat(32), 'y'.repeat(32)];
      await write('1');
      await writeFile(secretFile(), old);
      const { program, reload } = await startWith(file);
      await using process: RunningBackend = program;
      expect([(await ask(process, '/notes')).body.length, await asks(process, old)]).toEqual([1, 200]);
      await write('2');
      await writeFile(secretFile(), young);
      await reload();
      await expect.poll(async () => (await ask(process, '/notes')).body.length, soon).toBe(2);
      expect([await asks(process, young), await asks(process, old)]).toEqual([200, 401]);

      await write('many');
      await reload();
      await expect.poll(() => process.log(), soon).toContain('PGRST_DB_MAX_ROWS is \\"many\\"');
      await rm(file);
      await reload();
      await expect.poll(() => process.log(), soon).toContain('cannot be read');
      expect((await ask(process, '/notes')).body.length).toBe(2);
    },
  );

  it('may name the function that configures in the database itself', async () => {
    await using process = await start({});
    const rows = async () => (await ask(process, '/notes')).body.length;
    expect(await rows()).toBe(3);
    const login = `${test.name}_login`;
    await test.run(
      `alter role ${login} set pgrst.db_pre_config = 'api.configure'; notify pgrst, 'reload config'`,
      'supabase_admin',
    );
    await expect.poll(rows, soon).toBe(2);
    await test.run(`alter role ${login} reset all; notify pgrst, 'reload config'`, 'supabase_admin');
    await expect.poll(rows, soon).toBe(3);
  });
});
