// In charge of: how often somebody may try to sign in, how much is sent for them, and the captcha before it.
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type OperatorClient, openOperatorClient } from '../src/server/cli/operator-client.ts';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { messagesTo } from './harness/inbox.ts';
import { changeSettings } from './harness/live-settings.ts';

const samlKey = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ format: 'der', type: 'pkcs1' })
  .toString('base64');

let captcha: Server;
let asked: URLSearchParams[] = [];
/** What the captcha's provider says. */
let verdict = '{"success":true}';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let operator: OperatorClient;

beforeAll(async () => {
  captcha = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      asked.push(new URLSearchParams(text));
      response.writeHead(200, { 'content-type': 'application/json' }).end(verdict);
    });
  });
  await new Promise<void>((resolve) => captcha.listen(0, '127.0.0.1', resolve));
  // Sound: it listens on a port.
  const { port } = captcha.address() as AddressInfo;
  project = await makeProject({
    'supabase/config.toml': `
project_id = "auth_limits"
[gateway]
trusted_proxies = ["loopback"]
[egress]
allow = ["127.0.0.1"]
[auth]
enable_anonymous_sign_ins = true
[auth.email]
max_frequency = "0s"
[auth.rate_limit]
anonymous_users = 2
token_refresh = 4
sign_in_sign_ups = 3
token_verifications = 2
web3 = 1
failed_attempts = 5
[auth.sso.saml]
private_key = "${samlKey}"
[auth.captcha]
provider = "turnstile"
secret = "the-secret"
verify_url = "http://127.0.0.1:${port}/siteverify"
`,
  });
  // The keys of development are good on this machine only, and the tests speak for others.
  const { stdout } = await runCli(['keys', 'new']);
  const keys = stdout
    .trim()
    .split('\n')
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  backend = await startBackend(project.folder, [], { env: Object.fromEntries(keys) });
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  operator = await openOperatorClient(project.folder);
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
  captcha?.close();
});

const { set, restore } = changeSettings(() => operator);
afterEach(restore);

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

/** A request as a proxy on this machine hands it on. */
async function ask(
  from: string,
  method: string,
  path: string,
  body?: unknown,
  token?: string,
): Promise<Answer> {
  const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method,
    headers: {
      apikey: backend.report.PUBLISHABLE_KEY,
      'content-type': 'application/json',
      ...(from !== '' && { 'x-forwarded-for': from }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    redirect: 'manual',
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    body: text.startsWith('{') ? JSON.parse(text) : text,
    headers: answer.headers,
  };
}

const code = ({ body }: Answer) => (body as { readonly error_code?: string }).error_code;

const password = 'correct horse';
let count = 0;
const address = () => `counted-${count++}@example.com`;
let hosts = 1;
const host = () => `198.51.100.${hosts++}`;

const refusal = { code: 429, error_code: 'over_request_rate_limit', msg: 'Request rate limit reached' };
function expectRefused({ status, body, headers }: Answer): void {
  expect({ status, body }).toEqual({ status: 429, body: refusal });
  expect(headers.get('x-sb-error-code')).toBe('over_request_rate_limit');
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(3600);
}

/** The window is one of the clock's: a test does not begin within its last seconds. */
async function farFromTheEnd(): Promise<void> {
  const { rows } = await database.query(
    'select (300 - extract(epoch from clock_timestamp())::bigint % 300)::int as left',
  );
  if (rows[0].left < 20) await new Promise((resolve) => setTimeout(resolve, (rows[0].left + 1) * 1000));
}

describe('requests from one address', () => {
  it.each<[string, number, (from: string) => Promise<Answer>]>([
    ['POST /signup', 3, (from) => ask(from, 'POST', '/signup', { email: address(), password })],
    ['POST /signup without a name', 2, (from) => ask(from, 'POST', '/signup', {})],
    ['POST /recover', 3, (from) => ask(from, 'POST', '/recover', { email: address() })],
    ['POST /otp', 3, (from) => ask(from, 'POST', '/otp', { email: address(), create_user: false })],
    ['POST /magiclink', 3, (from) => ask(from, 'POST', '/magiclink', { email: address() })],
    ['POST /resend', 3, (from) => ask(from, 'POST', '/resend', { type: 'signup', email: address() })],
    ['POST /verify', 2, (from) => ask(from, 'POST', '/verify', { type: 'signup', token_hash: 'x' })],
    ['GET /verify', 2, (from) => ask(from, 'GET', '/verify?type=signup&token=x')],
    [
      'POST /token with a password',
      4,
      (from) => ask(from, 'POST', '/token?grant_type=password', { email: address(), password }),
    ],
    [
      'POST /token with a refresh token',
      4,
      (from) => ask(from, 'POST', '/token?grant_type=refresh_token', { refresh_token: 'aaaaaaaaaaaa' }),
    ],
    ['POST /token with a wallet', 1, (from) => ask(from, 'POST', '/token?grant_type=web3', { chain: 'x' })],
  ])(
    'are counted at %s',
    async (_, allowed, request) => {
      await farFromTheEnd();
      const [from, other] = [host(), host()];
      for (let at = 0; at < allowed; at++) expect((await request(from)).status).not.toBe(429);
      expectRefused(await request(from));
      // Somebody else goes on, and so does whoever is on this machine.
      expect((await request(other)).status).not.toBe(429);
      for (let at = 0; at <= allowed; at++) expect((await request('')).status).not.toBe(429);
    },
    60_000,
  );

  it.each<[string, number, Readonly<Record<string, unknown>>, (from: string) => Promise<Answer>]>([
    [
      'POST /passkeys/authentication/options',
      2,
      { 'auth.passkey.enabled': true, 'auth.rate_limit.passkey': 2 },
      (from) => ask(from, 'POST', '/passkeys/authentication/options', {}),
    ],
    [
      'POST /sso',
      2,
      { 'auth.sso.saml.enabled': true, 'auth.rate_limit.sso': 2 },
      (from) => ask(from, 'POST', '/sso', { domain: 'nobody.example' }),
    ],
    [
      'POST /sso/saml/acs',
      2,
      { 'auth.sso.saml.enabled': true, 'auth.rate_limit.saml_assertion': 2 },
      (from) => ask(from, 'POST', '/sso/saml/acs'),
    ],
    [
      'POST /oauth/clients/register',
      2,
      {
        'auth.oauth_server.enabled': true,
        'auth.oauth_server.allow_dynamic_registration': true,
        'auth.rate_limit.oauth_dynamic_client_register': 2,
      },
      (from) =>
        ask(from, 'POST', '/oauth/clients/register', {
          client_name: 'x',
          redirect_uris: ['https://x.example.org/'],
        }),
    ],
  ])(
    'are counted at %s, where it is on',
    async (_, allowed, settings, request) => {
      await farFromTheEnd();
      for (const [key, value] of Object.entries(settings)) await set(key, value);
      const [from, other] = [host(), host()];
      for (let at = 0; at < allowed; at++) expect((await request(from)).status).not.toBe(429);
      expectRefused(await request(from));
      expect((await request(other)).status).not.toBe(429);
    },
    60_000,
  );

  it('are counted at PUT /user, after the token', async () => {
    await farFromTheEnd();
    const { data } = await createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY).auth.signUp({
      email: address(),
      password,
    });
    const token = data.session!.access_token;
    const from = host();
    for (let at = 0; at < 3; at++)
      expect((await ask(from, 'PUT', '/user', { data: { at } }, token)).status).toBe(200);
    expectRefused(await ask(from, 'PUT', '/user', { data: { at: 3 } }, token));
    expect((await ask(from, 'PUT', '/user', {}, 'nonsense')).status).not.toBe(429);
  }, 60_000);

  it('are counted for 50 at once as one after another', async () => {
    await farFromTheEnd();
    const from = host();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => ask(from, 'POST', '/recover', { email: address() })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(47);
  }, 60_000);

  it('are counted by a limit that was changed a moment ago', async () => {
    await farFromTheEnd();
    const from = host();
    const request = () => ask(from, 'POST', '/recover', { email: address() });
    for (let at = 0; at < 3; at++) expect((await request()).status).toBe(200);
    expectRefused(await request());
    await set('auth.rate_limit.sign_in_sign_ups', 6);
    expect((await request()).status).toBe(200);
    await set('auth.rate_limit.sign_in_sign_ups', 0);
    expect((await request()).status).toBe(429);
  }, 60_000);
});

describe('requests that a proxy on this machine passes on', () => {
  it('are those of one, where nobody has named it', async () => {
    await farFromTheEnd();
    await set('gateway.trusted_proxies', []);
    const recover = () => ask(host(), 'POST', '/recover', { email: address() });
    for (let at = 0; at < 3; at++) expect((await recover()).status).toBe(200);
    expectRefused(await recover());
    // A laptop's own test has no proxy.
    expect((await ask('', 'POST', '/recover', { email: address() })).status).toBe(200);
    expect(backend.log()).toContain('gateway.trusted_proxies does not name it');
  }, 60_000);
});

describe('wrong passwords for one account', () => {
  it('end every try, from wherever it comes, whether there is such an account or not', async () => {
    await farFromTheEnd();
    const email = address();
    expect((await ask('', 'POST', '/signup', { email, password })).status).toBe(200);
    const attempt = (as: string, given: string) =>
      ask(host(), 'POST', '/token?grant_type=password', { email: as, password: given });
    for (const as of [email, address()]) {
      const wrong = await attempt(as, 'wrong');
      expect({ status: wrong.status, body: wrong.body }).toEqual({
        status: 400,
        body: { code: 400, error_code: 'invalid_credentials', msg: 'Invalid login credentials' },
      });
      for (let at = 1; at < 5; at++) expect((await attempt(as, 'wrong')).status).toBe(400);
      expectRefused(await attempt(as, 'wrong'));
      // The right one as well: whoever guesses does not learn that it was.
      expectRefused(await attempt(as.toUpperCase(), password));
    }
    const { rows } = await database.query(
      "select subject from _millrace.limit_counters where rule like 'auth.failed%'",
    );
    // Whoever reads the counters does not read addresses.
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every(({ subject }) => /^[\w-]{43}$/.test(subject))).toBe(true);
  }, 60_000);

  it('do not count right ones', async () => {
    await farFromTheEnd();
    const email = address();
    await ask('', 'POST', '/signup', { email, password });
    for (let at = 0; at < 8; at++)
      expect((await ask('', 'POST', '/token?grant_type=password', { email, password })).status).toBe(200);
  }, 60_000);

  it('are counted for codes as well, all that are tried', async () => {
    await farFromTheEnd();
    const email = address();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        ask('', 'POST', '/verify', { type: 'email', email, token: String(100_000 + at) }),
      ),
    );
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(15);
  }, 60_000);
});

describe('mails', () => {
  it('are none where none are allowed', async () => {
    const email = address();
    await ask('', 'POST', '/signup', { email, password });
    await set('auth.rate_limit.email_sent', 0);
    const { status, body } = await ask('', 'POST', '/recover', { email });
    expect({ status, body }).toEqual({
      status: 429,
      body: { code: 429, error_code: 'over_email_send_rate_limit', msg: 'email rate limit exceeded' },
    });
    const { rows } = await database.query('select recovery_token from auth.users where email = $1', [email]);
    expect(rows).toEqual([{ recovery_token: '' }]);
  });

  it('are none where a rate allows none', async () => {
    const { status, body } = await operator.request('PUT', '/settings/auth.rate_limit.email_sent', {
      value: '10/no time',
    });
    expect([status, JSON.stringify(body)]).toEqual([
      422,
      expect.stringContaining('a whole number from 0 to 1000000000, or a rate such as \\"10/30m\\"'),
    ]);
    await set('auth.rate_limit.email_sent', '0/30m');
    const email = address();
    await ask('', 'POST', '/signup', { email, password });
    expect(code(await ask('', 'POST', '/recover', { email }))).toBe('over_email_send_rate_limit');
    // Nobody hears by that who has an account.
    expect(code(await ask('', 'POST', '/recover', { email: address() }))).toBe('over_email_send_rate_limit');
  });

  it('go into the inbox as many as there are', async () => {
    await set('auth.rate_limit.email_sent', 1);
    await set('auth.email.enable_confirmations', true);
    const email = address();
    await ask('', 'POST', '/signup', { email, password });
    for (let at = 0; at < 3; at++)
      expect((await ask('', 'POST', '/resend', { type: 'signup', email })).status).toBe(200);
  });

  it('of one kind to one user wait for their time, however many ask at once', async () => {
    await set('auth.email.max_frequency', '60s');
    await set('auth.email.enable_confirmations', true);
    const email = address();
    await ask('', 'POST', '/signup', { email, password });
    await database.query('update auth.users set email_confirmed_at = now() where email = $1', [email]);
    const { body } = await ask('', 'POST', '/token?grant_type=password', { email, password });
    const { access_token: token } = body as { readonly access_token: string };
    const next = address();
    for (const one of [
      () => ask('', 'POST', '/recover', { email }),
      () => ask('', 'PUT', '/user', { email: next }, token),
    ]) {
      const answers = await Promise.all(Array.from({ length: 20 }, one));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      const others = answers.filter(({ status }) => status !== 200);
      expect(new Set(others.map((answer) => JSON.stringify([answer.status, code(answer)])))).toEqual(
        new Set(['[429,"over_email_send_rate_limit"]']),
      );
    }
    const { rows } = await database.query('select recipient from _millrace.inbox where recipient = any($1)', [
      [email, next],
    ]);
    // The confirmation, the forgotten password, and the change at both addresses.
    expect(rows.map(({ recipient }) => recipient).sort()).toEqual([email, email, email, next].sort());
  });
});

describe('text messages', () => {
  it('are as many in an hour as the project allows, and what is refused leaves nobody', async () => {
    await farFromTheEnd();
    for (const name of ['enable_signup', 'enable_confirmations']) await set(`auth.sms.${name}`, true);
    await set('auth.rate_limit.sms_sent', 2);
    const numbers = ['4155550150', '4155550151', '4155550152'];
    const answers: unknown[] = [];
    for (const phone of numbers) {
      const { status, body } = await ask('', 'POST', '/otp', { phone });
      answers.push([status, body]);
    }
    expect(answers).toEqual([
      [200, {}],
      [200, {}],
      [429, { code: 429, error_code: 'over_sms_send_rate_limit', msg: 'SMS rate limit exceeded' }],
    ]);
    const sent: number[] = [];
    for (const phone of numbers) sent.push((await messagesTo(database, `+${phone}`)).length);
    expect(sent).toEqual([1, 1, 0]);
    const { rows } = await database.query('select phone from auth.users where phone = any($1)', [numbers]);
    expect(rows.map(({ phone }) => phone).sort()).toEqual(numbers.slice(0, 2));
    await set('auth.rate_limit.sms_sent', 0);
    expect((await ask('', 'POST', '/otp', { phone: '4155550153' })).status).toBe(429);
  }, 60_000);
});

describe('a captcha', () => {
  const refused = (why: string) => ({
    status: 400,
    body: {
      code: 400,
      error_code: 'captcha_failed',
      msg: `captcha protection: request disallowed (${why})`,
    },
  });
  const outcome = ({ status, body }: Answer) => ({ status, body });
  const security = (token: unknown) => ({ gotrue_meta_security: { captcha_token: token } });

  it.each<[string, string, Readonly<Record<string, unknown>>]>([
    ['/signup', '', { email: 'nobody@example.com', password }],
    ['/signup', '', {}],
    ['/recover', '', { email: 'nobody@example.com' }],
    ['/resend', '', { type: 'signup', email: 'nobody@example.com' }],
    ['/magiclink', '', { email: 'nobody@example.com' }],
    ['/otp', '', { email: 'nobody@example.com' }],
    ['/token', '?grant_type=password', { email: 'nobody@example.com', password }],
    ['/token', '?grant_type=web3', { chain: 'ethereum' }],
  ])('is wanted at %s%s', async (path, query, body) => {
    await set('auth.captcha.enabled', true);
    expect(outcome(await ask('', 'POST', path + query, body))).toEqual(refused('no captcha_token found'));
    expect(outcome(await ask('', 'POST', path + query, { ...body, ...security(' ') }))).toEqual(
      refused('no captcha_token found'),
    );
  });

  it.each(['refresh_token', 'pkce', 'id_token'])('is not wanted for a token by %s', async (grant) => {
    await set('auth.captcha.enabled', true);
    const { body } = await ask('', 'POST', `/token?grant_type=${grant}`, { refresh_token: 'aaaaaaaaaaaa' });
    expect(body).not.toMatchObject({ error_code: 'captcha_failed' });
  });

  it('lets in whom its provider lets in, once the project has asked', async () => {
    await set('auth.captcha.enabled', true);
    const client = createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
      auth: { persistSession: false, autoRefreshToken: false },
    });
    asked = [];
    const { error } = await client.auth.signUp({
      email: address(),
      password,
      options: { captchaToken: 'solved' },
    });
    expect(error).toBeNull();
    expect(asked.map((form) => Object.fromEntries(form))).toEqual([
      { secret: 'the-secret', response: 'solved', remoteip: '127.0.0.1' },
    ]);
  });

  it('is a refusal when its provider says no, or anything but yes', async () => {
    await set('auth.captcha.enabled', true);
    const attempt = async () =>
      outcome(await ask('', 'POST', '/recover', { email: address(), ...security('old') }));
    verdict = '{"success":false,"error-codes":["timeout-or-duplicate","bad-request"]}';
    expect(await attempt()).toEqual(refused('timeout-or-duplicate, bad-request'));
    for (const strange of ['{"success":"true"}', '{}']) {
      verdict = strange;
      expect(await attempt()).toEqual(refused(''));
    }
    for (const garbage of ['', '<html>', '[]', `{"a":"${'x'.repeat(70_000)}"}`]) {
      verdict = garbage;
      expect(await attempt()).toEqual({
        status: 500,
        body: { code: 500, error_code: 'unexpected_failure', msg: 'captcha verification process failed' },
      });
    }
    verdict = '{"success":true}';
    await set('auth.captcha.secret', '');
    expect((await attempt()).status).toBe(500);
  });

  it('of hCaptcha is asked about in the same way, and tells more', async () => {
    await set('auth.captcha.enabled', true);
    await set('auth.captcha.provider', 'hcaptcha');
    // Source: https://docs.hcaptcha.com/#verify-the-user-response-server-side
    verdict =
      '{"success":true,"challenge_ts":"2026-01-01T00:00:00Z","hostname":"app.example.com","credit":true,"error-codes":[],"score":0.1}';
    asked = [];
    const attempt = async () =>
      outcome(await ask('', 'POST', '/recover', { email: address(), ...security(' a response ') }));
    expect(await attempt()).toEqual({ status: 200, body: {} });
    expect(asked.map((form) => Object.fromEntries(form))).toEqual([
      { secret: 'the-secret', response: 'a response', remoteip: '127.0.0.1' },
    ]);
    verdict = '{"success":false,"error-codes":["invalid-input-response","sitekey-secret-mismatch"]}';
    expect(await attempt()).toEqual(refused('invalid-input-response, sitekey-secret-mismatch'));
    verdict = '{"success":true}';
  });

  it('is not wanted of an administrator', async () => {
    await set('auth.captcha.enabled', true);
    const answer = await ask('', 'POST', '/recover', { email: address() }, backend.report.SERVICE_ROLE_KEY);
    expect(outcome(answer)).toEqual({ status: 200, body: {} });
  });

  it.each([{ gotrue_meta_security: 'x' }, security(7), security({})])(
    'that is %j is no JSON of it',
    async (body) => {
      await set('auth.captcha.enabled', true);
      const answer = await ask('', 'POST', '/recover', body);
      expect(answer).toMatchObject({ status: 400, body: { error_code: 'bad_json' } });
    },
  );
});
