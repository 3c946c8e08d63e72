// In charge of: where a user is signed in: the list of sessions, ending one of them, and when they end by themselves.
import { createClient } from '@supabase/supabase-js';
import { TOTP } from 'otpauth';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type OperatorClient, openOperatorClient } from '../src/server/cli/operator-client.ts';
import { makeSignedToken } from '../src/services/auth/signed-refresh-tokens.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { changeSettings } from './harness/live-settings.ts';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let operator: OperatorClient;
beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': 'project_id = "sessions"\n' });
  backend = await startBackend(project.folder);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
  operator = await openOperatorClient(project.folder);
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const password = 'correct horse';

function connect() {
  return createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

async function signedIn(email: string) {
  const client = connect();
  const { data, error } = await client.auth.signInWithPassword({ email, password });
  if (error) throw error;
  return { client, session: data.session, user: data.user };
}

/** A user with two sessions, the second one the newer. */
async function twice(email: string) {
  await connect().auth.signUp({ email, password });
  return { first: await signedIn(email), second: await signedIn(email) };
}

async function ask(method: string, path: string, token: string) {
  const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method,
    headers: { apikey: backend.report.PUBLISHABLE_KEY, authorization: `Bearer ${token}`, 'user-agent': 'x' },
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

const idOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { session_id: string })
    .session_id;

const { set, restore } = changeSettings(() => operator);
afterEach(restore);

/** Everything of this session was that much earlier. */
async function age(token: string, interval: string): Promise<void> {
  const values = [idOf(token), interval];
  await database.query(
    `update auth.sessions set created_at = created_at - $2::interval, refreshed_at = refreshed_at - $2::interval where id = $1`,
    values,
  );
  await database.query(
    `update auth.refresh_tokens set updated_at = updated_at - $2::interval where session_id = $1`,
    values,
  );
}

describe('GET /user/sessions', () => {
  it('lists where the user is signed in, the newest first', async () => {
    const { first, second } = await twice('list@example.com');
    const { status, body } = await ask('GET', '/user/sessions', first.session.access_token);
    expect(status).toBe(200);
    // The sign-up made one as well.
    expect(body.sessions).toHaveLength(3);
    expect(body.sessions.slice(0, 2)).toEqual([
      expect.objectContaining({ id: idOf(second.session.access_token), is_current: false }),
      {
        id: idOf(first.session.access_token),
        is_current: true,
        created_at: expect.stringMatching(/Z$/),
        refreshed_at: null,
        not_after: null,
        user_agent: expect.any(String),
        ip: '127.0.0.1',
        aal: 'aal1',
        amr: [{ method: 'password', timestamp: expect.any(Number) }],
      },
    ]);
  });

  it('wants a user', async () => {
    expect((await ask('GET', '/user/sessions', backend.report.ANON_KEY)).status).toBe(403);
  });
});

describe('DELETE /user/sessions/{session_id}', () => {
  it('ends that one and no other', async () => {
    const { first, second } = await twice('end@example.com');
    const path = `/user/sessions/${idOf(second.session.access_token)}`;
    expect((await ask('DELETE', path, first.session.access_token)).status).toBe(204);
    expect((await second.client.auth.refreshSession()).error?.code).toBe('refresh_token_not_found');
    expect((await first.client.auth.refreshSession()).error).toBeNull();
  });

  it("does not find somebody else's", async () => {
    const { first } = await twice('mine@example.com');
    const { first: other } = await twice('theirs@example.com');
    for (const id of [idOf(other.session.access_token), 'x', '%00']) {
      const { status, body } = await ask('DELETE', `/user/sessions/${id}`, first.session.access_token);
      expect([status, body.error_code]).toEqual([404, 'session_not_found']);
    }
    expect((await other.client.auth.getUser()).error).toBeNull();
  });
});

describe('/admin/users/{user_id}/sessions', () => {
  it('is for administrators', async () => {
    const { first, second } = await twice('watched@example.com');
    const path = `/admin/users/${first.user.id}/sessions`;
    expect((await ask('GET', path, first.session.access_token)).status).toBe(403);
    const { status, body } = await ask('GET', path, backend.report.SERVICE_ROLE_KEY);
    expect([status, body.sessions.length]).toEqual([200, 3]);
    const one = `${path}/${idOf(second.session.access_token)}`;
    expect((await ask('DELETE', one, backend.report.SERVICE_ROLE_KEY)).status).toBe(204);
    expect((await second.client.auth.getUser()).error?.name).toBe('AuthSessionMissingError');
  });
});

describe('a session', () => {
  it.each([
    ['its time', 'auth.sessions.timebox', 'Invalid Refresh Token: Session Expired'],
    [
      'a time without use',
      'auth.sessions.inactivity_timeout',
      'Invalid Refresh Token: Session Expired (Inactivity)',
    ],
  ])('ends after %s, where the project wants that', async (_, key, message) => {
    const { first } = await twice(`${key.replaceAll('.', '-')}@example.com`);
    await age(first.session.access_token, '1 hour');
    await set(key, '61m');
    const { data, error } = await first.client.auth.refreshSession();
    expect(error).toBeNull();
    await age(data.session?.access_token ?? '', '62m');
    expect((await first.client.auth.refreshSession()).error).toMatchObject({
      status: 400,
      code: 'session_expired',
      message,
    });
  });

  it('that is used goes on, however old it is', async () => {
    const { first } = await twice('used@example.com');
    await set('auth.sessions.inactivity_timeout', '61m');
    for (let hours = 0; hours < 3; hours++) {
      await age(first.session.access_token, '1 hour');
      expect((await first.client.auth.refreshSession()).error).toBeNull();
    }
  });

  it('is the only one of its user, where the project wants that: the one that was refreshed last', async () => {
    const { first, second } = await twice('only@example.com');
    await set('auth.sessions.single_per_user', true);
    expect((await first.client.auth.refreshSession()).error).toMatchObject({
      status: 400,
      code: 'session_expired',
      message: 'Invalid Refresh Token: Session Expired (Revoked by Newer Login)',
    });
    expect((await second.client.auth.refreshSession()).error).toBeNull();
  });

  it('of a user with a second factor ends without it after a while, where the project wants that', async () => {
    const { first, second } = await twice('low@example.com');
    await set('auth.sessions.allow_low_aal', '5m');
    await age(first.session.access_token, '6m');
    expect((await first.client.auth.refreshSession()).error).toBeNull();
    await database.query(
      `insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
       values (gen_random_uuid(), $1, 'totp', 'verified', now(), now())`,
      [first.user.id],
    );
    expect((await first.client.auth.refreshSession()).error).toMatchObject({
      status: 400,
      code: 'session_expired',
      message: 'Invalid Refresh Token: Session Expired (Low AAL: User Needs MFA Verification)',
    });
    expect((await second.client.auth.refreshSession()).error).toBeNull();
  });
});

describe('a session whose refresh tokens are signed', () => {
  interface Tokens {
    readonly access_token: string;
    readonly refresh_token: string;
  }

  async function post(path: string, body: object, token = backend.report.PUBLISHABLE_KEY) {
    const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
      method: 'POST',
      headers: {
        apikey: backend.report.PUBLISHABLE_KEY,
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
    });
    const json = (await answer.json()) as Tokens & { readonly [member: string]: unknown };
    const facts = ['counter', 'reuse', 'reuse-cause'].map((name) =>
      answer.headers.get(`sb-auth-refresh-token-${name}`),
    );
    return { status: answer.status, json, facts };
  }
  const refreshBy = (token: string) => post('/token?grant_type=refresh_token', { refresh_token: token });
  const refusal = (code: string, message: string) => ({
    status: 400,
    json: { code: 400, error_code: code, msg: `Invalid Refresh Token: ${message}` },
    facts: [null, null, null],
  });
  const notFound = refusal('refresh_token_not_found', 'Refresh Token Not Found');
  const alreadyUsed = refusal('refresh_token_already_used', 'Already Used');

  let count = 0;
  async function signIn(): Promise<Tokens> {
    const { json } = await post('/signup', { email: `signed-${count++}@example.com`, password });
    return json;
  }

  async function signedSession(): Promise<Tokens> {
    await set('auth.refresh_token_algorithm_version', 2);
    return signIn();
  }

  it('counts on with each refresh, and keeps nothing but the count', async () => {
    await set('auth.refresh_token_algorithm_version', 2);
    const email = 'counted@example.com';
    const first = await post('/signup', { email, password });
    expect(first.facts).toEqual(['0', null, null]);
    const second = await refreshBy(first.json.refresh_token);
    expect([second.status, second.facts]).toEqual([200, ['1', 'false', null]]);
    const third = await refreshBy(second.json.refresh_token);
    expect([third.status, third.facts]).toEqual([200, ['2', 'false', null]]);
    const { rows } = await database.query(
      `select s.refresh_token_counter, length(decode(translate(s.refresh_token_hmac_key, '-_', '+/') || '=', 'base64')) as bytes,
         (select count(*)::int from auth.refresh_tokens t where t.session_id = s.id) as rows from auth.sessions s where id = $1`,
      [idOf(third.json.access_token)],
    );
    expect(rows).toEqual([{ refresh_token_counter: '2', bytes: 32, rows: 0 }]);
    // Whoever is signed in stays, whatever new sessions get.
    await restore();
    expect((await refreshBy(third.json.refresh_token)).status).toBe(200);
  });

  it('gives what it gave before to a client that lost the answer, however late that is', async () => {
    const first = await signedSession();
    const { json: second } = await refreshBy(first.refresh_token);
    await age(second.access_token, '1 day');
    const again = await refreshBy(first.refresh_token);
    expect([again.json.refresh_token, again.facts]).toEqual([
      second.refresh_token,
      ['1', null, 'fail-to-save'],
    ]);
  });

  it('gives 50 tabs that ask at once one successor', async () => {
    const { refresh_token } = await signedSession();
    const answers = await Promise.all(Array.from({ length: 50 }, () => refreshBy(refresh_token)));
    // Whoever waited too long for the others is told so, as upstream: on a busy machine that is somebody.
    for (const { status } of answers) expect([200, 409]).toContain(status);
    const given = answers.filter(({ status }) => status === 200).map(({ json }) => json.refresh_token);
    expect(new Set(given).size).toBe(1);
  });

  it('ends when a token comes that is two behind and late; within the interval it gives the present one', async () => {
    const first = await signedSession();
    const { json: second } = await refreshBy(first.refresh_token);
    const { json: third } = await refreshBy(second.refresh_token);
    const soon = await refreshBy(first.refresh_token);
    expect([soon.json.refresh_token, soon.facts]).toEqual([
      third.refresh_token,
      ['2', null, 'concurrent-refresh'],
    ]);
    await age(third.access_token, '11 seconds');
    expect(await refreshBy(first.refresh_token)).toEqual(alreadyUsed);
    expect(await refreshBy(third.refresh_token)).toEqual(notFound);
  });

  it('goes on when such a token is refused, where the project does not rotate, and takes it where that is allowed', async () => {
    await set('auth.enable_refresh_token_rotation', false);
    const first = await signedSession();
    const { json: second } = await refreshBy(first.refresh_token);
    const { json: third } = await refreshBy(second.refresh_token);
    await age(third.access_token, '11 seconds');
    expect(await refreshBy(first.refresh_token)).toEqual(alreadyUsed);
    await set('auth.refresh_token_allow_reuse', true);
    const reused = await refreshBy(first.refresh_token);
    expect([reused.json.refresh_token, reused.facts]).toEqual([
      third.refresh_token,
      ['2', null, 'always-allow'],
    ]);
  });

  it('takes no token that somebody made up, or that is none', async () => {
    const { access_token, refresh_token } = await signedSession();
    const sessionId = idOf(access_token);
    const { rows } = await database.query<{ key: string }>(
      'select refresh_token_hmac_key as key from auth.sessions where id = $1',
      [sessionId],
    );
    const key = Buffer.from(rows[0]?.key ?? '', 'base64url');
    expect(await refreshBy(makeSignedToken(sessionId, 0n, Buffer.alloc(32)))).toEqual(notFound);
    expect(await refreshBy(makeSignedToken('11111111-1111-4111-8111-111111111111', 0n, key))).toEqual(
      notFound,
    );
    // Ours, of a time that has not come: the database was set back.
    expect(await refreshBy(makeSignedToken(sessionId, 7n, key))).toEqual(
      refusal('validation_failed', 'Not Issued By This Server'),
    );
    const cut = [
      refresh_token.slice(0, -1),
      `${refresh_token}A`,
      refresh_token.replace(/^./, 'B'),
      `${'a'.repeat(13)}`,
    ];
    for (const text of cut)
      expect(await refreshBy(text)).toEqual({
        status: 400,
        json: { code: 400, error_code: 'validation_failed', msg: 'Refresh token is not valid' },
        facts: [null, null, null],
      });
    // A session of the other kind has no key, be it known or not.
    await restore();
    const plain = await signIn();
    expect(await refreshBy(makeSignedToken(idOf(plain.access_token), 0n, Buffer.alloc(32)))).toEqual(
      notFound,
    );
    expect((await refreshBy(refresh_token)).status).toBe(200);
  });

  it('becomes one at its next refresh, where the project goes over; the old token is worth what it was', async () => {
    const plain = await signIn();
    await set('auth.refresh_token_algorithm_version', 2);
    const { json: stays } = await refreshBy(plain.refresh_token);
    expect(stays.refresh_token).toMatch(/^[a-z2-7]{12}$/);
    await set('auth.refresh_token_upgrade_percentage', 100);
    const { json: signed } = await refreshBy(stays.refresh_token);
    expect(signed.refresh_token.length).toBeGreaterThan(40);
    // Nobody has used it yet: the answer may have been lost.
    await age(signed.access_token, '1 hour');
    expect((await refreshBy(stays.refresh_token)).json.refresh_token).toBe(signed.refresh_token);
    const { json: next } = await refreshBy(signed.refresh_token);
    expect(next.refresh_token).not.toBe(signed.refresh_token);
    expect(await refreshBy(stays.refresh_token)).toEqual(alreadyUsed);
    expect(await refreshBy(next.refresh_token)).toEqual(notFound);
  });

  it('with a second factor has another key: no token from before gets the new assurance', async () => {
    await set('auth.mfa.totp.enroll_enabled', true);
    await set('auth.mfa.totp.verify_enabled', true);
    const { access_token: token, refresh_token: before } = await signedSession();
    const { json: factor } = await post('/factors', { factor_type: 'totp' }, token);
    const { json: challenge } = await post(`/factors/${factor.id}/challenge`, {}, token);
    const { secret } = factor.totp as { readonly secret: string };
    const { json: raised } = await post(
      `/factors/${factor.id}/verify`,
      { challenge_id: challenge.id, code: new TOTP({ secret }).generate() },
      token,
    );
    expect(await refreshBy(before)).toEqual(notFound);
    const { status, json } = await refreshBy(raised.refresh_token);
    const claims = JSON.parse(Buffer.from(json.access_token.split('.')[1] ?? '', 'base64url').toString());
    expect([status, claims.aal]).toEqual([200, 'aal2']);
  });
});
