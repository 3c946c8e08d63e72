// In charge of: signing in by somebody else's provider: a real OpenID Connect provider on this machine, the official client, and those who try
// to get in by somebody else's way.
import { randomUUID } from 'node:crypto';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import {
  type Browser,
  type OpenIdProvider,
  openBrowser,
  startOpenIdProvider,
} from './harness/openid-provider.ts';

const app = 'https://app.example.com';
const client = { id: 'millrace', secret: 'a secret with signs: %&=+' };

let project: Awaited<ReturnType<typeof makeProject>>;
let provider: OpenIdProvider;
let backend: RunningBackend;
let database: pg.Client;
let admin: SupabaseClient;
let callback: string;

beforeAll(async () => {
  provider = await startOpenIdProvider();
  project = await makeProject({
    'supabase/config.toml': `
project_id = "oauth"
[egress]
allow = ["127.0.0.1"]
[auth]
site_url = "${app}"
additional_redirect_urls = ["https://*.example.com/welcome"]
enable_manual_linking = true
enable_anonymous_sign_ins = true
[auth.hook.before_user_created]
enabled = true
uri = "pg-functions://postgres/public/check_new_user"
[auth.email.notification.identity_linked]
enabled = true
[auth.email.notification.identity_unlinked]
enabled = true
[auth.email]
enable_confirmations = true
max_frequency = "0s"
[auth.external.keycloak]
enabled = true
client_id = "${client.id}"
secret = "${client.secret}"
url = "${provider.url}"
[auth.external.github]
enabled = true
client_id = "octo"
secret = "cat"
redirect_uri = "http://localhost:54321/auth/v1/callback"
[auth.external.discord]
enabled = true
client_id = "dis"
secret = "cord"
redirect_uri = "https://app.example.com/signed-in"
`,
    'supabase/migrations/20260101000000_hook.sql': `
      create function public.check_new_user(event jsonb) returns jsonb language sql as $$
        select case when event->'user'->>'email' like 'robot%' and event->'user'->'user_metadata'->>'name' = 'Robot'
          then '{"error": {"http_code": 403, "message": "no robots here"}}'::jsonb else '{}'::jsonb end
      $$;
      grant execute on function public.check_new_user to supabase_auth_admin;
      grant usage on schema public to supabase_auth_admin;`,
  });
  backend = await startBackend(project.folder);
  callback = `${backend.report.API_URL}/auth/v1/callback`;
  provider.open({ ...client, redirectUri: callback });
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  admin = connect('implicit', backend.report.SECRET_KEY);
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

function connect(flowType: 'pkce' | 'implicit', key = backend.report.PUBLISHABLE_KEY): SupabaseClient {
  const kept = new Map<string, string>();
  return createClient(backend.report.API_URL, key, {
    auth: {
      flowType,
      autoRefreshToken: false,
      storage: {
        getItem: (name) => kept.get(name) ?? null,
        setItem: (name, value) => void kept.set(name, value),
        removeItem: (name) => void kept.delete(name),
      },
    },
  });
}

let count = 0;
/** Somebody new at the provider. */
function person(
  facts: { readonly email?: string; readonly email_verified?: boolean; readonly name?: string } = {},
) {
  const name = `person-${count++}`;
  const email = facts.email ?? `${name}@example.org`;
  provider.people.set(name, {
    email,
    email_verified: facts.email_verified ?? true,
    name: facts.name ?? `Name of ${name}`,
  });
  return { name, email };
}

/** Where the client would send a browser. */
async function addressFor(supabase: SupabaseClient, name: string, redirectTo = app): Promise<string> {
  const { data, error } = await supabase.auth.signInWithOAuth({
    provider: 'keycloak',
    options: { scopes: 'openid', skipBrowserRedirect: true, redirectTo, queryParams: { login_hint: name } },
  });
  expect(error).toBeNull();
  return data.url ?? '';
}

/** As far as the application's address. */
async function signIn(supabase: SupabaseClient, name: string): Promise<URL> {
  return new URL(await openBrowser().goTo(await addressFor(supabase, name), app));
}

const fragmentOf = (url: URL) => Object.fromEntries(new URLSearchParams(url.hash.slice(1)));
const queryOf = (url: URL) => Object.fromEntries(url.searchParams);

/** Up to the provider's answer to us, which nobody has brought us yet. */
async function answerFor(supabase: SupabaseClient, name: string): Promise<URL> {
  return throughProvider(await addressFor(supabase, name));
}

/** The browser that got an answer brings it, with its cookies. */
const browsers = new Map<string | null, Browser>();
async function throughProvider(address: string): Promise<URL> {
  const browser = openBrowser();
  const answer = new URL(await browser.goTo(address, callback));
  browsers.set(answer.searchParams.get('state'), browser);
  return answer;
}

async function bring(url: URL | string, init: RequestInit = {}): Promise<{ status: number; location: URL }> {
  const { body } = init;
  const params = body instanceof URLSearchParams ? body : new URL(url).searchParams;
  const browser = browsers.get(params.get('state')) ?? openBrowser();
  const answer = await browser.ask(url, init);
  return { status: answer.status, location: new URL(answer.headers.get('location') ?? 'none:') };
}

async function usersWith(email: string) {
  const { rows } = await database.query(
    `select u.id, u.encrypted_password, u.email_confirmed_at is not null as confirmed, array_agg(i.provider order by i.created_at) as providers
     from auth.users u left join auth.identities i on i.user_id = u.id where u.email = $1 group by u.id`,
    [email],
  );
  return rows as readonly {
    id: string;
    encrypted_password: string;
    confirmed: boolean;
    providers: string[];
  }[];
}

describe('sign-in by a provider with PKCE', () => {
  it('makes a user, gives a code for the verifier, and the session with the tokens of the provider', async () => {
    const supabase = connect('pkce');
    const { name, email } = person();
    const back = await signIn(supabase, name);
    expect(back.hash).toBe('');
    expect(queryOf(back)).toEqual({ code: expect.any(String) });
    const { data, error } = await supabase.auth.exchangeCodeForSession(back.searchParams.get('code') ?? '');
    expect(error).toBeNull();
    expect(data.session).toMatchObject({
      provider_token: expect.any(String),
      provider_refresh_token: expect.any(String),
    });
    expect(data.user).toMatchObject({
      email,
      email_confirmed_at: expect.any(String),
      app_metadata: { provider: 'keycloak', providers: ['keycloak'] },
      user_metadata: {
        email,
        email_verified: true,
        full_name: `Name of ${name}`,
        iss: provider.url,
        name: `Name of ${name}`,
        phone_verified: false,
        provider_id: name,
        sub: name,
      },
    });
    expect(data.user?.identities).toEqual([
      {
        identity_id: expect.any(String),
        id: name,
        user_id: data.user?.id,
        identity_data: data.user?.user_metadata,
        provider: 'keycloak',
        last_sign_in_at: expect.any(String),
        created_at: expect.any(String),
        updated_at: expect.any(String),
        email,
      },
    ]);
    const claims = JSON.parse(
      Buffer.from(data.session?.access_token.split('.')[1] ?? '', 'base64url').toString(),
    );
    expect(claims.amr).toEqual([{ method: 'oauth', timestamp: expect.any(Number) }]);
  });

  it('finds somebody again who was there before, with what the provider says now', async () => {
    const { name, email } = person();
    const first = connect('pkce');
    const { data: one } = await first.auth.exchangeCodeForSession(
      (await signIn(first, name)).searchParams.get('code') ?? '',
    );
    provider.people.set(name, { email, email_verified: true, name: 'Another Name' });
    const second = connect('pkce');
    const { data: two } = await second.auth.exchangeCodeForSession(
      (await signIn(second, name)).searchParams.get('code') ?? '',
    );
    expect(two.user?.id).toBe(one.user?.id);
    expect(two.user?.user_metadata.name).toBe('Another Name');
    expect(await usersWith(email)).toHaveLength(1);
  });

  it('gives nothing for the code without the verifier of the one who began (session fixation)', async () => {
    const victim = connect('pkce');
    const { name } = person();
    const code = (await signIn(victim, name)).searchParams.get('code') ?? '';
    const thief = connect('pkce');
    await addressFor(thief, name);
    const { error } = await thief.auth.exchangeCodeForSession(code);
    expect(error).toMatchObject({ status: 400, code: 'bad_code_verifier' });
    expect((await victim.auth.exchangeCodeForSession(code)).error).toBeNull();
  });

  it('lets exactly one of 50 exchange one code', async () => {
    const { name } = person();
    const supabase = connect('pkce');
    const verifier = 'v'.repeat(43);
    const address = new URL(await addressFor(supabase, name));
    address.searchParams.set('code_challenge', verifier);
    address.searchParams.set('code_challenge_method', 'plain');
    const back = new URL(await openBrowser().goTo(address.href, app));
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const answer = await fetch(`${backend.report.API_URL}/auth/v1/token?grant_type=pkce`, {
          method: 'POST',
          headers: { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
          body: JSON.stringify({ auth_code: back.searchParams.get('code'), code_verifier: verifier }),
        });
        return answer.status;
      }),
    );
    expect(answers.filter((status) => status === 200)).toHaveLength(1);
    expect(answers.filter((status) => status !== 200 && status !== 404 && status !== 429)).toEqual([]);
  });
});

describe('sign-in by a provider without PKCE', () => {
  it('gives the tokens in the fragment, where no server sees them', async () => {
    const { name, email } = person();
    const back = await signIn(connect('implicit'), name);
    expect(back.search).toBe('');
    expect(fragmentOf(back)).toEqual({
      access_token: expect.any(String),
      expires_at: expect.any(String),
      expires_in: '3600',
      provider_refresh_token: expect.any(String),
      provider_token: expect.any(String),
      refresh_token: expect.any(String),
      sb: '',
      token_type: 'bearer',
    });
    const { data } = await admin.auth.getUser(fragmentOf(back).access_token);
    expect(data.user?.email).toBe(email);
  });

  it('takes a provider that posts its answer', async () => {
    const { name } = person();
    const answer = await answerFor(connect('implicit'), name);
    const { status, location } = await bring(callback, { method: 'POST', body: answer.searchParams });
    expect(status).toBe(302);
    expect(fragmentOf(location).access_token).toEqual(expect.any(String));
  });
});

describe('the account of a sign-in', () => {
  it('is the one with the same address, when both have verified it', async () => {
    const { name, email } = person();
    const { data } = await admin.auth.admin.createUser({
      email,
      password: 'long enough',
      email_confirm: true,
    });
    const back = await signIn(connect('implicit'), name);
    const { data: signedIn } = await admin.auth.getUser(fragmentOf(back).access_token);
    expect(signedIn.user?.id).toBe(data.user?.id);
    expect(signedIn.user?.app_metadata).toEqual({ provider: 'email', providers: ['email', 'keycloak'] });
    expect(await usersWith(email)).toMatchObject([{ providers: ['email', 'keycloak'] }]);
  });

  it('keeps no password of somebody who put it there without owning the address (pre-account takeover)', async () => {
    const { name, email } = person();
    const attacker = connect('implicit');
    expect((await attacker.auth.signUp({ email, password: 'waiting here' })).error).toBeNull();
    await signIn(connect('implicit'), name);
    const { error } = await attacker.auth.signInWithPassword({ email, password: 'waiting here' });
    expect(error?.code).toBe('invalid_credentials');
    expect(await usersWith(email)).toMatchObject([
      { encrypted_password: null, confirmed: true, providers: ['keycloak'] },
    ]);
  });

  it('is not somebody else’s when the provider has not verified the address', async () => {
    const { name, email } = person({ email_verified: false });
    await admin.auth.admin.createUser({ email, password: 'long enough', email_confirm: true });
    const back = await signIn(connect('implicit'), name);
    expect(queryOf(back)).toEqual({
      error: 'access_denied',
      error_code: 'provider_email_needs_verification',
      error_description: 'Unverified email with keycloak. Verify the email with keycloak in order to sign in',
    });
    expect(fragmentOf(back)).toEqual({ ...queryOf(back), sb: '' });
    expect(await usersWith(email)).toMatchObject([{ providers: ['email'] }]);
  });

  it('waits for the mail that is sent when the provider has not verified the address', async () => {
    const { name, email } = person({ email_verified: false });
    const back = await signIn(connect('implicit'), name);
    expect(queryOf(back)).toMatchObject({
      error: 'access_denied',
      error_code: 'provider_email_needs_verification',
      error_description:
        'Unverified email with keycloak. A confirmation email has been sent to your keycloak email',
    });
    const { rows } = await database.query('select html from _millrace.inbox where recipient = $1', [email]);
    expect(rows).toHaveLength(1);
    expect(await usersWith(email)).toMatchObject([{ confirmed: false, providers: ['keycloak'] }]);
  });

  it('has a name of which Postgres keeps what it can', async () => {
    const { name } = person({ name: 'half \ud800, nothing \u0000, whole 🦆' });
    const back = await signIn(connect('implicit'), name);
    const { data } = await admin.auth.getUser(fragmentOf(back).access_token);
    expect(data.user?.user_metadata.name).toBe('half \ufffd, nothing , whole 🦆');
  });

  it('is nobody’s, when two have the address', async () => {
    const { name, email } = person();
    for (const other of [person().name, person().name]) {
      await signIn(connect('implicit'), other);
      await database.query(
        `update auth.identities set identity_data = jsonb_set(identity_data, '{email}', to_jsonb($2::text)) where provider_id = $1`,
        [other, email],
      );
    }
    expect(queryOf(await signIn(connect('implicit'), name))).toEqual({
      error: 'server_error',
      error_code: 'unexpected_failure',
      error_description:
        'Multiple accounts with the same email address in the same linking domain detected: default',
    });
  });

  it('is another than that of an organisation’s own sign-on, which has the same address', async () => {
    const { name, email } = person();
    const { rows } = await database.query<{ id: string }>(
      `insert into auth.users (id, instance_id, aud, role, email, is_sso_user, created_at, updated_at)
       values (gen_random_uuid(), '00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated', $1, true, now(), now())
       returning id`,
      [email],
    );
    await database.query(
      `insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
       values (gen_random_uuid(), 'at-the-organisation', $1, jsonb_build_object('sub', 'at-the-organisation', 'email', $2::text),
         'sso:' || gen_random_uuid(), now(), now())`,
      [rows[0]?.id, email],
    );
    expect(queryOf(await signIn(connect('implicit'), name))).toEqual({});
    expect((await usersWith(email)).map(({ providers }) => providers.length)).toEqual([1, 1]);
  });

  it('is one, when somebody new comes by several windows at once', async () => {
    const { name, email } = person();
    const answers = await Promise.all(Array.from({ length: 5 }, () => answerFor(connect('implicit'), name)));
    const all = await Promise.all(answers.map((answer) => bring(answer)));
    expect(all.map(({ location }) => queryOf(location))).toEqual(Array(5).fill({}));
    expect(await usersWith(email)).toMatchObject([{ providers: ['keycloak'] }]);
  });

  it('is not made when the project’s hook refuses it', async () => {
    const { name, email } = person({ email: `robot-${randomUUID()}@example.org`, name: 'Robot' });
    const back = await signIn(connect('implicit'), name);
    expect(queryOf(back)).toEqual({
      error: 'access_denied',
      error_code: 'unknown',
      error_description: 'no robots here',
    });
    expect(await usersWith(email)).toEqual([]);
  });

  it('is that of an invitation, when the address is the invited one', async () => {
    const { name, email } = person();
    const { data } = await admin.auth.admin.inviteUserByEmail(email);
    const { rows } = await database.query<{ token_hash: string }>(
      'select token_hash from auth.one_time_tokens where user_id = $1',
      [data.user?.id],
    );
    const begin = async (hint: string) => {
      const address = new URL(await addressFor(connect('implicit'), hint));
      address.searchParams.set('invite_token', rows[0]?.token_hash ?? '');
      return new URL(await openBrowser().goTo(address.href, app));
    };
    expect(queryOf(await begin(person().name))).toEqual({
      error: 'invalid_request',
      error_code: 'validation_failed',
      error_description: 'Invited email does not match emails from external provider',
    });
    const back = await begin(name);
    const { data: signedIn } = await admin.auth.getUser(fragmentOf(back).access_token);
    expect(signedIn.user?.id).toBe(data.user?.id);
    expect(await usersWith(email)).toMatchObject([{ confirmed: true, providers: ['keycloak'] }]);
  });

  it('is refused when it is banned', async () => {
    const { name, email } = person();
    await signIn(connect('implicit'), name);
    const [user] = await usersWith(email);
    await admin.auth.admin.updateUserById(user?.id ?? '', { ban_duration: '24h' });
    const back = await signIn(connect('implicit'), name);
    expect(queryOf(back)).toEqual({
      error: 'access_denied',
      error_code: 'user_banned',
      error_description: 'User is banned',
    });
  });
});

describe('linking by hand', () => {
  async function signedIn(email: string) {
    await admin.auth.admin.createUser({ email, password: 'long enough', email_confirm: true });
    const supabase = connect('pkce');
    const { data, error } = await supabase.auth.signInWithPassword({ email, password: 'long enough' });
    expect(error).toBeNull();
    return { supabase, user: data.user };
  }

  async function link(supabase: SupabaseClient, name: string): Promise<URL> {
    const { data, error } = await supabase.auth.linkIdentity({
      provider: 'keycloak',
      options: {
        scopes: 'openid',
        skipBrowserRedirect: true,
        redirectTo: app,
        queryParams: { login_hint: name },
      },
    });
    expect(error).toBeNull();
    return new URL(await openBrowser().goTo(data?.url ?? '', app));
  }

  it('adds an identity, also with another address, and takes it away again', async () => {
    const { name } = person();
    const { supabase, user } = await signedIn(`linker-${randomUUID()}@example.com`);
    const back = await link(supabase, name);
    const { data } = await supabase.auth.exchangeCodeForSession(back.searchParams.get('code') ?? '');
    expect(data.user?.id).toBe(user?.id);
    expect(data.user?.app_metadata.providers).toEqual(['email', 'keycloak']);
    const identity = data.user?.identities?.find(({ provider: name }) => name === 'keycloak');
    if (identity === undefined) throw new Error('no identity');
    expect(await supabase.auth.unlinkIdentity(identity)).toEqual({ data: {}, error: null });
    const { data: after } = await supabase.auth.getUser();
    expect(after.user?.app_metadata.providers).toEqual(['email']);
    const only = after.user?.identities?.[0];
    if (only === undefined) throw new Error('no identity');
    expect((await supabase.auth.unlinkIdentity(only)).error).toMatchObject({
      status: 422,
      code: 'single_identity_not_deletable',
    });
  });

  it('tells the user by mail of both', async () => {
    const email = `linker-${randomUUID()}@example.com`;
    const { supabase } = await signedIn(email);
    const back = await link(supabase, person().name);
    const { data } = await supabase.auth.exchangeCodeForSession(back.searchParams.get('code') ?? '');
    const identity = data.user?.identities?.find(({ provider: name }) => name === 'keycloak');
    await supabase.auth.unlinkIdentity(identity!);
    const { rows } = await database.query(
      'select subject from _millrace.inbox where recipient = $1 order by number',
      [email],
    );
    expect(rows).toEqual([
      { subject: 'There is a new way to sign in to your account' },
      { subject: 'A way to sign in to your account was removed' },
    ]);
  });

  it('makes a user of somebody anonymous, with the address of the identity', async () => {
    const { name, email } = person();
    const supabase = connect('pkce');
    const { data: before } = await supabase.auth.signInAnonymously();
    const back = await link(supabase, name);
    const { data } = await supabase.auth.exchangeCodeForSession(back.searchParams.get('code') ?? '');
    expect(data.user).toMatchObject({
      id: before.user?.id,
      email,
      is_anonymous: false,
      app_metadata: { provider: 'keycloak', providers: ['keycloak'] },
    });
    expect(await usersWith(email)).toMatchObject([{ confirmed: true }]);
  });

  it('gives somebody anonymous no address that another user has, nor one that nobody has verified', async () => {
    const taken = person();
    await admin.auth.admin.createUser({ email: taken.email, password: 'long enough', email_confirm: true });
    const anonymous = async () => {
      const supabase = connect('pkce');
      await supabase.auth.signInAnonymously();
      return supabase;
    };
    expect(queryOf(await link(await anonymous(), taken.name))).toEqual({
      error: 'invalid_request',
      error_code: 'email_exists',
      error_description: 'A user with this email address has already been registered',
    });
    const unverified = person({ email_verified: false });
    expect(queryOf(await link(await anonymous(), unverified.name))).toEqual({
      error: 'server_error',
      error_code: 'email_not_confirmed',
      error_description:
        'Unverified email with keycloak. A confirmation email has been sent to your keycloak email',
    });
    expect(await usersWith(unverified.email)).toEqual([]);
  });

  it('does not take an identity that another user has', async () => {
    const { name } = person();
    await signIn(connect('implicit'), name);
    const { supabase } = await signedIn(`linker-${randomUUID()}@example.com`);
    expect(queryOf(await link(supabase, name))).toEqual({
      error: 'server_error',
      error_code: 'identity_already_exists',
      error_description: 'Identity is already linked to another user',
    });
  });

  it('is of nobody without a session, and knows no identity that is not one’s own', async () => {
    const url = `${backend.report.API_URL}/auth/v1/user/identities`;
    const apikey = backend.report.PUBLISHABLE_KEY;
    expect((await fetch(`${url}/authorize?provider=keycloak`, { headers: { apikey } })).status).toBe(403);
    const { supabase } = await signedIn(`linker-${randomUUID()}@example.com`);
    await supabase.auth.exchangeCodeForSession(
      (await link(supabase, person().name)).searchParams.get('code') ?? '',
    );
    const token = (await supabase.auth.getSession()).data.session?.access_token ?? '';
    const headers = { apikey, authorization: `Bearer ${token}` };
    const remove = async (id: string) => {
      const answer = await fetch(`${url}/${id}`, { method: 'DELETE', headers });
      return { status: answer.status, body: await answer.json() };
    };
    expect(await remove(randomUUID())).toEqual({
      status: 422,
      body: { code: 422, error_code: 'identity_not_found', msg: "Identity doesn't exist" },
    });
    expect(await remove('no-uuid%00')).toEqual({
      status: 404,
      body: { code: 404, error_code: 'validation_failed', msg: 'identity_id must be an UUID' },
    });
  });

  it('leaves one of two identities, however many requests at once take them away', async () => {
    const { supabase } = await signedIn(`linker-${randomUUID()}@example.com`);
    await supabase.auth.exchangeCodeForSession(
      (await link(supabase, person().name)).searchParams.get('code') ?? '',
    );
    const { data } = await supabase.auth.getUser();
    const identities = data.user?.identities ?? [];
    expect(identities).toHaveLength(2);
    await Promise.all(
      Array.from({ length: 10 }, (_, at) => supabase.auth.unlinkIdentity(identities[at % 2]!)),
    );
    expect((await supabase.auth.getUser()).data.user?.identities).toHaveLength(1);
  });
});

describe('a provider’s answer', () => {
  it('of no is told to the application', async () => {
    const back = await signIn(connect('pkce'), 'nobody');
    expect(queryOf(back)).toEqual({ error: 'access_denied', error_description: 'The user said no' });
    expect(fragmentOf(back)).toEqual({ ...queryOf(back), sb: '' });
  });

  it.each([
    ['no state', '', 'bad_oauth_callback', 'OAuth state parameter missing'],
    ['a state that is none', 'x%00', 'bad_oauth_state', 'OAuth state parameter is invalid'],
    ['a state that nobody made (CSRF)', randomUUID(), 'bad_oauth_state', 'OAuth state not found or expired'],
  ])('with %s leads home, and to no session', async (_, state, code, description) => {
    const { status, location } = await bring(`${callback}?code=abc&state=${state}`);
    expect(status).toBe(303);
    expect(location.href.startsWith(`${app}/?`)).toBe(true);
    expect(queryOf(location)).toEqual({
      error: 'invalid_request',
      error_code: code,
      error_description: description,
    });
    expect(location.hash).toBe('');
  });

  it('with the state of a sign-in by mail leads to no session', async () => {
    const supabase = connect('pkce');
    const { email } = person();
    await supabase.auth.signInWithOtp({ email });
    const { rows } = await database.query<{ id: string }>(
      `select f.id from auth.flow_state f join auth.users u on u.id = f.user_id where u.email = $1`,
      [email],
    );
    const { location } = await bring(`${callback}?code=abc&state=${rows[0]?.id}`);
    expect(queryOf(location).error_code).toBe('bad_oauth_state');
  });

  it('comes too late after five minutes', async () => {
    const { name } = person();
    const answer = await answerFor(connect('pkce'), name);
    await database.query(
      `update auth.flow_state set created_at = now() - interval '301 seconds' where id = $1`,
      [answer.searchParams.get('state')],
    );
    const { location } = await bring(answer);
    expect(queryOf(location)).toMatchObject({
      error_code: 'bad_oauth_state',
      error_description: 'OAuth state has expired',
    });
  });

  it('counts once: a second time its state is used (replay)', async () => {
    const { name } = person();
    const answer = await answerFor(connect('pkce'), name);
    expect(queryOf((await bring(answer)).location)).toEqual({ code: expect.any(String) });
    expect(queryOf((await bring(answer)).location)).toMatchObject({
      error_code: 'flow_state_already_used',
      error_description: 'State has already been used',
    });
  });

  it.each(['pkce', 'implicit'] as const)(
    'brought 50 times at once, %s, lets exactly one in, and the provider sees its code once',
    async (flowType) => {
      const { name, email } = person();
      const answer = await answerFor(connect(flowType), name);
      const before = provider.exchanges();
      const all = await Promise.all(Array.from({ length: 50 }, () => bring(answer)));
      const won = all.filter(
        ({ location }) => location.searchParams.has('code') || fragmentOf(location).access_token,
      );
      expect(won).toHaveLength(1);
      expect(provider.exchanges() - before).toBe(1);
      expect(await usersWith(email)).toHaveLength(1);
    },
  );

  it('for one sign-in does not fit the code of another (code injection)', async () => {
    const victim = await answerFor(connect('pkce'), person().name);
    const attacker = await answerFor(connect('pkce'), person().name);
    attacker.searchParams.set('code', 'injected');
    const { location } = await bring(attacker);
    expect(queryOf(location)).toEqual({
      error: 'server_error',
      error_code: 'unexpected_failure',
      error_description: 'Unable to exchange external code: inje',
    });
    expect(queryOf((await bring(victim)).location)).toEqual({ code: expect.any(String) });
  });
});

/** Class: login CSRF (CWE-352, RFC 6749 10.12, RFC 9700 4.7). */
describe('a sign-in without PKCE', () => {
  const otherBrowser = {
    error: 'invalid_request',
    error_code: 'bad_oauth_state',
    error_description: 'OAuth state was made for another browser',
  };

  it('ends in the browser in which it began, and nobody else is signed in by it', async () => {
    const answer = await answerFor(connect('implicit'), person().name);
    const victim = openBrowser();
    for (const prepare of [
      async () => undefined,
      // Somebody who is at a sign-in of their own meanwhile.
      async () =>
        void (await victim.goTo(await addressFor(connect('implicit'), person().name), provider.url)),
    ]) {
      await prepare();
      const led = await victim.ask(answer);
      const to = new URL(led.headers.get('location') ?? '');
      expect([led.status, to.origin, queryOf(to), to.hash]).toEqual([303, app, otherBrowser, '']);
    }
    expect(fragmentOf((await bring(answer)).location).access_token).toEqual(expect.any(String));
  });

  it('may be one of two in one browser', async () => {
    const browser = openBrowser();
    const begin = async () => {
      const answer = await browser.ask(await addressFor(connect('implicit'), person().name));
      return answer.headers.get('location') ?? '';
    };
    for (const at of [await begin(), await begin()]) {
      const led = await browser.ask(await browser.goTo(at, callback));
      expect(fragmentOf(new URL(led.headers.get('location') ?? '')).access_token).toEqual(expect.any(String));
    }
  });

  it('begins where the provider will send the browser back to: a cookie of localhost is not there for 127.0.0.1', async () => {
    const address = new URL(await addressFor(connect('implicit'), person().name));
    const elsewhere = new URL(address);
    elsewhere.hostname = 'localhost';
    const sent = await fetch(elsewhere, { redirect: 'manual' });
    address.searchParams.set('sb_host', '1');
    expect([sent.status, sent.headers.getSetCookie(), sent.headers.get('location')]).toEqual([
      302,
      [],
      address.href,
    ]);
    const begun = await fetch(address, { redirect: 'manual' });
    expect(begun.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^sb-sign-in=[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/),
    ]);
    expect(begun.headers.get('location')).not.toContain('sb_host');
  });

  it('begins at the host of a redirect_uri of its own', async () => {
    const asked = new URL(`${backend.report.API_URL}/auth/v1/authorize?provider=github`);
    const sent = await fetch(asked, { redirect: 'manual' });
    const home = 'http://localhost:54321/auth/v1/authorize?provider=github&sb_host=1';
    expect([sent.headers.get('location'), sent.headers.getSetCookie()]).toEqual([home, []]);
    asked.searchParams.set('sb_host', '1');
    const begun = await fetch(asked, { redirect: 'manual' });
    const at = new URL(begun.headers.get('location') ?? '');
    expect(at.origin + at.pathname).toBe('https://github.com/login/oauth/authorize');
    expect(at.searchParams.get('redirect_uri')).toBe('http://localhost:54321/auth/v1/callback');
    expect(begun.headers.getSetCookie()).toEqual([expect.stringMatching(/^sb-sign-in=/)]);
  });

  it('is not looked at where the answer comes to somebody else first, who may have no cookie of ours', async () => {
    const begun = await fetch(`${backend.report.API_URL}/auth/v1/authorize?provider=discord`, {
      redirect: 'manual',
    });
    expect(new URL(begun.headers.get('location') ?? '').hostname).toBe('discord.com');
    expect(begun.headers.getSetCookie()).toEqual([]);
  });

  it('is not looked at for a client with a verifier', async () => {
    const begun = await fetch(await addressFor(connect('pkce'), person().name), { redirect: 'manual' });
    expect(begun.headers.getSetCookie()).toEqual([]);
  });
});

describe('GET /authorize', () => {
  const authorize = (query: string) =>
    fetch(`${backend.report.API_URL}/auth/v1/authorize?${query}`, { redirect: 'manual' });

  it.each([
    ['an unknown provider', 'provider=nobody', 'Unsupported provider: Provider nobody could not be found'],
    ['no provider', '', 'Unsupported provider: Provider  could not be found'],
    ['one that is off', 'provider=google', 'Unsupported provider: provider is not enabled'],
    [
      'a challenge without its method',
      `provider=keycloak&code_challenge=${'a'.repeat(43)}`,
      'PKCE flow requires code_challenge_method and code_challenge',
    ],
  ])('refuses %s', async (_, query, msg) => {
    const answer = await authorize(query);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ code: 400, error_code: 'validation_failed', msg });
  });

  it('refuses an invitation that is none', async () => {
    const answer = await authorize('provider=keycloak&invite_token=none');
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error_code: 'user_not_found' });
  });

  it('passes on what the provider wants to know, and nothing that is ours to say', async () => {
    const answer = await authorize(
      'provider=keycloak&prompt=login&redirect_uri=https://evil.example&STATE=fixed&state=fixed&client_id=other&response_type=token&nonce=n1',
    );
    expect(answer.status).toBe(302);
    const url = new URL(answer.headers.get('location') ?? '');
    expect(url.origin + url.pathname).toBe(`${provider.url}/protocol/openid-connect/auth`);
    expect(queryOf(url)).toEqual({
      client_id: client.id,
      nonce: 'n1',
      prompt: 'login',
      redirect_uri: callback,
      response_type: 'code',
      scope: 'profile email',
      state: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it.each([
    'https://evil.example',
    'https://app.example.com.evil.example',
    'https://app.example.com@evil.example/',
    '//evil.example',
    'https:evil.example',
    'https://evil.example\\@app.example.com',
    'javascript:alert(1)',
    'data:text/html,hello',
    'https://app.example.com:8443/',
    'https://evil.example/welcome',
    'https://a.example.com/welcome/../elsewhere',
  ])('leads to the site in the place of %s (open redirect)', async (redirectTo) => {
    const { name } = person();
    const address = await addressFor(connect('pkce'), name, redirectTo);
    const answer = await throughProvider(address);
    const { location } = await bring(answer);
    expect(location.origin).toBe(app);
    expect(location.pathname).toBe('/');
  });

  it('leads to an address with letters that no header may hold', async () => {
    const { name } = person();
    const address = await addressFor(connect('implicit'), name, `${app}/größe/日本?q=ä`);
    const { location } = await bring(await throughProvider(address));
    expect(location.origin + location.pathname + location.search).toBe(
      `${app}/gr%C3%B6%C3%9Fe/%E6%97%A5%E6%9C%AC?q=%C3%A4`,
    );
    expect(fragmentOf(location).access_token).toEqual(expect.any(String));
  });

  it('leads to an address that the project lists', async () => {
    const { name } = person();
    const address = await addressFor(connect('pkce'), name, 'https://shop.example.com/welcome');
    const { location } = await bring(await throughProvider(address));
    expect(location.origin + location.pathname).toBe('https://shop.example.com/welcome');
  });
});

describe('what makes no sense', () => {
  const nonsense = [
    '%00',
    '%ff',
    '%',
    '%ED%A0%80',
    '[]',
    'null',
    `${'x'.repeat(8000)}`,
    "'; drop table x; --",
    '\u202e',
  ];
  const places = [
    'provider',
    'scopes',
    'redirect_to',
    'invite_token',
    'code_challenge',
    'code_challenge_method',
    'any',
  ];

  it.each(nonsense)('is no error of ours in an address: %.20s', async (word) => {
    for (const place of places) {
      const query = `provider=keycloak&${place}=${word}&provider=custom:${word}`;
      const { status } = await bring(`${backend.report.API_URL}/auth/v1/authorize?${query}`);
      expect([302, 400, 404], `${place}=${word}`).toContain(status);
    }
    for (const place of ['state', 'code', 'error', 'iss', 'any']) {
      const { status } = await bring(`${callback}?${place}=${word}`);
      expect([303, 400], `${place}=${word}`).toContain(status);
    }
    const answer = await answerFor(connect('pkce'), person().name);
    answer.search += `&iss=${word}&user=${word}&code=${word}`;
    expect((await bring(answer)).status).toBe(302);
  });

  it.each([
    ['no form', { body: '{"state":"x"}', headers: { 'content-type': 'application/json' } }, 303],
    ['half a form', { body: 'state=%00%&&=&state', headers: form() }, 303],
    ['several parts', { body: new FormData() }, 303],
    ['two megabytes', { body: `state=${'x'.repeat(2 << 20)}`, headers: form() }, 413],
  ])('is no error of ours in a body: %s', async (_, init, expected) => {
    expect((await bring(callback, { method: 'POST', ...init })).status).toBe(expected);
  });

  function form() {
    return { 'content-type': 'application/x-www-form-urlencoded' };
  }
});

describe('GET /settings', () => {
  it('says which providers are on', async () => {
    const answer = await fetch(`${backend.report.API_URL}/auth/v1/settings`, {
      headers: { apikey: backend.report.PUBLISHABLE_KEY },
    });
    const { external } = (await answer.json()) as { readonly external: Readonly<Record<string, boolean>> };
    expect(external).toMatchObject({ keycloak: true, google: false });
  });
});

describe('a project that takes nobody new, and needs no address', () => {
  const fly = { id: 'second', secret: 'another secret' };
  let closed: RunningBackend;
  let folder: Awaited<ReturnType<typeof makeProject>>;
  let other: OpenIdProvider;

  beforeAll(async () => {
    other = await startOpenIdProvider();
    folder = await makeProject({
      'supabase/config.toml': `
project_id = "closed"
[egress]
allow = ["127.0.0.1"]
[auth]
site_url = "${app}"
enable_signup = false
[auth.external.keycloak]
enabled = true
client_id = "${fly.id}"
secret = "${fly.secret}"
url = "${other.url}"
email_optional = true
`,
    });
    closed = await startBackend(folder.folder);
    other.open({ ...fly, redirectUri: `${closed.report.API_URL}/auth/v1/callback` });
  });
  afterAll(async () => {
    await closed?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  async function begin(hint: string): Promise<URL> {
    const query = new URLSearchParams({ provider: 'keycloak', scopes: 'openid', login_hint: hint });
    const address = `${closed.report.API_URL}/auth/v1/authorize?${query}`;
    return new URL(await openBrowser().goTo(address, app));
  }

  it('says so to somebody new', async () => {
    other.people.set('new', { email: 'new@example.org', email_verified: true });
    expect(queryOf(await begin('new'))).toEqual({
      error: 'access_denied',
      error_code: 'signup_disabled',
      error_description: 'Signups not allowed for this instance',
    });
  });

  it('lets in who is there, and refuses to link by hand', async () => {
    const service = createClient(closed.report.API_URL, closed.report.SECRET_KEY);
    await service.auth.admin.createUser({ email: 'known@example.org', email_confirm: true });
    other.people.set('known', { email: 'Known@Example.org', email_verified: true });
    const { access_token: token } = fragmentOf(await begin('known'));
    const { data } = await service.auth.getUser(token);
    expect(data.user?.app_metadata.providers).toEqual(['email', 'keycloak']);
    const answer = await fetch(
      `${closed.report.API_URL}/auth/v1/user/identities/authorize?provider=keycloak`,
      {
        headers: { apikey: closed.report.PUBLISHABLE_KEY, authorization: `Bearer ${token}` },
      },
    );
    expect(answer.status).toBe(404);
    expect(await answer.json()).toEqual({
      code: 404,
      error_code: 'manual_linking_disabled',
      msg: 'Manual linking is disabled',
    });
  });
});
