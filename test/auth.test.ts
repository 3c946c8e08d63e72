// In charge of: signing in, as an application does it: the unmodified @supabase/supabase-js over a real socket.
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { personToken } from './harness/tokens.ts';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let admin: SupabaseClient;

beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': 'project_id = "sign-in"\n[auth]\nenable_anonymous_sign_ins = true\n',
    'supabase/migrations/20260101000000_profiles.sql': profiles,
  });
  backend = await startBackend(project.folder);
  admin = connect(backend.report.SECRET_KEY);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const profiles = `
create table public.profiles (id uuid primary key references auth.users on delete cascade, name text);
alter table public.profiles enable row level security;
create policy "own profile" on public.profiles for select to authenticated using ((select auth.uid()) = id);
grant select on public.profiles to authenticated;
create function public.make_profile() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if new.raw_user_meta_data ->> 'name' = 'Nobody' then
    raise exception 'Nobody may not sign up';
  end if;
  insert into public.profiles (id, name) values (new.id, new.raw_user_meta_data ->> 'name');
  return new;
end $$;
create trigger on_user after insert on auth.users for each row execute function public.make_profile();
`;

function connect(key = backend.report.PUBLISHABLE_KEY): SupabaseClient {
  return createClient(backend.report.API_URL, key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

const at4 = <T>(one: T): T[] => Array.from({ length: 4 }, () => one);
const uuid = /^[0-9a-f-]{36}$/;
let count = 0;
const address = () => `person-${count++}@example.com`;
const password = 'correct horse';
const bcryptOfImported = '$2b$10$YGaVwMVf2iIzSknUNvjT/u1zsyk3aQvCnK6dSoxN6GZj1YO6KWOdK';

/** Somebody who has just signed up, with their own client. */
async function signedUp(email = address(), data: Record<string, unknown> = {}) {
  const client = connect();
  const { data: found, error } = await client.auth.signUp({ email, password, options: { data } });
  if (error || !found.session || !found.user) throw error ?? new Error('no session');
  return { client, email, session: found.session, user: found.user };
}

describe('signUp', () => {
  it('makes a user who is signed in at once', async () => {
    const { session, user, email } = await signedUp(undefined, { name: 'Mara' });
    expect(user).toEqual({
      id: expect.stringMatching(uuid),
      aud: 'authenticated',
      role: 'authenticated',
      email,
      email_confirmed_at: expect.any(String),
      phone: '',
      confirmed_at: expect.any(String),
      last_sign_in_at: expect.any(String),
      app_metadata: { provider: 'email', providers: ['email'] },
      user_metadata: { email, email_verified: true, name: 'Mara', phone_verified: false, sub: user.id },
      identities: [
        {
          identity_id: expect.stringMatching(uuid),
          id: user.id,
          user_id: user.id,
          identity_data: { email, email_verified: false, name: 'Mara', phone_verified: false, sub: user.id },
          provider: 'email',
          last_sign_in_at: expect.any(String),
          created_at: expect.any(String),
          updated_at: expect.any(String),
          email,
        },
      ],
      created_at: expect.any(String),
      updated_at: expect.any(String),
      is_anonymous: false,
    });
    expect(session).toMatchObject({
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token: expect.stringMatching(/^[a-z0-9]{12}$/),
    });
  });

  it("runs the triggers of the project, and their rows are the user's", async () => {
    const { client, user } = await signedUp(undefined, { name: 'Jonas' });
    expect((await client.from('profiles').select('id, name')).data).toEqual([{ id: user.id, name: 'Jonas' }]);
  });

  it('answers 500 when a trigger raises, and no user is left', async () => {
    const email = address();
    const { error } = await connect().auth.signUp({ email, password, options: { data: { name: 'Nobody' } } });
    // supabase-js takes every 500 for a passing failure, and keeps no code of it.
    expect(error).toMatchObject({ status: 500, message: 'Database error saving new user' });
    expect(await connect().auth.signInWithPassword({ email, password })).toMatchObject({
      error: { status: 400, code: 'invalid_credentials' },
    });
  });

  it('makes one user of ten who come with one address at once, and no error of ours', async () => {
    const email = address();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => connect().auth.signUp({ email, password })),
    );
    expect(answers.filter(({ error }) => error === null)).toHaveLength(1);
    expect(answers.filter(({ error }) => error?.code === 'user_already_exists')).toHaveLength(9);
  });

  it('refuses an address that is taken, a weak password and an address that is none', async () => {
    const { email } = await signedUp();
    const refused = async (how: { email: string; password: string }) =>
      (await connect().auth.signUp(how)).error;
    expect(await refused({ email, password })).toMatchObject({
      status: 422,
      code: 'user_already_exists',
      message: 'User already registered',
    });
    expect(await refused({ email: address(), password: 'short' })).toMatchObject({
      status: 422,
      code: 'weak_password',
      reasons: ['length'],
    });
    expect(await refused({ email: 'nobody', password })).toMatchObject({
      status: 400,
      code: 'validation_failed',
      message: 'Unable to validate email address: invalid format',
    });
  });
});

describe('signInWithPassword', () => {
  it('gives a session for the right password, in any spelling of the address', async () => {
    const { email, user } = await signedUp();
    const { data, error } = await connect().auth.signInWithPassword({ email: email.toUpperCase(), password });
    expect(error).toBeNull();
    expect(data.user?.id).toBe(user.id);
  });

  it('says the same of a wrong password and of nobody', async () => {
    const { email } = await signedUp();
    const wrong = await connect().auth.signInWithPassword({ email, password: 'wrong password' });
    const nobody = await connect().auth.signInWithPassword({ email: address(), password });
    expect(wrong.error).toEqual(nobody.error);
    expect(wrong.error).toMatchObject({
      status: 400,
      code: 'invalid_credentials',
      message: 'Invalid login credentials',
    });
  });
});

describe('getUser', () => {
  it('tells who a token is of', async () => {
    const { client, user } = await signedUp();
    const { data } = await client.auth.getUser();
    expect(data.user).toMatchObject({ id: user.id, email: user.email });
  });
});

describe('refreshSession', () => {
  it('gives a new pair', async () => {
    const { client, session } = await signedUp();
    const { data, error } = await client.auth.refreshSession();
    expect(error).toBeNull();
    expect(data.session?.refresh_token).not.toBe(session.refresh_token);
    expect(data.user?.id).toBe(session.user.id);
  });

  it('gives what it gave before to a client that lost the answer', async () => {
    const { session } = await signedUp();
    const first = await refresh(session.refresh_token);
    const again = await refresh(session.refresh_token);
    expect(again.body.refresh_token).toBe(first.body.refresh_token);
  });

  it('gives 50 tabs that ask at once one successor, and no error of ours', async () => {
    const { session } = await signedUp();
    const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(session.refresh_token)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => body.refresh_token)).size).toBe(1);
  });

  it.each([
    ['unknown', 'aaaaaaaaaaaa', 'refresh_token_not_found', 'Invalid Refresh Token: Refresh Token Not Found'],
    ['no token', 'short', 'validation_failed', 'Refresh token is not valid'],
  ])('refuses one that is %s', async (_, token, code, message) => {
    expect(await refresh(token)).toEqual({ status: 400, body: { code, message } });
  });
});

/** Class: replay of a stolen refresh token. Source: RFC 9700 section 4.14.2. */
describe('a refresh token that somebody stole', () => {
  it('ends the whole session when it is used behind its successor, the newest token included', async () => {
    const { session, user } = await signedUp();
    const stolen = session.refresh_token;
    const second = String((await refresh(stolen)).body.refresh_token);
    const third = String((await refresh(second)).body.refresh_token);
    await setTimes(
      `update auth.refresh_tokens set updated_at = now() - interval '1 minute' where user_id = '${user.id}'`,
    );
    const used = {
      status: 400,
      body: { code: 'refresh_token_already_used', message: 'Invalid Refresh Token: Already Used' },
    };
    expect(await refresh(stolen)).toEqual(used);
    expect(await refresh(third)).toEqual(used);
    expect(await refresh(second)).toEqual(used);
  });
});

/** The answer of `POST /token?grant_type=refresh_token`. */
async function refresh(token: string) {
  const answer = await ask('/token?grant_type=refresh_token', {
    method: 'POST',
    body: { refresh_token: token },
  });
  return { status: answer.status, body: answer.body };
}

/** A request as it stands on the wire, in the shape of 2024-01-01 unless told otherwise. */
async function ask(
  path: string,
  {
    method = 'GET',
    body,
    token,
    headers = {},
    key = backend.report.PUBLISHABLE_KEY,
  }: {
    method?: string;
    body?: unknown;
    token?: string;
    headers?: Record<string, string>;
    key?: string | null;
  } = {},
) {
  const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method,
    headers: {
      ...(key !== null && { apikey: key }),
      'x-supabase-api-version': '2024-01-01',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    redirect: 'manual',
  });
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    body: (text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text) as Record<string, unknown>,
  };
}

/** What only the clock would do. */
async function setTimes(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: backend.report.DB_URL });
  await client.connect();
  await client.query(sql);
  await client.end();
}

describe('signOut', () => {
  it('ends the session: its tokens are good for nothing any more', async () => {
    const { client, session } = await signedUp();
    expect((await client.auth.signOut()).error).toBeNull();
    expect((await connect().auth.getUser(session.access_token)).error).toMatchObject({
      // What supabase-js makes of session_not_found.
      name: 'AuthSessionMissingError',
    });
    expect(await refresh(session.refresh_token)).toMatchObject({
      status: 400,
      body: { code: 'refresh_token_not_found' },
    });
  });

  it.each([
    ['local', [false, true, true]],
    ['others', [true, false, false]],
    ['global', [false, false, false]],
  ] as const)('with scope %s', async (scope, stillIn) => {
    const { email, client, session } = await signedUp();
    const others = await Promise.all(
      [1, 2].map(async () => (await connect().auth.signInWithPassword({ email, password })).data.session),
    );
    await client.auth.signOut({ scope });
    const answers = await Promise.all(
      [session, ...others].map((one) => ask('/user', { token: one?.access_token ?? '' })),
    );
    expect(answers.map(({ status }) => status === 200)).toEqual(stillIn);
  });
});

describe('a token', () => {
  it.each([
    ['none', undefined, 403, 'bad_jwt', 'invalid claim: missing sub claim'],
    ['of an API key', 'legacy', 403, 'bad_jwt', 'invalid claim: missing sub claim'],
    [
      'that is none',
      'garbage',
      403,
      'bad_jwt',
      'invalid JWT: unable to parse or verify signature, token is malformed: token contains an invalid number of segments',
    ],
    [
      'that has expired',
      'expired',
      403,
      'bad_jwt',
      'invalid JWT: unable to parse or verify signature, token has invalid claims: token is expired',
    ],
    ['of nobody', 'nobody', 403, 'user_not_found', 'User from sub claim in JWT does not exist'],
    ['whose sub is no id', 'no_id', 400, 'bad_jwt', 'invalid claim: sub claim must be a UUID'],
  ])('%s is refused by GET /user', async (_, kind, status, code, message) => {
    const nobody = '00000000-0000-4000-8000-000000000000';
    const tokens: Record<string, string | undefined> = {
      legacy: backend.report.ANON_KEY,
      garbage: 'garbage',
      expired: await personToken(nobody, { expiresInSeconds: -3600 }),
      nobody: await personToken(nobody),
      no_id: await personToken('mara'),
    };
    const token = kind === undefined ? undefined : tokens[kind];
    const answer = await ask('/user', token === undefined ? {} : { token });
    expect([answer.status, answer.body]).toEqual([status, { code, message }]);
    expect(answer.headers.get('x-sb-error-code')).toBe(code);
  });

  it('is wanted in Authorization: a legacy key in apikey is none', async () => {
    const answer = await ask('/user', { key: backend.report.ANON_KEY });
    expect([answer.status, answer.body]).toEqual([
      401,
      { code: 'no_authorization', message: 'This endpoint requires a valid Bearer token' },
    ]);
  });

  it('that does not hold is nothing to a path that asks for none', async () => {
    expect((await ask('/settings', { token: 'garbage' })).status).toBe(200);
    const { email } = await signedUp();
    const body = { email, password };
    expect((await ask('/token?grant_type=password', { method: 'POST', token: 'garbage', body })).status).toBe(
      200,
    );
  });

  it("that does not hold opens nothing to an administrator's key beside it", async () => {
    const answer = await ask('/admin/users', { token: 'garbage', key: backend.report.SECRET_KEY });
    expect([answer.status, answer.body.code]).toEqual([403, 'bad_jwt']);
  });

  it('is verified by the public key', async () => {
    const { session } = await signedUp();
    const { data, error } = await connect().auth.getClaims(session.access_token);
    expect(error).toBeNull();
    expect(data?.header).toMatchObject({ alg: 'ES256', typ: 'JWT', kid: expect.any(String) });
    expect(Object.keys(data?.claims ?? {})).toEqual([
      'iss',
      'sub',
      'aud',
      'exp',
      'iat',
      'email',
      'phone',
      'app_metadata',
      'user_metadata',
      'role',
      'aal',
      'amr',
      'session_id',
      'is_anonymous',
    ]);
    expect(data?.claims).toMatchObject({
      iss: `${backend.report.API_URL}/auth/v1`,
      sub: session.user.id,
      aud: 'authenticated',
      role: 'authenticated',
      aal: 'aal1',
      amr: [{ method: 'password', timestamp: expect.any(Number) }],
      is_anonymous: false,
    });
  });
});

describe('updateUser', () => {
  it('changes metadata: what is given, and null takes away', async () => {
    const { client } = await signedUp(undefined, { name: 'Wen', colour: 'red' });
    const { data } = await client.auth.updateUser({ data: { colour: null, size: 7 } });
    expect(data.user?.user_metadata).toMatchObject({ name: 'Wen', size: 7 });
    expect(data.user?.user_metadata).not.toHaveProperty('colour');
  });

  it('changes the password, and ends the other sessions', async () => {
    const { client, email } = await signedUp();
    const other = (await connect().auth.signInWithPassword({ email, password })).data.session;
    expect((await client.auth.updateUser({ password })).error).toMatchObject({
      status: 422,
      code: 'same_password',
    });
    expect((await client.auth.updateUser({ password: 'another horse' })).error).toBeNull();
    expect((await ask('/user', { token: other?.access_token ?? '' })).body.code).toBe('session_not_found');
    expect((await client.auth.getUser()).error).toBeNull();
    expect((await connect().auth.signInWithPassword({ email, password })).error?.code).toBe(
      'invalid_credentials',
    );
    const renewed = await connect().auth.signInWithPassword({ email, password: 'another horse' });
    expect(renewed.error).toBeNull();
  });

  it("lets nobody take an address that is taken, or change what is the administrator's", async () => {
    const { email } = await signedUp();
    const { client, session } = await signedUp();
    expect((await client.auth.updateUser({ email })).error).toMatchObject({
      status: 422,
      code: 'email_exists',
    });
    const body = { app_metadata: { plan: 'pro' } };
    expect(await ask('/user', { method: 'PUT', token: session.access_token, body })).toMatchObject({
      status: 403,
      body: { code: 'not_admin' },
    });
  });
});

describe('signInAnonymously', () => {
  it('makes a user without a name, who takes one later', async () => {
    const client = connect();
    const { data } = await client.auth.signInAnonymously({ options: { data: { theme: 'dark' } } });
    expect(data.user).toMatchObject({
      is_anonymous: true,
      email: '',
      app_metadata: {},
      user_metadata: { theme: 'dark' },
    });
    const email = address();
    const named = await client.auth.updateUser({ email });
    expect(named.error).toBeNull();
    expect(named.data.user).toMatchObject({
      id: data.user?.id,
      email,
      is_anonymous: false,
      app_metadata: { provider: 'email', providers: ['email'] },
    });
  });
});

describe('admin', () => {
  it('makes, lists, reads, changes and deletes users', async () => {
    const email = address();
    const made = await admin.auth.admin.createUser({
      email,
      password,
      email_confirm: true,
      user_metadata: { a: 1 },
    });
    expect(made.error).toBeNull();
    const id = made.data.user?.id ?? '';
    const list = await admin.auth.admin.listUsers();
    expect(list.data.users.map((user) => user.id)).toContain(id);
    const { data: changed } = await admin.auth.admin.updateUserById(id, { app_metadata: { plan: 'pro' } });
    expect(changed.user?.app_metadata).toEqual({ plan: 'pro', provider: 'email', providers: ['email'] });
    expect((await admin.auth.admin.deleteUser(id)).error).toBeNull();
    expect((await admin.auth.admin.getUserById(id)).error).toMatchObject({
      status: 404,
      code: 'user_not_found',
    });
  });

  // Upstream looks first and writes then: who loses the race is told 500.
  it('makes one user of many at once, and says to the others that there is one', async () => {
    const post = (path: string, body: object, method = 'POST') =>
      ask(path, { method, body, key: backend.report.SECRET_KEY });
    const told = (answers: readonly Awaited<ReturnType<typeof post>>[]) =>
      answers.map(({ status, body }) => [status, body.code]).sort();
    const one = [200, undefined];
    const taken = [422, 'email_exists'];
    const at5 = <T>(work: () => Promise<T>) => Promise.all(Array.from({ length: 5 }, work));

    const email = address();
    const hash = { password_hash: bcryptOfImported };
    expect(told(await at5(() => post('/admin/users', { email, ...hash })))).toEqual([one, ...at4(taken)]);
    const phone = '15550001234';
    expect(told(await at5(() => post('/admin/users', { phone, ...hash })))).toEqual([
      one,
      ...at4([422, 'phone_exists']),
    ]);
    const linked = address();
    const link = () => post('/admin/generate_link', { type: 'magiclink', email: linked });
    // Who came later finds them there, and makes a link for them.
    for (const answer of told(await at5(link))) expect([one, taken]).toContainEqual(answer);
    const invited = address();
    for (const answer of told(await at5(() => post('/invite', { email: invited }))))
      expect([one, taken]).toContainEqual(answer);
    const { user } = await signedUp();
    expect(told([await post(`/admin/users/${user.id}`, { email }, 'PUT')])).toEqual([taken]);
    expect(told([await post(`/admin/users/${user.id}`, { phone }, 'PUT')])).toEqual([[422, 'phone_exists']]);
    // What a trigger of the project says is told as it is.
    const raised = await post('/admin/users', {
      email: address(),
      ...hash,
      user_metadata: { name: 'Nobody' },
    });
    expect(raised.status).toBe(500);
  });

  it('lists page by page', async () => {
    const answer = await ask('/admin/users?page=1&per_page=2', { key: backend.report.SECRET_KEY });
    const total = Number(answer.headers.get('x-total-count'));
    expect(answer.body.users).toHaveLength(2);
    expect(answer.headers.get('link')).toBe(
      `</admin/users?page=2&per_page=2>; rel="next", </admin/users?page=${Math.ceil(total / 2)}&per_page=2>; rel="last"`,
    );
    const bad = await ask('/admin/users?page=-1', { key: backend.report.SECRET_KEY });
    expect([bad.status, bad.body.code]).toEqual([400, 'validation_failed']);
  });

  it('takes a hash that was made elsewhere', async () => {
    const email = address();
    // `bcrypt("imported")` at cost 10, as another system keeps it.
    const { data, error } = await admin.auth.admin.createUser({
      email,
      email_confirm: true,
      password_hash: bcryptOfImported,
    });
    expect(error).toBeNull();
    expect(data.user?.email).toBe(email);
    expect((await connect().auth.signInWithPassword({ email, password: 'imported' })).error).toBeNull();
  });

  it('bans until the ban is over', async () => {
    const { email, user, session } = await signedUp();
    await admin.auth.admin.updateUserById(user.id, { ban_duration: '24h' });
    expect((await connect().auth.signInWithPassword({ email, password })).error?.code).toBe('user_banned');
    expect(await refresh(session.refresh_token)).toMatchObject({ body: { code: 'user_banned' } });
    expect((await ask('/user', { token: session.access_token })).body.code).toBe('user_banned');
    await admin.auth.admin.updateUserById(user.id, { ban_duration: 'none' });
    expect((await connect().auth.signInWithPassword({ email, password })).error).toBeNull();
  });

  it('deletes softly: the row stays, and nothing in it names anybody', async () => {
    const { email, user } = await signedUp();
    expect((await admin.auth.admin.deleteUser(user.id, true)).error).toBeNull();
    const { data } = await admin.auth.admin.getUserById(user.id);
    expect(data.user).toMatchObject({ user_metadata: {}, app_metadata: {}, deleted_at: expect.any(String) });
    expect(data.user?.email).not.toContain('@');
    expect((await connect().auth.signUp({ email, password })).error).toBeNull();
  });

  it('sees in the audit log who did what', async () => {
    const { email, client } = await signedUp();
    await client.auth.signOut();
    const answer = await ask(`/admin/audit?query=author:${email}`, { key: backend.report.SECRET_KEY });
    const entries = answer.body as unknown as { payload: { action: string } }[];
    expect(entries.map(({ payload }) => payload.action)).toEqual(['logout', 'login', 'user_signedup']);
  });

  it('is closed to everybody else', async () => {
    const { client } = await signedUp();
    expect((await client.auth.admin.listUsers()).error).toMatchObject({ status: 403, code: 'not_admin' });
    expect((await connect().auth.admin.listUsers()).error).toMatchObject({ status: 403, code: 'not_admin' });
  });
});

describe('errors', () => {
  it('have the shape of the version that the client asks for', async () => {
    const body = { email: 'a@example.com', password: 'short' };
    const before = await ask('/signup', { method: 'POST', body, headers: { 'x-supabase-api-version': '' } });
    expect(before.body).toEqual({
      code: 422,
      error_code: 'weak_password',
      msg: 'Password should be at least 6 characters.',
      weak_password: { reasons: ['length'] },
    });
    const now = await ask('/signup', { method: 'POST', body });
    expect(now.body).toEqual({
      code: 'weak_password',
      message: 'Password should be at least 6 characters.',
      weak_password: { reasons: ['length'] },
    });
    expect(now.headers.get('x-supabase-api-version')).toBe('2024-01-01');
  });

  it.each([
    ['no JSON', '{', 400, 'bad_json'],
    ['nothing', '', 400, 'bad_json'],
    ['a list', '[]', 400, 'bad_json'],
    ['a number for a text', '{"email":7}', 400, 'bad_json'],
    ['a text with a character that Postgres has not', '{"email":"a\\u0000@example.com"}', 400, 'bad_json'],
    ['more than a megabyte', `{"email":"${'a'.repeat(1 << 20)}"}`, 413, 'request_entity_too_large'],
    ['more levels than anybody needs', `{"data":${'['.repeat(9000)}${']'.repeat(9000)}}`, 400, 'bad_json'],
  ])("%s is the client's mistake", async (_, body, status, code) => {
    const answer = await ask('/signup', { method: 'POST', body });
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  // The words of Go's encoding/json with the names of upstream's types. Source: supabase/auth internal/api/helpers.go, internal/api/magic_link.go.
  it.each([
    ['/signup', '{', 'Could not parse request body as JSON: unexpected end of JSON input'],
    [
      '/signup',
      '{"email":"a@example.com",}',
      "Could not parse request body as JSON: invalid character '}' looking for beginning of object key string",
    ],
    [
      '/signup',
      '[]',
      'Could not parse request body as JSON: json: cannot unmarshal array into Go value of type api.SignupParams',
    ],
    [
      '/signup',
      '{"data":"x","email":7}',
      'Could not parse request body as JSON: json: cannot unmarshal string into Go struct field SignupParams.data of type map[string]interface {}',
    ],
    [
      '/token?grant_type=password',
      '{"password":{}}',
      'Could not parse request body as JSON: json: cannot unmarshal object into Go struct field PasswordGrantParams.password of type string',
    ],
    [
      '/token?grant_type=refresh_token',
      'x',
      "Could not parse request body as JSON: invalid character 'x' looking for beginning of value",
    ],
    [
      '/otp',
      '{"create_user":"yes"}',
      'Could not parse request body as JSON: json: cannot unmarshal string into Go struct field OtpParams.create_user of type bool',
    ],
    ['/magiclink', '', 'Could not read verification params: EOF'],
    ['/magiclink', '{"email"', 'Could not read verification params: unexpected EOF'],
    [
      '/magiclink',
      '{"email":1}',
      'Could not read verification params: json: cannot unmarshal number into Go struct field MagicLinkParams.email of type string',
    ],
  ])('say in the words of Go what is wrong with a body: %s %s', async (path, body, message) => {
    const answer = await ask(path, { method: 'POST', body });
    expect([answer.status, answer.body]).toEqual([400, { code: 'bad_json', message }]);
  });

  it("are upstream's router's for paths that are none", async () => {
    const nowhere = await ask('/nowhere');
    expect([nowhere.status, nowhere.body]).toEqual([404, '404 page not found\n']);
    expect((await ask('/signup')).status).toBe(405);
  });

  it('are those of a switched-off feature for what is off', async () => {
    const sso = await ask('/sso', { method: 'POST', body: { domain: 'example.com' } });
    expect([sso.status, sso.body]).toEqual([
      404,
      { code: 'saml_provider_disabled', message: 'SAML 2.0 is disabled' },
    ]);
  });
});

describe('a project without sign-in', () => {
  it('has no path of it, as of any service that is not there', async () => {
    await using plain = await makeProject({
      'supabase/config.toml': 'project_id = "no-sign-in"\n[auth]\nenabled = false\n',
    });
    await using other = await startBackend(plain.folder);
    const get = async (path: string) => {
      const headers = { apikey: other.report.PUBLISHABLE_KEY };
      const answer = await fetch(`${other.report.API_URL}${path}`, { headers });
      const { message, ...body } = (await answer.json()) as Readonly<Record<string, unknown>>;
      return [answer.status, body];
    };
    const nothing = await get('/nowhere/v1/health');
    expect(nothing[0]).toBe(404);
    expect(await get('/auth/v1/health')).toEqual(nothing);
    expect(await get('/.well-known/oauth-authorization-server')).toEqual(nothing);
    expect((await get('/rest/v1/'))[0]).not.toBe(404);
  });
});

describe('without a key', () => {
  it('public keys and redirects are open', async () => {
    expect((await ask('/.well-known/jwks.json', { key: null })).body).toEqual({
      keys: [expect.objectContaining({ kty: 'EC' })],
    });
    expect(JSON.stringify((await ask('/.well-known/jwks.json', { key: null })).body)).not.toContain('"d"');
  });

  it("an unknown key is refused in GoTrue's shape", async () => {
    const answer = await ask('/settings', { key: 'sb_publishable_wrong' });
    expect([answer.status, answer.body]).toEqual([
      401,
      { code: 'no_authorization', message: 'Invalid API key' },
    ]);
  });
});
