// In charge of: who gets onto the operator plane, and who is told why not.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { environment, openTestPlane, type TestPlane } from '../../../test/harness/operator-plane.ts';
import {
  developmentPublishableKey,
  developmentSecretKey,
} from '../../engine/identity/development-secrets.ts';
import { newKeyText } from '../../engine/identity/key-text.ts';
import { signLegacyKey } from '../../engine/identity/keys.ts';

let nowMs = Date.UTC(2026, 10, 22);
let at: TestPlane;
let all: string;
const everything = ['read', 'settings', 'keys', 'metrics', 'operators'] as const;

beforeAll(async () => {
  at = await openTestPlane(() => nowMs);
  all = await at.token('all', everything);
});
afterAll(() => at[Symbol.asyncDispose]());

describe('the door on the port', () => {
  it('opens for an operator token, and says who came in', async () => {
    const { status, headers, body } = await at.remote('GET /', { token: all });
    expect({ status, operator: body.operator }).toEqual({
      status: 200,
      operator: { name: 'all', via: expect.stringMatching(/^token:\d+$/), scopes: [...everything] },
    });
    expect(Object.fromEntries(headers)).toEqual({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-request-id': 'request-1',
    });
  });

  it('notes when a token was last used', async () => {
    const { body } = await at.local('GET /operators');
    expect(body.operators[0]).toMatchObject({ name: 'all', last_used_at: expect.any(String) });
  });

  const secret = environment.MILLRACE_JWT_SECRET;
  const bearer = (credentials: string) => ({ authorization: `Bearer ${credentials}` });
  it.each<[string, () => Promise<Record<string, string>> | Record<string, string>, string]>([
    ['nothing', () => ({}), 'operator_token_missing'],
    ['the publishable key', () => bearer(developmentPublishableKey), 'project_key_refused'],
    ['the secret key', () => bearer(developmentSecretKey), 'project_key_refused'],
    ['the secret key as apikey', () => ({ apikey: developmentSecretKey }), 'project_key_refused'],
    ['an API key of our own', () => bearer(newKeyText()), 'project_key_refused'],
    [
      'the legacy service_role key',
      async () => bearer(await signLegacyKey('service_role', secret)),
      'project_token_refused',
    ],
    ['the legacy anon key', async () => bearer(await signLegacyKey('anon', secret)), 'project_token_refused'],
    [
      'an operator token beside a project key',
      () => ({ ...bearer(all), apikey: developmentSecretKey }),
      'project_key_refused',
    ],
    ['an operator token as apikey', () => ({ apikey: all }), 'operator_token_misplaced'],
    [
      'a token of the right shape that is nobody’s',
      () => bearer(`mro_${'0'.repeat(48)}`),
      'operator_token_unknown',
    ],
    ['a token in capitals', () => bearer(all.toUpperCase()), 'operator_token_unknown'],
    ['basic credentials', () => ({ authorization: `Basic ${btoa(`x:${all}`)}` }), 'operator_token_malformed'],
    ['two tokens', () => bearer(`${all} ${all}`), 'operator_token_malformed'],
  ])('is closed to %s', async (_, headers, code) => {
    const answer = await at.remote('GET /settings', { headers: await headers(), address: `192.0.2.8 ${_}` });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="millrace operator plane"');
    expect(answer.body).toEqual({ code, message: expect.any(String), hint: expect.any(String) });
  });

  it('takes no token from the query string', async () => {
    expect(await at.remote(`GET /settings?apikey=${all}`)).toMatchObject({
      status: 401,
      body: { code: 'operator_token_misplaced' },
    });
    expect(await at.remote(`GET /settings?apikey=${developmentSecretKey}`, { token: all })).toMatchObject({
      status: 401,
      body: { code: 'project_key_refused' },
    });
  });

  it.each<[string, Record<string, string>]>([
    ['an Origin', { origin: 'https://evil.example' }],
    ['the Origin of this very host', { origin: 'http://127.0.0.1:54321' }],
    ['an opaque Origin', { origin: 'null' }],
    ['a fetch from another site', { 'sec-fetch-site': 'cross-site' }],
    ['a fetch from the same origin', { 'sec-fetch-site': 'same-origin' }],
  ])('refuses a page in a browser with %s, whatever it carries', async (_, headers) => {
    for (const ask of [at.remote, at.local]) {
      const answer = await ask('PUT /settings/gateway.max_body_bytes', {
        token: all,
        headers,
        body: { value: 5000 },
      });
      expect(answer).toMatchObject({ status: 403, body: { code: 'browser_refused' } });
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });

  it('answers a preflight with a refusal, so that no page may go on', async () => {
    const answer = await at.remote('OPTIONS /settings', {
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'PUT' },
    });
    expect(answer.status).toBe(403);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('tells nobody without a token what is there', async () => {
    const [there, not] = [await at.remote('GET /settings'), await at.remote('GET /nothing')];
    expect([there.status, not.status]).toEqual([401, 401]);
    expect(not.body).toEqual(there.body);
  });

  it('is closed to a token from the moment it is revoked', async () => {
    const token = await at.token('short-lived', ['read']);
    expect((await at.remote('GET /settings', { token })).status).toBe(200);
    const { body } = await at.local('GET /operators');
    const { id } = body.operators.find(({ name }: { name: string }) => name === 'short-lived');
    expect((await at.local(`DELETE /operators/${id}`)).status).toBe(200);
    expect(await at.remote('GET /settings', { token, address: '192.0.2.201' })).toMatchObject({
      status: 401,
      body: { code: 'operator_token_revoked', message: 'The operator token "short-lived" was revoked.' },
    });
  });

  it('is closed to a token that has expired', async () => {
    const token = await at.token('expired', ['read'], 1);
    await at.test.run(
      `update _millrace.operator_tokens set expires_at = now() - interval '1 second' where name = 'expired'`,
      'supabase_admin',
    );
    expect(await at.remote('GET /settings', { token, address: '192.0.2.202' })).toMatchObject({
      status: 401,
      body: { code: 'operator_token_expired' },
    });
  });

  it.each<[string, readonly (typeof everything)[number][], string]>([
    ['GET /settings', ['metrics'], 'read'],
    ['GET /status', ['metrics'], 'read'],
    ['GET /changes', ['settings'], 'read'],
    ['PUT /settings/gateway.max_body_bytes', ['read'], 'settings'],
    ['DELETE /settings/gateway.max_body_bytes', ['read', 'metrics'], 'settings'],
    ['GET /metrics', ['settings'], 'metrics'],
    ['GET /operators', ['read', 'settings'], 'operators'],
    ['POST /operators', ['read', 'settings'], 'operators'],
    ['DELETE /operators/1', ['read', 'settings'], 'operators'],
  ])('answers 403 for %s to a token with %j', async (route, scopes, missing) => {
    const token = await at.token(`for ${route}`.replaceAll(/[^\w.]+/g, '-'), scopes);
    const answer = await at.remote(route, {
      token,
      ...(route.startsWith('GET') ? {} : { body: { value: 4096 } }),
    });
    expect(answer).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
    expect(answer.body.message).toContain(`"${missing}"`);
  });

  it('makes an address wait that keeps presenting what opens nothing, and lets others in', async () => {
    const wrong = { token: `mro_${'1'.repeat(48)}`, address: '198.51.100.9' };
    for (let i = 0; i < 10; i++) expect((await at.remote('GET /', wrong)).status).toBe(401);
    const answer = await at.remote('GET /', wrong);
    expect(answer).toMatchObject({ status: 429, body: { code: 'too_many_failures' } });
    expect(answer.headers.get('retry-after')).toBe('60');
    // Behind the same address sits somebody whose token is known: a neighbour cannot lock them out.
    expect((await at.remote('GET /', { token: all, address: wrong.address })).status).toBe(200);
    expect((await at.remote('GET /', { ...wrong, address: '198.51.100.10' })).status).toBe(401);
    nowMs += 60_000;
    expect((await at.remote('GET /', wrong)).status).toBe(401);
  });

  it('says in the log who was refused, and never with what', () => {
    const lines = at.observed.filter(({ kind }) => kind === 'operator.refused');
    expect(lines).toContainEqual({
      kind: 'operator.refused',
      level: 'warn',
      reason: 'operator_token_unknown',
      address: '198.51.100.9',
      requestId: 'request-1',
    });
    expect(JSON.stringify(at.observed)).not.toMatch(/mro_|sb_secret/);
  });

  it('is shut for all when the setting says so; the socket stays open', async () => {
    const key = '/settings/gateway.remote_operators';
    expect((await at.remote(`PUT ${key}`, { token: all, body: { value: false } })).status).toBe(200);
    expect(await at.remote('GET /', { token: all })).toMatchObject({
      status: 403,
      body: { code: 'local_only' },
    });
    expect((await at.local(`DELETE ${key}`)).status).toBe(200);
    expect((await at.remote('GET /', { token: all })).status).toBe(200);
  });
});

describe('the local socket', () => {
  it.each([
    ['its owner when nobody says who they are', {}, 'local:ada'],
    ['root when root says so', { 'x-millrace-user': 'root' }, 'local:root'],
    [
      'its owner for any other name, which cannot have opened it',
      { 'x-millrace-user': 'mallory' },
      'local:ada',
    ],
  ])('takes the caller for %s', async (_, headers, name) => {
    const { body } = await at.local('GET /', { headers });
    expect(body.operator).toEqual({ name, via: 'socket', scopes: [...everything] });
  });
});

describe('while the database is away', () => {
  it('lets in for a look whoever was let in before, and nobody else', async () => {
    await using away = await openTestPlane();
    const known = await away.token('prometheus', ['metrics', 'settings']);
    const unseen = await away.token('unseen', ['metrics']);
    expect((await away.remote('GET /metrics', { token: known })).status).toBe(200);
    await away.database.close();
    const scraped = await away.remote('GET /metrics', { token: known });
    expect(scraped.status).toBe(200);
    expect(scraped.body).toContain('\nmillrace_postgres_up 0\n');
    const body = { value: 5000 };
    expect(await away.remote('GET /metrics', { token: unseen })).toMatchObject({
      status: 503,
      body: { code: 'database_unavailable' },
    });
    expect(await away.remote('PUT /settings/gateway.max_body_bytes', { token: known, body })).toMatchObject({
      status: 503,
      body: { code: 'database_unavailable' },
    });
  });
});
