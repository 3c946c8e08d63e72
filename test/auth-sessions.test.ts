// In charge of: where a user is signed in: the list of sessions, ending one of them, and when they end by themselves.
import { createClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type OperatorClient, openOperatorClient } from '../src/server/cli/operator-client.ts';
import { makeProject, type RunningBackend, startBackend } from './harness/backend.ts';

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
  const changed = new Set<string>();
  async function set(key: string, value: unknown): Promise<void> {
    const { status, body } = await operator.request('PUT', `/settings/${key}`, { value });
    expect({ status, body }).toMatchObject({ status: 200 });
    changed.add(key);
  }
  afterEach(async () => {
    for (const key of changed) await operator.request('DELETE', `/settings/${key}`);
    changed.clear();
  });

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
