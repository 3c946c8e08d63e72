// In charge of: other applications whose users sign in with a project: the whole flow by a client library that knows nothing of us, and what
// somebody tries who wants what was given to another application.
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import * as oauth from 'oauth4webapi';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout, makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

const config = `
project_id = "oauth-server"
[auth]
site_url = "https://app.example.com"
[auth.rate_limit]
sign_in_sign_ups = 100000
token_refresh = 100000
oauth_dynamic_client_register = 100000
[auth.oauth_server]
enabled = true
allow_dynamic_registration = true
`;
const notes = `
create table public.notes (id int primary key, client_id text);
insert into public.notes values (1, null);
alter table public.notes enable row level security;
grant select on public.notes to authenticated;
create policy "what an application may read" on public.notes for select to authenticated
  using (auth.jwt() ->> 'client_id' is not null and auth.jwt() ->> 'scope' = 'openid email profile');
`;

const redirectUri = 'http://127.0.0.1:9876/callback';
const password = 'correct horse';
const insecure = { [oauth.allowInsecureRequests]: true };

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let admin: SupabaseClient;
let server: oauth.AuthorizationServer;

beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': config, 'supabase/migrations/1_notes.sql': notes });
  backend = await startBackend(project.folder);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  admin = connect(backend.report.SECRET_KEY);
  const issuer = new URL(`${backend.report.API_URL}/auth/v1`);
  server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

function connect(key = backend.report.PUBLISHABLE_KEY): SupabaseClient {
  return createClient(backend.report.API_URL, key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

async function person(): Promise<SupabaseClient> {
  const email = `${randomUUID()}@example.com`;
  const created = await admin.auth.admin.createUser({
    email,
    password,
    email_confirm: true,
    user_metadata: { name: 'Ada', avatar_url: 'https://example.com/ada.png' },
  });
  if (created.error) throw created.error;
  const client = connect();
  const { error } = await client.auth.signInWithPassword({ email, password });
  if (error) throw error;
  return client;
}

interface Application {
  readonly client: oauth.Client;
  readonly auth: oauth.ClientAuth;
}

async function register(facts: Partial<oauth.Client> = {}): Promise<Application> {
  const metadata = {
    client_name: 'A reader',
    redirect_uris: [redirectUri],
    token_endpoint_auth_method: 'none',
    ...facts,
  };
  const answer = await oauth.dynamicClientRegistrationRequest(server, metadata, insecure);
  const client = await oauth.processDynamicClientRegistrationResponse(answer);
  const secret = String(client.client_secret);
  const auth =
    client.token_endpoint_auth_method === 'client_secret_basic'
      ? oauth.ClientSecretBasic(secret)
      : client.token_endpoint_auth_method === 'client_secret_post'
        ? oauth.ClientSecretPost(secret)
        : oauth.None();
  return { client, auth };
}

interface Asked {
  readonly location: URL;
  readonly id: string;
  readonly verifier: string;
}

/** As a browser gets to the page for consent. */
async function ask({ client }: Application, more: Readonly<Record<string, string>> = {}): Promise<Asked> {
  const verifier = oauth.generateRandomCodeVerifier();
  const url = new URL(String(server.authorization_endpoint));
  url.search = String(
    new URLSearchParams({
      client_id: client.client_id,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: 'openid email profile',
      state: 'the state',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...more,
    }),
  );
  const answer = await fetch(url, { redirect: 'manual' });
  const location = new URL(answer.headers.get('location') ?? 'about:blank');
  expect(answer.status).toBe(302);
  return { location, id: location.searchParams.get('authorization_id') ?? '', verifier };
}

/** What the browser brings back after the user said yes. */
async function approved(user: SupabaseClient, id: string): Promise<URL> {
  const details = await user.auth.oauth.getAuthorizationDetails(id);
  if (details.error) throw details.error;
  if ('redirect_url' in details.data) return new URL(details.data.redirect_url);
  const { data, error } = await user.auth.oauth.approveAuthorization(id);
  if (error) throw error;
  return new URL(data.redirect_url);
}

async function exchange(
  { client, auth }: Application,
  back: URL,
  verifier: string,
  to = redirectUri,
): Promise<Response> {
  const parameters = oauth.validateAuthResponse(server, client, back, oauth.skipStateCheck);
  return oauth.authorizationCodeGrantRequest(server, client, auth, parameters, to, verifier, insecure);
}

async function tokensOf(
  application: Application,
  user: SupabaseClient,
  more?: Readonly<Record<string, string>>,
) {
  const { id, verifier } = await ask(application, more);
  const answer = await exchange(application, await approved(user, id), verifier);
  return oauth.processAuthorizationCodeResponse(server, application.client, answer);
}

const refreshed = ({ client, auth }: Application, token: string) =>
  oauth.refreshTokenGrantRequest(server, client, auth, token, insecure);

async function refused(answer: Response): Promise<readonly [number, unknown]> {
  return [answer.status, await answer.json()];
}

describe('signing in to another application', () => {
  it('goes from registration over consent to tokens, the user and the data, refreshes, and ends when the user withdraws it', async () => {
    const user = await person();
    const userId = (await user.auth.getUser()).data.user?.id ?? '';
    const application = await register();
    const { client } = application;
    const nonce = oauth.generateRandomNonce();
    const { location, id, verifier } = await ask(application, { nonce });
    expect(location.origin + location.pathname).toBe('https://app.example.com/oauth/consent');
    const email = (await user.auth.getUser()).data.user?.email;
    expect((await user.auth.oauth.getAuthorizationDetails(id)).data).toEqual({
      authorization_id: id,
      redirect_uri: redirectUri,
      client: { id: client.client_id, name: 'A reader' },
      user: { id: userId, email },
      scope: 'openid email profile',
    });
    const back = await approved(user, id);
    expect([back.origin + back.pathname, [...back.searchParams.keys()]]).toEqual([
      redirectUri,
      ['code', 'state'],
    ]);
    const answer = await exchange(application, back, verifier);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    expect(Object.keys(tokens).sort()).toEqual([
      'access_token',
      'expires_in',
      'id_token',
      'refresh_token',
      'token_type',
    ]);
    await oauth.validateApplicationLevelSignature(server, answer, insecure);
    expect(oauth.getValidatedIdTokenClaims(tokens)).toEqual({
      iss: server.issuer,
      sub: userId,
      aud: client.client_id,
      exp: expect.any(Number),
      iat: expect.any(Number),
      nonce,
      auth_time: expect.any(Number),
      email,
      email_verified: true,
      phone_number_verified: false,
      name: 'Ada',
      picture: 'https://example.com/ada.png',
      updated_at: expect.any(Number),
      client_id: client.client_id,
    });
    const about = await oauth.userInfoRequest(server, client, tokens.access_token, insecure);
    expect(await oauth.processUserInfoResponse(server, client, userId, about)).toEqual({
      sub: userId,
      email,
      email_verified: true,
      name: 'Ada',
      picture: 'https://example.com/ada.png',
      updated_at: expect.any(Number),
      user_metadata: { name: 'Ada', avatar_url: 'https://example.com/ada.png', email_verified: true },
    });

    const { data: mine } = await user.from('notes').select('id');
    expect(mine).toEqual([]);
    const asApplication = createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
      accessToken: async () => tokens.access_token,
    });
    expect((await asApplication.from('notes').select('id')).data).toEqual([{ id: 1 }]);

    const again = await oauth.processRefreshTokenResponse(
      server,
      client,
      await refreshed(application, String(tokens.refresh_token)),
    );
    expect(again.refresh_token).not.toBe(tokens.refresh_token);
    expect((await user.auth.oauth.listGrants()).data).toEqual([
      {
        client: { id: client.client_id, name: 'A reader' },
        scopes: ['openid', 'email', 'profile'],
        granted_at: expect.any(String),
      },
    ]);
    expect((await user.auth.oauth.revokeGrant({ clientId: client.client_id })).error).toBeNull();
    expect((await user.auth.oauth.listGrants()).data).toEqual([]);
    expect((await refreshed(application, String(again.refresh_token))).status).toBe(400);
    const after = await oauth.userInfoRequest(server, client, again.access_token, insecure);
    expect(await refused(after)).toEqual([403, expect.objectContaining({ error_code: 'session_not_found' })]);
    expect((await user.auth.oauth.revokeGrant({ clientId: client.client_id })).error?.code).toBe(
      'oauth_consent_not_found',
    );
  });

  it('asks a user once for the same, and again for more', async () => {
    const user = await person();
    const application = await register();
    await tokensOf(application, user, { scope: 'email' });
    const same = await ask(application, { scope: 'email' });
    expect((await user.auth.oauth.getAuthorizationDetails(same.id)).data).toEqual({
      redirect_url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:9876\/callback\?code=.*&state=the\+state$/),
    });
    const more = await ask(application, { scope: 'email phone' });
    expect((await user.auth.oauth.getAuthorizationDetails(more.id)).data).toMatchObject({
      scope: 'email phone',
    });
  });

  it.each(['client_secret_basic', 'client_secret_post'] as const)(
    'knows an application by %s',
    async (method) => {
      const application = await register({ token_endpoint_auth_method: method });
      expect(application.client).toMatchObject({
        client_type: 'confidential',
        client_secret_expires_at: 0,
      });
      const tokens = await tokensOf(application, await person());
      expect(tokens.access_token).toEqual(expect.any(String));
      const { rows } = await database.query(
        'select client_secret_hash from auth.oauth_clients where id = $1',
        [application.client.client_id],
      );
      expect(rows[0].client_secret_hash).toHaveLength(43);
      expect(rows[0].client_secret_hash).not.toBe(application.client.client_secret);
      const wrong = {
        ...application,
        auth: method === 'client_secret_basic' ? oauth.ClientSecretBasic('no') : oauth.ClientSecretPost('no'),
      };
      expect(await refused(await refreshed(wrong, String(tokens.refresh_token)))).toEqual([
        400,
        { code: 400, error_code: 'invalid_credentials', msg: 'invalid client credentials' },
      ]);
      const other = {
        ...application,
        auth: method === 'client_secret_basic' ? oauth.ClientSecretPost('no') : oauth.None(),
      };
      const used = method === 'client_secret_basic' ? 'client_secret_post' : 'none';
      expect(await refused(await refreshed(other, String(tokens.refresh_token)))).toEqual([
        400,
        {
          code: 400,
          error_code: 'invalid_credentials',
          msg: `invalid authentication method: client is registered for '${method}' but '${used}' was used`,
        },
      ]);
    },
  );

  it('takes the parameters as JSON, too', async () => {
    const application = await register();
    const { id, verifier } = await ask(application);
    const back = await approved(await person(), id);
    const answer = await fetch(String(server.token_endpoint), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        grant_type: 'authorization_code',
        client_id: application.client.client_id,
        code: back.searchParams.get('code'),
        redirect_uri: redirectUri,
        code_verifier: verifier,
      }),
    });
    expect([answer.status, await answer.json()]).toEqual([
      200,
      {
        access_token: expect.any(String),
        expires_in: 3600,
        id_token: expect.any(String),
        refresh_token: expect.any(String),
        token_type: 'bearer',
      },
    ]);
  });

  it('ends a session by /oauth/revoke, for the application that it belongs to and nobody else', async () => {
    const application = await register();
    const other = await register();
    const user = await person();
    for (const which of ['refresh_token', 'access_token'] as const) {
      const tokens = await tokensOf(application, user);
      const token = String(tokens[which]);
      const revoke = ({ client, auth }: Application, what: string) =>
        oauth.revocationRequest(server, client, auth, what, insecure);
      expect(await oauth.processRevocationResponse(await revoke(other, token))).toBeUndefined();
      const about = () => oauth.userInfoRequest(server, application.client, tokens.access_token, insecure);
      expect((await about()).status).toBe(200);
      expect(await oauth.processRevocationResponse(await revoke(application, 'nonsense'))).toBeUndefined();
      expect(await oauth.processRevocationResponse(await revoke(application, token))).toBeUndefined();
      expect((await about()).status).toBe(403);
      expect((await refreshed(application, String(tokens.refresh_token))).status).toBe(400);
    }
  });
});

describe('a code', () => {
  const code = async () => {
    const application = await register();
    const { id, verifier } = await ask(application);
    return { application, verifier, back: await approved(await person(), id) };
  };
  const invalid = (description: string) => [400, { error: 'invalid_grant', error_description: description }];

  it('is good for one of fifty that come with it at once, and for nobody later', async () => {
    const { application, verifier, back } = await code();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => exchange(application, back, verifier)),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array.from({ length: 49 }, () => 400)]);
    expect(await refused(await exchange(application, back, verifier))).toEqual(
      invalid('Invalid authorization code'),
    );
    const { rows } = await database.query(
      'select count(*)::int as sessions from auth.sessions where oauth_client_id = $1',
      [application.client.client_id],
    );
    expect(rows).toEqual([{ sessions: 1 }]);
  });

  it('is refused with another verifier, by another application, for another address; and is still good afterwards', async () => {
    const { application, verifier, back } = await code();
    expect(await refused(await exchange(application, back, oauth.generateRandomCodeVerifier()))).toEqual(
      invalid('PKCE verification failed: code challenge does not match previously saved code verifier'),
    );
    expect(await refused(await exchange(await register(), back, verifier))).toEqual(
      invalid('Authorization code was not issued for this client'),
    );
    expect(await refused(await exchange(application, back, verifier, `${redirectUri}/`))).toEqual(
      invalid('Invalid redirect_uri'),
    );
    expect((await exchange(application, back, verifier)).status).toBe(200);
  });

  it('is refused once its time is over, and once the user has withdrawn the consent', async () => {
    const { application, verifier, back } = await code();
    await database.query(
      `update auth.oauth_authorizations set created_at = now() - interval '1 h', expires_at = now() - interval '1 s' where client_id = $1`,
      [application.client.client_id],
    );
    expect(await refused(await exchange(application, back, verifier))).toEqual(
      invalid('Authorization code has expired'),
    );
    const user = await person();
    const { id, verifier: second } = await ask(application);
    const withdrawn = await approved(user, id);
    await user.auth.oauth.revokeGrant({ clientId: application.client.client_id });
    expect(await refused(await exchange(application, withdrawn, second))).toEqual(
      invalid('Invalid authorization code'),
    );
  });
});

describe('a refresh token of an application', () => {
  it('is worth nothing to another application, nor at the plain /token; nor is a plain one at /oauth/token', async () => {
    const application = await register();
    const user = await person();
    const tokens = await tokensOf(application, user);
    const token = String(tokens.refresh_token);
    expect(await refused(await refreshed(await register(), token))).toEqual([
      400,
      { error: 'invalid_client', error_description: "Client does not match the session's OAuth client" },
    ]);
    const plain = await fetch(`${backend.report.API_URL}/auth/v1/token?grant_type=refresh_token`, {
      method: 'POST',
      headers: { apikey: backend.report.PUBLISHABLE_KEY },
      body: JSON.stringify({ refresh_token: token }),
    });
    expect(await refused(plain)).toEqual([
      400,
      { error: 'invalid_client', error_description: 'Client authentication required for OAuth session' },
    ]);
    const { data } = await user.auth.getSession();
    expect(await refused(await refreshed(application, String(data.session?.refresh_token)))).toEqual([
      400,
      {
        error: 'invalid_client',
        error_description: 'Client authentication not allowed for non-OAuth session',
      },
    ]);
    expect((await refreshed(application, token)).status).toBe(200);
  });
});

describe('GET /oauth/authorize', () => {
  it('sends nobody anywhere before the address is known to be the application’s', async () => {
    const { client } = await register();
    const at = async (facts: Readonly<Record<string, string>>) => {
      const answer = await fetch(`${server.authorization_endpoint}?${new URLSearchParams(facts)}`, {
        redirect: 'manual',
      });
      const { error_code, msg } = (await answer.json()) as Record<string, unknown>;
      return [answer.status, answer.headers.get('location'), error_code, msg];
    };
    const id = client.client_id;
    for (const uri of [
      'https://evil.example/',
      `${redirectUri}/`,
      `${redirectUri}?x=1`,
      'http://127.0.0.1:9877/callback',
      'http://localhost:9876/callback',
    ])
      expect(await at({ client_id: id, redirect_uri: uri })).toEqual([
        400,
        null,
        'validation_failed',
        'invalid redirect_uri',
      ]);
    const none = { redirect_uri: redirectUri };
    expect(await at(none)).toEqual([400, null, 'validation_failed', 'client_id is required']);
    expect(await at({ client_id: id })).toEqual([400, null, 'validation_failed', 'redirect_uri is required']);
    expect(await at({ ...none, client_id: 'x' })).toEqual([
      400,
      null,
      'oauth_client_not_found',
      'invalid client_id format',
    ]);
    expect(await at({ ...none, client_id: randomUUID() })).toEqual([
      400,
      null,
      'oauth_client_not_found',
      'invalid client_id',
    ]);
  });

  it.each([
    [{ response_type: 'token' }, 'only response_type=code is supported'],
    [{ scope: 'email everything' }, 'unsupported scope: everything'],
    [{ resource: '/mcp' }, 'resource must be an absolute URI'],
    [{ resource: 'https://mcp.example/#x' }, 'resource must not include a fragment component'],
    [{ resource: 'https://mcp.example/?x' }, 'resource must not include a query component'],
    [{ code_challenge: '' }, 'PKCE flow requires both code_challenge and code_challenge_method'],
    [{ code_challenge_method: 'S512' }, "code_challenge_method must be 'S256' or 'plain'"],
    [{ code_challenge: 'short' }, 'code_challenge must be between 43 and 128 characters'],
  ])('tells the application of %j', async (more, description) => {
    const { location } = await ask(await register(), more);
    expect(location.href.split('?')[0]).toBe(redirectUri);
    expect(Object.fromEntries(location.searchParams)).toEqual({
      error: 'invalid_request',
      error_description: description,
      state: 'the state',
    });
  });

  it('is told as a fault of ours when it is too long to be kept', async () => {
    const { location } = await ask(await register(), { state: 'x'.repeat(5000) });
    expect(location.searchParams.get('error')).toBe('server_error');
  });
});

describe('the consent of a user', () => {
  it('can be a no, of which the application hears', async () => {
    const user = await person();
    const { id } = await ask(await register());
    await user.auth.oauth.getAuthorizationDetails(id);
    const { data } = await user.auth.oauth.denyAuthorization(id);
    expect(data).toEqual({
      redirect_url: `${redirectUri}?error=access_denied&error_description=User+denied+the+request&state=the+state`,
    });
    expect((await user.auth.oauth.approveAuthorization(id)).error?.message).toBe(
      'authorization request is no longer pending',
    );
  });

  it('is given by one of fifty who say yes at once', async () => {
    const user = await person();
    const { id } = await ask(await register());
    await user.auth.oauth.getAuthorizationDetails(id);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => user.auth.oauth.approveAuthorization(id)),
    );
    expect(answers.filter(({ error }) => error === null)).toHaveLength(1);
  });

  it('cannot be given in the place of another, late, or for what there is not', async () => {
    const [user, other] = [await person(), await person()];
    const { id } = await ask(await register());
    await user.auth.oauth.getAuthorizationDetails(id);
    const codeOf = ({ error }: { readonly error: { readonly code?: string | undefined } | null }) =>
      error?.code;
    expect(codeOf(await other.auth.oauth.getAuthorizationDetails(id))).toBe('oauth_authorization_not_found');
    expect(codeOf(await other.auth.oauth.approveAuthorization(id))).toBe('oauth_authorization_not_found');
    await database.query(
      `update auth.oauth_authorizations set created_at = now() - interval '1 h', expires_at = now() - interval '1 s' where authorization_id = $1`,
      [id],
    );
    expect(codeOf(await user.auth.oauth.approveAuthorization(id))).toBe('oauth_authorization_not_found');
    const { rows } = await database.query(
      'select status from auth.oauth_authorizations where authorization_id = $1',
      [id],
    );
    expect(rows).toEqual([{ status: 'expired' }]);
    expect(codeOf(await user.auth.oauth.approveAuthorization('nothing'))).toBe(
      'oauth_authorization_not_found',
    );
    expect((await connect().auth.oauth.approveAuthorization(id)).error?.name).toBe('AuthSessionMissingError');
  });

  it('cannot be given by the token of an application, nor from a page of somebody else', async () => {
    const application = await register();
    const user = await person();
    const { access_token: token } = await tokensOf(application, user);
    const { id } = await ask(await register());
    const at = (bearer: string, more: Readonly<Record<string, string>> = {}) =>
      fetch(`${backend.report.API_URL}/auth/v1/oauth/authorizations/${id}`, {
        headers: { apikey: backend.report.PUBLISHABLE_KEY, authorization: `Bearer ${bearer}`, ...more },
      });
    expect(await refused(await at(token))).toEqual([
      403,
      { code: 403, error_code: 'bad_jwt', msg: 'The token of an application cannot answer for its user' },
    ]);
    const own = String((await user.auth.getSession()).data.session?.access_token);
    expect(await refused(await at(own, { origin: 'https://evil.example' }))).toEqual([
      400,
      { code: 400, error_code: 'validation_failed', msg: 'unauthorized request origin' },
    ]);
    expect((await at(own, { origin: 'https://app.example.com' })).status).toBe(200);
  });
});

describe('applications', () => {
  it('are listed, changed, given another secret and deleted by an administrator', async () => {
    const { oauth: clients } = admin.auth.admin;
    const made = await clients.createClient({ client_name: 'Ours', redirect_uris: [redirectUri] });
    expect(made.data).toEqual({
      client_id: expect.any(String),
      client_secret: expect.any(String),
      client_type: 'confidential',
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      client_name: 'Ours',
      registration_type: 'manual',
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    const id = made.data?.client_id ?? '';
    const { client_secret: _, ...shown } = made.data ?? {};
    expect((await clients.getClient(id)).data).toEqual(shown);
    expect((await clients.listClients()).data.clients).toContainEqual(shown);
    const changed = await clients.updateClient(id, {
      client_name: 'Theirs',
      redirect_uris: ['myapp://back'],
    });
    expect(changed.data).toEqual({
      ...shown,
      client_name: 'Theirs',
      redirect_uris: ['myapp://back'],
      updated_at: expect.any(String),
    });
    const secret = await clients.regenerateClientSecret(id);
    expect(secret.data?.client_secret).not.toBe(made.data?.client_secret);
    expect((await clients.updateClient(id, {})).error?.message).toBe('No fields provided for update');
    expect((await clients.deleteClient(id)).error).toBeNull();
    expect((await clients.getClient(id)).error?.code).toBe('oauth_client_not_found');
    const user = await person();
    expect((await user.auth.admin.oauth.listClients()).error?.code).toBe('not_admin');
  });

  it.each([
    [{}, 'redirect_uris is required'],
    [
      { redirect_uris: ['http://app.example/cb'] },
      "invalid redirect_uri 'http://app.example/cb': HTTP scheme only allowed for localhost",
    ],
    [
      { redirect_uris: ['javascript://x/%0aalert(1)'] },
      "invalid redirect_uri 'javascript://x/%0aalert(1)': scheme 'javascript' is not allowed for security reasons",
    ],
    [{ redirect_uris: ['/cb'] }, "invalid redirect_uri '/cb': must have scheme and host"],
    [
      { redirect_uris: ['https://a.example/#x'] },
      "invalid redirect_uri 'https://a.example/#x': fragment not allowed in redirect URI",
    ],
    [
      { redirect_uris: ['https://a.example/,javascript://b'] },
      "invalid redirect_uri 'https://a.example/,javascript://b': comma not allowed in redirect URI",
    ],
    [
      { redirect_uris: [redirectUri], grant_types: ['implicit'] },
      "grant_types must only contain 'authorization_code' and/or 'refresh_token'",
    ],
    [{ redirect_uris: [redirectUri], logo_uri: 'javascript:alert(1)' }, 'logo_uri must be a valid URL'],
    [
      {
        redirect_uris: [redirectUri],
        client_type: 'public',
        token_endpoint_auth_method: 'client_secret_post',
      },
      "client_type 'public' is inconsistent with token_endpoint_auth_method 'client_secret_post' (expected client_type 'confidential')",
    ],
  ])('are not registered with %j', async (body, message) => {
    const answer = await fetch(String(server.registration_endpoint), {
      method: 'POST',
      body: JSON.stringify(body),
    });
    // The status stands in the message as well, as upstream says it here.
    expect(await refused(answer)).toEqual([
      400,
      { code: 400, error_code: 'validation_failed', msg: `400: ${message}` },
    ]);
  });
});

describe('what the server says of itself', () => {
  const said = () => ({
    issuer: `${backend.report.API_URL}/auth/v1`,
    authorization_endpoint: `${backend.report.API_URL}/auth/v1/oauth/authorize`,
    token_endpoint: `${backend.report.API_URL}/auth/v1/oauth/token`,
    registration_endpoint: `${backend.report.API_URL}/auth/v1/oauth/clients/register`,
    revocation_endpoint: `${backend.report.API_URL}/auth/v1/oauth/revoke`,
    code_challenge_methods_supported: ['S256', 'plain'],
    scopes_supported: ['openid', 'profile', 'email', 'phone', 'offline_access'],
  });

  it.each([
    '/auth/v1/.well-known/openid-configuration',
    '/auth/v1/.well-known/oauth-authorization-server',
    '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-authorization-server/auth/v1',
    '/.well-known/openid-configuration/auth/v1',
  ])('is found at %s without a key', async (path) => {
    const answer = await fetch(backend.report.API_URL + path);
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'public, max-age=600']);
    expect(await answer.json()).toMatchObject(said());
  });

  it('is found by a client that looks where RFC 8414 has it', async () => {
    const issuer = new URL(`${backend.report.API_URL}/auth/v1`);
    const answer = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' });
    expect(await oauth.processDiscoveryResponse(issuer, answer)).toMatchObject(said());
  });
});

describe('a project that signs by a secret', () => {
  it('has no id_token to give, as upstream; the code stays good, and tokens without one are given', async () => {
    const key = { kty: 'oct', alg: 'HS256', kid: 'old', k: randomBytes(64).toString('base64url') };
    await using old = await makeProject({
      'supabase/config.toml': config.replace('[auth]', '[auth]\nsigning_keys_path = "./signing.json"'),
      'supabase/signing.json': JSON.stringify([key]),
    });
    await using running = await startBackend(old.folder);
    const url = `${running.report.API_URL}/auth/v1`;
    const post = async (path: string, body: string | URLSearchParams) => {
      const answer = await fetch(url + path, { method: 'POST', body });
      return [answer.status, (await answer.json()) as Record<string, string>] as const;
    };
    const user = createClient(running.report.API_URL, running.report.PUBLISHABLE_KEY);
    await user.auth.signUp({ email: 'a@example.com', password });
    const registration = { redirect_uris: [redirectUri], token_endpoint_auth_method: 'none' };
    const [, { client_id = '' }] = await post('/oauth/clients/register', JSON.stringify(registration));
    const codeFor = async (scope: string) => {
      const verifier = oauth.generateRandomCodeVerifier();
      const facts = {
        client_id,
        redirect_uri: redirectUri,
        scope,
        code_challenge: verifier,
        code_challenge_method: 'plain',
      };
      const answer = await fetch(`${url}/oauth/authorize?${new URLSearchParams(facts)}`, {
        redirect: 'manual',
      });
      const id = new URL(String(answer.headers.get('location'))).searchParams.get('authorization_id') ?? '';
      const code = (await approved(user, id)).searchParams.get('code') ?? '';
      return new URLSearchParams({
        grant_type: 'authorization_code',
        client_id,
        code,
        code_verifier: verifier,
      });
    };
    const withOpenid = await codeFor('openid email');
    for (const _ of ['first', 'second'])
      expect(await post('/oauth/token', withOpenid)).toEqual([
        500,
        { code: 500, error_code: 'unexpected_failure', msg: 'Error generating ID token' },
      ]);
    const [status, tokens] = await post('/oauth/token', await codeFor('email'));
    expect([status, Object.keys(tokens)]).toEqual([
      200,
      ['access_token', 'expires_in', 'refresh_token', 'token_type'],
    ]);
  });
});

describe('docs/oauth-server.md', () => {
  it('has an example that runs as it is pasted', async () => {
    const page = await readFile(join(checkout, 'docs', 'oauth-server.md'), 'utf8');
    const snippet = /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const folder = await mkdtemp(join(tmpdir(), 'mr-oauth-'));
    try {
      await symlink(join(checkout, 'node_modules'), join(folder, 'node_modules'));
      const pasted = snippet.replace('http://127.0.0.1:54321', backend.report.API_URL);
      await writeFile(join(folder, 'pasted.mjs'), pasted);
      const child = spawn(process.execPath, [join(folder, 'pasted.mjs')], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [output, complaints, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ]);
      expect({ code, complaints }).toEqual({ code: 0, complaints: '' });
      expect(output).toMatch(/^A reader asks for email profile\nsigned in as person-\d+@example\.com\n$/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('the server switched off', () => {
  it('answers as upstream does without it', async () => {
    await using bare = await makeProject({ 'supabase/config.toml': 'project_id = "bare"\n' });
    await using running = await startBackend(bare.folder);
    const at = async (line: string, key?: string) => {
      const [method = '', path = ''] = line.split(' ');
      const headers = key === undefined ? {} : { apikey: key, authorization: `Bearer ${key}` };
      const answer = await fetch(`${running.report.API_URL}${path}`, { method, headers });
      return [answer.status, ((await answer.json()) as Record<string, unknown>).error_code];
    };
    for (const line of [
      'GET /auth/v1/.well-known/oauth-authorization-server',
      'GET /.well-known/oauth-authorization-server/auth/v1',
      'POST /auth/v1/oauth/clients/register',
      'GET /auth/v1/oauth/authorize',
      'POST /auth/v1/oauth/token',
      'POST /auth/v1/oauth/revoke',
      'GET /auth/v1/oauth/userinfo',
    ])
      expect(await at(line), line).toEqual([404, 'feature_disabled']);
    expect(await at('GET /auth/v1/admin/oauth/clients', running.report.SERVICE_ROLE_KEY)).toEqual([
      404,
      'feature_disabled',
    ]);
    const known = await fetch(`${running.report.API_URL}/auth/v1/.well-known/openid-configuration`);
    const { registration_endpoint, revocation_endpoint } = (await known.json()) as Record<string, unknown>;
    expect([known.status, registration_endpoint, revocation_endpoint]).toEqual([200, undefined, undefined]);
  });
});
