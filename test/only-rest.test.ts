// In charge of: `start --only rest` in the place of a PostgREST process: over a database that is not ours, as a role without any privilege.

import { stat, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeProject, type RunningBackend, runCli, startOnlyRest } from './harness/backend-here.ts';
import { openTestDatabase, type TestDatabase } from './harness/database.ts';
import { freePort } from './harness/free-port.ts';

const secret = 'a secret of thirty-two characters';
let test: TestDatabase;
let folder: Awaited<ReturnType<typeof makeProject>>;
let rest: RunningBackend;

/** A stranger's database: two schemas, and roles that only it knows. The log-in role may do nothing but become the others. */
const strange = (name: string) => `
  create role ${name}_login login noinherit password 'let me in';
  create role ${name}_visitor nologin;
  create role ${name}_member nologin;
  grant ${name}_visitor, ${name}_member to ${name}_login;
  create schema api;
  create schema other;
  grant usage on schema api to ${name}_visitor, ${name}_member;
  grant usage on schema other to ${name}_visitor;
  create table api.notes (id int primary key, body text);
  insert into api.notes values (1, 'one'), (2, 'two'), (3, 'three');
  grant select on api.notes to ${name}_visitor, ${name}_member;
  grant insert on api.notes to ${name}_member;
  create view other.words as select 'hello' as word;
  grant select on other.words to ${name}_visitor;
  create function api.me() returns json language sql stable as $$
    select json_build_object('user', current_user, 'login', session_user,
      'setting', current_setting('app.settings.greeting', true),
      'role', current_setting('request.jwt.claims', true)::json ->> 'role') $$;
`;

const roleOf = (kind: 'login' | 'visitor' | 'member') => `${test.name}_${kind}`;

beforeAll(async () => {
  test = await openTestDatabase();
  folder = await makeProject({});
  await test.run(strange(test.name), 'supabase_admin');
  port = (await test.run('show port'))[0]?.port;
  rest = await start({ PGRST_JWT_SECRET: secret, PGRST_APP_SETTINGS_greeting: 'hi' });
  // A start waits for the schema for some seconds only, which a busy machine may need more of.
  await vi.waitFor(async () => expect((await ask('/notes')).status).not.toBe(503), { timeout: 30_000 });
});
afterAll(async () => {
  await rest?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
  await test?.run(
    ['login', 'visitor', 'member']
      .map((kind) => `drop owned by ${test.name}_${kind} cascade; drop role ${test.name}_${kind};`)
      .join(''),
    'supabase_admin',
  );
  await test?.[Symbol.asyncDispose]();
});

let port: unknown;
const uri = (password = 'let me in') =>
  `postgresql://${roleOf('login')}:${encodeURIComponent(password)}@127.0.0.1:${port}/${test.name}`;

const start = (env: Readonly<Record<string, string>> = {}, args: readonly string[] = []) =>
  startOnlyRest(args, {
    env: {
      PGRST_DB_URI: uri(),
      PGRST_DB_SCHEMAS: 'api',
      PGRST_DB_ANON_ROLE: roleOf('visitor'),
      PGRST_SERVER_HOST: '127.0.0.1',
      PGRST_SERVER_PORT: '0',
      ...env,
    },
    cwd: folder.folder,
  });

interface Asked {
  readonly token?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function ask(path: string, { token, headers = {}, ...init }: Asked = {}, from: RunningBackend = rest) {
  const response = await fetch(`${from.report.API_URL}${path}`, {
    ...init,
    headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

const hs256 = (claims: object, key = secret) =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(key));

describe('a role without any privilege', () => {
  it('serves its schema at the root, with no key asked for', async () => {
    expect(await ask('/notes?id=eq.1')).toMatchObject({ status: 200, body: [{ id: 1, body: 'one' }] });
    expect(await ask('/rpc/me')).toMatchObject({
      body: { user: roleOf('visitor'), login: roleOf('login'), role: roleOf('visitor'), setting: 'hi' },
    });
  });

  it('describes itself at the root', async () => {
    const { body } = await ask('/');
    expect(body).toMatchObject({ swagger: '2.0', paths: { '/notes': expect.anything() } });
  });

  it('becomes who the token says, and nobody else', async () => {
    const token = await hs256({ role: roleOf('member') });
    const insert: Asked = {
      method: 'POST',
      body: '{"id":4,"body":"four"}',
      headers: { 'content-type': 'application/json' },
    };
    expect(await ask('/notes', insert)).toMatchObject({ status: 401, body: { code: '42501' } });
    expect(await ask('/notes', { ...insert, token })).toMatchObject({ status: 201 });
    expect(await ask('/notes?select=id', { token: await hs256({ role: 'supabase_admin' }) })).toMatchObject({
      status: 403,
      body: { code: '42501' },
    });
  });

  it('makes nothing in the database', async () => {
    expect(
      await test.run(
        `select count(*)::int as owned from pg_class where pg_get_userbyid(relowner) = '${roleOf('login')}'`,
      ),
    ).toEqual([{ owned: 0 }]);
  });

  it('sees other schemas only when they are exposed', async () => {
    const headers = { 'accept-profile': 'other' };
    expect(await ask('/words', { headers })).toMatchObject({ status: 406, body: { code: 'PGRST106' } });
    await using both = await start({ PGRST_DB_SCHEMAS: 'api, other' });
    expect(await ask('/words', { headers }, both)).toMatchObject({ status: 200, body: [{ word: 'hello' }] });
  });

  it('gives all rows, as PostgREST does without db-max-rows', async () => {
    await using few = await start({ PGRST_DB_MAX_ROWS: '2' });
    expect((await ask('/notes')).body.length).toBeGreaterThan(2);
    expect((await ask('/notes', {}, few)).body).toHaveLength(2);
  });
});

describe('without an anonymous role', () => {
  it('asks for a token, and without a secret takes none', async () => {
    await using closed = await start({ PGRST_DB_ANON_ROLE: '' });
    const refused = await ask('/notes', {}, closed);
    expect(refused).toMatchObject({
      status: 401,
      body: { code: 'PGRST302', message: 'Anonymous access is disabled' },
    });
    expect(refused.headers.get('www-authenticate')).toBe('Bearer');
    const unable = await ask('/notes', { token: 'a.b.c' }, closed);
    expect(unable).toMatchObject({
      status: 500,
      body: { code: 'PGRST300', message: 'Server lacks JWT secret' },
    });
  });
});

describe('a token', () => {
  const rsa = generateKeyPair('RS256', { extractable: true });
  const ec = generateKeyPair('ES384', { extractable: true });
  const binary = Buffer.from(Array.from({ length: 40 }, (_, i) => 255 - i));
  const text = 'a text of forty characters, and then some';
  const sign = async (alg: string, key: CryptoKey | Uint8Array, claims: object, kid?: string) =>
    new SignJWT({ ...claims }).setProtectedHeader(kid === undefined ? { alg } : { alg, kid }).sign(key);
  const member = () => ({ role: roleOf('member') });
  const jwk = async (key: CryptoKey, more: object = {}): Promise<JWK> => ({
    ...(await exportJWK(key)),
    ...more,
  });
  const oct = { kty: 'oct', k: binary.toString('base64url') };
  const bytes = (value: string) => new TextEncoder().encode(value);

  it.each<
    [string, () => Promise<Record<string, string>>, () => Promise<string>, () => Promise<string>, object]
  >([
    [
      'by a text',
      async () => ({ PGRST_JWT_SECRET: text }),
      () => sign('HS256', bytes(text), member()),
      () => sign('HS256', bytes(`${text}.`), member()),
      {
        code: 'PGRST301',
        message: 'No suitable key or wrong key type',
        details: 'None of the keys was able to decode the JWT',
      },
    ],
    [
      'by base64, also of the other alphabet',
      async () => ({
        PGRST_JWT_SECRET: binary.toString('base64url').replaceAll('=', '.'),
        PGRST_JWT_SECRET_IS_BASE64: 'True',
      }),
      () => sign('HS256', binary, member()),
      () => sign('HS256', bytes(binary.toString('base64url')), member()),
      { code: 'PGRST301' },
    ],
    [
      'by a file',
      async () => {
        await writeFile(join(folder.folder, 'secret'), `${text}\n`);
        return { PGRST_JWT_SECRET: '@secret' };
      },
      () => sign('HS256', bytes(text), member()),
      () => sign('HS256', bytes(`${text}\n`), member()),
      { code: 'PGRST301' },
    ],
    [
      'by a JWK',
      async () => ({ PGRST_JWT_SECRET: JSON.stringify(await jwk((await rsa).publicKey, { alg: 'RS256' })) }),
      async () => sign('RS256', (await rsa).privateKey, member()),
      async () => sign('ES384', (await ec).privateKey, member()),
      { code: 'PGRST301', details: 'No suitable key was found to decode the JWT' },
    ],
    [
      'by a set of keys of all kinds',
      async () => ({
        PGRST_JWT_SECRET: JSON.stringify({
          keys: [
            await jwk((await rsa).publicKey, { kid: 'r' }),
            await jwk((await ec).privateKey, { kid: 'e' }),
            oct,
          ],
        }),
      }),
      async () => sign('ES384', (await ec).privateKey, member(), 'e'),
      async () => sign('ES384', (await ec).privateKey, member(), 'r'),
      { code: 'PGRST301', details: 'No suitable key was found to decode the JWT' },
    ],
    [
      'by HS512 with a key of a set',
      async () => ({ PGRST_JWT_SECRET: JSON.stringify({ keys: [oct] }) }),
      () => sign('HS512', binary, member()),
      async () => sign('HS256', bytes(JSON.stringify(oct)), member()),
      { code: 'PGRST301' },
    ],
    [
      'for the audience',
      async () => ({ PGRST_JWT_SECRET: text, PGRST_JWT_AUD: 'urn:app' }),
      () => sign('HS256', bytes(text), { ...member(), aud: ['x', 'urn:app'] }),
      () => sign('HS256', bytes(text), { ...member(), aud: 'x' }),
      { code: 'PGRST303', message: 'JWT not in audience' },
    ],
    [
      'with its role elsewhere',
      async () => ({
        PGRST_JWT_SECRET: text,
        PGRST_JWT_ROLE_CLAIM_KEY: `."https://app/x".roles[?(@ ==^ "_member")]`,
      }),
      () => sign('HS256', bytes(text), { 'https://app/x': { roles: ['nobody', 7, roleOf('member')] } }),
      () => sign('HS256', bytes(text), { role: roleOf('member') }),
      { user: 'the visitor' },
    ],
  ])('%s is taken, its twin refused', async (_, env, good, bad, refusal) => {
    await using process = await start(await env());
    expect(await ask('/rpc/me', { token: await good() }, process)).toMatchObject({
      status: 200,
      body: { user: roleOf('member'), role: roleOf('member') },
    });
    const refused = await ask('/rpc/me', { token: await bad() }, process);
    if ('user' in refusal) expect(refused).toMatchObject({ status: 200, body: { user: roleOf('visitor') } });
    else {
      expect(refused).toMatchObject({ status: 401, body: refusal });
      expect(refused.headers.get('www-authenticate')).toContain('Bearer error="invalid_token"');
    }
  });
});

describe('settings', () => {
  it('stand in the database, are read again on notify, and yield to nothing', async () => {
    const login = roleOf('login');
    await test.run(`alter role ${login} set pgrst.db_max_rows = '1'`, 'supabase_admin');
    await using process = await start({
      PGRST_DB_MAX_ROWS: '2',
      PGRST_JWT_SECRET: secret,
      PGRST_DB_CHANNEL: 'ours',
    });
    const rows = async () => (await ask('/notes', {}, process)).body.length;
    expect(await rows()).toBe(1);
    await test.run(
      `alter role ${login} in database ${test.name} set pgrst.db_max_rows = '3';
       alter role ${login} set pgrst.db_schemas = 'api,other';
       notify ours, 'reload config'`,
      'supabase_admin',
    );
    await expect.poll(rows).toBe(3);
    await expect
      .poll(async () => (await ask('/words', { headers: { 'accept-profile': 'other' } }, process)).status)
      .toBe(200);
    await test.run(
      `alter role ${login} in database ${test.name} reset all; alter role ${login} reset all; notify ours, 'reload config'`,
      'supabase_admin',
    );
    await expect.poll(rows).toBe(2);
  });

  it('are set by a function, and what is wrong among them is said and left out', async () => {
    await test.run(
      `create function api.configure() returns void language sql as $$
         select set_config('pgrst.db_anon_role', '${roleOf('member')}', true), set_config('pgrst.db_tx_end', 'maybe', true) $$;
       grant usage on schema api to ${roleOf('login')}`,
      'supabase_admin',
    );
    await using process = await start({ PGRST_DB_PRE_CONFIG: 'api.configure' });
    expect(await ask('/rpc/me', {}, process)).toMatchObject({ body: { user: roleOf('member') } });
    await expect.poll(() => process.log()).toContain('PGRST_DB_TX_END in the database is \\"maybe\\"');
    await test.run('drop function api.configure()', 'supabase_admin');
  });

  it('come from a file, which variables hide', async () => {
    await writeFile(
      join(folder.folder, 'postgrest.conf'),
      `# a file of PostgREST's\ndb-max-rows = 1\nserver-trace-header = "X-$(WHAT)" # given back\napp.settings.greeting = "from the file"\n`,
    );
    await using process = await start({ WHAT: 'Trace', PGRST_DB_MAX_ROWS: '2' }, ['postgrest.conf']);
    const { body, headers } = await ask('/notes', { headers: { 'x-trace': 'abc' } }, process);
    expect([body.length, headers.get('x-trace')]).toEqual([2, 'abc']);
    expect(await ask('/rpc/me', {}, process)).toMatchObject({ body: { setting: 'from the file' } });
  });

  it.each([
    [
      'a secret that is too short',
      { PGRST_JWT_SECRET: 'short' },
      'The JWT secret must be at least 32 characters long.',
    ],
    ['a way to end that there is not', { PGRST_DB_TX_END: 'maybe' }, 'PGRST_DB_TX_END is "maybe"'],
    ['a path that is none', { PGRST_JWT_ROLE_CLAIM_KEY: 'role' }, 'PGRST_JWT_ROLE_CLAIM_KEY is "role"'],
    ['a password that is wrong', { PGRST_DB_URI: 'wrong' }, 'does not take the password'],
  ])('with %s end the start', async (_, env, sentence) => {
    const { PGRST_DB_URI: given, ...others } = env as Record<string, string>;
    const { code, stderr } = await runCli(['start', '--only', 'rest'], {
      env: {
        PGRST_SERVER_PORT: '0',
        PGRST_SERVER_HOST: '127.0.0.1',
        PGRST_DB_URI: uri(given),
        ...others,
      },
    });
    expect([code, stderr]).toEqual([1, expect.stringContaining(sentence)]);
  });
});

describe('a page on another origin', () => {
  const preflight: Asked = {
    method: 'OPTIONS',
    headers: {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'Foo,Bar',
    },
  };
  it('may ask from everywhere, or from where it is said', async () => {
    expect(Object.fromEntries((await ask('/notes', preflight)).headers)).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD',
      'access-control-allow-headers': 'Authorization, Foo, Bar, Accept, Accept-Language, Content-Language',
      'access-control-max-age': '86400',
    });
    await using process = await start({
      PGRST_SERVER_CORS_ALLOWED_ORIGINS: 'https://other.example, https://app.example',
    });
    const allowed = await ask('/notes', preflight, process);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(allowed.headers.get('access-control-allow-credentials')).toBe('true');
    const stranger = await ask('/notes', { headers: { origin: 'https://evil.example' } }, process);
    expect([stranger.status, stranger.headers.get('access-control-allow-origin')]).toEqual([200, null]);
  });
});

describe('a database that is not there yet', () => {
  it('is waited for, and until then every answer says so', async () => {
    const later = `${test.name}_later`;
    await using process = await start({ PGRST_DB_URI: uri().replace(/\/[^/]*$/, `/${later}`) });
    const { status, body, headers } = await ask('/notes', {}, process);
    expect([status, body]).toEqual([
      503,
      {
        code: 'PGRST002',
        details: null,
        hint: null,
        message: 'Could not query the database for the schema cache. Retrying.',
      },
    ]);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    await test.run(`create database ${later} template template0`, 'supabase_admin');
    // The schema "api" is not there, but the catalog is.
    await expect
      .poll(async () => (await ask('/notes', {}, process)).body.code, { timeout: 20_000 })
      .toBe('PGRST205');
    await process.stop();
    await test.run(`drop database ${later}`, 'supabase_admin');
  });
});

describe('a Unix socket', () => {
  it('takes the place of the port', async () => {
    const path = join(folder.folder, 'rest.sock');
    await using _ = await start({ PGRST_SERVER_UNIX_SOCKET: path, PGRST_SERVER_UNIX_SOCKET_MODE: '600' });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const status = await new Promise((resolve) =>
      get({ socketPath: path, path: '/notes?limit=1' }, (response) => resolve(response.resume().statusCode)),
    );
    expect(status).toBe(200);
  });
});

describe('the admin port', () => {
  it('says whether it lives and is ready', async () => {
    // Not 0, which is no admin port: one that was free a moment ago.
    const port = await freePort();
    await using process = await start({ PGRST_ADMIN_SERVER_PORT: String(port) });
    const admin = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    expect((await admin('/live')).status).toBe(200);
    expect((await admin('/ready')).status).toBe(200);
    expect(
      Object.values(((await (await admin('/schema_cache')).json()) as { relations: object }).relations),
    ).toMatchObject([{ schema: 'api', name: 'notes' }]);
    expect(await (await admin('/metrics')).text()).toContain('pgrst_db_pool_max 10');
    expect((await admin('/notes')).status).toBe(404);
    expect(process.log()).toBe('');
  });
});
