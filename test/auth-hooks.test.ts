// In charge of: a project's hooks: functions of its database and addresses of its own, what they are told, what they change, and how they fail.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { decodeJwt } from 'jose';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { patientConnections } from '../src/engine/db/db.ts';
import { type OperatorClient, openOperatorClient } from '../src/server/cli/operator-client.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

interface Told {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly body: Readonly<Record<string, Readonly<Record<string, unknown>> | string | boolean>>;
}

let server: Server;
let told: Told[] = [];
let reply: (response: ServerResponse, body: Told['body']) => void;
let url: string;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let operator: OperatorClient;

const functions = `
grant usage on schema public to supabase_auth_admin;
create table public.attempts (user_id uuid, valid boolean);
grant insert, select on public.attempts to supabase_auth_admin;

create function public.token_hook(event jsonb) returns jsonb language sql as $$
  select jsonb_build_object('claims', (event -> 'claims')
    || jsonb_build_object('plan', 'gold', 'came_by', event ->> 'authentication_method', 'told', event #> '{metadata,name}'))
$$;
create function public.nothing_hook(event jsonb) returns jsonb language sql as $$ select null::jsonb $$;
create function public.bare_hook(event jsonb) returns jsonb language sql as
  $$ select '{"claims":{"aud":1,"amr":[1]}}'::jsonb $$;
create function public.raising_hook(event jsonb) returns jsonb language plpgsql as
  $$ begin raise exception 'no entry' using hint = 'ask the door'; end $$;
create function public.slow_hook(event jsonb) returns jsonb language plpgsql as
  $$ begin perform pg_catalog.pg_sleep(10); return '{}'; end $$;
create function public.text_hook(event jsonb) returns text language sql as $$ select 'garbage' $$;
create function public.refusing_hook(event jsonb) returns jsonb language sql as $$
  select case when event #>> '{user,email}' like '%@blocked.example.com'
    then '{"error":{"http_code":403,"message":"This domain is not welcome."}}'::jsonb else '{}'::jsonb end
$$;
create function public.password_hook(event jsonb) returns jsonb language plpgsql as $$ begin
  insert into public.attempts values ((event ->> 'user_id')::uuid, (event ->> 'valid')::boolean);
  if (select count(*) from public.attempts where user_id = (event ->> 'user_id')::uuid and not valid) >= 2 then
    return '{"decision":"reject","message":"Too many attempts. Wait a while.","should_logout_user":true}';
  end if;
  return '{"decision":"continue"}';
end $$;
`;

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const body = JSON.parse(text);
      told.push({ headers: request.headers, text, body });
      reply(response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // Sound: it listens on a port.
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  project = await makeProject({
    'supabase/config.toml': `
project_id = "hooks"
[egress]
allow = ["127.0.0.1"]
[auth]
site_url = "https://app.example.com"
enable_anonymous_sign_ins = true
[auth.email]
max_frequency = "0s"
`,
    'supabase/migrations/20260701000000_hooks.sql': functions,
  });
  backend = await startBackend(project.folder);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  operator = await openOperatorClient(project.folder);
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
  server?.close();
});

const changed = new Set<string>();
async function set(key: string, value: unknown): Promise<void> {
  const { status, body } = await operator.request('PUT', `/settings/${key}`, { value });
  expect({ status, body }).toMatchObject({ status: 200 });
  changed.add(key);
}

const secret = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64');
const other = Buffer.from('fedcba9876543210fedcba9876543210').toString('base64');

async function hook(name: string, uri: string): Promise<void> {
  await set(`auth.hook.${name}.uri`, uri);
  if (uri.startsWith('http')) await set(`auth.hook.${name}.secrets`, `v1,whsec_${secret}|v1,whsec_${other}`);
  await set(`auth.hook.${name}.enabled`, true);
}
const byFunction = (name: string, functionName: string) =>
  hook(name, `pg-functions://postgres/public/${functionName}`);

beforeEach(() => {
  told = [];
  reply = (response) => json(response, {});
});
afterEach(async () => {
  for (const key of changed) await operator.request('DELETE', `/settings/${key}`);
  changed.clear();
});

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function connect(key = backend.report.PUBLISHABLE_KEY): SupabaseClient {
  return createClient(backend.report.API_URL, key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

const password = 'correct horse';
let count = 0;
const address = (domain = 'example.com') => `hooked-${count++}@${domain}`;

async function post(path: string, body: unknown) {
  const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method: 'POST',
    headers: { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Readonly<Record<string, unknown>> };
}

const usersWith = async (email: string) =>
  (await database.query('select id from auth.users where email = $1', [email])).rows.length;

describe('the hook custom_access_token', () => {
  it('changes the claims of every token, and knows how its user signed in', async () => {
    await byFunction('custom_access_token', 'token_hook');
    const client = connect();
    const { data } = await client.auth.signUp({ email: address(), password });
    const first = decodeJwt(data.session!.access_token);
    expect(first).toMatchObject({
      sub: data.user!.id,
      role: 'authenticated',
      plan: 'gold',
      came_by: 'password',
      told: 'customize-access-token',
    });
    const { data: again } = await client.auth.refreshSession();
    expect(decodeJwt(again.session!.access_token)).toMatchObject({ plan: 'gold', came_by: 'token_refresh' });
    // What it signs is a token like any other.
    expect((await client.auth.getUser(again.session!.access_token)).data.user?.id).toBe(data.user!.id);
    const anonymous = await connect().auth.signInAnonymously();
    expect(decodeJwt(anonymous.data.session!.access_token)).toMatchObject({ came_by: 'anonymous' });
  });

  it.each([
    ['nothing_hook', 'output claims field is missing'],
    [
      'bare_hook',
      `output claims do not conform to the expected schema: \n${[
        ...['exp', 'iat', 'sub', 'email', 'phone', 'role', 'aal', 'session_id', 'is_anonymous'].map(
          (name) => `- (root): ${name} is required\n`,
        ),
        '- aud: Invalid type. Expected: [string,array], given: integer\n',
        '- amr.0: Must validate at least one schema (anyOf)\n',
        '- amr.0: Invalid type. Expected: string, given: integer\n',
      ].join('')}`,
    ],
    ['text_hook', 'Error unmarshaling JSON output.'],
    ['not_there', 'Error running hook URI: pg-functions://postgres/public/not_there'],
    ['slow_hook', 'Error running hook URI: pg-functions://postgres/public/slow_hook'],
    // Of its address nothing is told that could open something.
    [
      'not_there?key=hunter2',
      'Error running hook URI: pg-functions://postgres/public/not_there',
      'pg-functions://postgres:hunter2@postgres/public/not_there?key=hunter2',
    ],
  ])('that is %s lets nobody in, and leaves no session', async (name, message, uri?: string) => {
    const email = address();
    await connect().auth.signUp({ email, password });
    await hook('custom_access_token', uri ?? `pg-functions://postgres/public/${name}`);
    const before = Number((await database.query('select count(*) from auth.sessions')).rows[0].count);
    expect(await post('/token?grant_type=password', { email, password })).toEqual({
      status: 500,
      body: { code: 500, error_code: 'unexpected_failure', msg: message },
    });
    const after = Number((await database.query('select count(*) from auth.sessions')).rows[0].count);
    expect(after).toBe(before);
  });

  it('that raises an exception says so as a trigger would', async () => {
    await byFunction('custom_access_token', 'raising_hook');
    expect(await post('/signup', { email: address(), password })).toEqual({
      status: 500,
      body: { code: 'P0001', message: 'no entry', hint: 'ask the door' },
    });
  });
});

describe('a hook by HTTP', () => {
  it('can tell who asks by each of its secrets', async () => {
    await hook('before_user_created', url);
    const email = address();
    expect((await post('/signup', { email, password, data: { name: 'Ada' } })).status).toBe(200);
    expect(told).toHaveLength(1);
    const { headers, text, body } = told[0]!;
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'accept-encoding': 'identity' });
    const id = String(headers['webhook-id']);
    const at = String(headers['webhook-timestamp']);
    expect(Math.abs(Date.now() / 1000 - Number(at))).toBeLessThan(60);
    // As Standard Webhooks has it, by another implementation of HMAC than the program's.
    const sign = async (key: string) => {
      const imported = await crypto.subtle.importKey(
        'raw',
        Buffer.from(key, 'base64'),
        { name: 'HMAC', hash: 'SHA-256' },
        false,
        ['sign'],
      );
      const mac = await crypto.subtle.sign('HMAC', imported, new TextEncoder().encode(`${id}.${at}.${text}`));
      return `v1,${Buffer.from(mac).toString('base64')}`;
    };
    expect(headers['webhook-signature']).toBe(`${await sign(secret)}, ${await sign(other)}`);
    expect(body).toEqual({
      metadata: {
        uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        name: 'before-user-created',
        ip_address: '127.0.0.1',
      },
      user: {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        aud: 'authenticated',
        role: 'authenticated',
        email,
        phone: '',
        app_metadata: { provider: 'email', providers: ['email'] },
        user_metadata: { name: 'Ada' },
        identities: [],
        created_at: '0001-01-01T00:00:00Z',
        updated_at: '0001-01-01T00:00:00Z',
        is_anonymous: false,
      },
    });
    const { rows } = await database.query('select id from auth.users where email = $1', [email]);
    expect(rows).toEqual([{ id: (body.user as { id: string }).id }]);
  });

  const unexpected = (msg: string) => ({
    status: 500,
    body: { code: 500, error_code: 'unexpected_failure', msg },
  });
  it.each<[string, (response: ServerResponse) => void, { status: number; body: unknown }]>([
    [
      'its own refusal',
      (response) => json(response, { error: { http_code: 418, message: 'I am a teapot' } }),
      { status: 418, body: { code: 418, error_code: 'unknown', msg: 'I am a teapot' } },
    ],
    [
      'a refusal without a status',
      (response) => json(response, { error: { message: 'No.' } }),
      unexpected('No.'),
    ],
    [
      'a refusal that is misspelt',
      (response) => json(response, { error: { http_code: '403', message: 'No.' } }),
      unexpected('No.'),
    ],
    [
      'garbage',
      (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"a'),
      unexpected('Error unmarshaling JSON output.'),
    ],
    ['a list', (response) => json(response, []), unexpected('Error unmarshaling JSON output.')],
    [
      'a page',
      (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>hello</p>'),
      {
        status: 400,
        body: {
          code: 400,
          error_code: 'hook_payload_invalid_content_type',
          msg: 'Invalid JSON response. Received content-type: text/html',
        },
      },
    ],
    [
      'no type',
      (response) => response.writeHead(200).end('{}'),
      {
        status: 400,
        body: {
          code: 400,
          error_code: 'hook_payload_invalid_content_type',
          msg: 'Invalid Content-Type: Missing Content-Type header',
        },
      },
    ],
    [
      'more than it may',
      (response) => json(response, { filler: 'x'.repeat(210_000) }),
      {
        status: 422,
        body: {
          code: 422,
          error_code: 'hook_payload_over_size_limit',
          msg: 'Payload size exceeded size limit of 204800 bytes',
        },
      },
    ],
    ['400', (response) => json(response, {}, 400), unexpected('Invalid payload sent to hook')],
    ['401', (response) => json(response, {}, 401), unexpected('Hook requires authorization token')],
    [
      '404',
      (response) => json(response, {}, 404),
      unexpected('Unexpected status code returned from hook: 404'),
    ],
    ['503', (response) => json(response, {}, 503), unexpected('Service currently unavailable due to hook')],
    [
      'nothing in time',
      () => {},
      {
        status: 422,
        body: {
          code: 422,
          error_code: 'hook_timeout',
          msg: 'Failed to reach hook within maximum time of 5.000000 seconds',
        },
      },
    ],
    [
      'no answer at all',
      (response) => response.socket?.destroy(),
      {
        status: 422,
        body: {
          code: 422,
          error_code: 'hook_timeout_after_retry',
          msg: 'Failed to reach hook after maximum retries',
        },
      },
    ],
  ])(
    'that gives %s makes no user',
    async (_, answer, refused) => {
      await hook('before_user_created', url);
      reply = answer;
      const email = address();
      expect(await post('/signup', { email, password })).toEqual(refused);
      expect(await usersWith(email)).toBe(0);
    },
    20_000,
  );

  it('is asked again when it says when, and then its answer counts', async () => {
    await hook('before_user_created', url);
    reply = (response) =>
      told.length === 1
        ? response.writeHead(503, { 'retry-after': '1' }).end()
        : response.writeHead(204).end();
    expect((await post('/signup', { email: address(), password })).status).toBe(200);
    expect(told).toHaveLength(2);
    expect(told[0]!.headers['webhook-id']).not.toBe(told[1]!.headers['webhook-id']);
  });

  // 9 s and 34 of 40 answered 503 were seen before these transactions had connections of their own.
  it('that hangs keeps nobody waiting but who is to ask it', async () => {
    const here = connect();
    const { data: mine } = await here.auth.signUp({ email: address(), password });
    const { data: other } = await connect().auth.signUp({ email: address(), password });
    const held: (() => void)[] = [];
    const full = new Promise<void>((resolve) => {
      reply = (response, body) => {
        held.push(() => json(response, { claims: body.claims }));
        if (held.length === patientConnections) resolve();
      };
    });
    await hook('custom_access_token', url);
    const asked = Array.from({ length: 45 }, () => post('/signup', {}));
    await full;
    // A client that is told 429 signs its user out, and one that is told 504 tries again.
    expect(
      await post('/token?grant_type=refresh_token', { refresh_token: other.session!.refresh_token }),
    ).toEqual({
      status: 504,
      body: {
        code: 504,
        error_code: 'request_timeout',
        msg: 'Processing this request timed out, please retry after a moment.',
      },
    });

    const accessToken = mine.session!.access_token;
    expect((await here.auth.getUser(accessToken)).data.user?.id).toBe(mine.user!.id);
    expect((await connect(backend.report.SECRET_KEY).auth.admin.listUsers()).error).toBe(null);
    expect((await fetch(`${backend.report.API_URL}/auth/v1/.well-known/jwks.json`)).status).toBe(200);
    expect(await post('/recover', { email: address() })).toEqual({ status: 200, body: {} });
    expect(await here.auth.signOut()).toEqual({ error: null });

    reply = (response, body) => json(response, { claims: body.claims });
    for (const release of held) release();
    const answers = await Promise.all(asked);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(patientConnections);
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThanOrEqual(5);
    expect(refused).toEqual(
      refused.map(() => ({
        status: 429,
        body: { code: 429, error_code: 'over_request_rate_limit', msg: 'Request rate limit reached' },
      })),
    );
    expect((await post('/signup', {})).status).toBe(200);
  });

  it('does not let others wait for a row that it makes somebody hold', async () => {
    const email = address();
    const here = connect();
    const { data } = await here.auth.signUp({ email, password });
    let release = () => {};
    const waiting = new Promise<void>((resolve) => {
      reply = (response, body) => {
        release = () => json(response, { claims: body.claims });
        resolve();
      };
    });
    await hook('custom_access_token', url);
    const refreshed = here.auth.refreshSession();
    await waiting;
    // The refresh has the session's row, and this one wants it gone.
    const signedOut = await fetch(`${backend.report.API_URL}/auth/v1/logout`, {
      method: 'POST',
      headers: {
        apikey: backend.report.PUBLISHABLE_KEY,
        authorization: `Bearer ${data.session!.access_token}`,
      },
    });
    expect([signedOut.status, signedOut.headers.get('retry-after')]).toEqual([429, '5']);
    release();
    expect((await refreshed).error).toBe(null);
  });

  it('is asked nothing without a secret', async () => {
    await set('auth.hook.before_user_created.uri', url);
    await set('auth.hook.before_user_created.enabled', true);
    expect((await post('/signup', { email: address(), password })).status).toBe(500);
    expect(told).toEqual([]);
  });

  it.each([
    'http://example.com/hook',
    'ftp://127.0.0.1/hook',
    'pg-functions://postgres/public',
    'pg-functions://postgres/public/f"); drop table x; --',
    'nonsense',
  ])('cannot be at %s', async (uri) => {
    const { status } = await operator.request('PUT', '/settings/auth.hook.send_email.uri', { value: uri });
    expect(status).toBe(422);
  });
});

describe('the hook before_user_created', () => {
  it('refuses in its own words whoever signs up, is invited, or gets a link', async () => {
    await byFunction('before_user_created', 'refusing_hook');
    const admin = connect(backend.report.SECRET_KEY);
    const email = address('blocked.example.com');
    const refused = { status: 403, code: 'unknown', message: 'This domain is not welcome.' };
    for (const { error } of [
      await connect().auth.signUp({ email, password }),
      await connect().auth.signInWithOtp({ email }),
      await admin.auth.admin.inviteUserByEmail(email),
      await admin.auth.admin.generateLink({ type: 'signup', email, password }),
    ]) {
      expect(error).toMatchObject(refused);
    }
    expect(await usersWith(email)).toBe(0);
    expect((await connect().auth.signUp({ email: address(), password })).error).toBeNull();
    expect((await connect().auth.signInAnonymously()).error).toBeNull();
  });
});

describe('the hook after_user_created', () => {
  it('hears of everybody who was made, once, and of nobody who was there', async () => {
    await hook('after_user_created', url);
    const email = address();
    const { data } = await connect().auth.signUp({ email, password });
    await connect().auth.signInWithPassword({ email, password });
    await connect().auth.signUp({ email, password });
    const anonymous = await connect().auth.signInAnonymously();
    expect(told.map(({ body }) => body)).toMatchObject([
      { metadata: { name: 'after-user-created' }, user: { id: data.user!.id, email } },
      { user: { id: anonymous.data.user!.id, is_anonymous: true } },
    ]);
  });

  it('can fail, and the user stays', async () => {
    await hook('after_user_created', url);
    reply = (response) => json(response, { error: { http_code: 409, message: 'The books are full.' } });
    const email = address();
    expect(await post('/signup', { email, password })).toMatchObject({
      status: 409,
      body: { msg: 'The books are full.' },
    });
    expect(await usersWith(email)).toBe(1);
  });
});

describe('the hook password_verification_attempt', () => {
  it('hears of right and wrong ones, and refuses the right one and the sessions', async () => {
    const email = address();
    const client = connect();
    const { data } = await client.auth.signUp({ email, password });
    await byFunction('password_verification_attempt', 'password_hook');
    const wrong = { code: 400, error_code: 'invalid_credentials', msg: 'Invalid login credentials' };
    const rejected = { ...wrong, msg: 'Too many attempts. Wait a while.' };
    const attempt = async (given: string) =>
      (await post('/token?grant_type=password', { email, password: given })).body;
    expect(await attempt(password)).toMatchObject({ user: { email } });
    expect(await attempt('wrong')).toEqual(wrong);
    expect(await attempt('wrong')).toEqual(rejected);
    expect(await attempt(password)).toEqual(rejected);
    const { rows } = await database.query('select valid from public.attempts where user_id = $1', [
      data.user!.id,
    ]);
    expect(rows.map(({ valid }) => valid)).toEqual([true, false, false, true]);
    const sessions = await database.query('select from auth.sessions where user_id = $1', [data.user!.id]);
    expect(sessions.rowCount).toBe(0);
    // Nobody is nobody's to be told of.
    const nobody = await post('/token?grant_type=password', { email: address(), password });
    expect(nobody.body).toEqual(wrong);
    expect((await database.query('select from public.attempts')).rowCount).toBe(4);
  });
});

describe('the hook send_email', () => {
  it('gets every mail with its code, and the mailer none', async () => {
    await hook('send_email', url);
    await set('auth.email.enable_confirmations', true);
    const email = address();
    await connect().auth.signUp({
      email,
      password,
      options: { emailRedirectTo: 'https://app.example.com/in' },
    });
    expect(told).toHaveLength(1);
    const { metadata, user, email_data: data } = told[0]!.body;
    expect({ metadata, user, data }).toMatchObject({
      metadata: { name: 'send-email', ip_address: '127.0.0.1' },
      user: { email },
      data: {
        token: expect.stringMatching(/^\d{6}$/),
        token_hash: expect.stringMatching(/^[0-9a-f]{56}$/),
        redirect_to: 'https://app.example.com/in',
        email_action_type: 'signup',
        site_url: `${backend.report.API_URL}/auth/v1`,
        token_new: '',
        token_hash_new: '',
        old_email: '',
        old_phone: '',
        provider: '',
        factor_type: '',
      },
    });
    const mails = await database.query('select from _millrace.inbox where recipient = $1', [email]);
    expect(mails.rowCount).toBe(0);
    const client = connect();
    const { token } = data as { token: string };
    expect((await client.auth.verifyOtp({ email, token, type: 'signup' })).error).toBeNull();

    // One call for both addresses.
    told = [];
    const next = address();
    await client.auth.updateUser({ email: next });
    const { rows } = await database.query(
      'select email_change_token_new as new, email_change_token_current as current from auth.users where email = $1',
      [email],
    );
    expect(told).toHaveLength(1);
    expect(told[0]!.body).toMatchObject({
      user: { email, new_email: next },
      email_data: {
        email_action_type: 'email_change',
        token_hash: rows[0].new,
        token_hash_new: rows[0].current,
      },
    });
    const { token: current, token_new: fresh } = told[0]!.body.email_data as Record<string, string>;
    expect((await client.auth.verifyOtp({ email, token: current!, type: 'email_change' })).error).toBeNull();
    expect(
      (await client.auth.verifyOtp({ email: next, token: fresh!, type: 'email_change' })).error,
    ).toBeNull();
  });

  it('gets what a user is told of changes, where the project wants that', async () => {
    const email = address();
    const client = connect();
    await client.auth.signUp({ email, password });
    await hook('send_email', url);
    await client.auth.updateUser({ password: `${password} 1` });
    expect(told).toEqual([]);
    await set('auth.email.notification', { password_changed: { enabled: true } });
    await client.auth.updateUser({ password: `${password} 2` });
    expect(told.map(({ body }) => body)).toMatchObject([
      { user: { email }, email_data: { email_action_type: 'password_changed_notification', token: '' } },
    ]);
    // A mail that cannot be sent undoes nothing of what it is about.
    reply = (response) => json(response, { error: { http_code: 502, message: 'No postman.' } });
    expect((await client.auth.updateUser({ password: `${password} 3` })).error).toBeNull();
    expect((await client.auth.signInWithPassword({ email, password: `${password} 3` })).error).toBeNull();
  });

  it('that fails leaves no code behind', async () => {
    const email = address();
    await connect().auth.signUp({ email, password });
    await hook('send_email', url);
    reply = (response) => json(response, { error: { http_code: 502, message: 'No postman.' } });
    expect(await post('/recover', { email })).toMatchObject({ status: 502, body: { msg: 'No postman.' } });
    const { rows } = await database.query(
      'select recovery_token, recovery_sent_at from auth.users where email = $1',
      [email],
    );
    expect(rows).toEqual([{ recovery_token: '', recovery_sent_at: null }]);
  });
});

describe('settings of sign-in at run time', () => {
  it('take effect at once, and say who made them', async () => {
    await set('auth.enable_signup', false);
    expect(await post('/signup', { email: address(), password })).toEqual({
      status: 422,
      body: { code: 422, error_code: 'signup_disabled', msg: 'Signups not allowed for this instance' },
    });
    await set('auth.enable_signup', true);
    expect((await post('/signup', { email: address(), password })).status).toBe(200);
    await byFunction('before_user_created', 'refusing_hook');
    await set('auth.hook.before_user_created.secrets', `v1,whsec_${secret}`);
    const { body } = await operator.request('GET', '/settings/auth.hook.before_user_created.uri');
    expect(body).toMatchObject({
      value: 'pg-functions://postgres/public/refusing_hook',
      layer: 'run time',
      changed: { by: expect.stringMatching(/^local:/) },
    });
    const changes = JSON.stringify((await operator.request('GET', '/changes')).body);
    expect(changes).toContain('auth.hook.before_user_created.secrets');
    expect(changes).toContain('auth.enable_signup');
    expect(changes).not.toContain(secret);
    const shown = JSON.stringify((await operator.request('GET', '/settings')).body);
    expect(shown).not.toContain(secret);
  });

  it('are followed by the providers', async () => {
    const begin = () =>
      fetch(`${backend.report.API_URL}/auth/v1/authorize?provider=github`, { redirect: 'manual' });
    const clientOf = (answer: Response) =>
      new URL(answer.headers.get('location')!).searchParams.get('client_id');
    expect((await begin()).status).toBe(400);
    await set('auth.external.github.client_id', 'first');
    await set('auth.external.github.secret', 'github secret');
    await set('auth.external.github.enabled', true);
    expect(clientOf(await begin())).toBe('first');
    await set('auth.external.github.client_id', 'second');
    expect(clientOf(await begin())).toBe('second');
    await set('auth.external_redirect_url', 'https://home.example.com/');
    const lost = await fetch(`${backend.report.API_URL}/auth/v1/callback?state=x`, { redirect: 'manual' });
    expect(lost.headers.get('location')).toMatch(/^https:\/\/home\.example\.com\/\?error=/);
    await set('auth.external.github.enabled', false);
    expect((await begin()).status).toBe(400);
    expect(JSON.stringify((await operator.request('GET', '/changes')).body)).not.toContain('github secret');
  });

  it('say to which addresses mails go', async () => {
    const invited = () => post('/otp', { email: 'test@example.com' });
    await set('auth.email.magic_link_enabled', false);
    expect(await invited()).toEqual({
      status: 422,
      body: {
        code: 422,
        error_code: 'email_provider_disabled',
        msg: 'Login with magic link is disabled',
      },
    });
    await set('auth.email.magic_link_enabled', true);
    await set('auth.email.authorized_addresses', ['ada@team.example.com']);
    expect(await invited()).toEqual({
      status: 400,
      body: {
        code: 400,
        error_code: 'email_address_not_authorized',
        msg: 'Email address "test@example.com" cannot be used as it is not authorized',
      },
    });
    expect(await post('/otp', { email: 'ada+1@team.example.com' })).toEqual({ status: 200, body: {} });
    await set('auth.email.authorized_addresses', []);
    await set('auth.email.validation.extended', true);
    expect(await invited()).toEqual({
      status: 400,
      body: {
        code: 400,
        error_code: 'email_address_invalid',
        msg: 'Email address "test@example.com" is invalid',
      },
    });
    await set('auth.email.validation.extended', false);
    expect(await invited()).toEqual({ status: 200, body: {} });
  });

  it('are live, every one', async () => {
    const { settings } = await import('../src/services/auth/settings.ts');
    expect(
      Object.values(settings)
        .filter(({ live }) => !live)
        .map(({ key }) => key),
    ).toEqual([]);
  });
});
