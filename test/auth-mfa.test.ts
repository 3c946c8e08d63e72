// In charge of: second factors with the official client: enrolled, challenged, verified, given up, and every way around them that is known.
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { TOTP } from 'otpauth';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { lastMessageTo, messagesTo } from './harness/inbox.ts';

const config = `
project_id = "factors"
[auth]
site_url = "https://app.example.com"
enable_anonymous_sign_ins = true
[auth.rate_limit]
failed_attempts = 12
[auth.mfa]
max_enrolled_factors = 3
[auth.mfa.totp]
enroll_enabled = true
verify_enabled = true
[auth.mfa.phone]
enroll_enabled = true
verify_enabled = true
template = "Factor {{ .Code }}"
max_frequency = "1h"
[auth.email.notification.mfa_factor_enrolled]
enabled = true
[auth.email.notification.mfa_factor_unenrolled]
enabled = true
[auth.hook.mfa_verification_attempt]
enabled = true
uri = "pg-functions://postgres/public/on_factor"
`;

const migration = `
create table notes (id int primary key, body text not null);
insert into notes values (1, 'for everybody'), (2, 'for aal2');
alter table notes enable row level security;
create policy everybody on notes for select to authenticated using (true);
create policy strict on notes as restrictive for select to authenticated using (id = 1 or (select auth.jwt() ->> 'aal') = 'aal2');
grant select on notes to authenticated;

create table attempts (user_id uuid, input jsonb);
create table rejected (user_id uuid primary key);
create function on_factor(event jsonb) returns jsonb language plpgsql security definer set search_path = '' as $$
begin
  insert into public.attempts values ((event ->> 'user_id')::uuid, event);
  if exists (select from public.rejected where user_id = (event ->> 'user_id')::uuid) then
    return jsonb_build_object('decision', 'reject', 'message', 'Not now.');
  end if;
  return jsonb_build_object('decision', 'continue');
end $$;
grant execute on function on_factor to supabase_auth_admin;
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let admin: SupabaseClient;

beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': config,
    'supabase/migrations/20260101000000_factors.sql': migration,
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

/** Somebody who is signed in with a password. */
async function somebody() {
  const email = `factor-${count++}@example.com`;
  const { data, error } = await admin.auth.admin.createUser({ email, password, email_confirm: true });
  if (error) throw error;
  return { email, id: data.user.id, client: await signedIn(email) };
}

async function signedIn(email: string): Promise<SupabaseClient> {
  const client = connect();
  const { error } = await client.auth.signInWithPassword({ email, password });
  if (error) throw error;
  return client;
}

async function enrolled(client: SupabaseClient, friendlyName = 'phone app') {
  const { data, error } = await client.auth.mfa.enroll({ factorType: 'totp', friendlyName });
  if (error) throw error;
  return { factorId: data.id, secret: data.totp.secret, data };
}

const periodMs = 30_000;
/** The code of the present time step, or of one near it. */
const codeOf = (secret: string, steps = 0) =>
  new TOTP({ secret }).generate({ timestamp: Date.now() + steps * periodMs });

/** Somebody with a verified factor, at aal2. The code that was used is that of the step before the present one. */
async function withFactor() {
  const who = await somebody();
  const { factorId, secret } = await enrolled(who.client);
  const prove = () => who.client.auth.mfa.challengeAndVerify({ factorId, code: codeOf(secret, -1) });
  const first = await prove();
  // Where a time step ends between the code and the answer, it is of two steps ago.
  const { error } = first.error ? await prove() : first;
  if (error) throw error;
  return { ...who, factorId, secret };
}

async function tokenOf(client: SupabaseClient): Promise<string> {
  const { data } = await client.auth.getSession();
  return data.session?.access_token ?? '';
}

async function ask(method: string, path: string, token: string, body?: unknown) {
  const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method,
    headers: {
      apikey: backend.report.PUBLISHABLE_KEY,
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
    readonly aal: string;
    readonly session_id: string;
    readonly amr: readonly { readonly method: string }[];
  };

describe('an authenticator app', () => {
  it('is enrolled with a secret, its address and a picture of it', async () => {
    const { client, email } = await somebody();
    const { data } = await enrolled(client, 'my app');
    expect(data).toEqual({
      id: expect.any(String),
      type: 'totp',
      friendly_name: 'my app',
      totp: {
        qr_code: expect.stringMatching(/^data:image\/svg\+xml;utf-8,<\?xml [^#]*<\/svg>\n$/),
        secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
        uri: `otpauth://totp/app.example.com:${email}?algorithm=SHA1&digits=6&issuer=app.example.com&period=30&secret=${data.totp.secret}`,
      },
    });
    const { data: factors } = await client.auth.mfa.listFactors();
    expect(factors?.all).toEqual([
      expect.objectContaining({ id: data.id, status: 'unverified', factor_type: 'totp' }),
    ]);
  });

  it('raises the session to aal2, ends the others, and stays through a refresh', async () => {
    const { client, email, id } = await somebody();
    const other = await signedIn(email);
    const before = (await client.auth.getSession()).data.session;
    const { factorId, secret } = await enrolled(client);
    const challenge = await client.auth.mfa.challenge({ factorId });
    expect(challenge.data).toEqual({
      id: expect.any(String),
      type: 'totp',
      expires_at: expect.closeTo(Date.now() / 1000 + 300, -1),
    });
    const { data, error } = await client.auth.mfa.verify({
      factorId,
      challengeId: challenge.data?.id ?? '',
      code: codeOf(secret),
    });
    expect(error).toBeNull();
    expect(data?.user.factors).toEqual([
      expect.objectContaining({ id: factorId, status: 'verified', friendly_name: 'phone app' }),
    ]);
    const claims = claimsOf(data?.access_token ?? '');
    expect([claims.aal, claims.amr.map(({ method }) => method).sort()]).toEqual([
      'aal2',
      ['password', 'totp'],
    ]);
    expect(claims.session_id).toBe(claimsOf(before?.access_token ?? '').session_id);
    expect((await client.auth.mfa.getAuthenticatorAssuranceLevel()).data).toMatchObject({
      currentLevel: 'aal2',
      nextLevel: 'aal2',
    });
    const refreshed = await client.auth.refreshSession();
    expect(claimsOf(refreshed.data.session?.access_token ?? '').aal).toBe('aal2');
    // What there was at aal1 is over, and the refresh token from before opens nothing.
    expect((await other.auth.getUser()).error?.name).toBe('AuthSessionMissingError');
    const stale = await connect().auth.refreshSession({ refresh_token: before?.refresh_token ?? '' });
    expect(stale.error?.code).toBe('refresh_token_not_found');
    const { rows } = await database.query(
      `select payload ->> 'action' as action from auth.audit_log_entries where payload ->> 'actor_id' = $1
       and payload ->> 'log_type' = 'factor' order by created_at`,
      [id],
    );
    expect(rows.map(({ action }) => action)).toEqual([
      'factor_in_progress',
      'challenge_created',
      'verification_attempted',
    ]);
  });

  it('is told by mail when it comes and when it goes', async () => {
    const { client, email, factorId } = await withFactor();
    await client.auth.mfa.unenroll({ factorId });
    expect((await messagesTo(database, email)).map(({ kind }) => kind)).toEqual([
      'mfa_factor_unenrolled_notification',
      'mfa_factor_enrolled_notification',
    ]);
  });

  it('opens what a restrictive policy keeps for aal2', async () => {
    const { email, factorId, secret } = await withFactor();
    const client = await signedIn(email);
    expect((await client.auth.mfa.getAuthenticatorAssuranceLevel()).data).toMatchObject({
      currentLevel: 'aal1',
      nextLevel: 'aal2',
    });
    const ids = async () => (await client.from('notes').select('id')).data;
    expect(await ids()).toEqual([{ id: 1 }]);
    const { error } = await client.auth.mfa.challengeAndVerify({ factorId, code: codeOf(secret) });
    expect(error).toBeNull();
    expect(await ids()).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it('lowers the sessions that it raised when it is given up', async () => {
    const { client, factorId } = await withFactor();
    expect((await client.auth.mfa.unenroll({ factorId })).data).toEqual({ id: factorId });
    const { data } = await client.auth.refreshSession();
    expect(claimsOf(data.session?.access_token ?? '')).toMatchObject({
      aal: 'aal1',
      amr: [{ method: 'password' }],
    });
  });
});

describe('what is refused', () => {
  it.each([
    ['no type', {}, 400, 'validation_failed', 'factor_type needs to be totp, phone, or webauthn'],
    [
      'a key where none can be enrolled',
      { factor_type: 'webauthn' },
      422,
      'mfa_webauthn_enroll_not_enabled',
      'MFA enroll is disabled for WebAuthn',
    ],
    [
      'a phone without a number',
      { factor_type: 'phone' },
      400,
      'validation_failed',
      'Phone number required to enroll Phone factor',
    ],
    [
      'a number that is none',
      { factor_type: 'phone', phone: 'x' },
      400,
      'validation_failed',
      'Invalid phone number format (E.164 required)',
    ],
    [
      'a long issuer',
      { factor_type: 'totp', issuer: 'x'.repeat(2000) },
      400,
      'validation_failed',
      /too long/,
    ],
  ])('%s', async (_, body, status, code, message) => {
    const { client } = await somebody();
    const answer = await ask('POST', '/factors', await tokenOf(client), body);
    expect([answer.status, answer.body.error_code]).toEqual([status, code]);
    expect(answer.body.msg).toMatch(message);
  });

  it('a second factor of the same name, and more than there may be', async () => {
    const { client } = await somebody();
    await enrolled(client, 'one');
    const again = await client.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'one' });
    expect([again.error?.status, again.error?.code]).toEqual([422, 'mfa_factor_name_conflict']);
    const token = await tokenOf(client);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        ask('POST', '/factors', token, { factor_type: 'totp', friendly_name: `more ${n}` }),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);
    expect(answers.filter(({ body }) => body.error_code === 'too_many_enrolled_mfa_factors')).toHaveLength(8);
  });

  it('a wrong code, an empty one, and a factor or challenge that is none', async () => {
    const { client } = await somebody();
    const { factorId } = await enrolled(client);
    const wrong = await client.auth.mfa.challengeAndVerify({ factorId, code: '000000' });
    expect([wrong.error?.status, wrong.error?.code, wrong.error?.message]).toEqual([
      422,
      'mfa_verification_failed',
      'Invalid TOTP code entered',
    ]);
    const token = await tokenOf(client);
    const path = `/factors/${factorId}/verify`;
    const nobody = '11111111-1111-4111-8111-111111111111';
    const cases = [
      [await ask('POST', path, token, { challenge_id: nobody }), 400, 'validation_failed'],
      [await ask('POST', path, token, { challenge_id: nobody, code: '1' }), 422, 'mfa_factor_not_found'],
      [await ask('POST', path, token, { challenge_id: 'x', code: '1' }), 400, 'bad_json'],
      [await ask('POST', path, token, { challenge_id: 1, code: '1' }), 400, 'bad_json'],
      [await ask('POST', path, token), 400, 'bad_json'],
      [await ask('POST', '/factors/x/challenge', token, {}), 404, 'validation_failed'],
      [await ask('POST', `/factors/${nobody}/challenge`, token, {}), 404, 'mfa_factor_not_found'],
      [await ask('DELETE', '/factors/%00', token), 404, 'validation_failed'],
      [await ask('POST', '/factors', backend.report.ANON_KEY, {}), 403, 'bad_jwt'],
    ] as const;
    for (const [{ status, body }, expected, code] of cases)
      expect([status, body.error_code]).toEqual([expected, code]);
  });

  it('somebody without a name', async () => {
    const visitor = connect();
    const { data, error } = await visitor.auth.signInAnonymously();
    expect(error).toBeNull();
    const answer = await ask('POST', '/factors', data.session?.access_token ?? '', { factor_type: 'totp' });
    expect([answer.status, answer.body.error_code]).toEqual([403, 'no_authorization']);
  });

  it('a challenge that has run out', async () => {
    const { client } = await somebody();
    const { factorId, secret } = await enrolled(client);
    const { data } = await client.auth.mfa.challenge({ factorId });
    await database.query(
      `update auth.mfa_challenges set created_at = created_at - interval '301 s' where id = $1`,
      [data?.id],
    );
    const verify = () =>
      client.auth.mfa.verify({ factorId, challengeId: data?.id ?? '', code: codeOf(secret) });
    expect((await verify()).error?.code).toBe('mfa_challenge_expired');
    expect((await verify()).error?.code).toBe('mfa_factor_not_found');
  });

  it('a challenge from another address', async () => {
    const { client } = await somebody();
    const { factorId, secret } = await enrolled(client);
    const { data } = await client.auth.mfa.challenge({ factorId });
    await database.query(`update auth.mfa_challenges set ip_address = '192.0.2.1' where id = $1`, [data?.id]);
    const { error } = await client.auth.mfa.verify({
      factorId,
      challengeId: data?.id ?? '',
      code: codeOf(secret),
    });
    expect([error?.status, error?.code]).toEqual([422, 'mfa_ip_address_mismatch']);
  });
});

describe('ways around a second factor', () => {
  it("somebody else's factor and challenge are not found", async () => {
    const victim = await withFactor();
    const attacker = await withFactor();
    const own = await attacker.client.auth.mfa.challenge({ factorId: attacker.factorId });
    const token = await tokenOf(attacker.client);
    for (const path of [
      `/factors/${victim.factorId}/challenge`,
      `/factors/${victim.factorId}/verify`,
      `/factors/${victim.factorId}`,
    ]) {
      const method = path.endsWith(victim.factorId) ? 'DELETE' : 'POST';
      const body = { challenge_id: own.data?.id, code: codeOf(attacker.secret) };
      const answer = await ask(method, path, token, body);
      expect([answer.status, answer.body.error_code]).toEqual([404, 'mfa_factor_not_found']);
    }
    const foreign = await victim.client.auth.mfa.challenge({ factorId: victim.factorId });
    const { error } = await attacker.client.auth.mfa.verify({
      factorId: attacker.factorId,
      challengeId: foreign.data?.id ?? '',
      code: codeOf(attacker.secret),
    });
    expect(error?.code).toBe('mfa_factor_not_found');
  });

  it('a challenge that is answered fifty times at once is answered once', async () => {
    const { email, factorId, secret } = await withFactor();
    const client = await signedIn(email);
    const { data } = await client.auth.mfa.challenge({ factorId });
    const token = await tokenOf(client);
    const body = { challenge_id: data?.id, code: codeOf(secret) };
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => ask('POST', `/factors/${factorId}/verify`, token, body)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    // Every try counts before it is looked at, so that most of them are too many.
    for (const { status, body: refusal } of answers)
      if (status !== 200) expect([422, 429, 503]).toContain(status);
      else expect(refusal.refresh_token).toEqual(expect.any(String));
  });

  it('a code is good once, also for two challenges at once', async () => {
    const { email, factorId, secret } = await withFactor();
    const client = await signedIn(email);
    const token = await tokenOf(client);
    const code = codeOf(secret);
    const challenges = await Promise.all(
      Array.from({ length: 5 }, () => ask('POST', `/factors/${factorId}/challenge`, token, {})),
    );
    const answers = await Promise.all(
      challenges.map(({ body }) =>
        ask('POST', `/factors/${factorId}/verify`, token, { challenge_id: body.id, code }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 422, 422, 422, 422]);
    const later = await client.auth.mfa.challengeAndVerify({ factorId, code });
    expect(later.error?.code).toBe('mfa_verification_failed');
  });

  it('codes are not guessed: enough wrong ones, and the right one is refused, too', async () => {
    const { email, factorId, secret } = await withFactor();
    const client = await signedIn(email);
    const { data } = await client.auth.mfa.challenge({ factorId });
    const token = await tokenOf(client);
    const answer = (code: string) =>
      ask('POST', `/factors/${factorId}/verify`, token, { challenge_id: data?.id, code });
    // The one by which it was enrolled counts as well.
    for (let n = 0; n < 11; n++) expect((await answer('000000')).status).toBe(422);
    expect((await answer('000000')).status).toBe(429);
    const { status, body } = await answer(codeOf(secret));
    expect([status, body.error_code]).toEqual([429, 'over_request_rate_limit']);
  });

  it('a password at aal1 changes nothing that the factor guards', async () => {
    const { email, factorId } = await withFactor();
    const client = await signedIn(email);
    const changed = await client.auth.updateUser({ password: 'another horse' });
    expect([changed.error?.status, changed.error?.code]).toEqual([401, 'insufficient_aal']);
    const more = await client.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'mine' });
    expect([more.error?.status, more.error?.code]).toEqual([403, 'insufficient_aal']);
    const gone = await client.auth.mfa.unenroll({ factorId });
    expect([gone.error?.status, gone.error?.code]).toEqual([422, 'insufficient_aal']);
  });

  it('a factor that was prepared before is not verified past one that is there', async () => {
    const { email, client } = await somebody();
    const attacker = await signedIn(email);
    const prepared = await attacker.auth.mfa.enroll({
      factorType: 'phone',
      phone: '+15550001111',
      friendlyName: 'prepared',
    });
    const { factorId, secret } = await enrolled(client);
    await client.auth.mfa.challengeAndVerify({ factorId, code: codeOf(secret) });
    const again = await signedIn(email);
    const challenge = await again.auth.mfa.challenge({ factorId: prepared.data?.id ?? '' });
    const { rows } = await database.query('select otp_code from auth.mfa_challenges where id = $1', [
      challenge.data?.id,
    ]);
    const { error } = await again.auth.mfa.verify({
      factorId: prepared.data?.id ?? '',
      challengeId: challenge.data?.id ?? '',
      code: rows[0].otp_code,
    });
    expect([error?.status, error?.code]).toEqual([403, 'insufficient_aal']);
  });
});

describe('a phone number as a factor', () => {
  const phone = '+15550002222';

  it('is sent a code, which is good once, and not before long a second', async () => {
    const { client } = await somebody();
    const { data } = await client.auth.mfa.enroll({ factorType: 'phone', phone, friendlyName: 'mobile' });
    expect(data).toEqual({ id: expect.any(String), type: 'phone', friendly_name: 'mobile', phone });
    const factorId = data?.id ?? '';
    const challenge = await client.auth.mfa.challenge({ factorId });
    expect(challenge.data).toMatchObject({ type: 'phone' });
    const { body } = await lastMessageTo(database, phone);
    const code = /^Factor (\d{6})$/.exec(body)?.[1] ?? '';
    const soon = await client.auth.mfa.challenge({ factorId });
    expect([soon.error?.status, soon.error?.code]).toEqual([429, 'over_sms_send_rate_limit']);
    const answer = (given: string) =>
      client.auth.mfa.verify({ factorId, challengeId: challenge.data?.id ?? '', code: given });
    expect((await answer('x')).error?.message).toBe('Invalid MFA Phone code entered');
    const verified = await answer(code);
    expect(claimsOf(verified.data?.access_token ?? '')).toMatchObject({ aal: 'aal2' });
    expect((await answer(code)).error?.code).toBe('mfa_ip_address_mismatch');
    const twice = await client.auth.mfa.enroll({ factorType: 'phone', phone, friendlyName: 'again' });
    expect(twice.error?.code).toBe('mfa_verified_factor_exists');
  });
});

describe('the hook mfa_verification_attempt', () => {
  it('is told of each attempt, and ends every session of whom it rejects', async () => {
    const { id, email, factorId, secret } = await withFactor();
    const client = await signedIn(email);
    await client.auth.mfa.challengeAndVerify({ factorId, code: '000000' });
    await database.query('insert into rejected values ($1)', [id]);
    const { error } = await client.auth.mfa.challengeAndVerify({ factorId, code: codeOf(secret) });
    expect([error?.status, error?.code, error?.message]).toEqual([
      403,
      'mfa_verification_rejected',
      'Not now.',
    ]);
    const { rows } = await database.query(
      `select input - 'metadata' as input from attempts where user_id = $1`,
      [id],
    );
    const input = { user_id: id, factor_id: factorId, factor_type: 'totp' };
    expect(rows.map((row) => row.input)).toEqual([
      { ...input, valid: true },
      { ...input, valid: false },
      { ...input, valid: true },
    ]);
    expect((await client.auth.getUser()).error?.name).toBe('AuthSessionMissingError');
  });
});

describe('an administrator', () => {
  it('renames and removes a factor', async () => {
    const { id, client, factorId } = await withFactor();
    const renamed = await ask(
      'PUT',
      `/admin/users/${id}/factors/${factorId}`,
      backend.report.SERVICE_ROLE_KEY,
      {
        friendly_name: 'renamed',
      },
    );
    expect([renamed.status, renamed.body.friendly_name]).toEqual([200, 'renamed']);
    const { error } = await admin.auth.admin.mfa.deleteFactor({ id: factorId, userId: id });
    expect(error).toBeNull();
    expect((await admin.auth.admin.mfa.listFactors({ userId: id })).data?.factors).toEqual([]);
    const refreshed = await client.auth.refreshSession();
    expect(claimsOf(refreshed.data.session?.access_token ?? '').aal).toBe('aal1');
  });

  it('is one', async () => {
    const { id, client, factorId } = await withFactor();
    const answer = await ask('DELETE', `/admin/users/${id}/factors/${factorId}`, await tokenOf(client));
    expect([answer.status, answer.body.error_code]).toEqual([403, 'not_admin']);
  });
});

describe('recovery codes', () => {
  const make = async (client: SupabaseClient) =>
    ask('POST', '/factors/recovery-codes', await tokenOf(client));
  const use = async (client: SupabaseClient, code: string) =>
    ask('POST', '/factors/recovery-codes/verify', await tokenOf(client), { code });

  it('are made at aal2, counted, and each is good once in place of the factor', async () => {
    const { client, email } = await withFactor();
    const made = await make(client);
    expect(made).toEqual({ status: 200, body: { codes: expect.any(Array) } });
    const codes: string[] = made.body.codes;
    expect(codes).toHaveLength(10);
    for (const code of codes) expect(code).toMatch(/^([0-9a-z]{4}-){3}[0-9a-z]{4}$/);
    const later = await signedIn(email);
    const raised = await use(later, codes[0]!.toUpperCase().replaceAll('-', ' '));
    expect(raised.status).toBe(200);
    expect(claimsOf(raised.body.access_token)).toMatchObject({ aal: 'aal2' });
    expect(
      claimsOf(raised.body.access_token)
        .amr.map(({ method }) => method)
        .sort(),
    ).toEqual(['mfa/recovery_code', 'password']);
    const left = await ask('GET', '/factors/recovery-codes', raised.body.access_token);
    expect(left).toEqual({ status: 200, body: { remaining: 9 } });
    // The lost factor can be given up now, and with it go the codes.
    await later.auth.setSession(raised.body);
    const { data } = await later.auth.mfa.listFactors();
    expect((await later.auth.mfa.unenroll({ factorId: data?.totp[0]?.id ?? '' })).error).toBeNull();
    expect((await ask('GET', '/factors/recovery-codes', raised.body.access_token)).body).toEqual({
      remaining: 0,
    });
  });

  it('fifty at once with one code: one wins', async () => {
    const { client, email } = await withFactor();
    const { body } = await make(client);
    const later = await signedIn(email);
    const token = await tokenOf(later);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        ask('POST', '/factors/recovery-codes/verify', token, { code: body.codes[0] }),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const answer of answers)
      if (answer.status !== 200)
        // Enough wrong ones are 429, and too much at once for a machine that does other things, too, is 503.
        expect([422, 429, 503]).toContain(answer.status);
  });

  it("are not made at aal1 or without a factor, are nobody else's, and old ones end with new ones", async () => {
    const { client, email } = await withFactor();
    const { body: first } = await make(client);
    const { body: second } = await make(client);
    const low = await signedIn(email);
    const refused = [
      [await make(low), 403, 'insufficient_aal'],
      [await use(low, first.codes[0]), 422, 'mfa_verification_failed'],
      [await use((await withFactor()).client, second.codes[0]), 422, 'mfa_verification_failed'],
      [await make((await somebody()).client), 422, 'mfa_factor_not_found'],
      [await use(low, ''), 400, 'validation_failed'],
    ] as const;
    for (const [answer, status, code] of refused)
      expect([answer.status, answer.body.error_code]).toEqual([status, code]);
    const { rows } = await database.query(
      'select count(*)::int as count from _millrace.mfa_recovery_codes where code_hash = convert_to($1, $2)',
      [second.codes[0], 'utf8'],
    );
    expect(rows).toEqual([{ count: 0 }]);
  });
});
