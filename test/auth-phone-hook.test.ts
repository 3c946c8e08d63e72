// In charge of: text messages that a project's own hook sends: what it is told, what its refusal leaves, and that nobody waits for a slow one.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, startBackend } from './harness/backend-here.ts';

interface Told {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly user: Readonly<Record<string, unknown>>;
  readonly sms: { readonly otp: string; readonly phone: string };
}

let hook: Server;
let told: Told[] = [];
/** What the hook answers; it waits for `released` before. */
let answer = { status: 200, body: '{}' };
let released: Promise<void> = Promise.resolve();

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
let database: pg.Client;

beforeAll(async () => {
  hook = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', async () => {
      told.push(JSON.parse(body));
      await released;
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  // Sound: it listens on a port.
  const { port } = hook.address() as AddressInfo;
  project = await makeProject({
    'supabase/config.toml': `
project_id = "phone_hook"
[egress]
allow = ["127.0.0.1"]
[auth.sms]
enable_signup = true
enable_confirmations = true
max_frequency = "0s"
[auth.hook.send_sms]
enabled = true
uri = "http://127.0.0.1:${port}/sms"
secrets = "v1,whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}"
`,
  });
  backend = await startBackend(project.folder);
  database = new pg.Client({ connectionString: backend.report.DB_URL });
  await database.connect();
});
afterAll(async () => {
  await database?.end();
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
  hook?.close();
});

function connect(): SupabaseClient {
  return createClient(backend.report.API_URL, backend.report.PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

async function usersWith(phone: string) {
  const { rows } = await database.query(
    'select confirmation_token, confirmation_sent_at from auth.users where phone = $1',
    [phone],
  );
  return rows;
}

describe('the hook send_sms', () => {
  it('gets the code and the user, and the code signs in', async () => {
    told = [];
    const phone = '4915560001';
    const client = connect();
    expect((await client.auth.signInWithOtp({ phone, options: { channel: 'whatsapp' } })).error).toBeNull();
    expect(told).toEqual([
      {
        metadata: expect.objectContaining({ name: 'send-sms', uuid: expect.any(String) }),
        user: expect.objectContaining({ phone, role: 'authenticated', app_metadata: expect.anything() }),
        sms: { otp: expect.stringMatching(/^\d{6}$/), phone },
      },
    ]);
    const token = told[0]?.sms.otp ?? '';
    expect((await client.auth.verifyOtp({ phone, token, type: 'sms' })).error).toBeNull();
    told = [];
    await client.auth.updateUser({ phone: '4915560002' });
    expect(told).toMatchObject([{ user: { phone, new_phone: '4915560002' }, sms: { phone: '4915560002' } }]);
  });

  it('refuses, and there is no user, no code and no time to wait', async () => {
    const phone = '4915560003';
    answer = { status: 200, body: '{"error":{"http_code":402,"message":"No money left"}}' };
    const refused = await connect().auth.signInWithOtp({ phone });
    expect(refused.error).toMatchObject({ status: 402, message: 'No money left' });
    expect(await usersWith(phone)).toEqual([]);
    answer = { status: 200, body: '{}' };
    expect((await connect().auth.signUp({ phone, password: 'correct horse' })).error).toBeNull();
    const before = await usersWith(phone);
    answer = { status: 200, body: '{"error":{"http_code":402,"message":"No money left"}}' };
    expect((await connect().auth.resend({ type: 'sms', phone })).error).toMatchObject({ status: 402 });
    answer = { status: 200, body: '{}' };
    // The code that was sent before is still right.
    expect(await usersWith(phone)).toEqual(before);
  });

  it('may be slow: nobody else waits for it, and no connection does', async () => {
    const client = connect();
    await client.auth.signUp({ email: 'patient@example.com', password: 'correct horse' });
    let release = () => {};
    released = new Promise((resolve) => (release = resolve));
    told = [];
    // More than there are connections, and no more than the passwords that may wait to be hashed: each of them is a new user.
    const slow = Promise.all(
      Array.from({ length: 12 }, (_, at) => connect().auth.signInWithOtp({ phone: `49155700${10 + at}` })),
    );
    try {
      await expect.poll(() => told.length, { timeout: 10_000 }).toBeGreaterThan(0);
      const { error } = await client.auth.signInWithPassword({
        email: 'patient@example.com',
        password: 'correct horse',
      });
      expect(error).toBeNull();
      const { rows } = await database.query(
        `select from pg_stat_activity where state = 'idle in transaction' and usename = 'supabase_auth_admin'`,
      );
      expect(rows).toEqual([]);
    } finally {
      release();
    }
    await slow;
  });
});
