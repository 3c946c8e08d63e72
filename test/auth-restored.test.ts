// In charge of: a project that comes from elsewhere: users, identities, sessions and factors as a dump of GoTrue's tables has them, loaded as
// psql loads it, and used by the official client from then on.
import { createCipheriv, createHash, createHmac, hkdfSync, randomBytes, scryptSync } from 'node:crypto';
import { hashSync as argon2 } from '@node-rs/argon2';
import { hashSync as bcrypt } from '@node-rs/bcrypt';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { TOTP } from 'otpauth';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

const config = `
project_id = "restored"
[auth]
site_url = "https://app.example.com"
[auth.sms]
enable_signup = true
[auth.mfa.totp]
enroll_enabled = true
verify_enabled = true
`;

const id = (letter: string, kind: number) =>
  `${letter.repeat(8)}-0000-4000-8000-${String(kind).padStart(12, '0')}`;
const [ada, bob, cyd, dora, nobody] = [id('a', 0), id('b', 0), id('c', 0), id('d', 0), id('e', 0)];
const session = (user: string) => `${user.slice(0, -1)}1`;
const factor = (user: string) => `${user.slice(0, -1)}2`;
const nil = '00000000-0000-0000-0000-000000000000';
const at = '2025-03-01 10:00:00.123456+00';
const password = (user: string) => `the password of ${user.slice(0, 8)}`;
const secret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';
const verifier = 'v'.repeat(64);
const [bobsKey, dorasKey] = [randomBytes(32), randomBytes(32)];

// What GoTrue encrypts a column by, where it is told to. Source: supabase/auth internal/crypto/crypto.go `NewEncryptedString`.
const wrappingKey = randomBytes(32);
function encrypted(row: string, text: string): string {
  const nonce = randomBytes(12);
  const key = Buffer.from(hkdfSync('sha256', wrappingKey, '', row, 32));
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const data = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  return JSON.stringify({
    key_id: 'spring',
    alg: 'aes-gcm-hkdf',
    data: data.toString('base64'),
    nonce: nonce.toString('base64'),
  });
}

// As Firebase exports it. Source: github.com/firebase/scrypt; supabase/auth internal/crypto/password.go `compareHashAndPasswordFirebaseScrypt`.
function firebase(text: string): string {
  const [salt, separator, signer] = [randomBytes(8), Buffer.from([7]), randomBytes(64)];
  const key = scryptSync(text, Buffer.concat([salt, separator]), 32, { N: 2 ** 12, r: 8, p: 1 });
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const [s, ss, sk, hash] = [salt, separator, signer, cipher.update(signer)].map((one) =>
    one.toString('base64'),
  );
  return `$fbscrypt$v=1,n=12,r=8,p=1,ss=${ss},sk=${sk}$${s}$${hash}`;
}

// Source: supabase/auth internal/crypto/refresh_tokens.go `Encode`. The counters here are below 128, one byte.
function signedToken(sessionId: string, counter: number, key: Buffer): string {
  const signed = Buffer.concat([
    Buffer.from([0]),
    Buffer.from(sessionId.replaceAll('-', ''), 'hex'),
    Buffer.from([counter]),
  ]);
  const whole = Buffer.concat([signed, createHmac('sha256', key).update(signed).digest().subarray(0, 16)]);
  return Buffer.concat([whole, createHash('sha256').update(whole).digest().subarray(0, 4)]).toString(
    'base64url',
  );
}

type Value = string | number | boolean | null | object;
const literal = (value: Value): string =>
  value === null
    ? 'NULL'
    : typeof value === 'object'
      ? literal(JSON.stringify(value))
      : typeof value === 'string'
        ? `'${value.replaceAll("'", "''")}'`
        : String(value);

/** As `pg_dump --column-inserts --quote-all-identifiers` writes a table. */
function rows(table: string, all: readonly Readonly<Record<string, Value>>[]): string {
  const names = Object.keys(all[0] ?? {});
  const values = all.map((row) => `\t(${names.map((name) => literal(row[name] ?? null)).join(', ')})`);
  return `INSERT INTO "auth"."${table}" (${names.map((name) => `"${name}"`).join(', ')}) VALUES\n${values.join(',\n')};\n`;
}

function user(
  row: string,
  facts: {
    readonly email?: string;
    readonly phone?: string;
    readonly hash?: string;
    readonly anonymous?: true;
  },
) {
  const { email = null, phone = null, hash = null, anonymous = false } = facts;
  return {
    instance_id: nil,
    id: row,
    aud: 'authenticated',
    role: 'authenticated',
    email,
    encrypted_password: hash,
    email_confirmed_at: email && at,
    invited_at: null,
    confirmation_token: '',
    confirmation_sent_at: null,
    recovery_token: '',
    recovery_sent_at: null,
    email_change_token_new: '',
    email_change: '',
    email_change_sent_at: null,
    last_sign_in_at: at,
    raw_app_meta_data: anonymous
      ? {}
      : { provider: email ? 'email' : 'phone', providers: [email ? 'email' : 'phone'] },
    raw_user_meta_data: { name: `It's ${row.slice(0, 1)}` },
    is_super_admin: null,
    created_at: at,
    updated_at: at,
    phone,
    phone_confirmed_at: phone && at,
    phone_change: '',
    phone_change_token: '',
    phone_change_sent_at: null,
    email_change_token_current: '',
    email_change_confirm_status: 0,
    banned_until: null,
    reauthentication_token: '',
    reauthentication_sent_at: null,
    is_sso_user: false,
    deleted_at: null,
    is_anonymous: anonymous,
  };
}

const identity = (row: string, userId: string, provider: string, data: object) => ({
  provider_id: (data as { readonly sub: string }).sub,
  user_id: userId,
  identity_data: data,
  provider,
  last_sign_in_at: at,
  created_at: at,
  updated_at: at,
  id: row,
});

const sessionOf = (userId: string, key: string | null, counter: number | null) => ({
  id: session(userId),
  user_id: userId,
  created_at: at,
  updated_at: at,
  factor_id: null,
  aal: 'aal1',
  not_after: null,
  refreshed_at: null,
  user_agent: 'Mozilla/5.0',
  ip: '203.0.113.7',
  tag: null,
  oauth_client_id: null,
  refresh_token_hmac_key: key,
  refresh_token_counter: counter,
  scopes: null,
});

const refreshToken = (
  row: number,
  userId: string,
  token: string,
  parent: string | null,
  revoked: boolean,
) => ({
  instance_id: nil,
  id: row,
  token,
  user_id: userId,
  revoked,
  created_at: at,
  updated_at: at,
  parent,
  session_id: session(userId),
});

const totp = (userId: string, kept: string) => ({
  id: factor(userId),
  user_id: userId,
  friendly_name: 'phone app',
  factor_type: 'totp',
  status: 'verified',
  created_at: at,
  updated_at: at,
  secret: kept,
  phone: null,
  last_challenged_at: null,
  web_authn_credential: null,
  web_authn_aaguid: null,
  last_webauthn_challenge_data: null,
});

/** What `supabase db dump --data-only` prints. Source: supabase/cli apps/cli-go/pkg/migration/scripts/dump_data.sh. */
function dump(): string {
  const now = new Date().toISOString();
  const hashes = {
    [ada]: bcrypt(password(ada)).replace('$2b$', '$2a$'),
    [bob]: argon2(password(bob), { algorithm: 2, memoryCost: 64, timeCost: 1, parallelism: 1 }),
    [cyd]: firebase(password(cyd)),
    [dora]: encrypted(dora, bcrypt(password(dora)).replace('$2b$', '$2a$')),
  };
  const names: Readonly<Record<string, string>> = { [ada]: 'ada', [bob]: 'bob', [cyd]: 'cyd' };
  const people = [ada, bob, cyd];
  return [
    'SET session_replication_role = replica;\n',
    '--\n-- PostgreSQL database dump\n--\n',
    "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n",
    "SELECT pg_catalog.set_config('search_path', '', false);\nSET row_security = off;\n",
    rows('audit_log_entries', [
      {
        instance_id: nil,
        id: id('f', 0),
        payload: { action: 'login', actor_id: ada, actor_username: 'ada@example.com', log_type: 'account' },
        created_at: at,
        ip_address: '',
      },
    ]),
    rows('flow_state', [
      {
        id: id('f', 1),
        user_id: ada,
        auth_code: id('f', 2),
        code_challenge_method: 's256',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        provider_type: 'magiclink',
        provider_access_token: '',
        provider_refresh_token: '',
        created_at: now,
        updated_at: now,
        authentication_method: 'magiclink',
        auth_code_issued_at: now,
      },
    ]),
    rows('users', [
      ...people.map((row) => user(row, { email: `${names[row]}@example.com`, hash: hashes[row] ?? '' })),
      user(dora, { phone: '4155550123', hash: hashes[dora] ?? '' }),
      user(nobody, { anonymous: true }),
    ]),
    rows('identities', [
      ...people.map((row, number) =>
        identity(id('9', number), row, 'email', {
          sub: row,
          email: `${names[row]}@example.com`,
          email_verified: true,
          phone_verified: false,
        }),
      ),
      identity(id('9', 7), ada, 'github', {
        sub: '1234567',
        email: 'ada@users.example.com',
        user_name: 'ada',
        email_verified: true,
      }),
      identity(id('9', 8), dora, 'phone', {
        sub: dora,
        phone: '4155550123',
        phone_verified: true,
        email_verified: false,
      }),
    ]),
    rows('sessions', [
      sessionOf(ada, null, null),
      sessionOf(bob, bobsKey.toString('base64url'), 7),
      sessionOf(dora, encrypted(session(dora), dorasKey.toString('base64url')), 3),
      sessionOf(nobody, null, null),
    ]),
    rows(
      'mfa_amr_claims',
      [ada, bob, dora, nobody].map((row, number) => ({
        session_id: session(row),
        created_at: '2025-03-01 10:00:00+00',
        updated_at: '2025-03-01 10:00:00+00',
        authentication_method: row === nobody ? 'anonymous' : 'password',
        id: id('8', number),
      })),
    ),
    rows('mfa_factors', [totp(cyd, secret), totp(dora, encrypted(factor(dora), secret))]),
    rows('one_time_tokens', [
      {
        id: id('7', 0),
        user_id: bob,
        token_type: 'recovery_token',
        token_hash: createHash('sha224').update('bob@example.com123456').digest('hex'),
        relates_to: 'bob@example.com',
        created_at: '2025-03-01 10:00:00',
        updated_at: '2025-03-01 10:00:00',
      },
    ]),
    rows('refresh_tokens', [
      refreshToken(41, ada, 'aaaaaaaaaaa1', null, true),
      refreshToken(42, ada, 'aaaaaaaaaaa2', 'aaaaaaaaaaa1', false),
      refreshToken(43, nobody, 'eeeeeeeeeee1', null, false),
    ]),
    `SELECT pg_catalog.setval('"auth"."refresh_tokens_id_seq"', 43, true);\n`,
    'RESET ALL;\n',
  ].join('\n');
}

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;

const environment = {
  // What is restored below is of years ago.
  GOTRUE_DB_CLEANUP_ENABLED: 'false',
  GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS: `winter:${randomBytes(32).toString('base64url')},spring:${wrappingKey.toString('base64url')}`,
};

beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': config });
  const empty = await startBackend(project.folder, [], { env: environment });
  const psql = new pg.Client({ connectionString: empty.report.DB_URL });
  await psql.connect();
  await psql.query(dump());
  await psql.end();
  await empty.stop();
  backend = await startBackend(project.folder, [], { env: environment });
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

function connect(key = backend.report.PUBLISHABLE_KEY): SupabaseClient {
  return createClient(backend.report.API_URL, key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

const claimsOf = (token = '') =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

describe('passwords', () => {
  it.each([
    ['bcrypt', { email: 'ada@example.com' }, ada],
    ['argon2id', { email: 'bob@example.com' }, bob],
    ['Firebase’s scrypt', { email: 'cyd@example.com' }, cyd],
    ['a hash that GoTrue encrypted', { phone: '4155550123' }, dora],
  ])('by %s sign in, and wrong ones do not', async (_, handle, row) => {
    const { data, error } = await connect().auth.signInWithPassword({ ...handle, password: password(row) });
    expect([error, data.user?.id]).toEqual([null, row]);
    const wrong = await connect().auth.signInWithPassword({ ...handle, password: 'wrong' });
    expect(wrong.error?.code).toBe('invalid_credentials');
  });
});

describe('sessions', () => {
  const refreshed = (token: string) => connect().auth.refreshSession({ refresh_token: token });

  it('of the first kind go on with their next refresh token; the one before it ends them once that is used', async () => {
    const { data, error } = await refreshed('aaaaaaaaaaa2');
    expect(error).toBeNull();
    expect(claimsOf(data.session?.access_token)).toMatchObject({
      sub: ada,
      session_id: session(ada),
      aal: 'aal1',
      amr: [{ method: 'password', timestamp: Date.parse('2025-03-01T10:00:00Z') / 1000 }],
    });
    expect((await refreshed('aaaaaaaaaaa1')).error?.code).toBe('refresh_token_already_used');
    expect((await refreshed(data.session?.refresh_token ?? '')).error?.code).toBe(
      'refresh_token_already_used',
    );
  });

  it.each([
    ['bob', bob, 7, bobsKey],
    ['dora, whose key GoTrue encrypted', dora, 3, dorasKey],
  ])('of the second kind count on: %s', async (_, row, counter, key) => {
    const now = signedToken(session(row), counter, key);
    const { data, error } = await refreshed(now);
    expect(error).toBeNull();
    expect(claimsOf(data.session?.access_token)).toMatchObject({ sub: row, session_id: session(row) });
    expect(data.session?.refresh_token).toBe(signedToken(session(row), counter + 1, key));
    // Two behind, and a moment ago: a second tab.
    const tab = await refreshed(signedToken(session(row), counter - 1, key));
    expect(tab.data.session?.refresh_token).toBe(data.session?.refresh_token);
  });

  it('of somebody without a name go on as well', async () => {
    const { data } = await refreshed('eeeeeeeeeee1');
    expect([data.user?.id, data.user?.is_anonymous]).toEqual([nobody, true]);
  });

  it('that were begun by a link are finished by the client that has the verifier', async () => {
    const answer = await fetch(`${backend.report.API_URL}/auth/v1/token?grant_type=pkce`, {
      method: 'POST',
      headers: { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
      body: JSON.stringify({ auth_code: id('f', 2), code_verifier: verifier }),
    });
    expect([answer.status, ((await answer.json()) as { user: { id: string } }).user.id]).toEqual([200, ada]);
  });
});

describe('second factors', () => {
  it.each([
    ['in plain text', { email: 'cyd@example.com' }, cyd],
    ['encrypted by GoTrue', { phone: '4155550123' }, dora],
  ])('whose secret is %s raise a session', async (_, handle, row) => {
    const client = connect();
    await client.auth.signInWithPassword({ ...handle, password: password(row) });
    expect((await client.auth.mfa.getAuthenticatorAssuranceLevel()).data).toMatchObject({
      currentLevel: 'aal1',
      nextLevel: 'aal2',
    });
    const code = new TOTP({ secret }).generate();
    const { data, error } = await client.auth.mfa.challengeAndVerify({ factorId: factor(row), code });
    expect(error).toBeNull();
    expect(claimsOf(data?.access_token).aal).toBe('aal2');
  });
});

describe('an administrator', () => {
  it('sees a user as a whole, as they were', async () => {
    const admin = connect(backend.report.SECRET_KEY);
    const { data } = await admin.auth.admin.getUserById(ada);
    const written = '2025-03-01T10:00:00.123456Z';
    const times = { created_at: written, last_sign_in_at: written, updated_at: written };
    expect(data.user).toEqual({
      id: ada,
      aud: 'authenticated',
      role: 'authenticated',
      email: 'ada@example.com',
      email_confirmed_at: written,
      phone: '',
      confirmed_at: written,
      last_sign_in_at: expect.any(String),
      app_metadata: { provider: 'email', providers: ['email'] },
      user_metadata: { name: "It's a" },
      identities: [
        {
          identity_id: id('9', 0),
          id: ada,
          user_id: ada,
          identity_data: { sub: ada, email: 'ada@example.com', email_verified: true, phone_verified: false },
          provider: 'email',
          email: 'ada@example.com',
          ...times,
        },
        {
          identity_id: id('9', 7),
          id: '1234567',
          user_id: ada,
          identity_data: {
            sub: '1234567',
            email: 'ada@users.example.com',
            user_name: 'ada',
            email_verified: true,
          },
          provider: 'github',
          email: 'ada@users.example.com',
          ...times,
        },
      ],
      created_at: written,
      updated_at: expect.any(String),
      is_anonymous: false,
    });
  });

  it('lists everybody, their factors, and what they did', async () => {
    const admin = connect(backend.report.SECRET_KEY);
    const { data } = await admin.auth.admin.listUsers();
    expect(data.users.map((one) => [one.id, one.email || one.phone]).sort()).toEqual([
      [ada, 'ada@example.com'],
      [bob, 'bob@example.com'],
      [cyd, 'cyd@example.com'],
      [dora, '4155550123'],
      [nobody, ''],
    ]);
    const factors = await admin.auth.admin.mfa.listFactors({ userId: cyd });
    expect(factors.data?.factors).toMatchObject([
      { id: factor(cyd), factor_type: 'totp', status: 'verified', friendly_name: 'phone app' },
    ]);
    const audit = await fetch(`${backend.report.API_URL}/auth/v1/admin/audit?query=author:ada@example`, {
      headers: {
        apikey: backend.report.SECRET_KEY,
        authorization: `Bearer ${backend.report.SERVICE_ROLE_KEY}`,
      },
    });
    expect(((await audit.json()) as { id: string }[]).map(({ id: entry }) => entry)).toContain(id('f', 0));
  });
});

describe('identities', () => {
  it('are those that the user had', async () => {
    const client = connect();
    await client.auth.signInWithPassword({ email: 'ada@example.com', password: password(ada) });
    const { data } = await client.auth.getUserIdentities();
    expect(data?.identities.map(({ provider, identity_id }) => [provider, identity_id])).toEqual([
      ['email', id('9', 0)],
      ['github', id('9', 7)],
    ]);
  });
});
