// In charge of: signing in by an id_token, by GitHub's private addresses and by providers that an administrator set up: the program itself, a
// provider on this machine, the official client; and id_tokens that somebody made up.
import { createHash, createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { makeAuthority } from './harness/certificates.ts';
import { type Issuer, signWith, startIssuer } from './harness/issuer.ts';

const app = 'https://app.example.com';
let issuer: Issuer;
let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;

beforeAll(async () => {
  const authority = await makeAuthority();
  issuer = await startIssuer(await authority.issue());
  project = await makeProject({
    'supabase/config.toml': `
project_id = "providers"
[egress]
allow = ["127.0.0.1"]
[auth]
site_url = "${app}"
enable_manual_linking = true
[auth.custom_oauth]
max_providers = 4
[auth.external.keycloak]
enabled = true
client_id = "web,ios"
secret = "not used"
url = "${issuer.url}"
[auth.external.github]
enabled = true
client_id = "gh"
secret = "gh secret"
url = "${issuer.url}"
[auth.external.twitter]
enabled = true
client_id = "tw"
secret = "tw secret"
url = "${issuer.url}"
[auth.external.google]
enabled = false
client_id = "g"
secret = "g secret"
[auth.external.zoom]
enabled = true
client_id = "z"
[auth.external.spotify]
enabled = true
secret = "s"
`,
  });
  const trusted = join(project.folder, 'authority.pem');
  await writeFile(trusted, authority.cert);
  backend = await startBackend(project.folder, [], { env: { NODE_EXTRA_CA_CERTS: trusted } });
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await issuer?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

function connect(): SupabaseClient {
  return createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

const nowSeconds = () => Math.floor(Date.now() / 1000);
let count = 0;
const claimsOf = (facts: object = {}) => {
  const sub = `person-${count++}`;
  return {
    iss: issuer.url,
    aud: 'ios',
    sub,
    iat: nowSeconds(),
    exp: nowSeconds() + 600,
    email: `${sub}@example.org`,
    email_verified: true,
    name: 'Mara Jade',
    ...facts,
  };
};

interface Answered {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly location: string | null;
  readonly cookie?: string;
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
  key = 'PUBLISHABLE_KEY' as 'PUBLISHABLE_KEY' | 'SECRET_KEY',
  cookie = '',
): Promise<Answered> {
  const response = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method,
    redirect: 'manual',
    headers: {
      apikey: backend.report[key],
      authorization: `Bearer ${backend.report[key]}`,
      'content-type': 'application/json',
      cookie,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const [cookies] = response.headers.getSetCookie().map((line) => line.split(';')[0]);
  return {
    status: response.status,
    body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {},
    location: response.headers.get('location'),
    ...(cookies && { cookie: cookies }),
  };
}

const byIdToken = (params: object) => ask('POST', '/token?grant_type=id_token', params);

describe('signInWithIdToken', () => {
  it('makes a user of whom the provider vouches for, and finds them again', async () => {
    const claims = claimsOf({ nonce: createHash('sha256').update('made up').digest('hex') });
    const credentials = { provider: 'keycloak', token: issuer.sign(claims), nonce: 'made up' };
    const { data, error } = await connect().auth.signInWithIdToken(credentials);
    expect(error).toBeNull();
    expect(data.user?.identities).toEqual([
      {
        identity_id: expect.any(String),
        id: claims.sub,
        user_id: data.user?.id,
        identity_data: {
          iss: issuer.url,
          sub: claims.sub,
          aud: ['ios'],
          iat: claims.iat,
          exp: claims.exp,
          email: claims.email,
          email_verified: true,
          phone_verified: false,
          name: 'Mara Jade',
        },
        provider: 'keycloak',
        last_sign_in_at: expect.any(String),
        created_at: expect.any(String),
        updated_at: expect.any(String),
        email: claims.email,
      },
    ]);
    expect(data.user?.app_metadata).toEqual({ provider: 'keycloak', providers: ['keycloak'] });
    const again = await connect().auth.signInWithIdToken(credentials);
    expect(again.data.user?.id).toBe(data.user?.id);
  });

  it('takes the issuer in the place of the name, and the other application of the project', async () => {
    const { status, body } = await byIdToken({
      id_token: issuer.sign(claimsOf({ aud: ['other', 'web'] })),
      client_id: 'web',
      issuer: issuer.url,
    });
    expect([status, body.token_type]).toEqual([200, 'bearer']);
  });

  it('binds the access token that came with it', async () => {
    const hash = createHash('sha256').update('good').digest();
    const at_hash = hash.subarray(0, 16).toString('base64url');
    const id_token = issuer.sign(claimsOf({ at_hash }));
    expect(await byIdToken({ provider: 'keycloak', id_token, access_token: 'stolen' })).toMatchObject({
      status: 400,
      body: { error: 'invalid request', error_description: 'Bad ID token' },
    });
    expect(await byIdToken({ provider: 'keycloak', id_token, access_token: 'good' })).toMatchObject({
      status: 200,
    });
  });

  it('links it to the one who asks, once', async () => {
    const client = connect();
    const own = await client.auth.signUp({ email: `own-${count++}@example.com`, password: 'correct horse' });
    const claims = claimsOf();
    const credentials = { provider: 'keycloak', token: issuer.sign(claims) } as const;
    const linked = await client.auth.linkIdentity(credentials);
    expect(linked.error).toBeNull();
    const { data } = await client.auth.getUserIdentities();
    expect(data?.identities.map(({ provider }) => provider)).toEqual(['email', 'keycloak']);
    expect((await connect().auth.signInWithIdToken(credentials)).data.user?.id).toBe(own.data.user?.id);
    expect((await client.auth.linkIdentity(credentials)).error).toMatchObject({
      status: 422,
      code: 'identity_already_exists',
      message: 'Identity is already linked',
    });
  });

  it('asks the key set once for many that name a key it does not have', async () => {
    const asked = () => issuer.asked.filter(({ line }) => line === 'GET /keys').length;
    const before = asked();
    const made = Array.from({ length: 20 }, () =>
      byIdToken({ provider: 'keycloak', id_token: issuer.sign(claimsOf(), { kid: randomUUID() }) }),
    );
    for (const { status } of await Promise.all(made)) expect(status).toBe(400);
    expect(asked() - before).toBeLessThanOrEqual(1);
  });

  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  /** The published key as a secret (CVE-2015-9235). */
  const byPublicKey = (claims: object) => {
    const text = `${encode({ alg: 'HS256', kid: 'one' })}.${encode(claims)}`;
    return `${text}.${createHmac('sha256', issuer.publicPem).update(text).digest('base64url')}`;
  };

  it.each<readonly [string, () => string]>([
    ['what is no token', () => 'nonsense'],
    ['a token without a signature', () => `${encode({ alg: 'none' })}.${encode(claimsOf())}.`],
    ['a token that the public key signed as a secret', () => byPublicKey(claimsOf())],
    ['a stranger’s signature', () => signWith(stranger, claimsOf())],
    ['a key that is a path', () => signWith(stranger, claimsOf(), { kid: '../../../../dev/null' })],
    ['a key that is a query', () => signWith(stranger, claimsOf(), { kid: "x' union select 'k" })],
    [
      'a key that the token brings along',
      () => signWith(stranger, claimsOf(), { kid: undefined, jku: 'https://evil.example' }),
    ],
    ['an expired token', () => issuer.sign(claimsOf({ exp: nowSeconds() - 1 }))],
    ['a token without an end', () => issuer.sign(claimsOf({ exp: undefined }))],
    ['a token of tomorrow', () => issuer.sign(claimsOf({ nbf: nowSeconds() + 86_400 }))],
    ['a token that is issued tomorrow', () => issuer.sign(claimsOf({ iat: nowSeconds() + 86_400 }))],
    ['another issuer', () => issuer.sign(claimsOf({ iss: 'https://accounts.google.com' }))],
    ['an address that is a list', () => issuer.sign(claimsOf({ email: ['a', 'b'] }))],
  ])('refuses %s', async (_, make) => {
    expect(await byIdToken({ provider: 'keycloak', id_token: make() })).toEqual({
      status: 400,
      body: { error: 'invalid request', error_description: 'Bad ID token' },
      location: null,
    });
  });

  const nonce = createHash('sha256').update('made up').digest('hex');
  const either = 'Passed nonce and nonce in id_token should either both exist or not.';
  it.each<readonly [string, object, () => object, object]>([
    [
      'no token',
      {},
      () => ({ id_token: '' }),
      { error: 'invalid request', error_description: 'id_token required' },
    ],
    [
      'no provider',
      {},
      () => ({ provider: '' }),
      { error: 'invalid request', error_description: 'provider or client_id and issuer required' },
    ],
    [
      'a token for another application',
      { aud: 'evil' },
      () => ({}),
      { error: 'invalid request', error_description: 'Unacceptable audience in id_token: [evil]' },
    ],
    [
      'a token for nobody',
      { aud: undefined },
      () => ({}),
      { error: 'invalid request', error_description: 'Unacceptable audience in id_token: []' },
    ],
    [
      'nobody',
      { sub: '' },
      () => ({}),
      { error: 'invalid request', error_description: 'Missing sub claim in id_token' },
    ],
    [
      'a nonce in the token alone',
      { nonce },
      () => ({}),
      { error: 'invalid request', error_description: either },
    ],
    [
      'a nonce in the request alone',
      {},
      () => ({ nonce: 'x' }),
      { error: 'invalid request', error_description: either },
    ],
    [
      'another nonce',
      { nonce },
      () => ({ nonce: 'guessed' }),
      { error: 'invalid nonce', error_description: 'Nonces mismatch' },
    ],
    [
      'the nonce itself in the token, for that can be replayed',
      { nonce: 'made up' },
      () => ({ nonce: 'made up' }),
      { error: 'invalid nonce', error_description: 'Nonces mismatch' },
    ],
    [
      'a provider that is off',
      {},
      () => ({ provider: 'google' }),
      {
        code: 400,
        error_code: 'provider_disabled',
        msg: 'Provider (issuer "https://accounts.google.com") is not enabled',
      },
    ],
    [
      'a provider that nobody knows',
      {},
      () => ({ provider: 'myspace' }),
      { code: 400, error_code: 'validation_failed', msg: 'Custom OIDC provider "myspace" not allowed' },
    ],
    [
      'an issuer of the request’s own',
      {},
      () => ({ provider: '', issuer: 'https://evil.example', client_id: 'ios' }),
      { code: 400, error_code: 'validation_failed', msg: 'Custom OIDC provider "" not allowed' },
    ],
    [
      'an Apple token that is none',
      {},
      () => ({ provider: 'apple' }),
      {
        code: 400,
        error_code: 'validation_failed',
        msg: 'Detected ID token issuer is not an Apple ID token issuer',
      },
    ],
    [
      'an Azure token that is none',
      {},
      () => ({ provider: 'azure', id_token: 'a.b' }),
      {
        code: 400,
        error_code: 'validation_failed',
        msg: 'Unable to detect issuer in ID token for Azure provider',
      },
    ],
    [
      'a link for nobody who is signed in',
      {},
      () => ({ link_identity: true }),
      { code: 403, error_code: 'bad_jwt', msg: 'invalid claim: missing sub claim' },
    ],
    [
      'a custom provider that is not there',
      {},
      () => ({ provider: 'custom:nobody' }),
      { code: 400, error_code: 'validation_failed', msg: 'Custom provider "custom:nobody" not found' },
    ],
  ])('refuses %s', async (_, facts, params, body) => {
    const id_token = issuer.sign(claimsOf(facts));
    const answer = await byIdToken({ provider: 'keycloak', id_token, ...params() });
    expect(answer.body).toEqual(body);
    expect(answer.status).toBe('code' in body ? body.code : 400);
  });
});

/** As a browser: to the provider, and back with a code. */
async function throughBrowser(
  provider: string,
  more = '',
): Promise<{ readonly at: URL; readonly back: URL }> {
  const { location, cookie } = await ask('GET', `/authorize?provider=${provider}&redirect_to=${app}${more}`);
  const at = new URL(location ?? '');
  const callback = `/callback?code=c0de&state=${at.searchParams.get('state')}`;
  const { location: back } = await ask('GET', callback, undefined, 'PUBLISHABLE_KEY', cookie);
  return { at, back: new URL(back ?? '') };
}

const tokenOf = (back: URL) => new URLSearchParams(back.hash.slice(1)).get('access_token') ?? '';

describe('GET /authorize?provider=github', () => {
  it('finds the address that the profile does not show', async () => {
    issuer.answers.set('/login/oauth/access_token', {
      access_token: 'gh-token',
      token_type: 'bearer',
      scope: 'user:email',
    });
    issuer.answers.set('/api/v3/user', {
      id: 583231,
      login: 'mara',
      name: 'Mara',
      email: null,
      avatar_url: 'https://a',
    });
    issuer.answers.set('/api/v3/user/emails', [
      { email: 'spare@example.org', primary: false, verified: true },
      { email: 'Private@Example.org', primary: true, verified: true },
    ]);
    const { at, back } = await throughBrowser('github', '&scopes=repo,gist');
    expect(`${at.origin}${at.pathname}`).toBe(`${issuer.url}/login/oauth/authorize`);
    expect(at.searchParams.get('scope')).toBe('user:email repo gist');
    const { data } = await connect().auth.getUser(tokenOf(back));
    expect(data.user?.email).toBe('private@example.org');
    expect(data.user?.identities?.[0]?.identity_data).toEqual({
      iss: `${issuer.url}/api/v3`,
      sub: '583231',
      name: 'Mara',
      preferred_username: 'mara',
      avatar_url: 'https://a',
      full_name: 'Mara',
      provider_id: '583231',
      user_name: 'mara',
      email: 'private@example.org',
      email_verified: true,
      phone_verified: false,
    });
    const [user] = issuer.asked.filter(({ line }) => line === 'GET /api/v3/user');
    expect(user?.headers.authorization).toBe('Bearer gh-token');
  });

  it.each([
    ['google', 'Unsupported provider: provider is not enabled'],
    ['zoom', 'Unsupported provider: missing OAuth secret'],
    ['spotify', 'Unsupported provider: missing OAuth client ID'],
    ['myspace', 'Unsupported provider: Provider myspace could not be found'],
    ['custom:nobody', 'Unsupported provider: custom provider custom:nobody not found'],
  ])('says what %s lacks', async (name, msg) => {
    expect(await ask('GET', `/authorize?provider=${name}`)).toEqual({
      status: 400,
      body: { code: 400, error_code: 'validation_failed', msg },
      location: null,
    });
  });
});

describe('GET /authorize?provider=twitter', () => {
  const begin = () => ask('GET', `/authorize?provider=twitter&redirect_to=${app}`);

  it('goes by OAuth 1.0a', async () => {
    issuer.answers.set(
      '/oauth/request_token',
      'oauth_token=rt&oauth_token_secret=rs&oauth_callback_confirmed=true',
    );
    issuer.answers.set('/oauth/access_token', 'oauth_token=at&oauth_token_secret=as&user_id=1');
    issuer.answers.set('/1.1/account/verify_credentials.json', {
      id_str: '38895958',
      screen_name: 'mara',
      name: 'Mara',
      email: 'bird@example.org',
    });
    const { location, cookie } = await begin();
    expect(location).toBe(`${issuer.url}/oauth/authenticate?oauth_token=rt`);
    const said = (line: string) =>
      decodeURIComponent(String(issuer.asked.findLast((one) => one.line === line)?.headers.authorization));
    const callback = /oauth_callback="([^"]+)"/.exec(said('POST /oauth/request_token'))?.[1] ?? '';
    const state = new URL(callback).searchParams.get('state');
    const route = `/callback?state=${state}&oauth_token=rt&oauth_verifier=v`;
    const { location: back } = await ask('GET', route, undefined, 'PUBLISHABLE_KEY', cookie);
    expect(said('POST /oauth/access_token')).toMatch(/oauth_token="rt", oauth_verifier="v"/);
    const { data } = await connect().auth.getUser(tokenOf(new URL(back ?? '')));
    expect(data.user?.identities?.[0]?.identity_data).toEqual({
      iss: `${issuer.url}/1.1/account/verify_credentials.json`,
      sub: '38895958',
      name: 'Mara',
      preferred_username: 'mara',
      user_name: 'mara',
      full_name: 'Mara',
      provider_id: '38895958',
      email: 'bird@example.org',
      email_verified: true,
      phone_verified: false,
    });
  });

  it('says that there was no token', async () => {
    issuer.answers.set('/oauth/request_token', 'oauth_token=');
    expect(await begin()).toEqual({
      status: 500,
      body: { code: 500, error_code: 'unexpected_failure', msg: 'Unable to retrieve request token' },
      location: null,
    });
  });
});

const asAdmin = (method: string, path = '', body?: unknown) =>
  ask(method, `/admin/custom-providers${path}`, body, 'SECRET_KEY');

const acme = () => ({
  provider_type: 'oidc',
  identifier: 'custom:acme',
  name: 'Acme',
  client_id: 'acme-web',
  client_secret: 'top secret of acme',
  acceptable_client_ids: ['acme-ios'],
  scopes: ['email'],
  issuer: issuer.url,
  authorization_params: { audience: 'people' },
  attribute_mapping: { nickname: 'name' },
  custom_claims_allowlist: ['department'],
});
const plain = () => ({
  provider_type: 'oauth2',
  identifier: 'custom:plain',
  name: 'Plain',
  client_id: 'plain-web',
  client_secret: 'secret of plain',
  authorization_url: `${issuer.url}/plain/authorize`,
  token_url: `${issuer.url}/token`,
  userinfo_url: `${issuer.url}/userinfo`,
  pkce_enabled: false,
});

describe('/admin/custom-providers', () => {
  it('sets a provider up, whose secret is told to nobody and lies nowhere in plain text', async () => {
    const { status, body } = await asAdmin('POST', '', acme());
    expect([status, body]).toEqual([
      201,
      {
        id: expect.any(String),
        provider_type: 'oidc',
        identifier: 'custom:acme',
        name: 'Acme',
        client_id: 'acme-web',
        acceptable_client_ids: ['acme-ios'],
        scopes: ['openid', 'email'],
        pkce_enabled: true,
        attribute_mapping: { nickname: 'name' },
        custom_claims_allowlist: ['department'],
        authorization_params: { audience: 'people' },
        enabled: true,
        email_optional: false,
        issuer: issuer.url,
        skip_nonce_check: false,
        discovery_document: {
          issuer: issuer.url,
          authorization_endpoint: `${issuer.url}/authorize`,
          token_endpoint: `${issuer.url}/token`,
          userinfo_endpoint: `${issuer.url}/userinfo`,
          jwks_uri: `${issuer.url}/keys`,
          scopes_supported: ['openid'],
        },
        created_at: expect.any(String),
        updated_at: expect.any(String),
      },
    ]);
    const { rows } = await database.query('select client_secret from auth.custom_oauth_providers');
    expect(rows).toEqual([{ client_secret: '' }]);
    expect(await asAdmin('GET', '/custom:acme')).toEqual({ status: 200, body, location: null });
    expect(await asAdmin('GET')).toEqual({ status: 200, body: { providers: [body] }, location: null });
    expect((await asAdmin('GET', '?type=oauth2')).body).toEqual({ providers: [] });
  });

  it('signs people in with it, bound by a verifier of ours', async () => {
    const claims = claimsOf({ aud: 'acme-ios', department: 'sales', nonce: 'whatever' });
    issuer.answers.set('/token', { access_token: 'at', token_type: 'Bearer', id_token: issuer.sign(claims) });
    const { at, back } = await throughBrowser('custom:acme');
    expect(Object.fromEntries(at.searchParams)).toMatchObject({
      client_id: 'acme-web',
      redirect_uri: `${backend.report.API_URL}/auth/v1/callback`,
      scope: 'openid email',
      audience: 'people',
      code_challenge: expect.any(String),
      code_challenge_method: 'S256',
    });
    const exchange = issuer.asked.findLast(({ line }) => line === 'POST /token');
    const verifier = new URLSearchParams(exchange?.body).get('code_verifier') ?? '';
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    expect(challenge).toBe(at.searchParams.get('code_challenge'));
    const basic = Buffer.from(String(exchange?.headers.authorization).slice(6), 'base64').toString();
    expect(decodeURIComponent(basic.replaceAll('+', ' '))).toBe('acme-web:top secret of acme');
    const { data } = await connect().auth.getUser(tokenOf(back));
    expect(data.user?.identities?.[0]?.provider).toBe('custom:acme');
    expect(data.user?.identities?.[0]?.identity_data).toMatchObject({
      sub: claims.sub,
      email: claims.email,
      email_verified: true,
      nickname: 'Mara Jade',
      custom_claims: { department: 'sales' },
    });
  });

  it('takes its id_tokens, and not those for others', async () => {
    const params = { provider: 'custom:acme', id_token: issuer.sign(claimsOf({ aud: 'acme-web' })) };
    expect((await byIdToken(params)).status).toBe(200);
    expect((await byIdToken({ ...params, id_token: issuer.sign(claimsOf()) })).body).toEqual({
      error: 'invalid request',
      error_description: 'Unacceptable audience in id_token: [ios]',
    });
  });

  it('signs in by what a provider without OpenID Connect says of the user', async () => {
    expect((await asAdmin('POST', '', plain())).status).toBe(201);
    issuer.answers.set('/token', { access_token: 'plain-token', token_type: 'Bearer' });
    issuer.answers.set('/userinfo', {
      sub: 'p1',
      email: 'plain@example.org',
      email_verified: true,
      name: 'Plain',
    });
    const { at, back } = await throughBrowser('custom:plain');
    expect(at.searchParams.has('code_challenge')).toBe(false);
    const { data } = await connect().auth.getUser(tokenOf(back));
    expect(data.user?.identities?.[0]?.identity_data).toEqual({
      sub: 'p1',
      email: 'plain@example.org',
      email_verified: true,
      phone_verified: false,
      name: 'Plain',
    });
  });

  it('changes what is given and keeps the rest, from the next sign-in on', async () => {
    const { status, body } = await asAdmin('PUT', '/custom:plain', { name: 'Plainer', enabled: false });
    expect([status, body.name, body.enabled, body.client_id]).toEqual([200, 'Plainer', false, 'plain-web']);
    expect((await ask('GET', '/authorize?provider=custom:plain')).body.msg).toBe(
      'Unsupported provider: custom provider custom:plain is disabled',
    );
  });

  it('leaves nothing of one that is deleted', async () => {
    const { body } = await asAdmin('GET', '/custom:plain');
    expect((await asAdmin('DELETE', '/custom:plain')).status).toBe(204);
    const missing = {
      status: 404,
      body: { code: 404, error_code: 'custom_provider_not_found', msg: 'Custom OAuth provider not found' },
      location: null,
    };
    for (const method of ['GET', 'DELETE']) expect(await asAdmin(method, '/custom:plain')).toEqual(missing);
    expect(await asAdmin('PUT', '/custom:plain', {})).toEqual(missing);
    const { rows } = await database.query('select from auth.custom_oauth_providers where id = $1', [body.id]);
    expect(rows).toEqual([]);
  });

  it('is for administrators', async () => {
    expect((await ask('GET', '/admin/custom-providers')).status).toBe(403);
    const client = connect();
    await client.auth.signUp({ email: `user-${count++}@example.com`, password: 'correct horse' });
    const { data } = await client.auth.getSession();
    const response = await fetch(`${backend.report.API_URL}/auth/v1/admin/custom-providers`, {
      headers: {
        apikey: backend.report.PUBLISHABLE_KEY,
        authorization: `Bearer ${data.session?.access_token}`,
      },
    });
    expect([response.status, await response.json()]).toEqual([
      403,
      { code: 403, error_code: 'not_admin', msg: 'User not allowed' },
    ]);
  });

  it.each<readonly [string, object]>([
    ["provider_type must be either 'oauth2' or 'oidc'", { provider_type: 'saml' }],
    ['identifier is required', { identifier: '' }],
    ["identifier must start with 'custom:' prefix, e.g. 'custom:acme'", { identifier: 'acme' }],
    ['name is required', { name: '' }],
    ['client_id is required', { client_id: '' }],
    ['client_secret is required', { client_secret: '' }],
    ['issuer is required for OIDC providers', { issuer: '' }],
    ['authorization_url is required for OAuth2 providers', { provider_type: 'oauth2' }],
    [
      'Cannot override reserved OAuth parameter: redirect_uri',
      { authorization_params: { redirect_uri: 'x' } },
    ],
    ['Authorization parameter "a" must be a string', { authorization_params: { a: 1 } }],
    ['Cannot map to protected system field: role', { attribute_mapping: { role: 'name' } }],
    ['custom_claims_allowlist entries must be non-empty strings', { custom_claims_allowlist: [' '] }],
    ['Invalid URL format', { issuer: 'no url' }],
    ['URL must use HTTPS', { issuer: 'http://id.example.com' }],
    ['URL cannot point to localhost or loopback addresses', { issuer: 'https://[::1]/' }],
    ['URL cannot point to localhost or loopback addresses', { issuer: 'https://0.0.0.0/' }],
    ['URL cannot resolve to private network addresses', { issuer: 'https://10.0.0.1/' }],
    ['URL cannot resolve to private network addresses', { discovery_url: 'https://192.168.1.1/' }],
    ['URL cannot resolve to link-local addresses', { issuer: 'https://169.254.169.254/latest' }],
    ['URL cannot resolve to loopback addresses', { issuer: 'https://127.0.0.2/' }],
    ['URL cannot resolve to loopback addresses', { issuer: 'https://[::ffff:127.0.0.2]/' }],
    ['URL cannot resolve to multicast addresses', { issuer: 'https://224.0.0.1/' }],
  ])('refuses with: %s', async (msg, facts) => {
    const answer = await asAdmin('POST', '', { ...acme(), identifier: 'custom:other', ...facts });
    expect(answer.body).toEqual({ code: 400, error_code: 'validation_failed', msg });
  });

  it('refuses an issuer that publishes something else', async () => {
    const discovery_url = `${issuer.url}/elsewhere`;
    issuer.answers.set('/elsewhere', { issuer: 'https://evil.example', jwks_uri: `${issuer.url}/keys` });
    const other = { ...acme(), identifier: 'custom:other' };
    expect((await asAdmin('POST', '', { ...other, discovery_url })).body.msg).toBe(
      `OIDC discovery from "${discovery_url}" failed: oidc: issuer mismatch, expected "${issuer.url}" got "https://evil.example"`,
    );
    issuer.answers.set('/elsewhere', { issuer: issuer.url });
    expect((await asAdmin('POST', '', { ...other, discovery_url })).body.msg).toBe(
      'OIDC discovery document is missing required fields: authorization_endpoint, token_endpoint, jwks_uri',
    );
  });

  it('refuses one of the same name, and more than there may be, also when they come at once', async () => {
    expect((await asAdmin('POST', '', acme())).body).toEqual({
      code: 400,
      error_code: 'conflict',
      msg: 'A custom OAuth provider with this identifier already exists',
    });
    const many = Array.from({ length: 10 }, (_, at) =>
      asAdmin('POST', '', { ...plain(), identifier: `custom:many-${at}` }),
    );
    const answers = await Promise.all(many);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(answers.find(({ status }) => status !== 201)?.body).toEqual({
      code: 400,
      error_code: 'over_custom_provider_quota',
      msg: 'Maximum number of custom OAuth/OIDC providers reached',
    });
  });
});
