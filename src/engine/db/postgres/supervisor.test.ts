// In charge of: what openPostgres gives and whom it lets in.
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Observation } from '../../../base/observe.ts';
import { isAlive } from './process.ts';
import type { PostgresServer } from './server.ts';
import { openPostgres as openUnwatched, type PostgresOptions } from './supervisor.ts';
import { askValue, makeFolder, removeFolder } from './test-support.ts';

const observed: Observation[] = [];
const options = (project: string): PostgresOptions => ({
  project,
  port: 0,
  password: 'p@ss word',
  observe: (observation) => observed.push(observation),
});

/** A test that fails before it stops its server leaves none behind either. */
async function openPostgres(given: PostgresOptions): Promise<PostgresServer> {
  const server = await openUnwatched(given);
  onTestFinished(() => server.stop());
  return server;
}

describe('a first start', () => {
  let project: string;
  let server: PostgresServer;
  beforeAll(async () => {
    project = await makeFolder();
    server = await openUnwatched({
      ...options(project),
      majorVersion: 18,
      maxConnections: 50,
      reservedConnections: 7,
      parameters: { work_mem: '7MB', fsync: 'off', hba_file: '/tmp/open.conf', 'app.motto': "it's \\ fine" },
    });
  });
  afterAll(async () => {
    await server.stop();
    await removeFolder(project);
  });
  const setting = (name: string) =>
    askValue(server.login('supabase_admin'), `select current_setting('${name}')`);

  it('makes a database in UTF-8, sorted by ICU, with checksums, owned by supabase_admin', async () => {
    const facts = await askValue(
      server.login('supabase_admin'),
      `select json_build_array(pg_encoding_to_char(encoding), datlocprovider, datlocale, pg_get_userbyid(datdba))
       from pg_database where datname = current_database()`,
    );
    expect(facts).toEqual(['UTF8', 'i', 'en-US', 'supabase_admin']);
    expect(await setting('data_checksums')).toBe('on');
    expect(
      await askValue(
        server.login('supabase_admin'),
        `select string_agg(w, '' order by w) from unnest('{b,A,a,Ä,B}'::text[]) w`,
      ),
    ).toBe('aAÄbB');
    expect(await askValue(server.login('supabase_admin'), `select upper('straße é')`)).toBe('STRASSE É');
  });

  it.each([
    ['wal_level', 'logical'],
    ['TimeZone', 'UTC'],
    ['max_connections', '50'],
    ['reserved_connections', '7'],
    ['password_encryption', 'scram-sha-256'],
    ['max_slot_wal_keep_size', '1GB'],
    ['listen_addresses', '127.0.0.1'],
    ['jit', 'off'],
    ['work_mem', '7MB'],
    ['app.motto', "it's \\ fine"],
    ['fsync', 'on'],
  ])('runs with %s = %s', async (name, value) => {
    expect(await setting(name)).toBe(value);
  });

  it('describes itself', async () => {
    const port = await setting('port');
    expect(server).toMatchObject({
      engine: 'embedded',
      major: 18,
      prepared: 'auto',
      passwords: {},
    });
    expect(server.notices).toEqual([
      '[db.settings].fsync is not acted on: Millrace keeps it at on.',
      '[db.settings].hba_file is not acted on: where the database is and who may log in is decided by Millrace.',
    ]);
    expect(server.version).toBe(await setting('server_version'));
    expect(server.url).toBe(`postgresql://postgres:p%40ss%20word@127.0.0.1:${port}/postgres`);
    expect(server.stateFolder).toBe(join(project, '.millrace'));
    expect(await server.health()).toEqual({ ok: true, sentence: 'PostgreSQL answers.' });
  });

  it('keeps its state to itself: closed to others, ignored by git, saying what it is', async () => {
    const folder = join(project, '.millrace');
    expect((await stat(folder)).mode & 0o7).toBe(0);
    expect(await readFile(join(folder, '.gitignore'), 'utf8')).toBe('*\n');
    const state: unknown = JSON.parse(await readFile(join(folder, 'state.json'), 'utf8'));
    expect(state).toMatchObject({ format: 1, engine: 'embedded', major: 18, version: server.version });
    expect((await stat(join(folder, 'db'))).mode & 0o777).toBe(0o700);
  });

  it('trusts nobody: the socket asks who you are, the port asks for a password, and the superuser has none', async () => {
    const access = await readFile(join(project, '.millrace', 'db', 'pg_hba.conf'), 'utf8');
    expect(access).not.toMatch(/trust|password\b|md5/);
    await askValue(server.login('supabase_admin'), `select 1`);
    const admin = new pg.Client(server.login('supabase_admin'));
    await admin.connect();
    await admin.query(
      `create role postgres login replication password 'p@ss word'; create role stranger login superuser password 'x'`,
    );
    await admin.query(`alter role supabase_admin password 'x'`);
    await admin.end();

    expect(await askValue({ connectionString: server.url }, 'select current_user')).toBe('postgres');
    expect(await askValue(server.login('postgres'), 'select current_user')).toBe('postgres');
    const refused = (login: pg.ClientConfig) =>
      askValue(login, 'select 1').then(
        () => undefined,
        (error: pg.DatabaseError) => error.code,
      );
    const { port } = server.login('postgres');
    expect(await refused({ connectionString: server.url.replace('p%40ss', 'wrong') })).toBe('28P01');
    expect(
      await refused({
        host: '127.0.0.1',
        port: port!,
        user: 'supabase_admin',
        password: 'x',
        database: 'postgres',
      }),
    ).toBe('28000');
    // The user that runs the program is the superuser's anyway, and runs scheduled jobs as their own roles. Nobody else gets in by the socket:
    // os-users.test.ts.
    expect(await askValue({ ...server.login('postgres'), user: 'stranger' }, 'select current_user')).toBe(
      'stranger',
    );
    expect(
      await refused({
        host: '127.0.0.1',
        port: port!,
        user: 'stranger',
        password: 'y',
        database: 'postgres',
      }),
    ).toBe('28P01');
  });

  it('lets a person replicate over the port', async () => {
    const client = new pg.Client({
      connectionString: server.url,
      replication: 'database',
    } as pg.ClientConfig);
    await client.connect();
    const { rows } = await client.query<{ dbname: string }>('IDENTIFY_SYSTEM');
    await client.end();
    expect(rows[0]?.dbname).toBe('postgres');
  });

  it('says nothing of what clients are told anyway, and nothing that they wrote', async () => {
    observed.length = 0;
    await expect(askValue(server.login('postgres'), `select 'secret'::int`)).rejects.toThrow();
    await expect
      .poll(() => observed.find((o) => o.sqlstate === '22P02'))
      .toMatchObject({ kind: 'postgres.log', level: 'debug' });
    expect(observed.filter((o) => String(o.message).includes('select'))).toEqual([]);
  });

  it('refuses a second start on the same data, and names the first', async () => {
    await expect(openPostgres(options(project))).rejects.toMatchObject({
      name: 'OperatorError',
      message: `Millrace already runs on the data in "${join(project, '.millrace')}", as process ${process.pid}.`,
    });
    expect((await server.health()).ok).toBe(true);
  });
});

describe('a later start', () => {
  it('finds the data again, on another port and with other settings; a stop leaves nothing behind', async () => {
    const project = await makeFolder();
    const first = await openPostgres({ ...options(project), parameters: { work_mem: '7MB' } });
    const [pid, firstPort] = [first.processId!, first.login('postgres').port];
    await askValue(first.login('supabase_admin'), 'create table kept as select 42 as answer');
    await first.stop();
    expect(isAlive(pid)).toBe(false);
    expect(await first.health()).toEqual({ ok: false, sentence: 'PostgreSQL is stopping.' });

    const second = await openPostgres(options(project));
    try {
      expect(second.login('postgres').port).not.toBe(firstPort);
      expect(await askValue(second.login('supabase_admin'), 'select answer from kept')).toBe(42);
      expect(await askValue(second.login('supabase_admin'), `select current_setting('work_mem')`)).toBe(
        '4MB',
      );
      expect(second.notices).toEqual([
        `[db].major_version is not set; this runs PostgreSQL ${second.version}.`,
      ]);
    } finally {
      await second.stop();
      await removeFolder(project);
    }
  });

  it('keeps the major version of its data when config.toml names none, and refuses another', async () => {
    const project = await makeFolder();
    const first = await openPostgres({ ...options(project), majorVersion: 15 });
    expect(first.major).toBe(17);
    expect(first.notices[0]).toBe(
      '[db].major_version is 15; the embedded PostgreSQL comes as 18 and 17, so this runs 17. For exactly 15, give an installed one with --pg-bin.',
    );
    await first.stop();
    const second = await openPostgres(options(project));
    expect(second.major).toBe(17);
    await second.stop();
    await expect(openPostgres({ ...options(project), majorVersion: 18 })).rejects.toMatchObject({
      message: `The data in "${join(project, '.millrace', 'db')}" was made by PostgreSQL 17, and this start would run PostgreSQL 18.`,
      hint: 'Set [db].major_version = 17 in supabase/config.toml. To begin with an empty database instead, move that folder away or give another with --data DIR.',
    });
    await removeFolder(project);
  });

  it('works without a Unix socket, with passwords of its own', async () => {
    const project = await makeFolder();
    const tcp: PostgresOptions = { ...options(project), transport: 'tcp' };
    const first = await openPostgres(tcp);
    const login = first.login('supabase_admin');
    expect(login).toMatchObject({ host: '127.0.0.1', password: expect.stringMatching(/^.{32}$/) });
    expect(await askValue(login, 'select current_user')).toBe('supabase_admin');
    await expect(askValue({ ...login, password: 'wrong' }, 'select 1')).rejects.toMatchObject({
      code: '28P01',
    });
    expect((await stat(join(project, '.millrace', 'login-passwords.json'))).mode & 0o777).toBe(0o600);
    await first.stop();
    const second = await openPostgres(tcp);
    expect(second.login('supabase_admin').password).toBe(login.password);
    expect(await askValue(second.login('supabase_admin'), 'select 1')).toBe(1);
    await second.stop();
    await removeFolder(project);
  });

  it('puts the socket elsewhere when the path of the state is long', async () => {
    const project = await makeFolder();
    const data = join(project, 'x'.repeat(90));
    const server = await openPostgres({ ...options(project), data });
    const { host } = server.login('supabase_admin');
    expect(host).not.toContain(project);
    expect(Buffer.byteLength(`${host}/.s.PGSQL.65535`)).toBeLessThan(100);
    expect((await stat(host!)).mode & 0o777).toBe(0o700);
    expect(await askValue(server.login('supabase_admin'), 'select 1')).toBe(1);
    await server.stop();
    await rm(host!, { recursive: true });
    await removeFolder(project);
  });
});

describe('a start that cannot be', () => {
  let project: string;
  beforeAll(async () => {
    project = await makeFolder();
  });
  afterAll(() => removeFolder(project));

  it('names the port that is taken, and leaves nothing half-started', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    await expect(openPostgres({ ...options(project), port })).rejects.toMatchObject({
      message: `The database's port ${port} on "127.0.0.1" is taken by another program.`,
      hint: 'Stop that program, or give another port with --db-port or [db].port in supabase/config.toml.',
    });
    expect(await readdir(join(project, '.millrace'))).not.toContain('db');
    await new Promise((resolve) => taken.close(resolve));
    const server = await openPostgres({ ...options(project), port });
    await server.stop();
  });

  it.each([
    [
      'an address of another machine',
      { host: '203.0.113.7' },
      '"203.0.113.7" is not an address of this machine.',
    ],
    [
      'a setting with a wrong value',
      { parameters: { work_mem: 'lots' } },
      'PostgreSQL did not start: invalid value for parameter "work_mem": "lots".',
    ],
    [
      'a setting that does not exist',
      { parameters: { wrk_mem: '1MB' } },
      'PostgreSQL did not start: unrecognized configuration parameter "wrk_mem"',
    ],
    [
      'a setting that is none',
      { parameters: { 'work_mem = 1; x': '1MB' } },
      '"work_mem = 1; x" is not the name of a PostgreSQL setting.',
    ],
    [
      'a version that is nowhere',
      { majorVersion: 12 },
      'There is no embedded PostgreSQL "12" ([db].major_version); there are 18 and 17.',
    ],
    ['a folder without programs', { pgBin: '/nowhere/bin' }, '"/nowhere/bin" holds no postgres and initdb.'],
    [
      'a project that is not there',
      { project: '/nowhere/project' },
      'The folder "/nowhere/project" does not exist.',
    ],
  ])('refuses %s', async (_, wrong, message) => {
    const refusal = openPostgres({ ...options(project), ...wrong });
    await expect(refusal).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringContaining(message),
    });
    // It has let go of everything: the lock, and what it started.
    const server = await openPostgres(options(project));
    await server.stop();
  });

  it.each([
    [
      'notes.txt',
      'is not empty and is not a state folder of Millrace: it holds "notes.txt" and no state.json.',
    ],
    ['PG_VERSION', "is a PostgreSQL data directory of somebody else's, not a state folder of Millrace."],
    ['db/notes.txt', 'is not empty and is not a state folder of Millrace: it holds "db" and no state.json.'],
  ])('leaves a folder alone that holds %s', async (name, message) => {
    const data = join(project, name.replaceAll('/', '-'));
    await mkdir(join(data, name, '..'), { recursive: true });
    await writeFile(join(data, name), '18\n');
    await expect(openPostgres({ ...options(project), data })).rejects.toMatchObject({
      message: expect.stringContaining(`"${data}" ${message}`),
    });
    expect(await readFile(join(data, name), 'utf8')).toBe('18\n');
  });

  it('refuses a data folder with something else in it', async () => {
    const data = join(project, 'odd');
    await mkdir(join(data, 'db'), { recursive: true });
    await writeFile(join(data, 'state.json'), '{"format":1}');
    await writeFile(join(data, 'db', 'notes.txt'), '');
    await expect(openPostgres({ ...options(project), data })).rejects.toMatchObject({
      message: `"${join(data, 'db')}" is not empty and holds no PostgreSQL data: there is no PG_VERSION beside "notes.txt".`,
    });
  });

  it('refuses the state of a newer Millrace', async () => {
    const data = join(project, 'newer');
    await mkdir(data);
    await writeFile(join(data, 'state.json'), '{"format":2}');
    await expect(openPostgres({ ...options(project), data })).rejects.toMatchObject({
      message: `The state in "${data}" has format 2; this Millrace knows 1.`,
    });
  });

  it('ends at once when it is called off', async () => {
    const off = new AbortController();
    const refusal = openPostgres({
      ...options(project),
      data: join(project, 'off'),
      signal: off.signal,
      observe: (observation) => {
        if (observation.kind === 'postgres.init') off.abort(new Error('called off'));
      },
    });
    await expect(refusal).rejects.toThrow('called off');
    expect((await readdir(join(project, 'off'))).filter((name) => name.startsWith('db'))).toEqual([]);
  });
});
