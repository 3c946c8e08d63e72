// In charge of: signing in by phone through a provider of text messages: one that gets our codes, and one that makes and checks its own.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

interface Asked {
  readonly path: string;
  readonly form: Readonly<Record<string, string>>;
}

let provider: Server;
let baseUrl: string;
let asked: Asked[] = [];
let answer: (request: Asked) => { readonly status: number; readonly body: unknown };

beforeAll(async () => {
  provider = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const one = { path: request.url ?? '', form: Object.fromEntries(new URLSearchParams(body)) };
      asked.push(one);
      const { status, body: said } = answer(one);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said));
    });
  });
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  // Sound: it listens on a port.
  baseUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
});
afterAll(() => provider?.close());
afterEach(() => {
  asked = [];
});

async function start(section: string) {
  const project = await makeProject({
    'supabase/config.toml': `
project_id = "providers"
[egress]
allow = ["127.0.0.1"]
[auth.email]
secure_password_change = true
[auth.sms]
enable_signup = true
enable_confirmations = true
max_frequency = "0s"
base_url = "${baseUrl}"
${section}
`,
  });
  const backend = await startBackend(project.folder);
  return { project, backend };
}

function connect(backend: RunningBackend): SupabaseClient {
  return createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

async function ask(backend: RunningBackend, path: string, body?: unknown) {
  const response = await fetch(`${backend.report.API_URL}/auth/v1${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { apikey: backend.report.PUBLISHABLE_KEY, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: await response.json() };
}

describe('by Twilio', () => {
  let started: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    started = await start(
      '[auth.sms.twilio]\nenabled = true\naccount_sid = "AC1"\nmessage_service_sid = "MG1"\nauth_token = "hush"',
    );
  });
  afterAll(async () => {
    await started?.backend[Symbol.asyncDispose]();
    await started?.project[Symbol.asyncDispose]();
  });
  const numbered = (form: Readonly<Record<string, string>>) => /\d{6}$/.exec(form.Body ?? '')?.[0] ?? '';

  it('a code goes out, signs in, and its message has an id', async () => {
    const { backend } = started;
    answer = () => ({ status: 201, body: { sid: 'SM1', status: 'queued' } });
    const phone = '4915580001';
    const client = connect(backend);
    expect((await client.auth.signInWithOtp({ phone })).error).toBeNull();
    expect(asked).toEqual([
      {
        path: '/2010-04-01/Accounts/AC1/Messages.json',
        form: {
          To: `+${phone}`,
          Channel: 'sms',
          From: 'MG1',
          Body: expect.stringMatching(/^Your code is \d{6}$/),
        },
      },
    ]);
    const token = numbered(asked[0]!.form);
    expect((await client.auth.verifyOtp({ phone, token, type: 'sms' })).error).toBeNull();
    expect(await ask(backend, '/otp', { phone, channel: 'whatsapp' })).toEqual({
      status: 200,
      json: { message_id: 'SM1' },
    });
    expect(asked[1]?.form).toMatchObject({ To: `whatsapp:+${phone}`, Channel: 'whatsapp' });
    expect(await ask(backend, '/settings')).toMatchObject({ json: { sms_provider: 'twilio' } });
  });

  it('a refusal is told, and leaves nobody', async () => {
    const { backend } = started;
    answer = () => ({
      status: 400,
      body: { code: 21211, message: 'No such number.', more_info: 'https://twilio.example', status: 400 },
    });
    const phone = '4915580002';
    const refused = {
      status: 422,
      json: {
        code: 422,
        error_code: 'sms_send_failed',
        msg: 'Error sending confirmation OTP to provider: No such number. More information: https://twilio.example',
      },
    };
    expect(await ask(backend, '/otp', { phone })).toEqual(refused);
    expect(await ask(backend, '/signup', { phone, password: 'correct horse' })).toEqual(refused);
    const database = new pg.Client({ connectionString: backend.report.DB_URL });
    await database.connect();
    const { rows } = await database.query('select from auth.users where phone = $1', [phone]);
    await database.end();
    expect(rows).toEqual([]);
    expect(backend.log()).not.toContain('hush');
  });
});

describe('by Twilio Verify', () => {
  let started: Awaited<ReturnType<typeof start>>;
  /** What it has been asked to check is right once. */
  let right = '';
  beforeAll(async () => {
    started = await start(
      '[auth.sms.twilio_verify]\nenabled = true\naccount_sid = "AC2"\nmessage_service_sid = "VA1"\nauth_token = "hush"',
    );
    answer = ({ path, form }) => {
      if (path.endsWith('/Verifications')) {
        right = '314159';
        return { status: 201, body: { sid: 'VE1', status: 'pending', valid: false } };
      }
      if (form.Code !== right) return { status: 200, body: { status: 'pending', valid: false } };
      right = '';
      return { status: 200, body: { status: 'approved', valid: true } };
    };
  });
  afterAll(async () => {
    await started?.backend[Symbol.asyncDispose]();
    await started?.project[Symbol.asyncDispose]();
  });

  it('it makes the codes and says which is right, for sign-in, another number and a new password', async () => {
    const { backend } = started;
    const [phone, next] = ['4915590001', '4915590002'];
    const client = connect(backend);
    await client.auth.signInWithOtp({ phone });
    expect(asked).toEqual([
      { path: '/v2/Services/VA1/Verifications', form: { To: `+${phone}`, Channel: 'sms' } },
    ]);
    const wrong = await client.auth.verifyOtp({ phone, token: '271828', type: 'sms' });
    expect(wrong.error).toMatchObject({ code: 'otp_expired', status: 403 });
    expect((await client.auth.verifyOtp({ phone, token: '314159', type: 'sms' })).error).toBeNull();
    expect(asked.at(-1)).toEqual({
      path: '/v2/Services/VA1/VerificationCheck',
      form: { To: `+${phone}`, Code: '314159' },
    });
    const again = await connect(backend).auth.verifyOtp({ phone, token: '314159', type: 'sms' });
    expect(again.error).toMatchObject({ code: 'otp_expired', status: 403 });

    await client.auth.updateUser({ phone: next });
    const changed = await client.auth.verifyOtp({ phone: next, token: '314159', type: 'phone_change' });
    expect(changed.data.user?.phone).toBe(next);

    const database = new pg.Client({ connectionString: backend.report.DB_URL });
    await database.connect();
    await database.query(`update auth.sessions set created_at = now() - interval '2 days'`);
    await database.end();
    await client.auth.reauthenticate();
    const password = 'a new one, longer';
    const bad = await client.auth.updateUser({ password, nonce: '271828' });
    expect(bad.error).toMatchObject({ code: 'otp_expired', status: 403 });
    expect((await client.auth.updateUser({ password, nonce: '314159' })).error).toBeNull();
  });

  it('gives nobody a number for which two wait: its code does not say whose it is', async () => {
    const { backend } = started;
    const next = '4915590009';
    for (const phone of ['4915590007', '4915590008']) {
      const client = connect(backend);
      await client.auth.signInWithOtp({ phone });
      await client.auth.verifyOtp({ phone, token: '314159', type: 'sms' });
      await client.auth.updateUser({ phone: next });
    }
    const { error } = await connect(backend).auth.verifyOtp({
      phone: next,
      token: '314159',
      type: 'phone_change',
    });
    expect(error).toMatchObject({ code: 'otp_expired', status: 403 });
  });

  it('serves one of fifty who come with the same code at once', async () => {
    const { backend } = started;
    const phone = '4915590003';
    await connect(backend).auth.signInWithOtp({ phone });
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => ask(backend, '/verify', { type: 'sms', phone, token: '314159' })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(49);
  });
});
