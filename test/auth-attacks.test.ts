// In charge of: attacks on sign-in that were tried and worked once: an application that wants more than it was given, codes that are guessed,
// ways to sign in that change without the second factor, an account that waits for the owner of its address.
import { createHash, randomUUID } from 'node:crypto';
import { TOTP } from 'otpauth';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type OperatorClient, openOperatorClient } from '../src/server/cli/operator-client.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { lastMessageTo, messagesTo } from './harness/inbox.ts';
import { changeSettings } from './harness/live-settings.ts';
import { type OpenIdProvider, openBrowser, startOpenIdProvider } from './harness/openid-provider.ts';

const client = { id: 'millrace', secret: 'a secret of forty characters, or almost.' };
const config = (providerUrl: string) => `
project_id = "attacks"
[egress]
allow = ["127.0.0.1"]
[auth]
site_url = "https://app.example.com"
enable_manual_linking = true
[auth.email]
enable_confirmations = true
secure_password_change = true
max_frequency = "0s"
[auth.rate_limit]
failed_attempts = 5
[auth.sms]
enable_signup = true
enable_confirmations = true
[auth.passkey]
enabled = true
[auth.mfa.totp]
enroll_enabled = true
verify_enabled = true
[auth.oauth_server]
enabled = true
allow_dynamic_registration = true
[auth.external.keycloak]
enabled = true
client_id = "${client.id}"
secret = "${client.secret}"
url = "${providerUrl}"
`;
const password = 'correct horse';

let provider: OpenIdProvider;
let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let operator: OperatorClient;

beforeAll(async () => {
  provider = await startOpenIdProvider();
  project = await makeProject({ 'supabase/config.toml': config(provider.url) });
  backend = await startBackend(project.folder);
  provider.open({ ...client, redirectUri: `${backend.report.API_URL}/auth/v1/callback` });
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  operator = await openOperatorClient(project.folder);
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const { set, restore } = changeSettings(() => operator);
afterEach(restore);

interface Answered {
  readonly status: number;
  readonly body: Record<string, string>;
  readonly location: string | null;
}

async function ask(
  method: string,
  path: string,
  facts: { readonly token?: string; readonly body?: object | URLSearchParams; readonly key?: string } = {},
): Promise<Answered> {
  const { token, body, key = backend.report.PUBLISHABLE_KEY } = facts;
  const isForm = body instanceof URLSearchParams;
  const response = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method,
    redirect: 'manual',
    headers: {
      apikey: key,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body && !isForm && { 'content-type': 'application/json' }),
    },
    ...(body && { body: isForm ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: text.startsWith('{') ? (JSON.parse(text) as Record<string, string>) : {},
    location: response.headers.get('location'),
  };
}

async function person(): Promise<{ readonly id: string; readonly email: string; readonly token: string }> {
  const email = `${randomUUID()}@example.com`;
  await ask('POST', '/admin/users', {
    key: backend.report.SECRET_KEY,
    body: { email, password, email_confirm: true },
  });
  const { body } = await ask('POST', '/token?grant_type=password', { body: { email, password } });
  const { rows } = await database.query<{ readonly id: string }>(
    'select id from auth.users where email = $1',
    [email],
  );
  return { id: rows[0]?.id ?? '', email, token: body.access_token ?? '' };
}

/** What an application has in hand after a user has said yes to `openid email`. */
async function applicationOf(token: string): Promise<{ readonly access: string; readonly id: string }> {
  const redirectUri = 'https://reader.example.org/callback';
  const registered = await ask('POST', '/oauth/clients/register', {
    body: { client_name: 'A reader', redirect_uris: [redirectUri], token_endpoint_auth_method: 'none' },
  });
  const clientId = registered.body.client_id ?? '';
  const verifier = 'v'.repeat(50);
  const asked = new URLSearchParams({
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: 'openid email',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const begun = await ask('GET', `/oauth/authorize?${asked}`);
  const name = new URL(begun.location ?? '').searchParams.get('authorization_id');
  await ask('GET', `/oauth/authorizations/${name}`, { token });
  const consented = await ask('POST', `/oauth/authorizations/${name}/consent`, {
    token,
    body: { action: 'approve' },
  });
  const code = new URL(consented.body.redirect_url ?? '').searchParams.get('code') ?? '';
  const { body } = await ask('POST', '/oauth/token', {
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: clientId,
      code,
      code_verifier: verifier,
    }),
  });
  return { access: body.access_token ?? '', id: body.id_token ?? '' };
}

describe('an application with a token for a name and an address', () => {
  const changes = [
    ['PUT', '/user', { password: 'another horse' }],
    ['PUT', '/user', { data: { role: 'admin' } }],
    ['GET', '/reauthenticate', undefined],
    ['POST', '/factors', { factor_type: 'totp', friendly_name: 'of the application' }],
    ['POST', '/passkeys/registration/options', {}],
    ['GET', '/user/identities/authorize?provider=google', undefined],
    ['GET', '/user/sessions', undefined],
    ['GET', '/user/oauth/grants', undefined],
  ] as const;

  it('sees who the user is, and changes nothing of theirs', async () => {
    const user = await person();
    const { access } = await applicationOf(user.token);
    expect((await ask('GET', '/user', { token: access })).status).toBe(200);
    expect((await ask('GET', '/oauth/userinfo', { token: access })).body.sub).toBe(user.id);
    for (const [method, path, body] of changes) {
      const answer = await ask(method, path, { token: access, ...(body && { body }) });
      expect([path, answer.status, answer.body.error_code]).toEqual([path, 403, 'bad_jwt']);
    }
    const again = await ask('POST', '/token?grant_type=password', { body: { email: user.email, password } });
    expect(again.status).toBe(200);
  });

  it('signs out itself, whatever scope it says', async () => {
    const user = await person();
    const { access } = await applicationOf(user.token);
    expect((await ask('POST', '/logout?scope=global', { token: access })).status).toBe(204);
    expect((await ask('GET', '/user', { token: access })).status).toBe(403);
    expect((await ask('GET', '/user', { token: user.token })).status).toBe(200);
  });

  it('opens nothing with the id_token, which is no access token', async () => {
    const user = await person();
    const { id } = await applicationOf(user.token);
    expect(id).not.toBe('');
    for (const [method, path, body] of [['GET', '/user', undefined], ...changes] as const) {
      const answer = await ask(method, path, { token: id, ...(body && { body }) });
      expect([path, answer.status, answer.body.error_code]).toEqual([path, 403, 'bad_jwt']);
    }
  });
});

describe('the id_token of an application', () => {
  it('opens no other service either, be it as anonymous (RFC 8725 3.12)', async () => {
    const user = await person();
    const { access, id } = await applicationOf(user.token);
    const rest = async (token: string) => {
      const headers = { apikey: backend.report.PUBLISHABLE_KEY, authorization: `Bearer ${token}` };
      const answer = await fetch(`${backend.report.REST_URL}/`, { headers });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    };
    expect((await rest(access)).status).toBe(200);
    expect(await rest(id)).toEqual({
      status: 401,
      body: { code: 'PGRST303', details: null, hint: null, message: 'JWT not in audience' },
    });
  });
});

describe('guessing', () => {
  it('the codes of a second factor at once gets no further than one after another', async () => {
    const { token } = await person();
    const { body: factor } = await ask('POST', '/factors', { token, body: { factor_type: 'totp' } });
    const { body: challenge } = await ask('POST', `/factors/${factor.id}/challenge`, { token, body: {} });
    const guess = (code: string) =>
      ask('POST', `/factors/${factor.id}/verify`, { token, body: { challenge_id: challenge.id, code } });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => guess(`x${10_000 + at}`)));
    expect(answers.filter(({ status }) => status === 422)).toHaveLength(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(15);
    const { secret = '' } = factor.totp as unknown as { readonly secret?: string };
    expect((await guess(new TOTP({ secret }).generate())).status).toBe(429);
  });

  it('counts a number as one, however it is written', async () => {
    const statuses: number[] = [];
    for (let at = 0; at < 8; at++) {
      const phone = `${at % 2 ? '+' : ''}415${' '.repeat(at)}5550100`;
      statuses.push(
        (await ask('POST', '/verify', { body: { type: 'sms', phone, token: `00000${at}` } })).status,
      );
    }
    expect(statuses).toEqual([403, 403, 403, 403, 403, 429, 429, 429]);
  });

  // Upstream's hash of a code is SHA-224 of address and code: whoever has computed all million of them has the link.
  it('computes no link of an address and its code', async () => {
    const email = `${randomUUID()}@example.com`;
    await ask('POST', '/otp', { body: { email } });
    const { code, link } = await lastMessageTo(database, email);
    const sent = new URL(link).searchParams.get('token') ?? '';
    const computed = createHash('sha224').update(`${email}${code}`).digest('hex');
    const verify = async (hash: string) =>
      (await ask('POST', '/verify', { body: { type: 'email', token_hash: hash } })).status;
    expect([await verify(computed), await verify(sent)]).toEqual([403, 200]);
  });

  it('counts codes for a new password', async () => {
    const { id, token } = await person();
    await database.query(
      "update auth.sessions set created_at = now() - interval '2 days' where user_id = $1",
      [id],
    );
    await ask('GET', '/reauthenticate', { token });
    const statuses: number[] = [];
    for (let at = 0; at < 7; at++) {
      const body = { password: 'another horse', nonce: `x0000${at}` };
      statuses.push((await ask('PUT', '/user', { token, body })).status);
    }
    expect(statuses).toEqual([422, 422, 422, 422, 422, 429, 429]);
  });
});

describe('ways to sign in', () => {
  it('change at aal2 only, for who has a second factor', async () => {
    const { id, token } = await person();
    await database.query(
      `insert into auth.mfa_factors (id, user_id, factor_type, status, secret, created_at, updated_at)
       values (gen_random_uuid(), $1, 'totp', 'verified', 'ABCDEFGHIJKLMNOP', now(), now())`,
      [id],
    );
    const identity = await database.query<{ readonly id: string }>(
      'select id from auth.identities where user_id = $1',
      [id],
    );
    for (const [method, path] of [
      ['GET', '/user/identities/authorize?provider=google'],
      ['DELETE', `/user/identities/${identity.rows[0]?.id}`],
    ] as const) {
      const { status, body } = await ask(method, path, { token });
      expect([status, body.error_code]).toEqual([403, 'insufficient_aal']);
    }
    const linked = await ask('POST', '/token?grant_type=id_token', {
      token,
      body: { provider: 'keycloak', id_token: 'a.b.c', link_identity: true },
    });
    expect([linked.status, linked.body.error_code]).toEqual([403, 'insufficient_aal']);
  });
});

describe('an account that waits for the owner of its address', () => {
  it('is theirs alone once a provider has proven that the address is', async () => {
    const squatter = await person();
    const email = `${randomUUID()}@example.org`;
    // What linking an identity with an unverified address leaves of an account that had a number and no address.
    await database.query(
      `update auth.users set email = $2, email_confirmed_at = null, phone = '4155550199', phone_confirmed_at = now() where id = $1`,
      [squatter.id, email],
    );
    await database.query(
      `update auth.identities set identity_data = jsonb_set(identity_data, '{email}', to_jsonb($2::text)) where user_id = $1`,
      [squatter.id, email],
    );
    await database.query(
      `insert into auth.webauthn_credentials (user_id, credential_id, public_key) values ($1, '\\x01', '\\x02')`,
      [squatter.id],
    );
    provider.people.set('owner', { email, email_verified: true, name: 'Owner' });
    const begin = `${backend.report.API_URL}/auth/v1/authorize?provider=keycloak&scopes=openid&login_hint=owner`;
    const back = new URL(await openBrowser().goTo(begin, 'https://app.example.com'));
    expect(new URLSearchParams(back.hash.slice(1)).get('access_token')).not.toBeNull();
    expect((await ask('GET', '/user', { token: squatter.token })).status).toBe(403);
    const { rows } = await database.query(
      `select u.phone, u.encrypted_password, (select count(*)::int from auth.webauthn_credentials where user_id = u.id) as keys,
         (select array_agg(provider) from auth.identities where user_id = u.id) as providers
       from auth.users u where email = $1`,
      [email],
    );
    expect(rows).toEqual([{ phone: null, encrypted_password: null, keys: 0, providers: ['keycloak'] }]);
  });
});

describe('an account that waits for the owner of its address, once they have come by mail', () => {
  const signUp = (email: string, as: string) => ask('POST', '/signup', { body: { email, password: as } });

  /** Follows the last mail's link as its owner does: the session's token. */
  async function comeBy(email: string): Promise<string> {
    return follow((await lastMessageTo(database, email)).link);
  }

  async function follow(link: string): Promise<string> {
    const answer = await fetch(link, { redirect: 'manual' });
    const { hash } = new URL(answer.headers.get('location') ?? '');
    return new URLSearchParams(hash.slice(1)).get('access_token') ?? '';
  }

  async function signInWith(email: string, as: string): Promise<string> {
    const { body } = await ask('POST', '/token?grant_type=password', { body: { email, password: as } });
    return body.error_code ?? 'session';
  }

  it.each<[string, (email: string) => Promise<Answered>]>([
    ['signs up, too', (email) => signUp(email, 'the owner of it')],
    ['asks for a magic link', (email) => ask('POST', '/otp', { body: { email } })],
    ['has forgotten a password', (email) => ask('POST', '/recover', { body: { email } })],
    ['is invited', (email) => ask('POST', '/invite', { key: backend.report.SECRET_KEY, body: { email } })],
  ])('has no password of somebody else: who %s', async (_, come) => {
    const email = `${randomUUID()}@example.com`;
    expect((await signUp(email, 'waiting here')).status).toBe(200);
    expect((await come(email)).status).toBe(200);
    const token = await comeBy(email);
    expect((await ask('GET', '/user', { token })).body.email).toBe(email);
    expect(await signInWith(email, 'waiting here')).toBe('invalid_credentials');
    expect(await signInWith(email, 'the owner of it')).toBe('invalid_credentials');
  });

  it('has the password of one who signed up twice with the same one', async () => {
    const email = `${randomUUID()}@example.com`;
    await signUp(email, password);
    await signUp(email, password);
    await comeBy(email);
    expect(await signInWith(email, password)).toBe('session');
  });

  /** Somebody who signs in by a provider with an address that it has not verified; refused, for it is to be confirmed. */
  async function comeByProvider(email: string): Promise<void> {
    provider.people.set(email, { email, email_verified: false, name: 'Somebody' });
    const begin = `${backend.report.API_URL}/auth/v1/authorize?provider=keycloak&scopes=openid&login_hint=${email}`;
    const back = new URL(await openBrowser().goTo(begin, 'https://app.example.com'));
    expect(back.searchParams.get('error_code')).toBe('provider_email_needs_verification');
  }

  it('is theirs alone, when somebody else had the mail sent a moment before they sign up', async () => {
    const email = `${randomUUID()}@example.com`;
    await set('auth.email.max_frequency', '60s');
    await comeByProvider(email);
    expect((await signUp(email, 'the owner of it')).status).toBe(200);
    await restore();
    expect(await messagesTo(database, email)).toHaveLength(1);
    const { body } = await ask('GET', '/user', { token: await comeBy(email) });
    expect(body.app_metadata).toEqual({ provider: 'email', providers: ['email'] });
    await comeByProvider(email);
  });

  it.each(['/invite', '/admin/generate_link'])(
    'is theirs alone, when an administrator asks them by %s after somebody else',
    async (path) => {
      const email = `${randomUUID()}@example.com`;
      await comeByProvider(email);
      const key = backend.report.SECRET_KEY;
      const made = await ask('POST', path, { key, body: { email, type: 'signup', password } });
      expect(made.status).toBe(200);
      const link = made.body.action_link ?? (await lastMessageTo(database, email)).link;
      const token = await follow(link);
      const { body } = await ask('GET', '/user', { token });
      expect(body).toMatchObject({ email, app_metadata: { provider: 'email', providers: ['email'] } });
      await comeByProvider(email);
    },
  );

  it.each([
    ['/resend', { type: 'signup' }],
    ['/recover', {}],
  ])('is theirs alone: by a mail of %s', async (path, more) => {
    const squatter = await person();
    const email = `${randomUUID()}@example.org`;
    const { id } = squatter;
    // What upstream leaves of an account that had a number, and linked an identity whose address nobody had verified.
    await database.query(
      `update auth.users set email = $2, email_confirmed_at = null, phone = $3, phone_confirmed_at = now(),
         email_change = 'mine@example.net', phone_change = '4155550198', phone_change_token = 'x' where id = $1`,
      [id, email, `415555${Math.floor(Math.random() * 10_000)}`],
    );
    for (const statement of [
      `update auth.identities set identity_data = jsonb_build_object('sub', user_id, 'email', 'mine@example.net'), provider = 'keycloak',
         provider_id = 'squatter-' || user_id where user_id = $1`,
      `insert into auth.webauthn_credentials (user_id, credential_id, public_key)
         select id, decode(md5(id::text), 'hex'), '\\x02' from auth.users where id = $1`,
      `insert into auth.mfa_factors (id, user_id, factor_type, status, secret, created_at, updated_at)
         values (gen_random_uuid(), $1, 'totp', 'verified', 'ABCDEFGHIJKLMNOP', now(), now())`,
      `insert into auth.flow_state (id, provider_type, authentication_method, linking_target_id, created_at, updated_at)
         values (gen_random_uuid(), 'keycloak', 'oauth', $1, now(), now())`,
    ])
      await database.query(statement, [id]);
    await ask('POST', path, { body: { email, ...more } });
    const token = await comeBy(email);
    expect((await ask('GET', '/user', { token })).body).toMatchObject({ id, email });
    expect((await ask('GET', '/user', { token: squatter.token })).body.error_code).toBe('session_not_found');
    expect(await signInWith(email, password)).toBe('invalid_credentials');
    const { rows } = await database.query(
      `select u.phone, u.phone_change, u.email_change, u.encrypted_password,
         (select count(*)::int from auth.sessions where user_id = u.id) as sessions,
         (select count(*)::int from auth.webauthn_credentials where user_id = u.id) as keys,
         (select count(*)::int from auth.mfa_factors where user_id = u.id) as factors,
         (select count(*)::int from auth.flow_state where linking_target_id = u.id) as begun,
         (select count(*)::int from auth.identities where user_id = u.id and provider = 'keycloak') as identities
       from auth.users u where id = $1`,
      [id],
    );
    expect(rows).toEqual([
      {
        phone: null,
        phone_change: '',
        email_change: '',
        encrypted_password: null,
        sessions: 1,
        keys: 0,
        factors: 0,
        begun: 0,
        identities: 0,
      },
    ]);
  });
});

describe('an address that a provider has not verified', () => {
  async function unaddressed(): Promise<{ readonly id: string; readonly token: string }> {
    const { id, token } = await person();
    await database.query(
      `update auth.users set email = null, email_confirmed_at = null, phone = $2, phone_confirmed_at = now() where id = $1`,
      [id, `415555${Math.floor(Math.random() * 10_000)}`],
    );
    await database.query(
      `update auth.identities set provider = 'phone', identity_data = jsonb_build_object('sub', user_id) where user_id = $1`,
      [id],
    );
    return { id, token };
  }

  it('is the user’s once a mail to it was answered, and waits in nobody’s account until then', async () => {
    const { id, token } = await unaddressed();
    const email = `${randomUUID()}@example.org`;
    provider.people.set(email, { email, email_verified: false, name: 'Somebody' });
    const begin = `/user/identities/authorize?provider=keycloak&scopes=openid&skip_http_redirect=true&login_hint=${email}`;
    const { body } = await ask('GET', begin, { token });
    const back = new URL(await openBrowser().goTo(body.url ?? '', 'https://app.example.com'));
    expect(back.searchParams.get('error_code')).toBe('email_not_confirmed');
    const stored = async () =>
      (await database.query('select email, email_change from auth.users where id = $1', [id])).rows;
    expect(await stored()).toEqual([{ email: null, email_change: email }]);
    const { link } = await lastMessageTo(database, email);
    // It is still free for its owner.
    expect((await ask('POST', '/signup', { body: { email, password } })).status).toBe(200);
    await database.query('delete from auth.users where email = $1', [email]);
    await fetch(link, { redirect: 'manual' });
    expect(await stored()).toEqual([{ email, email_change: '' }]);
  });

  it('is not confirmed by another address that a provider has verified', async () => {
    const { id } = await person();
    const [victim, mine] = [`${randomUUID()}@example.org`, `${randomUUID()}@example.net`];
    provider.people.set(mine, { email: mine, email_verified: true, name: 'Somebody' });
    await database.query('update auth.users set email = $2, email_confirmed_at = null where id = $1', [
      id,
      victim,
    ]);
    await database.query(
      `insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
       values (gen_random_uuid(), $2, $1, jsonb_build_object('sub', $2::text, 'email', $2::text, 'email_verified', true), 'keycloak', now(), now())`,
      [id, mine],
    );
    const begin = `${backend.report.API_URL}/auth/v1/authorize?provider=keycloak&scopes=openid&login_hint=${mine}`;
    const back = new URL(await openBrowser().goTo(begin, 'https://app.example.com'));
    expect(back.searchParams.get('error_code')).toBe('provider_email_needs_verification');
    const { rows } = await database.query('select email, email_confirmed_at from auth.users where id = $1', [
      id,
    ]);
    expect(rows).toEqual([{ email: victim, email_confirmed_at: null }]);
  });
});

describe('an invitation', () => {
  async function tokenFor(email: string): Promise<string> {
    const { rows } = await database.query<{ token: string }>(
      'select confirmation_token as token from auth.users where email = $1',
      [email],
    );
    return rows[0]?.token ?? '';
  }
  const begin = (token: string) =>
    ask('GET', `/authorize?provider=keycloak&scopes=openid&invite_token=${token}`);

  it('is an invitation, and no other code that somebody was sent', async () => {
    const email = `${randomUUID()}@example.com`;
    await ask('POST', '/signup', { body: { email, password } });
    const answer = await begin(await tokenFor(email));
    expect([answer.status, answer.body.error_code]).toEqual([404, 'user_not_found']);
  });

  it('is good for as long as a link in a mail', async () => {
    const email = `${randomUUID()}@example.com`;
    await ask('POST', '/invite', { key: backend.report.SECRET_KEY, body: { email } });
    const token = await tokenFor(email);
    expect((await begin(token)).status).toBe(302);
    await database.query(
      `update auth.users set confirmation_sent_at = now() - interval '61 minutes' where email = $1`,
      [email],
    );
    const answer = await begin(token);
    expect([answer.status, answer.body.error_code]).toEqual([404, 'user_not_found']);
  });

  it('that was taken back while its guest was at the provider is none', async () => {
    const email = `${randomUUID()}@example.com`;
    provider.people.set(email, { email, email_verified: true, name: 'Guest' });
    await ask('POST', '/invite', { key: backend.report.SECRET_KEY, body: { email } });
    const url = `${backend.report.API_URL}/auth/v1/authorize?provider=keycloak&scopes=openid&login_hint=${email}&invite_token=${await tokenFor(email)}`;
    const guest = openBrowser();
    const callback = await guest.goTo(url, `${backend.report.API_URL}/auth/v1/callback`);
    await database.query('update auth.users set invited_at = null where email = $1', [email]);
    const answer = await guest.ask(callback);
    expect(Object.fromEntries(new URL(answer.headers.get('location') ?? '').searchParams)).toEqual({
      error: 'server_error',
      error_code: 'invite_not_found',
      error_description: 'Invite not found',
    });
  });
});

describe('what no text of Postgres holds', () => {
  it('is replaced in names as it is in values', async () => {
    const { id, token } = await person();
    expect((await ask('PUT', '/user', { token, body: { data: { '\ud800': '\ud800' } } })).status).toBe(200);
    const { rows } = await database.query(
      `select raw_user_meta_data ->> U&'\\FFFD' as value from auth.users where id = $1`,
      [id],
    );
    expect(rows).toEqual([{ value: '\ufffd' }]);
  });
});

describe('an address that somebody else has got since a change was asked for', () => {
  it('is refused to who confirms the change', async () => {
    const { id, token } = await person();
    const email = `${randomUUID()}@example.com`;
    await ask('PUT', '/user', { token, body: { email } });
    await ask('POST', '/admin/users', {
      key: backend.report.SECRET_KEY,
      body: { email, password, email_confirm: true },
    });
    const { rows } = await database.query<{ readonly one: string; readonly two: string }>(
      'select email_change_token_current as one, email_change_token_new as two from auth.users where id = $1',
      [id],
    );
    const confirm = (hash = '') =>
      ask('POST', '/verify', { body: { type: 'email_change', token_hash: hash } });
    expect((await confirm(rows[0]?.one)).status).toBe(200);
    const second = await confirm(rows[0]?.two);
    expect([second.status, second.body.error_code]).toEqual([422, 'email_exists']);
  });
});

describe('an address that is known', () => {
  it('tells by signing up again nothing of who has it: neither factors, nor a ban, nor what they asked for', async () => {
    const { id, email } = await person();
    await database.query(
      `update auth.users set banned_until = now() + interval '1 day', invited_at = now(), recovery_sent_at = now(), phone_change = '4155550123',
         phone_change_sent_at = now(), reauthentication_sent_at = now(), email_change = 'next@example.com' where id = $1`,
      [id],
    );
    await database.query(
      `insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, phone, created_at, updated_at)
       values (gen_random_uuid(), $1, 'My phone', 'phone', 'verified', '4155550124', now(), now())`,
      [id],
    );
    const known = await ask('POST', '/signup', { body: { email, password, data: { name: 'Eve' } } });
    const ofNobody = `${randomUUID()}@example.com`;
    const fresh = await ask('POST', '/signup', { body: { email: ofNobody, password } });
    expect([known.status, fresh.status]).toEqual([200, 200]);
    // Without identities, as clients know it.
    expect(known.body).toEqual({
      ...fresh.body,
      id: expect.not.stringContaining(id),
      email,
      role: '',
      user_metadata: { name: 'Eve' },
      identities: [],
      confirmation_sent_at: expect.any(String),
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    expect(Object.keys(known.body)).toEqual(Object.keys(fresh.body));
  });
});

describe('somebody who signs in while their access ends', () => {
  /** Until a request of the backend's waits for what this transaction has locked. */
  const untilSomebodyWaits = () =>
    expect
      .poll(async () => {
        const { rowCount } = await database.query(
          'select from pg_locks where not granted and pg_backend_pid() = any(pg_blocking_pids(pid))',
        );
        return rowCount;
      })
      .toBeGreaterThan(0);

  it.each([
    ['a password that is another by then', "encrypted_password = 'another'", 'invalid_credentials'],
    ['a password that is none by then', 'encrypted_password = null', 'invalid_credentials'],
    ['a ban', "banned_until = now() + interval '1 day'", 'user_banned'],
  ])('does not get in: %s', async (_, change, code) => {
    const { id, email } = await person();
    await database.query('begin');
    await database.query(`update auth.users set ${change} where id = $1`, [id]);
    const signingIn = ask('POST', '/token?grant_type=password', { body: { email, password } });
    await untilSomebodyWaits();
    await database.query('delete from auth.sessions where user_id = $1', [id]);
    await database.query('commit');
    const { status, body } = await signingIn;
    expect([status, body.error_code]).toEqual([400, code]);
    const { rowCount } = await database.query('select from auth.sessions where user_id = $1', [id]);
    expect(rowCount).toBe(0);
  });

  it('is signed out with the others, when the owner of the address comes', async () => {
    const squatter = await person();
    const email = `${randomUUID()}@example.org`;
    await database.query(
      `update auth.users set email = $2, email_confirmed_at = null, phone = '4155550198', phone_confirmed_at = now() where id = $1`,
      [squatter.id, email],
    );
    await database.query(
      `update auth.identities set identity_data = jsonb_set(identity_data, '{email}', to_jsonb($2::text)) where user_id = $1`,
      [squatter.id, email],
    );
    const owner = randomUUID();
    provider.people.set(owner, { email, email_verified: true, name: 'Owner' });
    await database.query('begin');
    const { rows } = await database.query<{ readonly id: string }>(
      'insert into auth.sessions (id, user_id, created_at, updated_at) values (gen_random_uuid(), $1, now(), now()) returning id',
      [squatter.id],
    );
    await database.query('update auth.users set last_sign_in_at = now() where id = $1', [squatter.id]);
    const begin = `${backend.report.API_URL}/auth/v1/authorize?provider=keycloak&scopes=openid&login_hint=${owner}`;
    const coming = openBrowser().goTo(begin, 'https://app.example.com');
    await untilSomebodyWaits();
    await database.query('commit');
    await coming;
    const { rowCount } = await database.query('select from auth.sessions where id = $1', [rows[0]?.id]);
    expect(rowCount).toBe(0);
  });

  it('is not let in by linking a provider, once they are banned', async () => {
    const { id, email, token } = await person();
    provider.people.set(email, { email, email_verified: true, name: 'Banned' });
    const asked = new URLSearchParams({
      provider: 'keycloak',
      scopes: 'openid',
      login_hint: email,
      skip_http_redirect: 'true',
      code_challenge: createHash('sha256').update('v'.repeat(50)).digest('base64url'),
      code_challenge_method: 's256',
    });
    const { body } = await ask('GET', `/user/identities/authorize?${asked}`, { token });
    const browser = openBrowser();
    const callback = await browser.goTo(body.url ?? '', `${backend.report.API_URL}/auth/v1/callback`);
    await database.query(`update auth.users set banned_until = now() + interval '1 day' where id = $1`, [id]);
    const answer = await browser.ask(callback);
    expect(Object.fromEntries(new URL(answer.headers.get('location') ?? '').searchParams)).toEqual({
      error: 'access_denied',
      error_code: 'user_banned',
      error_description: 'User is banned',
    });
  });
});
