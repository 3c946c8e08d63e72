// In charge of: signing in by a provider that an administrator has set up: its own addresses, PKCE between it and us, and answers that are another's.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { createClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeSelfSigned } from '../src/server/tls/self-signed.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { type OpenIdProvider, openBrowser, startOpenIdProvider } from './harness/openid-provider.ts';

const app = 'https://app.example.com';
const client = { id: 'millrace', secret: 'the secret of acme' };

let project: Awaited<ReturnType<typeof makeProject>>;
let provider: OpenIdProvider;
let backend: RunningBackend;
let callback: string;

beforeAll(async () => {
  const certificate = await makeSelfSigned(['127.0.0.1'], Date.now());
  setDefaultCACertificates([...getCACertificates(), certificate.certPem]);
  provider = await startOpenIdProvider(certificate);
  project = await makeProject({
    'supabase/config.toml': `
project_id = "custom"
[egress]
allow = ["127.0.0.1"]
[auth]
site_url = "${app}"
`,
  });
  const trusted = join(project.folder, 'trusted.pem');
  await writeFile(trusted, certificate.certPem);
  backend = await startBackend(project.folder, [], { env: { NODE_EXTRA_CA_CERTS: trusted } });
  callback = `${backend.report.API_URL}/auth/v1/callback`;
  provider.open({ ...client, redirectUri: callback });
  const made = await fetch(`${backend.report.API_URL}/auth/v1/admin/custom-providers`, {
    method: 'POST',
    headers: { apikey: backend.report.SECRET_KEY, 'content-type': 'application/json' },
    body: JSON.stringify({
      provider_type: 'oidc',
      identifier: 'custom:acme',
      name: 'Acme',
      client_id: client.id,
      client_secret: client.secret,
      issuer: provider.url,
      scopes: ['openid', 'email', 'profile'],
      pkce_enabled: true,
    }),
  });
  expect({ status: made.status, body: await made.json() }).toMatchObject({ status: 201 });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const queryOf = (url: URL) => Object.fromEntries(url.searchParams);

/** Everybody sits at one browser, who is signed out of the provider each time. */
let browser = openBrowser();

async function begin(name: string): Promise<URL> {
  browser = openBrowser();
  provider.people.set(name, { email: `${name}@example.org`, email_verified: true, name });
  const query = new URLSearchParams({ provider: 'custom:acme', login_hint: name });
  const answer = await browser.ask(`${backend.report.API_URL}/auth/v1/authorize?${query}`);
  return new URL(answer.headers.get('location') ?? 'none:');
}

/** Up to the provider's answer to us. */
async function answerFor(name: string): Promise<URL> {
  const { href } = await begin(name);
  return new URL(await browser.goTo(href, callback));
}

async function bring(url: URL): Promise<URL> {
  const answer = await browser.ask(url);
  return new URL(answer.headers.get('location') ?? 'none:');
}

describe('a provider of the project’s own', () => {
  it('is asked with a challenge, found by its discovery, and believed by its id_token', async () => {
    const url = await begin('ada');
    expect(url.origin + url.pathname).toBe(`${provider.url}/protocol/openid-connect/auth`);
    expect(queryOf(url)).toMatchObject({
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
      scope: 'openid email profile',
    });
    const back = new URL(await browser.goTo(url.href, app));
    const token = new URLSearchParams(back.hash.slice(1)).get('access_token') ?? '';
    const admin = createClient(backend.report.API_URL, backend.report.SECRET_KEY);
    const { data } = await admin.auth.getUser(token);
    expect(data.user).toMatchObject({
      email: 'ada@example.org',
      app_metadata: { provider: 'custom:acme', providers: ['custom:acme'] },
      user_metadata: { sub: 'ada', iss: provider.url, email_verified: true },
      identities: [{ provider: 'custom:acme', id: 'ada' }],
    });
  });

  it('is not sent a code that came with the name of another one (mix-up)', async () => {
    const answer = await answerFor('bob');
    expect(answer.searchParams.get('iss')).toBe(provider.url);
    answer.searchParams.set('iss', 'https://evil.example');
    const before = provider.exchanges();
    expect(queryOf(await bring(answer))).toMatchObject({ error: 'server_error' });
    expect(provider.exchanges()).toBe(before);
  });

  it.each([
    [
      'is gone',
      'delete from auth.oauth_client_states',
      'oauth_client_state_not_found',
      'OAuth state not found',
    ],
    [
      'is too old',
      "update auth.oauth_client_states set created_at = now() - interval '301 seconds'",
      'oauth_client_state_expired',
      'OAuth state expired',
    ],
    [
      'is of another provider',
      "update auth.oauth_client_states set provider_type = 'custom:other'",
      'oauth_invalid_state',
      'OAuth provider mismatch',
    ],
  ])('is not asked when our verifier %s', async (_, sql, code, description) => {
    const answer = await answerFor('dora');
    const database = new pg.Client({ connectionString: backend.report.DB_URL });
    await database.connect();
    await database.query(sql);
    await database.end();
    const before = provider.exchanges();
    expect(queryOf(await bring(answer))).toMatchObject({ error_code: code, error_description: description });
    expect(provider.exchanges()).toBe(before);
  });

  it('gives nothing for the code of another sign-in (code injection)', async () => {
    const victim = await answerFor('carol');
    // At a browser of their own, which is the one that brings it.
    const attacker = await answerFor('mallory');
    attacker.searchParams.set('code', victim.searchParams.get('code') ?? '');
    const back = await bring(attacker);
    expect(queryOf(back)).toMatchObject({ error: 'server_error', error_code: 'unexpected_failure' });
    expect(back.hash).not.toContain('access_token');
  });
});
