// In charge of: what somebody tries who wants into another one's account: a code twice, a made-up token, a planted session, a link that leads
// elsewhere, the time that an answer takes. Each is one story, on the real program, with secrets of its own as in production.
import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OperatorClient, openOperatorClient } from '../src/server/cli/operator-client.ts';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';
import { lastMessageTo, type Message } from './harness/inbox.ts';

const config = `
project_id = "stories"
[gateway]
shed_target = "10s"
[auth]
site_url = "https://app.example.com"
[auth.email]
enable_confirmations = true
secure_password_change = true
`;
const notes = `
create table public.notes (id int primary key);
insert into public.notes values (1);
grant select on public.notes to anon, authenticated, service_role;
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let admin: SupabaseClient;
let operator: OperatorClient;

/** The stories ask for one mail after another; whoever asks in earnest waits, and one story is about that. */
const atOnce = () => operator.request('PUT', '/settings/auth.email.max_frequency', { value: '0s' });
const inEarnest = () => operator.request('DELETE', '/settings/auth.email.max_frequency');

beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': config,
    'supabase/migrations/1_notes.sql': notes,
  });
  const { stdout } = await runCli(['keys', 'new']);
  const lines = stdout.trim().split('\n');
  const env = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  backend = await startBackend(project.folder, [], { env });
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  admin = connect(backend.report.SECRET_KEY);
  operator = await openOperatorClient(project.folder);
  await atOnce();
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

const password = 'correct horse';
let count = 0;
const address = () => `person-${count++}@example.com`;

async function confirmed(email = address()): Promise<string> {
  const { error } = await admin.auth.admin.createUser({ email, password, email_confirm: true });
  if (error) throw error;
  return email;
}

async function signedIn(email: string) {
  const client = connect();
  const { data, error } = await client.auth.signInWithPassword({ email, password });
  if (error) throw error;
  return { client, session: data.session, user: data.user };
}

interface Asked {
  readonly method?: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly location: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** With every header as it is given, `Host` too. */
function ask(path: string, { method, body, headers = {} }: Asked = {}): Promise<Answer> {
  const url = new URL(backend.report.API_URL);
  const text = body === undefined ? '' : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        host: url.hostname,
        port: url.port,
        path,
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: {
          apikey: backend.report.PUBLISHABLE_KEY,
          'x-supabase-api-version': '2024-01-01',
          'content-length': Buffer.byteLength(text),
          ...headers,
        },
      },
      async (response) => {
        let came = '';
        for await (const chunk of response) came += chunk;
        const isObject = came.startsWith('{');
        resolve({
          status: response.statusCode ?? 0,
          location: response.headers.location ?? '',
          body: isObject ? JSON.parse(came) : {},
        });
      },
    );
    sent.on('error', reject);
    sent.end(text);
  });
}

interface Mail extends Message {
  /** Link without origin. */
  readonly path: string;
}

async function lastMailTo(email: string): Promise<Mail> {
  const mail = await lastMessageTo(database, email);
  const { link } = mail;
  return { ...mail, path: link === '' ? '' : link.slice(new URL(link).origin.length) };
}

const at50 = <T>(work: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 50 }, work));
const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;

/** Class: replay of a one-time token, also at the same moment (CWE-294, CWE-362). */
describe('50 at once with one token', () => {
  /** What a link gives: a session, half of a change, or a refusal. */
  const outcomeOf = ({ status, location, body }: Answer): string => {
    if (status !== 303) return `${status} ${body.code}`;
    const facts = new URLSearchParams(new URL(location).hash.slice(1));
    if (facts.has('access_token')) return 'session';
    return facts.has('message') ? 'accepted' : (facts.get('error_code') ?? 'nothing');
  };
  // The second where a password has to be hashed, and as many wait for that as may.
  const refusals: ReadonlySet<string> = new Set(['otp_expired', 'over_request_rate_limit']);
  async function expectOneOf50(link: string, won: 'session' | 'accepted'): Promise<void> {
    const outcomes = (await at50(() => ask(link))).map(outcomeOf);
    expect(outcomes.filter((outcome) => !refusals.has(outcome))).toEqual([won]);
  }

  it('of a confirmation: one gets a session', async () => {
    const email = address();
    await connect().auth.signUp({ email, password });
    await expectOneOf50((await lastMailTo(email)).path, 'session');
  });

  it('of a forgotten password: one gets a session', async () => {
    const email = await confirmed();
    await connect().auth.resetPasswordForEmail(email);
    await expectOneOf50((await lastMailTo(email)).path, 'session');
  });

  it('of a magic link: one gets a session', async () => {
    const email = await confirmed();
    await connect().auth.signInWithOtp({ email });
    await expectOneOf50((await lastMailTo(email)).path, 'session');
  });

  it('of an invitation: one gets a session', async () => {
    const email = address();
    await admin.auth.admin.inviteUserByEmail(email);
    await expectOneOf50((await lastMailTo(email)).path, 'session');
  });

  it('of another address, at both of them: each counts once', async () => {
    const [email, next] = [await confirmed(), address()];
    const { client } = await signedIn(email);
    await client.auth.updateUser({ email: next });
    await expectOneOf50((await lastMailTo(next)).path, 'accepted');
    expect((await client.auth.getUser()).data.user?.email).toBe(email);
    await expectOneOf50((await lastMailTo(email)).path, 'session');
    expect((await client.auth.getUser()).data.user?.email).toBe(next);
  });

  it('as a code beside the link of the same mail: one of all gets a session', async () => {
    const email = await confirmed();
    await connect().auth.resetPasswordForEmail(email);
    const { code, path } = await lastMailTo(email);
    const byCode = () => ask('/auth/v1/verify', { body: { type: 'recovery', email, token: code } });
    const [codes, links] = await Promise.all([at50(byCode), at50(() => ask(path))]);
    const won = codes.filter(({ status }) => status === 200).length;
    expect(won + links.filter((answer) => outcomeOf(answer) === 'session').length).toBe(1);
    expect(codes.filter(({ body }) => body.code === 'otp_expired')).toHaveLength(50 - won);
  });

  it('of a reauthentication: one changes the password', async () => {
    const email = await confirmed();
    const { client, session } = await signedIn(email);
    await database.query(`update auth.sessions set created_at = now() - interval '2 days' where id = $1`, [
      claimsOf(session.access_token).session_id,
    ]);
    const headers = { authorization: `Bearer ${session.access_token}` };
    const change = (nonce: string, to: string) =>
      ask('/auth/v1/user', { method: 'PUT', headers, body: { password: to, nonce } });
    expect((await change('', 'another horse')).body.code).toBe('reauthentication_needed');
    expect((await client.auth.reauthenticate()).error).toBeNull();
    const { code } = await lastMailTo(email);
    let tries = 0;
    const answers = await at50(() => change(code, `horse number ${tries++}`));
    const codes = answers.map(({ body }) => body.code ?? 'changed').sort();
    expect(codes).toEqual(['changed', ...Array(49).fill('reauthentication_not_valid')]);
  });

  it('to refresh: one successor, and none for a thief who comes behind it', async () => {
    const { session } = await signedIn(await confirmed());
    const refresh = (token: string) =>
      ask('/auth/v1/token?grant_type=refresh_token', { body: { refresh_token: token } });
    const answers = await at50(() => refresh(session.refresh_token));
    const second = String(answers.find(({ status }) => status === 200)?.body.refresh_token);
    // On a machine that is very busy some wait too long, and are told to come again.
    for (const { status, body } of answers)
      expect(status === 409 ? body.code : body.refresh_token).toBe(status === 409 ? 'conflict' : second);
    const third = String((await refresh(second)).body.refresh_token);
    await database.query(
      `update auth.refresh_tokens set updated_at = now() - interval '1 minute' where user_id = $1`,
      [session.user.id],
    );
    const thieves = await at50(() => refresh(session.refresh_token));
    expect(new Set(thieves.map(({ body }) => body.code).filter((code) => code !== 'conflict'))).toEqual(
      new Set(['refresh_token_already_used']),
    );
    // Nobody can tell who of the two is the thief: the whole family is gone.
    for (const token of [second, third])
      expect((await refresh(token)).body.code).toBe('refresh_token_already_used');
  });
});

/**
 * Classes: algorithm confusion (CVE-2015-9235, CVE-2016-5431, CWE-347), `none` (CVE-2015-9235), `kid` injection (CWE-22, CWE-89, CWE-918),
 * keys brought along (CVE-2018-0114), empty ECDSA signatures (CVE-2022-21449), tokens out of their time (CWE-613).
 */
describe('a token that somebody made', () => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const nowSeconds = Math.floor(Date.now() / 1000);
  let victim: Record<string, unknown>;
  let genuine: string;
  let jwk: JsonWebKey & { readonly kid: string };
  beforeAll(async () => {
    const { session } = await signedIn(await confirmed());
    genuine = session.access_token;
    victim = claimsOf(genuine);
    const jwks = await fetch(`${backend.report.API_URL}/auth/v1/.well-known/jwks.json`);
    jwk = ((await jwks.json()) as { keys: (typeof jwk)[] }).keys[0]!;
  });

  const hmac = (key: string, header: object, claims: object = victim, hash = 'sha256') => {
    const input = `${encode(header)}.${encode(claims)}`;
    return `${input}.${createHmac(hash, key).update(input).digest('base64url')}`;
  };
  const unsigned = (alg: string, signature = '') =>
    `${encode({ alg, typ: 'JWT' })}.${encode(victim)}.${signature}`;
  const pem = () =>
    createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString();
  const own = (claims: object) =>
    hmac(backend.report.JWT_SECRET, { alg: 'HS256', typ: 'JWT' }, { ...victim, ...claims });
  /** Signed by the thief's own key, which the header offers. */
  async function broughtAlong(how: 'jwk' | 'jku' | 'x5u'): Promise<string> {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const key = await exportJWK(publicKey);
    const header = { alg: 'ES256', kid: 'thief', [how]: how === 'jwk' ? key : 'http://127.0.0.1:1/jwks' };
    return new SignJWT(victim).setProtectedHeader(header as { alg: string }).sign(privateKey);
  }

  const stories: readonly (readonly [string, () => string | Promise<string>])[] = [
    ['HS256 by the public key as PEM', () => hmac(pem(), { alg: 'HS256', kid: jwk.kid })],
    ['HS256 by the public key as PEM, trimmed', () => hmac(pem().trim(), { alg: 'HS256' })],
    ['HS256 by the public key as JWK', () => hmac(JSON.stringify(jwk), { alg: 'HS256', kid: jwk.kid })],
    ['HS512 by the public key as PEM', () => hmac(pem(), { alg: 'HS512' }, victim, 'sha512')],
    ['HS256 by nothing', () => hmac('', { alg: 'HS256', kid: jwk.kid })],
    ['none', () => unsigned('none')],
    ['None', () => unsigned('None')],
    ['nOnE', () => unsigned('nOnE')],
    ['no algorithm at all', () => unsigned('')],
    ['none with the signature of another', () => unsigned('none', genuine.split('.')[2])],
    ['an ECDSA signature of zeros', () => unsigned('ES256', Buffer.alloc(64).toString('base64url'))],
    ['an ECDSA signature of nothing', () => unsigned('ES256')],
    ['a kid that is a path to nothing', () => hmac('', { alg: 'HS256', kid: '../../../../../dev/null' })],
    ['a kid that is a path', () => hmac('2\n', { alg: 'HS256', kid: '/proc/sys/kernel/randomize_va_space' })],
    ['a kid that is SQL', () => hmac('x', { alg: 'HS256', kid: "' union select 'x' -- " })],
    ['a kid that is a command', () => hmac('x', { alg: 'HS256', kid: '|echo x' })],
    ['a kid that is an address', () => hmac('x', { alg: 'HS256', kid: 'http://127.0.0.1:1/key' })],
    ['a kid of a prototype', () => hmac('', { alg: 'HS256', kid: '__proto__' })],
    ['a kid that is no text', () => hmac('x', { alg: 'HS256', kid: [jwk.kid] })],
    ['a key brought along', () => broughtAlong('jwk')],
    ['an address of keys brought along', () => broughtAlong('jku')],
    ['an address of certificates brought along', () => broughtAlong('x5u')],
    [
      'claims exchanged under a good signature',
      () => genuine.replace(/\.[^.]+\./, `.${encode({ ...victim, role: 'service_role' })}.`),
    ],
    ['the end of its time', () => own({ iat: nowSeconds - 7200, exp: nowSeconds - 3600 })],
    ['a time that has not come', () => own({ nbf: nowSeconds + 3600, exp: nowSeconds + 7200 })],
  ];

  it('is refused, and the genuine one is not', async () => {
    const headers = { authorization: `Bearer ${genuine}` };
    expect((await ask('/auth/v1/user', { headers })).body.id).toBe(victim.sub);
    expect((await ask('/rest/v1/notes', { headers })).status).toBe(200);
    // By the project's own secret it is one, so that the last two fail by their time.
    expect((await ask('/auth/v1/user', { headers: { authorization: `Bearer ${own({})}` } })).status).toBe(
      200,
    );
  });

  it.each(stories)('with %s opens nothing', async (_, make) => {
    const headers = { authorization: `Bearer ${await make()}` };
    const user = await ask('/auth/v1/user', { headers });
    expect([user.status, user.body.code]).toEqual([403, 'bad_jwt']);
    const rows = await ask('/rest/v1/notes', { headers });
    expect([rows.status, rows.body.code]).toEqual([401, expect.stringMatching(/^PGRST30[13]$/)]);
    const users = await ask('/auth/v1/admin/users', { headers });
    expect([users.status, users.body.code]).toEqual([403, 'bad_jwt']);
  });
});

/** Class: session fixation and login CSRF (CWE-384, CWE-352). */
describe('a session that somebody planted', () => {
  it('is not taken over by who signs in with it beside', async () => {
    const [thief, email] = [await signedIn(await confirmed()), await confirmed()];
    const planted = claimsOf(thief.session.access_token).session_id;
    const headers = {
      authorization: `Bearer ${thief.session.access_token}`,
      cookie: `sb-access-token=${thief.session.access_token}; sb-refresh-token=${thief.session.refresh_token}`,
    };
    await connect().auth.signInWithOtp({ email });
    const { code } = await lastMailTo(email);
    const signIns = [
      await ask('/auth/v1/token?grant_type=password', {
        headers,
        body: { email, password, session_id: planted, refresh_token: thief.session.refresh_token },
      }),
      await ask('/auth/v1/verify', {
        headers,
        body: { type: 'email', email, token: code, session_id: planted },
      }),
    ];
    const sessions = signIns.map(({ status, body }) => {
      expect([status, body]).toEqual([
        200,
        expect.objectContaining({ user: expect.objectContaining({ email }) }),
      ]);
      expect(body.refresh_token).not.toBe(thief.session.refresh_token);
      return claimsOf(String(body.access_token)).session_id;
    });
    expect(new Set([planted, ...sessions]).size).toBe(3);
    expect((await thief.client.auth.getUser()).data.user?.id).toBe(thief.user.id);
    expect((await thief.client.auth.refreshSession()).data.user?.id).toBe(thief.user.id);
  });

  it('ends with the others when the password is changed', async () => {
    const email = await confirmed();
    const [owner, thief] = [await signedIn(email), await signedIn(email)];
    expect((await owner.client.auth.updateUser({ password: 'another horse' })).error).toBeNull();
    expect((await owner.client.auth.getUser()).error).toBeNull();
    const { access_token, refresh_token } = thief.session;
    const user = await ask('/auth/v1/user', { headers: { authorization: `Bearer ${access_token}` } });
    expect([user.status, user.body.code]).toEqual([403, 'session_not_found']);
    const refreshed = await ask('/auth/v1/token?grant_type=refresh_token', { body: { refresh_token } });
    expect([refreshed.status, refreshed.body.code]).toEqual([400, 'refresh_token_not_found']);
  });
});

/** Class: password reset poisoning by a Host (CWE-640), open redirect by a header (CWE-601). */
describe('a mail that somebody asks for in another one’s name', () => {
  const evil = 'evil.example.net';
  it.each([
    ['Host', { host: evil }],
    ['Host with a port', { host: `${evil}:443` }],
    ['X-Forwarded-Host', { 'x-forwarded-host': evil, 'x-forwarded-proto': 'https' }],
    ['X-Forwarded-Host twice', { 'x-forwarded-host': `app.example.com, ${evil}` }],
    ['Forwarded', { forwarded: `host=${evil};proto=https` }],
    ['X-Host and its like', { 'x-host': evil, 'x-forwarded-server': evil, 'x-http-host-override': evil }],
    ['X-Original-URL', { 'x-original-url': `https://${evil}/`, 'x-rewrite-url': `https://${evil}/` }],
    ['Origin', { origin: `https://${evil}` }],
    ['Referer', { referer: `https://${evil}/` }],
    ['the header redirect_to', { redirect_to: `https://${evil}/` }],
  ])('leads to us and to the site, whatever %s says', async (_, headers) => {
    const email = await confirmed();
    const fresh = address();
    const bearer = { authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}` };
    for (const [to, path, more] of [
      [email, '/recover', {}],
      [email, '/magiclink', {}],
      [fresh, '/signup', {}],
      [address(), '/invite', bearer],
    ] as const) {
      const answer = await ask(`/auth/v1${path}`, {
        headers: { ...headers, ...more },
        body: { email: to, password },
      });
      expect(answer.status, path).toBe(200);
      const { html, link } = await lastMailTo(to);
      expect(html, path).not.toContain(evil);
      const url = new URL(link);
      expect(url.origin + url.pathname).toBe(`${backend.report.API_URL}/auth/v1/verify`);
      expect(url.searchParams.get('redirect_to')).toBe('https://app.example.com');
    }
  });

  it('goes to one address, however many are given', async () => {
    const email = await confirmed();
    for (const to of [
      `${email},thief@${evil}`,
      `${email}\r\nBcc: thief@${evil}`,
      `${email}\nthief@${evil}`,
      `${email}%0abcc:thief@${evil}`,
      `${email} thief@${evil}`,
      `"${email}" <thief@${evil}>`,
    ])
      expect((await ask('/auth/v1/recover', { body: { email: to } })).body.code, to).toBe(
        'validation_failed',
      );
    expect((await ask('/auth/v1/recover', { body: { email: [email, `thief@${evil}`] } })).body.code).toBe(
      'bad_json',
    );
    const { rows } = await database.query(`select 1 from _millrace.inbox where recipient like '%' || $1`, [
      evil,
    ]);
    expect(rows).toEqual([]);
  });
});

/**
 * Class: whether an address has an account, by the answer or by its time (CWE-204, CWE-208).
 * Rounds of one and the other in turn, so that a busy machine slows both; the medians of the two are compared.
 */
describe('somebody who asks whether an address has an account', { retry: 3 }, () => {
  const rounds = 15;
  const median = (times: readonly number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;

  async function compare(known: () => Promise<Answer>, unknown: () => Promise<Answer>) {
    const times = { known: [] as number[], unknown: [] as number[] };
    const answers: string[] = [];
    const run = async (name: 'known' | 'unknown', work: () => Promise<Answer>) => {
      const startedMs = performance.now();
      const { status, body } = await work();
      times[name].push(performance.now() - startedMs);
      answers.push(`${status} ${body.code ?? ''}`);
    };
    // What only the first ones pay.
    await Promise.all([known(), unknown()]);
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const);
      for (const name of order) await run(name, name === 'known' ? known : unknown);
    }
    return { answers: new Set(answers), knownMs: median(times.known), unknownMs: median(times.unknown) };
  }

  it('by signing in hears and waits the same', async () => {
    const email = await confirmed();
    const path = '/auth/v1/token?grant_type=password';
    const found = await compare(
      () => ask(path, { body: { email, password: 'wrong horse' } }),
      () => ask(path, { body: { email: address(), password: 'wrong horse' } }),
    );
    expect(found.answers).toEqual(new Set(['400 invalid_credentials']));
    expect(ratio(found)).toBeLessThan(1.4);
  });

  it('by signing up hears and waits the same', async () => {
    const email = await confirmed();
    const found = await compare(
      () => ask('/auth/v1/signup', { body: { email, password: 'another horse' } }),
      () => ask('/auth/v1/signup', { body: { email: address(), password: 'another horse' } }),
    );
    expect(found.answers).toEqual(new Set(['200 ']));
    expect(ratio(found)).toBeLessThan(1.4);
  });

  it.each(['recover', 'magiclink', 'otp'])('by /%s hears and waits the same', async (path) => {
    const email = await confirmed();
    const found = await compare(
      () => ask(`/auth/v1/${path}`, { body: { email } }),
      () => ask(`/auth/v1/${path}`, { body: { email: address() } }),
    );
    expect(found.answers).toEqual(new Set(['200 ']));
    expect(ratio(found)).toBeLessThan(1.4);
  });

  const ratio = ({ knownMs, unknownMs }: { readonly knownMs: number; readonly unknownMs: number }) =>
    Math.max(knownMs / unknownMs, unknownMs / knownMs);
});

/** Class: whether an address has an account, by how often one may ask for a mail to it (CWE-204). With the settings as they come. */
describe('somebody who asks twice whether an address has an account', () => {
  beforeAll(inEarnest);
  afterAll(atOnce);

  const who: Readonly<Record<string, () => Promise<string>>> = {
    'has one': () => confirmed(),
    'has one that waits to be confirmed': async () => {
      const email = address();
      const { error } = await admin.auth.admin.createUser({ email, password });
      if (error) throw error;
      return email;
    },
    'has none': async () => address(),
  };

  /** Whole, but for what is of the moment. */
  async function askFor(path: string, body: object) {
    const answer = await fetch(`${backend.report.API_URL}/auth/v1/${path}`, {
      method: 'POST',
      headers: { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const headers = [...answer.headers].filter(
      ([name]) => !['date', 'x-request-id', 'content-length', 'ratelimit'].includes(name),
    );
    const text = (await answer.text()).replace(/after \d+ seconds/, 'after n seconds');
    // Of a sign-up upstream shows no identities where there is an account, and applications look at that.
    return { status: answer.status, headers, text: answer.ok ? '' : text };
  }

  const tooSoon = JSON.stringify({
    code: 429,
    error_code: 'over_email_send_rate_limit',
    msg: 'For security purposes, you can only request this after n seconds.',
  });

  it.each([
    ['signup', 'signup', {}],
    ['recover', 'recover', {}],
    ['otp', 'otp', {}],
    ['magiclink', 'magiclink', {}],
    ['resend', 'resend', { type: 'signup' }],
    ['resend', 'resend', { type: 'email_change' }],
    // What a link to sign in sends depends on the account, so that it counts with both.
    ['signup', 'otp', {}],
    ['otp', 'recover', {}],
  ])('by /%s and /%s hears the same', async (first, second, more) => {
    const found: Awaited<ReturnType<typeof askFor>>[][] = [];
    for (const make of Object.values(who)) {
      const email = await make();
      const body = { email, password: 'another horse', ...more };
      const answers = await Promise.all([askFor(first, body), askFor(second, body)]);
      found.push(answers.sort((a, b) => a.status - b.status));
    }
    expect(found[0]!.map(({ status, text }) => [status, text])).toEqual([
      [200, ''],
      [429, tooSoon],
    ]);
    expect(found).toEqual(found.map(() => found[0]));
  });

  it.each([['signup', 'recover'] as const, ['recover', 'resend'] as const])(
    'by /%s and /%s may, for these are two mails',
    async (first, second) => {
      for (const make of Object.values(who)) {
        const body = { email: await make(), password: 'another horse', type: 'signup' };
        const answers = await Promise.all([askFor(first, body), askFor(second, body)]);
        expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      }
    },
  );
});
