// In charge of: the operator plane of the program itself: the command line over the socket, a token over the port, and everything else refused.
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findStateFolder } from '../src/engine/db/postgres/state-folder.ts';
import { openOperatorClient } from '../src/server/cli/operator-client.ts';
import { startBackend as startProgram } from './harness/backend.ts';
import { checkout, makeProject, type RunningBackend, runCli, startBackend } from './harness/backend-here.ts';

let project: Awaited<ReturnType<typeof makeProject>>;
let backend: RunningBackend;
beforeAll(async () => {
  project = await makeProject({
    'supabase/config.toml': '[api]\nauto_expose_new_tables = true\nmax_rows = 500\n',
    'supabase/migrations/20260701000000_films.sql': `create table public.films (id int primary key);
      insert into public.films select generate_series(1, 300);
      create schema archive;
      grant usage on schema archive to service_role;
      create table archive.reels (id int primary key);
      grant select on archive.reels to service_role;`,
  });
  backend = await startBackend(project.folder);
});
afterAll(async () => {
  await backend?.[Symbol.asyncDispose]();
  await project?.[Symbol.asyncDispose]();
});

const millrace = (...args: readonly string[]) => runCli([...args, '--project', project.folder]);
const admin = (path: string, init?: RequestInit) => fetch(`${backend.report.API_URL}/admin/v1${path}`, init);
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

describe('millrace settings', () => {
  it('changes what the running backend does, and takes it back', async () => {
    const rows = async () => {
      const answer = await fetch(`${backend.report.REST_URL}/films?select=id`, {
        headers: { apikey: backend.report.SECRET_KEY },
      });
      return ((await answer.json()) as unknown[]).length;
    };
    expect(await rows()).toBe(300);
    const set = await millrace('settings', 'set', 'api.max_rows', '7');
    expect({ code: set.code, first: set.stdout.split('\n')[0] }).toEqual({
      code: 0,
      first: 'api.max_rows = 7 rows  (run time)',
    });
    expect(await rows()).toBe(7);
    const got = await millrace('settings', 'get', 'api.max_rows', '--json');
    expect(JSON.parse(got.stdout)).toMatchObject({
      value: 7,
      layer: 'run time',
      changed: { by: expect.stringMatching(/^local:/) },
    });
    expect((await millrace('settings', 'reset', 'api.max_rows')).stdout).toContain(
      'api.max_rows = 500 rows  (config.toml)',
    );
    expect(await rows()).toBe(300);
    const { stdout } = await millrace('changes', '--json', '--limit', '2');
    expect(JSON.parse(stdout)).toMatchObject([
      { action: 'settings.reset', via: 'socket', details: { key: 'api.max_rows', after: null } },
      { action: 'settings.set', via: 'socket', details: { key: 'api.max_rows', after: { value: '7' } } },
    ]);
  });

  it('changes which schemas are the API', async () => {
    const reels = async () =>
      (await fetch(`${backend.report.REST_URL}/reels`, { headers: { apikey: backend.report.SECRET_KEY } }))
        .status;
    expect(await reels()).toBe(404);
    expect((await millrace('settings', 'set', 'api.schemas', '["archive"]')).code).toBe(0);
    await expect.poll(reels, { timeout: 10_000 }).toBe(200);
    expect((await millrace('settings', 'reset', 'api.schemas')).code).toBe(0);
    await expect.poll(reels, { timeout: 10_000 }).toBe(404);
  });

  it('lists every setting and shows no secret', async () => {
    const { code, stdout } = await millrace('settings');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^api\.max_rows +500 rows +config\.toml +live/m);
    expect(stdout).toMatch(/^auth\.jwt_secret +\(not shown\)/m);
    for (const name of ['JWT_SECRET', 'SECRET_KEY', 'SERVICE_ROLE_KEY'] as const)
      expect(stdout).not.toContain(backend.report[name]);
  });

  it('says what is wrong and the next move', async () => {
    expect(await millrace('settings', 'set', 'api.port', '1')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        '"api.port" is read at start and cannot be set at run time.\nSet it in supabase/config.toml',
      ),
    });
    expect(await millrace('settings', 'frobnicate')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is nothing that settings does'),
    });
  });
});

describe('the operator socket', () => {
  it('stands in the state folder and is its owner’s alone', async () => {
    const { mode } = await lstat(join(await findStateFolder({ project: project.folder }), 'operator.sock'));
    expect(mode & 0o777).toBe(0o600);
  });
});

describe('an operator token', () => {
  it('opens on the port what its scopes say, until it is revoked', async () => {
    const made = await millrace('operators', 'create', 'prometheus', '--scopes', 'metrics', '--json');
    expect(made.code).toBe(0);
    const { id, token } = JSON.parse(made.stdout) as { id: string; token: string };
    await fetch(`${backend.report.REST_URL}/films?id=eq.1`, {
      headers: { apikey: backend.report.SECRET_KEY },
    });
    const scraped = await admin('/metrics', bearer(token));
    const text = await scraped.text();
    expect(scraped.status).toBe(200);
    expect(text).toMatch(/^millrace_requests_total\{service="rest",method="GET",status="2xx"\} [1-9]/m);
    expect(text).toContain('\nmillrace_postgres_up 1\n');
    expect((await admin('/settings', bearer(token))).status).toBe(403);
    expect((await millrace('operators', 'revoke', id)).code).toBe(0);
    expect((await admin('/metrics', bearer(token))).status).toBe(401);
    expect(backend.log()).not.toContain(token);
  });

  it('is what the command line takes for a backend elsewhere', async () => {
    const made = await millrace('operators', 'create', 'ada@laptop', '--scopes', 'read,settings', '--json');
    const { token } = JSON.parse(made.stdout) as { token: string };
    const elsewhere = (...args: readonly string[]) =>
      runCli([...args, '--url', backend.report.API_URL], { env: { MILLRACE_OPERATOR_TOKEN: token } });
    expect((await elsewhere('settings', 'set', 'gateway.server_timing', 'true')).code).toBe(0);
    const { stdout } = await elsewhere('changes', '--json', '--limit', '1');
    expect(JSON.parse(stdout)).toMatchObject([
      { operator: 'ada@laptop', via: expect.stringMatching(/^token:/), address: '127.0.0.1' },
    ]);
    expect((await elsewhere('settings', 'reset', 'gateway.server_timing')).code).toBe(0);
    expect(await elsewhere('operators')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has no scope "operators"'),
    });
  });
});

describe('what opens the project', () => {
  it.each<[string, () => Promise<string> | string]>([
    ['the publishable key', () => backend.report.PUBLISHABLE_KEY],
    ['the secret key', () => backend.report.SECRET_KEY],
    ['the legacy anon key', () => backend.report.ANON_KEY],
    ['the legacy service_role key', () => backend.report.SERVICE_ROLE_KEY],
    [
      "a user's token",
      () =>
        new SignJWT({ role: 'authenticated', sub: '9f3f2f7e-0000-4000-8000-000000000000' })
          .setProtectedHeader({ alg: 'HS256' })
          .setExpirationTime('1h')
          .sign(new TextEncoder().encode(backend.report.JWT_SECRET)),
    ],
  ])('never opens the operator plane: %s', async (_, make) => {
    const key = await make();
    for (const headers of [
      { authorization: `Bearer ${key}` },
      { apikey: key },
      { apikey: key, authorization: `Bearer ${key}` },
    ]) {
      for (const [method, path] of [
        ['GET', ''],
        ['GET', '/settings'],
        ['PUT', '/settings/api.max_rows'],
        ['POST', '/operators'],
        ['GET', '/metrics'],
        ['GET', '/keys'],
      ] as const) {
        const body = method === 'GET' ? {} : { body: JSON.stringify({ value: 1 }) };
        const answer = await admin(path, { method, headers, ...body });
        expect({ path, status: answer.status }).toEqual({ path, status: 401 });
        expect(await answer.json()).toMatchObject({
          code: expect.stringMatching(/^project_(key|token)_refused$/),
        });
      }
    }
  });

  it('is not answered with CORS headers, whoever asks', async () => {
    for (const method of ['GET', 'OPTIONS']) {
      const answer = await admin('/settings', { method, headers: { origin: 'https://evil.example' } });
      expect(answer.status).toBe(403);
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });
});

describe('GET /admin/v1/status', () => {
  it('tells what runs, without a secret', async () => {
    const client = await openOperatorClient(project.folder);
    const { status, body } = await client.request('GET', '/status');
    expect({ status, body }).toMatchObject({
      status: 200,
      body: {
        api_url: backend.report.API_URL,
        pid: backend.report.PID,
        production: false,
        database: { ok: true },
        services: [
          { name: 'rest', mount: '/rest/v1', ok: true },
          { name: 'auth', mount: '/auth/v1', ok: true },
          { name: 'storage', mount: '/storage/v1', ok: true },
          { name: 'realtime', mount: '/realtime/v1', ok: true },
        ],
      },
    });
    for (const name of ['JWT_SECRET', 'SECRET_KEY', 'SERVICE_ROLE_KEY', 'DB_URL'] as const)
      expect(JSON.stringify(body)).not.toContain(backend.report[name]);
  });
});

describe('docs/operator-plane.md', () => {
  it('shows what the commands do', async () => {
    await using other = await makeProject({
      'supabase/config.toml': '[api]\nauto_expose_new_tables = false\nmax_rows = 500\n',
    });
    await using running = await startBackend(other.folder);
    const page = await readFile(join(checkout, 'docs', 'operator-plane.md'), 'utf8');
    const sessions = [...page.matchAll(/^```console\n(.*?)^```$/gms)].map(([, text]) => text!);
    const steps = sessions.flatMap((session) => session.split(/^\$ /m).slice(1));
    expect(steps.length).toBeGreaterThan(5);
    let token = '';
    for (const step of steps) {
      const [command = '', ...expected] = step.trimEnd().split('\n');
      const printed = await runStep(command, { folder: other.folder, url: running.report.API_URL, token });
      token = /^mro_\w+$/m.exec(printed)?.[0] ?? token;
      expect(printed, command).toMatch(patternOf(expected));
    }
  });
});

/** Runs a line of the page: with the token that was made last, on the backend of the test. */
async function runStep(
  line: string,
  { folder, url, token }: { readonly folder: string; readonly url: string; readonly token: string },
): Promise<string> {
  const real = line.replaceAll('https://api.example.com', url).replaceAll('mro_…', token);
  const curl = /^curl -H "Authorization: (.+)" (\S+)$/.exec(real);
  if (curl) return (await fetch(curl[2]!, { headers: { authorization: curl[1]! } })).text();
  const [, assigned, words] = /^(?:MILLRACE_OPERATOR_TOKEN=(\S+) )?millrace (.+)$/.exec(real)!;
  const args = words!.split(' ');
  const { stdout, stderr } = await runCli(args.includes('--url') ? args : [...args, '--project', folder], {
    env: assigned === undefined ? {} : { MILLRACE_OPERATOR_TOKEN: assigned },
  });
  return stderr + stdout;
}

/** What the page prints as a pattern: `…` is anything, at the end of the text over several lines. */
function patternOf(lines: readonly string[]): RegExp {
  const text = lines
    .join('\n')
    .replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    .replaceAll(/ {2,}/g, ' +')
    .replaceAll('…', '.*');
  return new RegExp(`^${text.endsWith('.*') ? `${text}(\n.*)*` : text}\\s*$`);
}

describe('a backend that was killed', () => {
  it('leaves a socket that the next start replaces', async () => {
    await using other = await makeProject({
      'supabase/config.toml': '[api]\nauto_expose_new_tables = false\n',
    });
    const first = await startProgram(other.folder);
    first.process.kill('SIGKILL');
    await first.ended;
    expect(await runCli(['settings', '--project', other.folder])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('No backend is running for'),
    });
    await using second = await startBackend(other.folder);
    expect((await runCli(['settings', '--project', other.folder])).code).toBe(0);
    expect(await second.stop()).toBe(0);
    await expect(
      lstat(join(await findStateFolder({ project: other.folder }), 'operator.sock')),
    ).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });
});
