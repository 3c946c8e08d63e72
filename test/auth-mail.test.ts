// In charge of: signing in by what a mail says: confirmation, forgotten password, magic link and code, another address, an invitation.
import { createHash, randomBytes } from 'node:crypto';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { lastMessageTo, messagesTo } from './harness/inbox.ts';

const config = `
project_id = "mails"
[gateway]
shed_target = "10s"
[auth]
site_url = "https://app.example.com"
additional_redirect_urls = ["https://*.example.com/welcome", "myapp://**"]
[auth.email]
enable_confirmations = true
max_frequency = "0s"
[auth.email.template.magic_link]
subject = "Your link for {{ .Email }}"
content_path = "./supabase/templates/magic.html"
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let admin: SupabaseClient;

beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': config,
    'supabase/templates/magic.html': '<p>{{ .Token }} <a href="{{ .ConfirmationURL }}">sign in</a></p>',
  });
  backend = await startBackend(project.folder);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  admin = connect(backend.report.SECRET_KEY);
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

const mailsTo = (email: string) => messagesTo(database, email);
const lastMailTo = (email: string) => lastMessageTo(database, email);

/** Follows a link as far as the application's address. */
async function follow(
  link: string,
): Promise<{ readonly status: number; readonly to: URL; readonly facts: URLSearchParams }> {
  const answer = await fetch(link, { redirect: 'manual' });
  const to = new URL(answer.headers.get('location') ?? 'about:blank');
  return { status: answer.status, to, facts: new URLSearchParams(to.hash.slice(1)) };
}

async function confirmed(email = address()): Promise<string> {
  const { error } = await admin.auth.admin.createUser({ email, password, email_confirm: true });
  if (error) throw error;
  return email;
}

describe('signUp with confirmation', () => {
  it('answers without a session, and the link of the mail signs in', async () => {
    const email = address();
    const { data } = await connect().auth.signUp({ email, password });
    expect(data.session).toBeNull();
    expect(data.user).toMatchObject({ email, confirmation_sent_at: expect.any(String) });
    expect((await connect().auth.signInWithPassword({ email, password })).error?.code).toBe(
      'email_not_confirmed',
    );
    const { link } = await lastMailTo(email);
    expect(link.startsWith(`${backend.report.API_URL}/auth/v1/verify?token=`)).toBe(true);
    const { status, to, facts } = await follow(link);
    expect([status, to.origin]).toEqual([303, 'https://app.example.com']);
    expect([...facts.keys()].sort()).toEqual([
      'access_token',
      'expires_at',
      'expires_in',
      'refresh_token',
      'sb',
      'token_type',
      'type',
    ]);
    const user = await connect().auth.getUser(facts.get('access_token') ?? '');
    expect(user.data.user).toMatchObject({ email, user_metadata: { email_verified: true } });
    expect((await connect().auth.signInWithPassword({ email, password })).error).toBeNull();
  });

  it('says the same for an address that has an account, and sends nothing there', async () => {
    const email = await confirmed();
    const fresh = address();
    const [known, unknown] = await Promise.all(
      [email, fresh].map((one) => connect().auth.signUp({ email: one, password: 'another horse' })),
    );
    const shape = (user: object | null | undefined) => Object.keys(user ?? {}).sort();
    expect(known?.error).toBeNull();
    expect(shape(known?.data.user)).toEqual(shape(unknown?.data.user));
    expect(known?.data.user?.identities).toEqual([]);
    expect(await mailsTo(email)).toEqual([]);
    expect((await connect().auth.signInWithPassword({ email, password })).error).toBeNull();
  });

  it('sends another mail when asked, and the old link is worth nothing then', async () => {
    const email = address();
    await connect().auth.signUp({ email, password });
    const before = await lastMailTo(email);
    expect((await connect().auth.resend({ type: 'signup', email })).error).toBeNull();
    const { facts } = await follow(before.link);
    expect(Object.fromEntries(facts)).toEqual({
      error: 'access_denied',
      error_code: 'otp_expired',
      error_description: 'Email link is invalid or has expired',
      sb: '',
    });
    expect((await follow((await lastMailTo(email)).link)).facts.has('access_token')).toBe(true);
  });
});

describe('a forgotten password', () => {
  it('is replaced by whoever gets the mail', async () => {
    const email = await confirmed();
    expect((await connect().auth.resetPasswordForEmail(email)).error).toBeNull();
    const client = connect();
    const { facts } = await follow((await lastMailTo(email)).link);
    expect(facts.get('type')).toBe('recovery');
    await client.auth.setSession({
      access_token: facts.get('access_token') ?? '',
      refresh_token: facts.get('refresh_token') ?? '',
    });
    expect((await client.auth.updateUser({ password: 'another horse' })).error).toBeNull();
    expect((await connect().auth.signInWithPassword({ email, password: 'another horse' })).error).toBeNull();
  });

  it('of nobody is answered alike, and nothing is sent', async () => {
    const email = address();
    expect(await connect().auth.resetPasswordForEmail(email)).toEqual({ data: {}, error: null });
    expect(await mailsTo(email)).toEqual([]);
  });
});

describe('signInWithOtp', () => {
  it("signs in by the code of the mail, in the project's own words", async () => {
    const email = await confirmed();
    await connect().auth.signInWithOtp({ email });
    const mail = await lastMailTo(email);
    expect(mail.subject).toBe(`Your link for ${email}`);
    const { data, error } = await connect().auth.verifyOtp({ email, token: mail.code, type: 'email' });
    expect(error).toBeNull();
    expect(data.user?.email).toBe(email);
  });

  it('makes an account for a new address, unless it may not', async () => {
    const email = address();
    const refused = await connect().auth.signInWithOtp({ email, options: { shouldCreateUser: false } });
    expect(refused.error).toMatchObject({ status: 422, code: 'otp_disabled' });
    expect((await connect().auth.signInWithOtp({ email })).error).toBeNull();
    const { facts } = await follow((await lastMailTo(email)).link);
    expect(facts.has('access_token')).toBe(true);
  });

  it.each([
    ['a wrong code', '000000', 'email'],
    ['a code of another kind', undefined, 'email_change'],
  ] as const)('refuses %s', async (_, token, type) => {
    const email = await confirmed();
    await connect().auth.signInWithOtp({ email });
    const { code } = await lastMailTo(email);
    const given = token === code ? '000001' : (token ?? code);
    expect((await connect().auth.verifyOtp({ email, token: given, type })).error).toMatchObject({
      status: 403,
      code: 'otp_expired',
      message: 'Token has expired or is invalid',
    });
  });

  it('refuses a code that is too old', async () => {
    const email = await confirmed();
    await connect().auth.signInWithOtp({ email });
    const { code, link } = await lastMailTo(email);
    await database.query(
      `update auth.users set recovery_sent_at = now() - interval '2 hours' where email = $1`,
      [email],
    );
    expect((await connect().auth.verifyOtp({ email, token: code, type: 'email' })).error?.code).toBe(
      'otp_expired',
    );
    expect((await follow(link)).facts.get('error_code')).toBe('otp_expired');
  });
});

/** Class: replay of a one-time token (CWE-294). */
describe('50 at once with one', () => {
  const at50 = async <T>(work: () => Promise<T>) => Promise.all(Array.from({ length: 50 }, work));

  it('link: one gets a session', async () => {
    const email = await confirmed();
    await connect().auth.signInWithOtp({ email });
    const { link } = await lastMailTo(email);
    const answers = await at50(() => follow(link));
    expect(answers.filter(({ facts }) => facts.has('access_token'))).toHaveLength(1);
    expect(answers.filter(({ facts }) => facts.get('error_code') === 'otp_expired')).toHaveLength(49);
  });

  it('code: one gets a session', async () => {
    const email = await confirmed();
    await connect().auth.signInWithOtp({ email });
    const { code } = await lastMailTo(email);
    const answers = await at50(() => connect().auth.verifyOtp({ email, token: code, type: 'email' }));
    expect(answers.filter(({ error }) => error === null)).toHaveLength(1);
    expect(answers.filter(({ error }) => error?.code === 'otp_expired')).toHaveLength(49);
  });

  it('PKCE code: one gets a session', async () => {
    const { code, verifier } = await pkceCode();
    const answers = await at50(() => exchange(code, verifier));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ body }) => body.code === 'flow_state_not_found')).toHaveLength(49);
  });
});

describe('PKCE', () => {
  it('gives the browser a code that only its verifier turns into a session', async () => {
    const { code, verifier, to } = await pkceCode();
    expect(to.hash).toBe('');
    expect(await exchange(code, `${verifier}x`)).toEqual({
      status: 400,
      body: {
        code: 'bad_code_verifier',
        message: 'code challenge does not match previously saved code verifier',
      },
    });
    expect(await exchange(code, verifier)).toMatchObject({ status: 200, body: { token_type: 'bearer' } });
  });

  it('wants a challenge that is one', async () => {
    const answer = await post('/otp', {
      email: address(),
      code_challenge: 'short',
      code_challenge_method: 's256',
    });
    expect([answer.status, answer.body.code]).toEqual([400, 'validation_failed']);
  });
});

async function pkceCode() {
  const email = await confirmed();
  const verifier = randomBytes(48).toString('hex');
  const code_challenge = createHash('sha256').update(verifier).digest('base64url');
  await post('/otp', { email, code_challenge, code_challenge_method: 's256' });
  const { to } = await follow((await lastMailTo(email)).link);
  return { code: to.searchParams.get('code') ?? '', verifier, to };
}

const exchange = (auth_code: string, code_verifier: string) =>
  post('/token?grant_type=pkce', { auth_code, code_verifier });

async function post(path: string, body: object, headers: Record<string, string> = {}) {
  const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method: 'POST',
    headers: { apikey: backend.report.PUBLISHABLE_KEY, 'x-supabase-api-version': '2024-01-01', ...headers },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

describe('another mail address', () => {
  it('counts once both addresses have confirmed', async () => {
    const email = await confirmed();
    const next = address();
    const client = connect();
    await client.auth.signInWithPassword({ email, password });
    const { data } = await client.auth.updateUser({ email: next });
    expect(data.user).toMatchObject({ email, new_email: next });
    const first = await follow((await lastMailTo(next)).link);
    expect(first.facts.get('message')).toBe(
      'Confirmation link accepted. Please proceed to confirm link sent to the other email',
    );
    expect((await client.auth.getUser()).data.user?.email).toBe(email);
    // Twice from one address is not both.
    expect((await follow((await lastMailTo(next)).link)).facts.get('error_code')).toBe('otp_expired');
    await follow((await lastMailTo(email)).link);
    expect((await client.auth.getUser()).data.user).toMatchObject({
      email: next,
      identities: [expect.objectContaining({ email: next })],
    });
  });
});

describe('an invitation', () => {
  it('makes the account, and its link opens it', async () => {
    const email = address();
    const { data } = await admin.auth.admin.inviteUserByEmail(email, { data: { team: 'harbour' } });
    expect(data.user).toMatchObject({
      email,
      invited_at: expect.any(String),
      user_metadata: { team: 'harbour' },
    });
    const { facts } = await follow((await lastMailTo(email)).link);
    expect(facts.get('type')).toBe('invite');
    expect((await admin.auth.admin.inviteUserByEmail(email)).error).toMatchObject({
      status: 422,
      code: 'email_exists',
    });
  });
});

describe('generateLink', () => {
  it.each(['signup', 'invite', 'magiclink', 'recovery'] as const)(
    'makes one for %s without a mail',
    async (type) => {
      const email = type === 'recovery' || type === 'magiclink' ? await confirmed() : address();
      const { data, error } = await admin.auth.admin.generateLink({ type, email, password } as never);
      expect(error).toBeNull();
      expect(data.properties).toMatchObject({
        verification_type: type,
        redirect_to: 'https://app.example.com',
      });
      expect(await mailsTo(email)).toEqual([]);
      expect((await follow(data.properties?.action_link ?? '')).facts.has('access_token')).toBe(true);
    },
  );

  it('gives a hash that verifies', async () => {
    const email = await confirmed();
    const { data } = await admin.auth.admin.generateLink({ type: 'magiclink', email });
    const token_hash = data.properties?.hashed_token ?? '';
    expect((await connect().auth.verifyOtp({ token_hash, type: 'email' })).error).toBeNull();
  });
});

describe('reauthenticate', () => {
  it('sends a code, which is good once', async () => {
    const email = await confirmed();
    const client = connect();
    await client.auth.signInWithPassword({ email, password });
    expect((await client.auth.reauthenticate()).error).toBeNull();
    expect((await lastMailTo(email)).code).toMatch(/^\d{6}$/);
  });
});

/** Class: open redirect (CWE-601), password reset poisoning by Host (CWE-640). */
describe('where a link leads to', () => {
  it.each([
    ['https://app.example.com/after', true],
    ['https://shop.example.com/welcome', true],
    ['myapp://callback', true],
    ['http://127.0.0.1:8123/cb', true],
    ['https://evil.example.net', false],
    ['https://shop.example.com.evil.net/welcome', false],
    ['https://a.b.example.com/welcome', false],
    ['https://app.example.com@evil.net/', false],
    ['https://app.example.com\\@evil.net/', false],
    ['//evil.net', false],
    ['/\\evil.net', false],
    ['javascript:alert(1)', false],
    ['https://2130706433/', false],
    ['https://10.0.0.1/', false],
    ['http://app.example.com/', false],
    ['https://app.example.com:8443/', false],
    ['https:app.example.com', false],
    ['https://app.example.com%2eevil.net/', false],
    ['https://evil.net/#https://app.example.com', false],
  ])('%s: %j', async (redirectTo, isAllowed) => {
    const email = await confirmed();
    await post(`/recover?redirect_to=${encodeURIComponent(redirectTo)}`, { email });
    const { to } = await follow((await lastMailTo(email)).link);
    const expected = isAllowed ? redirectTo : 'https://app.example.com/';
    expect(to.href.startsWith(new URL(expected).href)).toBe(true);
    if (!isAllowed) expect(to.host).toBe('app.example.com');
  });

  it('is not the Host that a request names', async () => {
    const email = await confirmed();
    await post('/recover', { email }, { host: 'localhost' });
    expect((await lastMailTo(email)).link.startsWith(backend.report.API_URL)).toBe(true);
  });
});
