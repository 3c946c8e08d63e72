// In charge of: where the inbox of development is found, as programs and people look for it, and that it is nowhere in production.
import { request as httpRequest } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';

const config = `
project_id = "inbox"
[api]
auto_expose_new_tables = false
[auth.email]
enable_confirmations = true
`;

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject({ 'supabase/config.toml': config });
  backend = await startBackend(project.folder);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

interface Page {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** With `Host` and `Origin` as they are given, which `fetch` sends as it likes. */
function ask(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Page> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { headers, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
    });
    sent.on('error', reject);
    sent.end();
  });
}

interface Listed {
  readonly messages: readonly { readonly ID: string; readonly Subject: string }[];
}

async function messagesTo(mailpit: string, email: string): Promise<Listed['messages']> {
  const { text } = await ask(`${mailpit}/api/v1/search?query=${encodeURIComponent(`to:${email}`)}`);
  return (JSON.parse(text) as Listed).messages;
}

async function signUp(to: RunningBackend, email: string): Promise<void> {
  const client = createClient(to.report.API_URL, to.report.PUBLISHABLE_KEY);
  const { error } = await client.auth.signUp({ email, password: 'correct horse' });
  expect(error).toBeNull();
}

/** A port that nobody had a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('at /inbox of the gateway', () => {
  it('is named by start and status, in the words of the Supabase CLI, and by the landing page', async () => {
    const url = `${backend.report.API_URL}/inbox`;
    expect(backend.report).toMatchObject({ MAILPIT_URL: url, INBUCKET_URL: url });
    const { stdout } = await runCli(['status', '--project', project.folder]);
    expect(stdout).toContain(`  Inbox            ${url}\n`);
    const landing = await ask(backend.report.API_URL, { accept: 'text/html' });
    expect(landing.text).toContain('href="/inbox"');
  });

  it('has each mail: as JSON of Mailpit, as a page, and in a frame of that page alone', async () => {
    const mailpit = backend.report.MAILPIT_URL!;
    await signUp(backend, 'ada@example.com');
    const [message] = await messagesTo(mailpit, 'ada@example.com');
    expect(message?.Subject).toBe('Confirm your email address');
    const detail = JSON.parse((await ask(`${mailpit}/api/v1/message/${message!.ID}`)).text);
    expect(detail.HTML).toContain(`${backend.report.API_URL}/auth/v1/verify?token=`);
    const page = await ask(`${mailpit}/message/${message!.ID}`);
    expect(page.text).toContain(`src="/inbox/view/${message!.ID}.html?embed=1"`);
    expect(page.headers['x-frame-options']).toBe('DENY');
    const view = await ask(`${mailpit}/view/${message!.ID}.html?embed=1`);
    expect(view.headers).toMatchObject({
      'x-frame-options': 'SAMEORIGIN',
      'content-security-policy': expect.stringContaining("frame-ancestors 'self'"),
    });
    expect((await ask(`${mailpit}/`)).headers.location).toBe('/inbox');
  });

  it.each([
    ['another Host (DNS rebinding)', { host: 'rebound.example' }],
    ['a page of another origin', { origin: 'https://evil.example' }],
    ['a page of another origin that says no more', { 'sec-fetch-site': 'cross-site' }],
    ['a proxy', { 'x-forwarded-for': '127.0.0.1' }],
    ['a proxy that names this machine', { 'x-forwarded-host': 'localhost' }],
  ])('tells nothing to %s', async (_, headers) => {
    for (const path of ['', '/api/v1/messages', '/view/latest.html']) {
      const { status, text } = await ask(backend.report.MAILPIT_URL + path, headers);
      expect([status, JSON.parse(text).code]).toEqual([403, 'inbox_refused']);
    }
  });
});

describe('on a port of its own', () => {
  it('answers as Mailpit does; who finds the port taken starts all the same, and says it', async () => {
    const port = await freePort();
    const env = { MILLRACE_INBOX_PORT: String(port) };
    await using first = await startBackend(project.folder, ['--data', `${project.folder}/first`], { env });
    const url = `http://127.0.0.1:${port}`;
    expect(first.report).toMatchObject({ MAILPIT_URL: url, INBUCKET_URL: url });
    await signUp(first, 'bob@example.com');
    expect(await messagesTo(url, 'bob@example.com')).toHaveLength(1);
    expect((await ask(url)).text).toContain('bob@example.com');
    expect((await ask(`${url}/api/v1/messages`, { host: 'rebound.example' })).status).toBe(403);

    await using second = await startBackend(project.folder, ['--data', `${project.folder}/second`], { env });
    expect(second.report.MAILPIT_URL).toBe(`${second.report.API_URL}/inbox`);
    await expect.poll(() => second.log()).toContain(`The inbox cannot have its port ${port}`);
    await signUp(second, 'eve@example.com');
    expect(await messagesTo(second.report.MAILPIT_URL!, 'eve@example.com')).toHaveLength(1);
  });
});

it('is nowhere where it is switched off, nor in production', async () => {
  const { stdout } = await runCli(['keys', 'new']);
  const secrets = Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const [api, port] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${api}`;
  for (const [name, args, more] of [
    ['off', [], { MILLRACE_INBOX: 'false' }],
    [
      'production',
      ['--production'],
      { ...secrets, MILLRACE_EXTERNAL_URL: url, SUPABASE_AUTH_EMAIL_ENABLE_SIGNUP: 'false' },
    ],
  ] as const) {
    await using quiet = await startBackend(
      project.folder,
      [...args, '--port', String(api), '--data', `${project.folder}/${name}`],
      { env: { ...more, MILLRACE_INBOX_PORT: String(port) } },
    );
    expect(quiet.report.API_URL).toBe(url);
    expect(quiet.report).not.toHaveProperty('MAILPIT_URL');
    expect(quiet.report).not.toHaveProperty('INBUCKET_URL');
    for (const path of ['/inbox', '/inbox/', '/inbox/api/v1/messages'])
      expect((await ask(url + path)).status, `${name} ${path}`).toBe(404);
    await expect(ask(`http://127.0.0.1:${port}`)).rejects.toThrow('ECONNREFUSED');
  }
});
