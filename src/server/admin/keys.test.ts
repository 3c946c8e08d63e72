// In charge of: API keys on the operator plane, and the command that stands before it, over the local socket as a person uses it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { Database } from '../../engine/db/database.ts';
import { type IssuedKeys, openIssuedKeys } from '../../engine/identity/issued-keys.ts';
import { openSettings } from '../../engine/settings/live.ts';
import { openStoredSettings, type StoredSettings } from '../../engine/settings/stored.ts';
import { keys as keysCommand } from '../cli/commands/keys.ts';
import { parseOptions } from '../cli/options.ts';
import { keysPart } from './keys.ts';
import { type AdminPlane, buildAdmin } from './plane.ts';
import { adminSettings } from './settings.ts';
import { type OperatorSocket, openOperatorSocket, operatorSocketPath } from './socket.ts';

const nowMs = Date.UTC(2026, 10, 22, 12);

let folder: string;
let test: TestDatabase;
let database: Database;
let issued: IssuedKeys;
let stored: StoredSettings;
let plane: AdminPlane;
let socket: OperatorSocket;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-keys-'));
  test = await openTestDatabase();
  database = await test.open();
  const { db, fanout } = database;
  const observe = () => {};
  const now = () => nowMs;
  issued = await openIssuedKeys({ db, fanout, now, observe });
  const settings = openSettings([adminSettings], { file: {}, environment: {} });
  stored = await openStoredSettings(settings, db, fanout, observe);
  plane = buildAdmin({
    db,
    settings,
    stored,
    metrics: { render: async () => '', contentType: 'text/plain' },
    status: () => ({}),
    isRemoteOpen: () => true,
    parts: [keysPart({ db, issued, now })],
    owner: 'ada',
    now: Date.now,
    observe,
  });
  socket = await openOperatorSocket({ path: operatorSocketPath(folder), fetch: plane.local.fetch, observe });
});
afterAll(async () => {
  await socket?.close();
  stored?.close();
  await issued?.close();
  await database?.close();
  await test?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Body = Readonly<Record<string, unknown>>;

async function ask(app: AdminPlane['local'], route: string, body?: unknown, token?: string) {
  const [method = 'GET', path = ''] = route.split(' ');
  const answer = await app.request(`/admin/v1${path}`, {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Body };
}
const local = (route: string, body?: unknown) => ask(plane.local, route, body);

/** The role that a key gives now, or why none. */
function roleOf(text: unknown): string {
  try {
    return issued.callerOf(String(text), 'rest', '203.0.113.5').role;
  } catch (error) {
    return (error as Error).message;
  }
}

async function changes(): Promise<readonly Body[]> {
  const { body } = await local('GET /changes');
  return (body.changes as readonly Body[]).map(({ operator, action, details }) => ({
    operator,
    action,
    details,
  }));
}

describe('POST /admin/v1/keys', () => {
  it('answers 201 with the key, which is in force then, and is nowhere else afterwards', async () => {
    const { status, body } = await local('POST /keys', {
      name: 'shop',
      role: 'anon',
      services: ['rest'],
      tables: ['shop_'],
      addresses: ['203.0.113.9/24'],
      expires_in_seconds: 3600,
    });
    const { key, id, ending, ...facts } = body;
    expect(status).toBe(201);
    expect(facts).toEqual({
      name: 'shop',
      role: 'anon',
      state: 'active',
      services: ['rest'],
      tables: ['shop_'],
      addresses: ['203.0.113.0/24'],
      created_at: '2026-11-22T12:00:00.000Z',
      created_by: 'local:ada',
      expires_at: '2026-11-22T13:00:00.000Z',
      revoked_at: null,
      replaced_by: null,
      last_used_at: null,
    });
    expect(roleOf(key)).toBe('anon');
    const secret = String(key).slice('millrace_'.length, -4);
    expect(JSON.stringify(await local('GET /keys'))).not.toContain(secret);
    expect((await changes())[0]).toEqual({
      operator: 'local:ada',
      action: 'keys.create',
      details: {
        id,
        name: 'shop',
        role: 'anon',
        ending,
        services: ['rest'],
        tables: ['shop_'],
        addresses: ['203.0.113.0/24'],
        expires_at: facts.expires_at,
      },
    });
    expect(JSON.stringify(await changes())).not.toContain(secret);
  });

  it.each<[string, unknown, number, string]>([
    ['no name', { role: 'anon' }, 422, 'invalid_request'],
    ['a role that is no text', { name: 'x', role: 7 }, 422, 'invalid_request'],
    ['a list that is none', { name: 'x', role: 'anon', tables: 'shop_' }, 422, 'invalid_request'],
    [
      'an end that is no number',
      { name: 'x', role: 'anon', expires_in_seconds: '90d' },
      422,
      'invalid_request',
    ],
    ['a misspelt field', { name: 'x', role: 'anon', table: ['shop_'] }, 422, 'invalid_request'],
    ['a list as the body', [], 422, 'invalid_request'],
    ['a role that requests cannot have', { name: 'x', role: 'postgres' }, 422, 'invalid_key'],
    ['a name that is taken', { name: 'shop', role: 'anon' }, 409, 'key_name_taken'],
  ])('refuses %s, and records nothing', async (_, body, status, code) => {
    const before = await changes();
    expect(await local('POST /keys', body)).toMatchObject({ status, body: { code } });
    expect(await changes()).toEqual(before);
  });
});

describe('POST /admin/v1/keys/:id/rotate and DELETE /admin/v1/keys/:id', () => {
  it('replace a key with another and end it, each recorded once', async () => {
    const old = (await local('POST /keys', { name: 'bot', role: 'service_role' })).body;
    const { status, body } = await local(`POST /keys/${old.id}/rotate`, { overlap_seconds: 60 });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      name: 'bot',
      role: 'service_role',
      state: 'active',
      replaces: {
        id: old.id,
        state: 'replaced',
        replaced_by: body.id,
        expires_at: '2026-11-22T12:01:00.000Z',
      },
    });
    expect([roleOf(old.key), roleOf(body.key)]).toEqual(['service_role', 'service_role']);
    expect((await changes())[0]).toMatchObject({
      action: 'keys.rotate',
      details: { id: body.id, replaces: old.id, old_expires_at: '2026-11-22T12:01:00.000Z' },
    });
    expect(await local(`DELETE /keys/${body.id}`)).toMatchObject({ status: 200, body: { state: 'revoked' } });
    expect(roleOf(body.key)).toBe('revoked_key: bot');
    const recorded = await changes();
    expect(recorded[0]).toMatchObject({ action: 'keys.revoke', details: { id: body.id, name: 'bot' } });
    expect(await local(`DELETE /keys/${body.id}`)).toMatchObject({ status: 200, body: { state: 'revoked' } });
    expect(await changes()).toEqual(recorded);
  });

  it('leave the old key a day when nobody says how long', async () => {
    const old = (await local('POST /keys', { name: 'daily', role: 'anon' })).body;
    const { body } = await local(`POST /keys/${old.id}/rotate`);
    expect(body).toMatchObject({ replaces: { expires_at: '2026-11-23T12:00:00.000Z' } });
  });

  it('answer 404 for a key that there is not', async () => {
    for (const route of ['POST /keys/000000000000/rotate', 'DELETE /keys/000000000000', 'DELETE /keys/%00'])
      expect(await local(route)).toMatchObject({ status: 404, body: { code: 'no_such_key' } });
  });
});

describe('from afar', () => {
  it('the scope "keys" is needed, for every route', async () => {
    const tokenFor = async (name: string, scopes: readonly string[]) =>
      String((await local('POST /operators', { name, scopes })).body.token);
    const reader = await tokenFor('reader', ['read', 'settings', 'metrics', 'operators']);
    const keeper = await tokenFor('keeper', ['keys']);
    const { body } = await local('POST /keys', { name: 'far', role: 'anon' });
    for (const route of [
      'GET /keys',
      'POST /keys',
      `POST /keys/${body.id}/rotate`,
      `DELETE /keys/${body.id}`,
    ]) {
      expect(await ask(plane.remote, route, route.startsWith('GET') ? undefined : {}, reader)).toMatchObject({
        status: 403,
        body: { code: 'scope_missing' },
      });
      // A key of the project opens nothing here, not even one of ours for everything.
      expect((await ask(plane.remote, route, undefined, String(body.key))).status).toBe(401);
    }
    expect(roleOf(body.key)).toBe('anon');
    expect(await ask(plane.remote, `DELETE /keys/${body.id}`, undefined, keeper)).toMatchObject({
      status: 200,
    });
    expect((await changes())[0]).toMatchObject({ operator: 'keeper', action: 'keys.revoke' });
  });
});

describe('millrace keys', () => {
  /** Runs the command and gives what it printed. */
  async function run(line: string): Promise<{ out: string; err: string }> {
    const [out, err] = [vi.spyOn(console, 'log'), vi.spyOn(console, 'error')].map((spy) =>
      spy.mockImplementation(() => {}),
    );
    try {
      await keysCommand({
        options: parseOptions([
          'keys',
          ...line.split(' '),
          '--data',
          folder,
          '--project',
          'examples/tool-library',
        ]),
        environment: {},
        currentFolder: process.cwd(),
      });
      const text = (spy: typeof out) => spy!.mock.calls.map((words) => words.join(' ')).join('\n');
      return { out: text(out), err: text(err) };
    } finally {
      out!.mockRestore();
      err!.mockRestore();
    }
  }

  it('create prints the key alone on standard output', async () => {
    const { out, err } = await run(
      'create cli-one --role authenticated --service rest --service storage --address 203.0.113.0/24 --expires 90d',
    );
    expect(out).toMatch(/^millrace_[0-9A-Za-z]{39}$/);
    expect(roleOf(out)).toBe('authenticated');
    expect(err).toMatch(
      /^Key "cli-one" \([0-9a-f]{12}\) with role authenticated, for rest, storage; clients at 203\.0\.113\.0\/24, valid until 2027-02-20T12:00:00\.000Z\. It is shown this once:$/,
    );
    expect(err).not.toContain(out);
  });

  it('list shows what each key is for, and no key', async () => {
    const made = await run('create cli-two --role anon --table shop_ --table billing.');
    issued.callerOf(made.out, 'rest', undefined);
    await issued.tasks.find(({ name }) => name === 'api keys: last use')!.run();
    const { out } = await run('list');
    expect(out.split('\n')[0]).toMatch(/^ID +NAME +ROLE +ENDS IN +STATE +LAST USED +MADE BY +FOR$/);
    expect(out.split('\n').find((row) => row.includes('cli-two'))).toMatch(
      /^[0-9a-f]{12} +cli-two +anon +….{4} +no end +2026-11-22 12:00Z +local:\w+ +rest; names that begin with shop_, billing\.$/,
    );
    expect(out).not.toContain('millrace_');
    const rows = JSON.parse((await run('list --json')).out) as readonly Body[];
    expect(rows.find(({ name }) => name === 'cli-two')).toMatchObject({ tables: ['shop_', 'billing.'] });
  });

  it('rotate takes a name and leaves the old key its overlap; revoke by name ends both', async () => {
    const old = (await run('create cli-three --role anon')).out;
    const { out, err } = await run('rotate cli-three --overlap 90m');
    expect(err).toContain('stays valid until 2026-11-22T13:30:00.000Z');
    expect([roleOf(old), roleOf(out)]).toEqual(['anon', 'anon']);
    const revoked = await run('revoke cli-three');
    expect(revoked.out.split('\n')).toHaveLength(2);
    expect([roleOf(old), roleOf(out)]).toEqual(['revoked_key: cli-three', 'revoked_key: cli-three']);
  });

  it('rotate and revoke take an id', async () => {
    const made = JSON.parse((await run('create cli-four --role anon --json')).out) as Body;
    const next = JSON.parse((await run(`rotate ${made.id} --json`)).out) as Body;
    expect(JSON.parse((await run(`revoke ${next.id} --json`)).out)).toMatchObject([{ id: next.id }]);
    expect([roleOf(made.key), roleOf(next.key)]).toEqual(['anon', 'revoked_key: cli-four']);
  });

  it.each([
    ['create', 'What is the key called?'],
    ['create one --name two --role anon', 'The key cannot be called "one" and "two" at once.'],
    ['create nameless', 'Which role does the key "nameless" give?'],
    ['create x --role nobody', 'Requests cannot have the role "nobody".'],
    ['create x --role anon --expires soon', '"soon" is no time for --expires.'],
    ['create x --role anon --expires 90', '"90" is no time for --expires.'],
    ['rotate', 'Which key is meant?'],
    ['rotate nobody', 'There is no key "nobody".'],
    ['revoke cli-three', 'The key "cli-three" has ended: it is revoked.'],
    ['list all', '"all" is nothing that list takes.'],
    ['destroy', '"destroy" is nothing that keys does.'],
    ['constructor', '"constructor" is nothing that keys does.'],
  ])('%s: %s', async (line, message) => {
    await expect(run(line)).rejects.toThrow(message);
  });
});
