// In charge of: signing keys and the master key on the operator plane, and the commands that stand before it, over the local socket as a person uses them.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { Database } from '../../engine/db/database.ts';
import { developmentSigningKey } from '../../engine/identity/development-secrets.ts';
import { announcedSeconds } from '../../engine/identity/signing-key-store.ts';
import { fixedSigningKeys, openSigningKeys, type SigningKeys } from '../../engine/identity/signing-keys.ts';
import { findMasterKeys } from '../../engine/secrets/master-key.ts';
import { openSecrets, type Secrets } from '../../engine/secrets/secrets.ts';
import { openSettings } from '../../engine/settings/live.ts';
import { openStoredSettings, type StoredSettings } from '../../engine/settings/stored.ts';
import { masterKey } from '../cli/commands/master-key.ts';
import { signingKeys } from '../cli/commands/signing-keys.ts';
import { parseOptions } from '../cli/options.ts';
import { type AdminPart, type AdminPlane, buildAdmin } from './plane.ts';
import { adminSettings } from './settings.ts';
import { masterKeyPart, type ShownSigningKey, signingKeysPart } from './signing-keys.ts';
import { type OperatorSocket, openOperatorSocket, operatorSocketPath } from './socket.ts';

const startMs = Date.UTC(2026, 10, 22, 12);
const jwtSecret = Buffer.from('a-secret-that-nobody-may-read-0123456789');
let nowMs = startMs;

let folder: string;
let test: TestDatabase;
let database: Database;
let secrets: Secrets;
let signing: SigningKeys;
let stored: StoredSettings;
let plane: AdminPlane;
let socket: OperatorSocket;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-signing-'));
  test = await openTestDatabase();
  database = await test.open();
  const { db, fanout } = database;
  const observe = () => {};
  secrets = await openSecrets({
    db,
    keys: await findMasterKeys({ environment: {}, stateFolder: folder }),
    observe,
  });
  signing = await openSigningKeys({ db, fanout, secrets, jwtSecret, observe, now: () => nowMs });
  stored = await openStoredSettings(
    openSettings([adminSettings], { file: {}, environment: {} }),
    db,
    fanout,
    observe,
  );
  plane = build([signingKeysPart({ db, signing }), masterKeyPart({ db, secrets })]);
  socket = await openOperatorSocket({ path: operatorSocketPath(folder), fetch: plane.local.fetch, observe });
});
afterAll(async () => {
  await socket?.close();
  stored?.close();
  signing?.close();
  await database?.close();
  await test?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function build(parts: readonly AdminPart[]): AdminPlane {
  return buildAdmin({
    db: database.db,
    settings: openSettings([adminSettings], { file: {}, environment: {} }),
    stored,
    metrics: { render: async () => '', contentType: 'text/plain' },
    status: () => ({}),
    isRemoteOpen: () => true,
    parts,
    owner: 'ada',
    now: Date.now,
    observe: () => {},
  });
}

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
const listed = async () => (await local('GET /signing-keys')).body.keys as readonly ShownSigningKey[];
const idOf = async (status: string) =>
  (await listed()).find((key) => key.status === status && !key.is_legacy)!.id;

async function changes(): Promise<readonly Body[]> {
  const { body } = await local('GET /changes');
  return (body.changes as readonly Body[]).map(({ operator, action, details }) => ({
    operator,
    action,
    details,
  }));
}

describe('/admin/v1/signing-keys', () => {
  it('lists the keys of a new project, with what is public of them', async () => {
    const [current, legacy] = await listed();
    const facts = {
      created_at: '2026-11-22T12:00:00.000Z',
      created_by: 'start',
      changed_at: '2026-11-22T12:00:00.000Z',
    };
    expect(current).toEqual({
      id: signing.currentKid(),
      algorithm: 'ES256',
      status: 'current',
      is_legacy: false,
      ...facts,
      public_jwk: signing.jwks().keys[0],
    });
    expect(legacy).toEqual({
      id: 'legacy',
      algorithm: 'HS256',
      status: 'previous',
      is_legacy: true,
      ...facts,
      public_jwk: null,
    });
  });

  it('announces a key, makes it sign, ends the one before and destroys it; each is recorded with who', async () => {
    const first = signing.currentKid()!;
    const made = await local('POST /signing-keys');
    expect(made).toMatchObject({
      status: 201,
      body: { algorithm: 'ES256', status: 'standby', created_by: 'local:ada' },
    });
    const { id } = made.body;
    expect(await local('POST /signing-keys/rotate')).toMatchObject({
      status: 409,
      body: { code: 'standby_too_new' },
    });
    nowMs += announcedSeconds * 1000;
    expect(await local('POST /signing-keys/rotate')).toMatchObject({
      status: 200,
      body: { current: { id, status: 'current' }, previous: { id: first, status: 'previous' } },
    });
    expect(decodeProtectedHeader(await signing.sign({})).kid).toBe(id);
    expect(await local(`POST /signing-keys/${first}/revoke`)).toMatchObject({
      status: 200,
      body: { status: 'revoked', public_jwk: null },
    });
    expect(await local(`POST /signing-keys/${first}/revoke`)).toMatchObject({ status: 200 });
    expect(await local(`DELETE /signing-keys/${first}`)).toMatchObject({ status: 200 });
    expect((await changes()).slice(0, 4)).toEqual(
      [
        ['signing_keys.delete', { id: first, algorithm: 'ES256', status: 'revoked' }],
        ['signing_keys.revoke', { id: first, algorithm: 'ES256', status: 'revoked' }],
        [
          'signing_keys.rotate',
          {
            id,
            algorithm: 'ES256',
            status: 'current',
            replaces: { id: first, algorithm: 'ES256', status: 'previous' },
            now: false,
          },
        ],
        ['signing_keys.standby', { id, algorithm: 'ES256', status: 'standby', imported: false }],
      ].map(([action, details]) => ({ operator: 'local:ada', action, details })),
    );
  });

  it('takes a private key, and says nothing of it again', async () => {
    const { d, ...shown } = developmentSigningKey;
    const made = await local('POST /signing-keys', { private_jwk: developmentSigningKey });
    expect(made.body).toMatchObject({ id: developmentSigningKey.kid, public_jwk: { x: shown.x } });
    expect(JSON.stringify([made, await listed(), await changes()])).not.toContain(d);
    expect(await local(`POST /signing-keys/${developmentSigningKey.kid}/revoke`)).toMatchObject({
      status: 200,
    });
    expect(await local(`POST /signing-keys/${developmentSigningKey.kid}/standby`)).toMatchObject({
      status: 200,
      body: { status: 'standby' },
    });
    await local(`POST /signing-keys/${developmentSigningKey.kid}/revoke`);
  });

  it.each<[string, string, unknown, number, string]>([
    ['an unknown algorithm', 'POST /signing-keys', { algorithm: 'none' }, 422, 'invalid_request'],
    [
      'another algorithm than the key’s',
      'POST /signing-keys',
      { algorithm: 'RS256', private_jwk: developmentSigningKey },
      422,
      'invalid_request',
    ],
    [
      'a public key',
      'POST /signing-keys',
      { private_jwk: { ...developmentSigningKey, d: undefined } },
      422,
      'invalid_request',
    ],
    ['a misspelt field', 'POST /signing-keys', { alg: 'ES256' }, 422, 'invalid_request'],
    ['a rotation to nothing', 'POST /signing-keys/rotate', { now: true }, 409, 'no_standby'],
    ['a flag that is none', 'POST /signing-keys/rotate', { now: 'yes' }, 422, 'invalid_request'],
    ['the end of the JWT secret', 'POST /signing-keys/legacy/revoke', {}, 409, 'legacy_keys_end'],
    ['a key that there is not', 'POST /signing-keys/nobody/revoke', {}, 404, 'no_such_signing_key'],
    ['a name that Postgres cannot hold', 'DELETE /signing-keys/%00', undefined, 404, 'no_such_signing_key'],
  ])('refuses %s, and records nothing', async (_, route, body, status, code) => {
    const before = await changes();
    const answer = await local(route, body);
    expect(answer).toMatchObject({ status, body: { code } });
    expect(JSON.stringify(answer)).not.toContain(developmentSigningKey.d);
    expect(await changes()).toEqual(before);
  });

  it('needs the scope "keys" from afar', async () => {
    const tokenFor = async (name: string, scopes: readonly string[]) =>
      String((await local('POST /operators', { name, scopes })).body.token);
    const reader = await tokenFor('reader', ['read', 'settings', 'metrics', 'operators']);
    const keeper = await tokenFor('keeper', ['keys']);
    for (const route of [
      'GET /signing-keys',
      'POST /signing-keys',
      'POST /signing-keys/rotate',
      'DELETE /signing-keys/x',
      'GET /master-key',
      'POST /master-key/rotate',
    ])
      expect(await ask(plane.remote, route, undefined, reader)).toMatchObject({
        status: 403,
        body: { code: 'scope_missing' },
      });
    expect(await ask(plane.remote, 'GET /signing-keys', undefined, keeper)).toMatchObject({ status: 200 });
  });

  it('shows keys that are settings, and changes none of them', async () => {
    const jwks = { keys: [developmentSigningKey] };
    const fixed = build([
      signingKeysPart({ db: database.db, signing: fixedSigningKeys(jwtSecret, jwks, developmentSigningKey) }),
    ]).local;
    const keys = (await ask(fixed, 'GET /signing-keys')).body.keys as readonly ShownSigningKey[];
    expect(keys.map(({ id, status, created_by }) => [id, status, created_by])).toEqual([
      [developmentSigningKey.kid, 'current', 'settings'],
      ['legacy', 'previous', 'settings'],
    ]);
    for (const route of [
      'POST /signing-keys',
      'POST /signing-keys/rotate',
      'POST /signing-keys/legacy/revoke',
    ])
      expect(await ask(fixed, route, {})).toMatchObject({
        status: 409,
        body: { code: 'signing_keys_are_settings' },
      });
  });
});

/** Runs a command and gives what it printed. */
async function run(command: typeof signingKeys, line: string): Promise<string> {
  const out = vi.spyOn(console, 'log').mockImplementation(() => {});
  try {
    const options = parseOptions([
      ...line.split(' '),
      '--data',
      folder,
      '--project',
      resolve('examples/tool-library'),
    ]);
    await command({ options, environment: {}, currentFolder: folder });
    return out.mock.calls.map((words) => words.join(' ')).join('\n');
  } finally {
    out.mockRestore();
  }
}

describe('millrace signing-keys', () => {
  const signingKeysLine = (line: string) => run(signingKeys, `signing-keys ${line}`.trim());

  it('standby, rotate, revoke and delete say what is so now, and list shows it', async () => {
    const before = signing.currentKid()!;
    expect(await signingKeysLine('standby --algorithm RS256')).toMatch(/^The RS256 key \S+ stands by/);
    const id = await idOf('standby');
    await expect(signingKeysLine('rotate')).rejects.toThrow('stands by for less than 20 minutes');
    expect(await signingKeysLine('rotate --now')).toBe(
      `The RS256 key ${id} signs from now on. ${before} still verifies; revoke it when the tokens that it signed have ended.`,
    );
    expect(await signingKeysLine(`revoke ${before}`)).toMatch(/^Revoked/);
    const out = await signingKeysLine('');
    expect(out.split('\n')[0]).toMatch(/^ID +ALGORITHM +STATUS +SINCE +MADE BY +WHAT IT IS$/);
    expect(out).toMatch(new RegExp(`^${id} +RS256 +current +2026-11-22 12:20Z +local:\\w+ +signs$`, 'm'));
    expect(out).toMatch(/^legacy +HS256 +previous +\S+ \S+ +start +the JWT secret; verifies$/m);
    expect(await signingKeysLine(`standby ${before}`)).toContain(`key ${before} stands by`);
    expect(JSON.parse(await signingKeysLine(`revoke ${before} --json`))).toMatchObject({
      id: before,
      status: 'revoked',
    });
    expect(await signingKeysLine(`delete ${before}`)).toBe(`Deleted ${before}. It cannot be taken back.`);
  });

  it('standby --import takes the file of `supabase gen signing-key`', async () => {
    await writeFile(
      join(folder, 'key.json'),
      JSON.stringify([{ ...developmentSigningKey, kid: 'from-a-file' }]),
    );
    expect(await signingKeysLine('standby --import key.json')).toContain(
      'The ES256 key from-a-file stands by',
    );
    await signingKeysLine('revoke from-a-file');
  });

  it('revoke legacy ends the JWT secret when that is said', async () => {
    await expect(signingKeysLine('revoke legacy')).rejects.toThrow('legacy API keys');
    await signingKeysLine('revoke legacy --end-legacy-keys');
    expect(signing.tokenKeys().secret).toBeUndefined();
  });

  it.each([
    ['revoke', 'Which signing key is meant?'],
    ['rotate now', '"now" is nothing that rotate takes.'],
    ['standby x --algorithm ES256', 'The key "x" is there already.'],
    ['standby --import nothing.json', 'cannot be read'],
    ['destroy', '"destroy" is nothing that signing-keys does.'],
    ['constructor', '"constructor" is nothing that signing-keys does.'],
  ])('%s: %s', async (line, message) => {
    await expect(signingKeysLine(line)).rejects.toThrow(message);
  });

  it('does not quote a file that is no JSON', async () => {
    await writeFile(join(folder, 'broken.json'), '{"d": "very-secret" oops');
    const error: unknown = await signingKeysLine('standby --import broken.json').catch(
      (thrown: unknown) => thrown,
    );
    expect(String(error)).toContain('it is no JSON');
    expect(String(error)).not.toContain('very-secret');
  });
});

describe('millrace master-key', () => {
  it('shows where it is, and puts a new one in its place, which is recorded', async () => {
    const { id, from } = secrets.masterKey();
    expect(await run(masterKey, 'master-key')).toBe(`The master key ${id} is kept in ${from}.`);
    const out = await run(masterKey, 'master-key rotate');
    const after = secrets.masterKey().id;
    expect(after).not.toBe(id);
    expect(out).toContain(`The master key ${after} is kept in ${from}, and wraps all `);
    expect((await changes())[0]).toMatchObject({
      action: 'master_key.rotate',
      details: { before: id, id: after },
    });
    await expect(run(masterKey, 'master-key destroy')).rejects.toThrow('is nothing that master-key does');
    // Whoever starts now reads the same keys by it.
    const { db, fanout } = database;
    const again = await openSigningKeys({
      db,
      fanout,
      secrets: await openSecrets({
        db,
        keys: await findMasterKeys({ environment: {}, stateFolder: folder }),
        observe: () => {},
      }),
      jwtSecret,
      observe: () => {},
      now: () => nowMs,
    });
    expect(again.currentKid()).toBe(signing.currentKid());
    again.close();
  });
});
