// In charge of: passkeys and security keys, in a real browser with a virtual authenticator, by the official client.
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { type BrowserContext, type CDPSession, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkout, makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

const browserFile = process.env.CHROMIUM ?? '/usr/bin/chromium';
const found = existsSync(browserFile);
if (!found)
  console.warn(
    `Skipped: no browser at "${browserFile}". Install Debian's chromium, or name one in CHROMIUM.`,
  );

const password = 'correct horse';

describe.skipIf(!found)('in a browser with an authenticator', () => {
  let project: Awaited<ReturnType<typeof makeProject>>;
  let backend: RunningBackend;
  let database: pg.Client;
  let admin: SupabaseClient;
  let site: Server;
  let folder: string;
  let browser: BrowserContext;
  let page: Page;
  let devtools: CDPSession;
  let authenticatorId: string;
  let email: string;
  let userId: string;
  let count = 0;

  beforeAll(async () => {
    site = await serveSite();
    const { port } = site.address() as { port: number };
    const origin = `http://localhost:${port}`;
    project = await makeProject({
      'supabase/config.toml': `
project_id = "passkeys"
[auth]
site_url = "${origin}"
[auth.passkey]
enabled = true
max_passkeys_per_user = 2
[auth.webauthn]
rp_display_name = "Passkeys"
rp_id = "localhost"
rp_origins = ["${origin}"]
[auth.mfa.web_authn]
enroll_enabled = true
verify_enabled = true
`,
    });
    backend = await startBackend(project.folder);
    database = new pg.Client({ connectionString: backend.report.DB_URL });
    await database.connect();
    admin = createClient(backend.report.API_URL, backend.report.SECRET_KEY, {
      auth: { persistSession: false, autoRefreshToken: false, experimental: { passkey: true } },
    });
    folder = await mkdtemp(join(tmpdir(), 'millrace-passkeys-'));
    browser = await chromium.launchPersistentContext(folder, {
      executablePath: browserFile,
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    });
    page = await browser.newPage();
    await page.goto(origin);
    devtools = await browser.newCDPSession(page);
    await devtools.send('WebAuthn.enable');
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await database?.end();
    await backend?.[Symbol.asyncDispose]();
    await project?.[Symbol.asyncDispose]();
    site?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** Somebody with an authenticator of their own, signed in in the page. */
  beforeEach(async () => {
    if (authenticatorId) await devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
    ({ authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'usb',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    }));
    email = `key-${count++}@example.com`;
    const { data, error } = await admin.auth.admin.createUser({ email, password, email_confirm: true });
    if (error) throw error;
    userId = data.user.id;
    await page.reload();
    await inPage(connect);
    expect(await inPage(signInWithPassword)).toBeNull();
  });

  /** Runs a function of the page's own in the page. */
  async function inPage<T>(work: (facts: Facts) => Promise<T>): Promise<T> {
    const { API_URL: url, PUBLISHABLE_KEY: key } = backend.report;
    return page.evaluate(work, { url, key, email, password });
  }

  /** A request of the page's user, or of nobody. */
  async function ask(method: string, path: string, body?: unknown, token?: string) {
    const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
      method,
      headers: {
        apikey: backend.report.PUBLISHABLE_KEY,
        authorization: `Bearer ${token ?? backend.report.PUBLISHABLE_KEY}`,
        'content-type': 'application/json',
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  it('a passkey is registered, signed in with, listed, renamed and removed', async () => {
    const registered = await inPage(register);
    expect(registered).toEqual({
      data: { id: expect.any(String), friendly_name: expect.any(String), created_at: expect.any(String) },
      error: null,
    });
    await inPage(signOut);
    const signedIn = await inPage(signInWithPasskey);
    expect(signedIn.error).toBeNull();
    expect(signedIn.user).toBe(userId);
    expect(signedIn.claims).toMatchObject({ aal: 'aal1', amr: [{ method: 'passkey' }] });
    const managed = await inPage(manage);
    expect(managed.before).toEqual([{ ...registered.data, last_used_at: expect.stringMatching(/Z$/) }]);
    expect(managed.renamed).toMatchObject({ friendly_name: 'my key' });
    expect(managed.after).toEqual([]);
  });

  it('a passkey that is gone signs nobody in, and a challenge is good once', async () => {
    await inPage(register);
    const used = await inPage(answerOfPasskey);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => ask('POST', '/passkeys/authentication/verify', used)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const { status, body } of answers)
      if (status !== 200) expect([status, body.error_code]).toEqual([400, 'webauthn_challenge_not_found']);
    const stale = await inPage(answerOfPasskey);
    const { data } = await admin.auth.admin.passkey.listPasskeys({ userId });
    expect(data).toHaveLength(1);
    await admin.auth.admin.passkey.deletePasskey({ userId, passkeyId: data?.[0]?.id ?? '' });
    const gone = await ask('POST', '/passkeys/authentication/verify', stale);
    expect([gone.status, gone.body.error_code]).toEqual([400, 'webauthn_verification_failed']);
  });

  it('a challenge that has run out, and an answer to another, are refused', async () => {
    await inPage(register);
    const late = await inPage(answerOfPasskey);
    await database.query(
      `update auth.webauthn_challenges set expires_at = now() - interval '1 s' where id = $1`,
      [late.challenge_id],
    );
    const expired = await ask('POST', '/passkeys/authentication/verify', late);
    expect([expired.status, expired.body.error_code]).toEqual([400, 'webauthn_challenge_expired']);
    const [one, other] = [await inPage(answerOfPasskey), await inPage(answerOfPasskey)];
    const mixed = await ask('POST', '/passkeys/authentication/verify', {
      challenge_id: one.challenge_id,
      credential: other.credential,
    });
    expect([mixed.status, mixed.body.error_code]).toEqual([400, 'webauthn_verification_failed']);
  });

  it('an authenticator whose count does not go up is a copy, and refused', async () => {
    await inPage(register);
    const answer = await inPage(answerOfPasskey);
    await database.query('update auth.webauthn_credentials set sign_count = 1000 where user_id = $1', [
      userId,
    ]);
    const refused = await ask('POST', '/passkeys/authentication/verify', answer);
    expect([refused.status, refused.body.error_code]).toEqual([400, 'webauthn_verification_failed']);
  });

  it('no more passkeys than there may be, and no key twice', async () => {
    await inPage(register);
    const twice = await inPage(register);
    expect(twice.error).toContain('previously registered');
    const answer = await inPage(answerOfNewPasskey);
    expect(answer).toBe('InvalidStateError');
    await database.query(
      `insert into auth.webauthn_credentials (user_id, credential_id, public_key) values ($1, '\\x01', '\\x02')`,
      [userId],
    );
    expect((await inPage(register)).error).toBe('Maximum number of passkeys reached');
  });

  it('without a session, with a ban and with nonsense there is none', async () => {
    const nobody = await ask('POST', '/passkeys/registration/options', {}, backend.report.ANON_KEY);
    expect([nobody.status, nobody.body.error_code]).toEqual([403, 'bad_jwt']);
    await inPage(register);
    await admin.auth.admin.updateUserById(userId, { ban_duration: '1h' });
    const banned = await ask('POST', '/passkeys/authentication/verify', await inPage(answerOfPasskey));
    expect([banned.status, banned.body.error_code]).toEqual([403, 'user_banned']);
    const other = await ask('DELETE', '/passkeys/x', undefined, backend.report.ANON_KEY);
    expect([other.status, other.body.error_code]).toEqual([403, 'bad_jwt']);
    const bad = await ask('POST', '/passkeys/authentication/verify', {
      challenge_id: 'x',
      credential: {},
    });
    expect([bad.status, bad.body.error_code]).toEqual([400, 'validation_failed']);
  });

  it('a security key is a second factor, once enrolled and each time after', async () => {
    const first = await inPage(registerFactor);
    expect(first).toMatchObject({ error: null, aal: 'aal2' });
    await inPage(signOut);
    await inPage(signInWithPassword);
    const again = await inPage(authenticateFactor);
    expect(again).toMatchObject({ error: null, aal: 'aal2' });
    const { rows } = await database.query(
      `select status, web_authn_aaguid is not null as known, (web_authn_credential #>> '{authenticator,signCount}')::int as count
       from auth.mfa_factors where user_id = $1`,
      [userId],
    );
    expect(rows).toEqual([{ status: 'verified', known: true, count: expect.any(Number) }]);
    expect(rows[0].count).toBeGreaterThan(1);
  });

  it("a new key of one's own is no answer to the challenge of a factor that is there", async () => {
    await inPage(registerFactor);
    await inPage(signOut);
    await inPage(signInWithPassword);
    const outcome = await inPage(answerWithNewKey);
    expect(outcome).toEqual({ status: 422, code: 'mfa_verification_failed' });
  });

  it('who has a second factor shows it before a passkey is added', async () => {
    await inPage(registerFactor);
    await inPage(signOut);
    await inPage(signInWithPassword);
    expect((await inPage(register)).error).toBe(
      'AAL2 session is required to manage passkeys when MFA is enabled',
    );
  });
});

/** A page with the official client, as a site of the application's own. */
async function serveSite(): Promise<Server> {
  const client = await readFile(join(checkout, 'node_modules/@supabase/supabase-js/dist/umd/supabase.js'));
  const server = createServer((request, response) => {
    if (request.url === '/supabase.js') {
      response.setHeader('content-type', 'text/javascript').end(client);
      return;
    }
    response
      .setHeader('content-type', 'text/html')
      .end('<!doctype html><title>site</title><script src="/supabase.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return server;
}

interface Facts {
  readonly url: string;
  readonly key: string;
  readonly email: string;
  readonly password: string;
}

// What follows runs in the page: each function knows nothing but what it is given and what the page has.

/** What the page keeps. */
// biome-ignore lint/suspicious/noExplicitAny: the browser's own globals, which the types of Node do not have
declare const window: any;

async function connect({ url, key }: Facts): Promise<void> {
  window.client = window.supabase.createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, experimental: { passkey: true } },
  });
}

async function signInWithPassword({ email, password }: Facts): Promise<string | null> {
  const { error } = await window.client.auth.signInWithPassword({ email, password });
  return error?.message ?? null;
}

async function signOut(): Promise<void> {
  await window.client.auth.signOut();
}

async function register() {
  const { data, error } = await window.client.auth.registerPasskey();
  return { data, error: error?.message ?? null };
}

async function signInWithPasskey() {
  const { data, error } = await window.client.auth.signInWithPasskey();
  const [, payload = ''] = (data?.session?.access_token ?? '').split('.');
  const claims = payload === '' ? {} : JSON.parse(window.atob(payload.replace(/-/g, '+').replace(/_/g, '/')));
  return { user: data?.user?.id, claims, error: error?.message ?? null };
}

async function manage() {
  const { passkey } = window.client.auth;
  const { data: before } = await passkey.list();
  const passkeyId = before[0].id;
  const { data: renamed } = await passkey.update({ passkeyId, friendlyName: 'my key' });
  await passkey.delete({ passkeyId });
  const { data: after } = await passkey.list();
  return { before, renamed, after };
}

/** What the client would send, not sent yet. */
async function answerOfPasskey() {
  const { data } = await window.client.auth.passkey.startAuthentication();
  const publicKey = window.PublicKeyCredential.parseRequestOptionsFromJSON(data.options);
  const credential = await window.navigator.credentials.get({ publicKey });
  return { challenge_id: data.challenge_id as string, credential: credential.toJSON() as unknown };
}

async function answerOfNewPasskey(): Promise<string> {
  const { data } = await window.client.auth.passkey.startRegistration();
  const publicKey = window.PublicKeyCredential.parseCreationOptionsFromJSON(data.options);
  try {
    await window.navigator.credentials.create({ publicKey });
    return 'made';
  } catch (error) {
    return (error as Error).name;
  }
}

async function registerFactor() {
  const { mfa } = window.client.auth;
  const { error } = await mfa.webauthn.register({ friendlyName: 'my key' });
  const { data } = await mfa.getAuthenticatorAssuranceLevel();
  return { error: error?.message ?? null, aal: data?.currentLevel };
}

async function authenticateFactor() {
  const { mfa } = window.client.auth;
  const { data: factors } = await mfa.listFactors();
  const { error } = await mfa.webauthn.authenticate({ factorId: factors.webauthn[0].id });
  const { data } = await mfa.getAuthenticatorAssuranceLevel();
  return { error: error?.message ?? null, aal: data?.currentLevel };
}

/** As an attacker with the password would: asks for the factor's challenge, and has a key of their own made for it. */
async function answerWithNewKey() {
  const { auth } = window.client;
  const { data: factors } = await auth.mfa.listFactors();
  const factorId = factors.webauthn[0].id;
  const { data: asked } = await auth.mfa.challenge({ factorId });
  const { publicKey } = asked.webauthn.credential_options;
  const made = await window.navigator.credentials.create({
    publicKey: {
      challenge: publicKey.challenge,
      rp: { id: 'localhost', name: 'x' },
      user: { id: new Uint8Array([1]), name: 'x', displayName: 'x' },
      pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
    },
  });
  const { error } = await auth.mfa.verify({
    factorId,
    challengeId: asked.id,
    webauthn: { type: 'create', credential_response: made },
  });
  return { status: error?.status, code: error?.code };
}
