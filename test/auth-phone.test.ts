// In charge of: signing in with a phone number: codes by text message, another number, and what is right in tests.
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';
import { lastMessageTo, messagesTo } from './harness/inbox.ts';

const config = `
project_id = "phones"
[auth.email]
secure_password_change = true
[auth.email.notification.phone_changed]
enabled = true
[auth.email.notification.identity_linked]
enabled = true
[auth.sms]
enable_signup = true
enable_confirmations = true
max_frequency = "0s"
template = "{{ .Code }} is your code"
[auth.sms.test_otp]
4152127777 = "123456"
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;
let admin: SupabaseClient;

beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': config });
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
const freshNumber = () => `4915550${String(1000 + count++)}`;

const textsTo = async (phone: string) =>
  (await messagesTo(database, `+${phone}`)).map(({ kind, body }) => ({ kind, body }));

async function lastCode(phone: string): Promise<string> {
  const { body } = await lastMessageTo(database, `+${phone}`);
  const code = /^(\d{6}) is your code$/.exec(body)?.[1];
  if (code === undefined) throw new Error(`no code for ${phone}`);
  return code;
}

async function post(path: string, body: unknown, token?: string) {
  const answer = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method: 'POST',
    headers: {
      apikey: backend.report.PUBLISHABLE_KEY,
      'content-type': 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: await answer.json() };
}

/** A user who has signed in by a code. */
async function signedIn(): Promise<{
  readonly client: SupabaseClient;
  readonly phone: string;
  readonly id: string;
}> {
  const phone = freshNumber();
  const client = connect();
  await client.auth.signInWithOtp({ phone });
  const { data, error } = await client.auth.verifyOtp({ phone, token: await lastCode(phone), type: 'sms' });
  expect(error).toBeNull();
  return { client, phone, id: data.user?.id ?? '' };
}

const wrong = { code: 'otp_expired', message: 'Token has expired or is invalid', status: 403 };

describe('POST /otp for a number', () => {
  it('signs somebody new up, and in with the code of the message', async () => {
    const phone = freshNumber();
    const client = connect();
    const asked = await client.auth.signInWithOtp({ phone: `+${phone}`, options: { data: { name: 'Ada' } } });
    expect(asked).toEqual({ data: { user: null, session: null }, error: null });
    expect(await textsTo(phone)).toEqual([
      { kind: 'sms', body: expect.stringMatching(/^\d{6} is your code$/) },
    ]);
    const { data, error } = await client.auth.verifyOtp({
      phone: `+${phone}`,
      token: await lastCode(phone),
      type: 'sms',
    });
    expect(error).toBeNull();
    expect(data.session?.access_token).toEqual(expect.any(String));
    expect(data.user).toMatchObject({
      phone,
      phone_confirmed_at: expect.any(String),
      confirmed_at: expect.any(String),
      app_metadata: { provider: 'phone', providers: ['phone'] },
      user_metadata: { name: 'Ada' },
      is_anonymous: false,
    });
  });

  it('signs somebody known in', async () => {
    const { client, phone, id } = await signedIn();
    expect((await client.auth.signInWithOtp({ phone })).error).toBeNull();
    const { data } = await client.auth.verifyOtp({ phone, token: await lastCode(phone), type: 'sms' });
    expect(data.user?.id).toBe(id);
  });

  it('makes nobody where it is told not to', async () => {
    const { error } = await connect().auth.signInWithOtp({
      phone: freshNumber(),
      options: { shouldCreateUser: false },
    });
    expect(error).toMatchObject({
      code: 'otp_disabled',
      message: 'Signups not allowed for otp',
      status: 422,
    });
  });

  it('refuses what is no number, and a channel that nobody sends through', async () => {
    expect(await post('/otp', { phone: '12ab' })).toEqual({
      status: 400,
      json: {
        code: 400,
        error_code: 'validation_failed',
        msg: 'Invalid phone number format (E.164 required)',
      },
    });
    expect(await post('/otp', { phone: freshNumber(), channel: 'whatsapp' })).toEqual({
      status: 400,
      json: {
        code: 400,
        error_code: 'validation_failed',
        msg: "Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio or Twilio Verify is used as the provider.",
      },
    });
  });
});

describe('POST /verify for a number', () => {
  it('refuses a wrong code, and still takes the right one', async () => {
    const phone = freshNumber();
    const client = connect();
    await client.auth.signInWithOtp({ phone });
    const code = await lastCode(phone);
    const other = code === '000000' ? '111111' : '000000';
    expect((await client.auth.verifyOtp({ phone, token: other, type: 'sms' })).error).toMatchObject(wrong);
    expect((await client.auth.verifyOtp({ phone, token: code, type: 'sms' })).error).toBeNull();
  });

  it('refuses a code that is too old', async () => {
    const phone = freshNumber();
    await connect().auth.signInWithOtp({ phone });
    await database.query(
      `update auth.users set confirmation_sent_at = now() - interval '61 seconds' where phone = $1`,
      [phone],
    );
    const { error } = await connect().auth.verifyOtp({ phone, token: await lastCode(phone), type: 'sms' });
    expect(error).toMatchObject(wrong);
  });

  it('refuses the code of a number for another one', async () => {
    const [one, other] = [freshNumber(), freshNumber()];
    await connect().auth.signInWithOtp({ phone: one });
    await connect().auth.signInWithOtp({ phone: other });
    const { error } = await connect().auth.verifyOtp({
      phone: other,
      token: await lastCode(one),
      type: 'sms',
    });
    // One in a million times they are the same.
    if ((await lastCode(one)) !== (await lastCode(other))) expect(error).toMatchObject(wrong);
  });

  it('serves one of fifty who come with the same code at once', async () => {
    const phone = freshNumber();
    await connect().auth.signInWithOtp({ phone });
    const token = await lastCode(phone);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => post('/verify', { type: 'sms', phone, token })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(49);
    const { rows } = await database.query(
      'select from auth.sessions s join auth.users u on u.id = s.user_id where u.phone = $1',
      [phone],
    );
    expect(rows).toHaveLength(1);
  });

  it('takes the code that the project has set for a number of its tests, to which nothing is sent', async () => {
    const phone = '4152127777';
    const client = connect();
    expect((await client.auth.signInWithOtp({ phone })).error).toBeNull();
    expect(await textsTo(phone)).toEqual([]);
    expect((await client.auth.verifyOtp({ phone, token: '123457', type: 'sms' })).error).toMatchObject(wrong);
    expect((await client.auth.verifyOtp({ phone, token: '123456', type: 'sms' })).error).toBeNull();
    expect(await post('/otp', { phone })).toEqual({ status: 200, json: { message_id: 'test-otp' } });
  });
});

describe('POST /signup with a number', () => {
  it('asks for the code, and lets nobody in before', async () => {
    const phone = freshNumber();
    const client = connect();
    const { data, error } = await client.auth.signUp({ phone, password });
    expect(error).toBeNull();
    expect(data).toMatchObject({ session: null, user: { phone, confirmation_sent_at: expect.any(String) } });
    expect((await client.auth.signInWithPassword({ phone, password })).error).toMatchObject({
      code: 'phone_not_confirmed',
    });
    await client.auth.verifyOtp({ phone, token: await lastCode(phone), type: 'sms' });
    expect((await client.auth.signInWithPassword({ phone, password })).error).toBeNull();
  });

  it('sends a second code on request, which ends the first', async () => {
    const phone = freshNumber();
    const client = connect();
    await client.auth.signUp({ phone, password });
    const first = await lastCode(phone);
    expect(await client.auth.resend({ type: 'sms', phone })).toMatchObject({ error: null });
    const second = await lastCode(phone);
    expect(await textsTo(phone)).toHaveLength(2);
    if (first !== second)
      expect((await client.auth.verifyOtp({ phone, token: first, type: 'sms' })).error).toMatchObject(wrong);
    expect((await client.auth.verifyOtp({ phone, token: second, type: 'sms' })).error).toBeNull();
    expect(await client.auth.resend({ type: 'sms', phone })).toMatchObject({ error: null });
    expect(await textsTo(phone)).toHaveLength(2);
  });
});

describe('PUT /user with a number', () => {
  it('changes it once the code of the new one has come', async () => {
    const { client, phone, id } = await signedIn();
    const next = freshNumber();
    const { data, error } = await client.auth.updateUser({ phone: next });
    expect(error).toBeNull();
    expect(data.user).toMatchObject({ phone, new_phone: next, phone_change_sent_at: expect.any(String) });
    expect(await textsTo(next)).toEqual([
      { kind: 'phone_change', body: expect.stringMatching(/^\d{6} is your code$/) },
    ]);
    await client.auth.resend({ type: 'phone_change', phone });
    expect(await textsTo(next)).toHaveLength(2);
    const done = await client.auth.verifyOtp({
      phone: next,
      token: await lastCode(next),
      type: 'phone_change',
    });
    expect(done.error).toBeNull();
    expect(done.data.user).toMatchObject({ id, phone: next });
    expect(done.data.user?.new_phone).toBeUndefined();
    expect(done.data.user?.identities?.map(({ provider, identity_data: data }) => [provider, data])).toEqual([
      ['phone', expect.objectContaining({ phone: next, phone_verified: true })],
    ]);
  });

  it('gives a number to somebody with an address, as a second way to sign in', async () => {
    const email = 'second@example.com';
    const client = connect();
    await client.auth.signUp({ email, password });
    const phone = freshNumber();
    await client.auth.updateUser({ phone });
    const { data } = await client.auth.verifyOtp({
      phone,
      token: await lastCode(phone),
      type: 'phone_change',
    });
    expect(data.user).toMatchObject({
      email,
      phone,
      app_metadata: { provider: 'email', providers: ['email', 'phone'] },
    });
    const next = freshNumber();
    await client.auth.updateUser({ phone: next });
    await client.auth.verifyOtp({ phone: next, token: await lastCode(next), type: 'phone_change' });
    const { rows } = await database.query(
      `select kind from _millrace.inbox where medium = 'mail' and recipient = $1 order by number`,
      [email],
    );
    expect(rows).toEqual([{ kind: 'identity_linked_notification' }, { kind: 'phone_changed_notification' }]);
  });

  it('goes to the one whose code it is, where several wait for one number', async () => {
    const [one, other] = [await signedIn(), await signedIn()];
    const next = freshNumber();
    await one.client.auth.updateUser({ phone: next });
    const first = await lastCode(next);
    await other.client.auth.updateUser({ phone: next });
    const second = await lastCode(next);
    // One in a million times they are the same.
    if (first === second) return;
    const change = (token: string) => connect().auth.verifyOtp({ phone: next, token, type: 'phone_change' });
    expect((await change(first)).data.user).toMatchObject({ id: one.id, phone: next });
    expect((await change(first)).error).toMatchObject(wrong);
    expect((await change(second)).error).toMatchObject({
      code: 'phone_exists',
      message: 'A user with this phone number has already been registered',
      status: 422,
    });
  });

  it('refuses a number that is somebody’s', async () => {
    const [one, other] = [await signedIn(), await signedIn()];
    expect((await one.client.auth.updateUser({ phone: other.phone })).error).toMatchObject({
      code: 'phone_exists',
      message: 'A user with this phone number has already been registered',
      status: 422,
    });
  });
});

describe('GET /reauthenticate', () => {
  it('sends a code to the number of somebody without an address, good for one new password', async () => {
    const { client, phone, id } = await signedIn();
    await database.query(
      `update auth.sessions set created_at = now() - interval '2 days' where user_id = $1`,
      [id],
    );
    const refused = await client.auth.updateUser({ password: 'a new one, longer' });
    expect(refused.error).toMatchObject({ code: 'reauthentication_needed' });
    expect((await client.auth.reauthenticate()).error).toBeNull();
    const nonce = await lastCode(phone);
    expect((await textsTo(phone))[0]?.kind).toBe('reauthentication');
    const wrongNonce = nonce === '000000' ? '111111' : '000000';
    const bad = await client.auth.updateUser({ password: 'a new one, longer', nonce: wrongNonce });
    expect(bad.error).toMatchObject({ code: 'reauthentication_not_valid', status: 422 });
    expect((await client.auth.updateUser({ password: 'a new one, longer', nonce })).error).toBeNull();
    const again = await client.auth.updateUser({ password: 'another one, longer', nonce });
    expect(again.error).toMatchObject({ code: 'reauthentication_not_valid' });
  });
});

describe('PUT /admin/users/:id with a number', () => {
  it('changes it at once', async () => {
    const { id } = await signedIn();
    const phone = freshNumber();
    const { data, error } = await admin.auth.admin.updateUserById(id, { phone, phone_confirm: true });
    expect(error).toBeNull();
    expect(data.user).toMatchObject({ phone, phone_confirmed_at: expect.any(String) });
    expect(await textsTo(phone)).toEqual([]);
  });
});

describe('GET /settings', () => {
  it('says that numbers sign in, and who sends', async () => {
    const answer = await fetch(`${backend.report.API_URL}/auth/v1/settings`, {
      headers: { apikey: backend.report.PUBLISHABLE_KEY },
    });
    expect(await answer.json()).toMatchObject({
      external: { phone: true },
      phone_autoconfirm: false,
      sms_provider: '',
    });
  });
});

describe('where a number needs no confirmation, and texts come slowly', () => {
  it('signs up at once, sends codes all the same, and makes the second one of many wait', async () => {
    await using other = await makeProject({
      'supabase/config.toml':
        'project_id = "quick"\n[auth.sms]\nenable_signup = true\nmax_frequency = "1h"\ntest_otp_valid_until = "2020-01-01T00:00:00Z"\n[auth.sms.test_otp]\n4152127777 = "123456"\n',
    });
    await using quick = await startBackend(other.folder);
    const client = createClient(quick.report.API_URL, quick.report.PUBLISHABLE_KEY, {
      auth: { persistSession: false, autoRefreshToken: false },
    });
    const { data } = await client.auth.signUp({ phone: '4915550001', password });
    expect(data.session?.access_token).toEqual(expect.any(String));
    const { error: changeError } = await client.auth.updateUser({ phone: '4915550002' });
    expect(changeError).toBeNull();
    const { data: changed } = await client.auth.getUser();
    expect(changed.user?.phone).toBe('4915550002');
    const asked = await Promise.all(
      Array.from({ length: 10 }, () => client.auth.signInWithOtp({ phone: '4915550002' })),
    );
    expect(asked.filter(({ error }) => error === null)).toHaveLength(1);
    expect(asked.find(({ error }) => error !== null)?.error).toMatchObject({
      code: 'over_sms_send_rate_limit',
      message: expect.stringMatching(
        /^For security purposes, you can only request this after 3(599|600) seconds\.$/,
      ),
      status: 429,
    });
    // The project's tests were over long ago.
    await client.auth.signInWithOtp({ phone: '4152127777' });
    const late = await client.auth.verifyOtp({ phone: '4152127777', token: '123456', type: 'sms' });
    expect(late.error).toMatchObject(wrong);
  });
});
