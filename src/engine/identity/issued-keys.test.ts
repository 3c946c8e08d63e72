// In charge of: keys of our own from their making to their end, over a real database, in one process and in two.
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import { errorCode, Fault } from '../../base/errors.ts';
import type { Database } from '../db/database.ts';
import { DatabaseUnavailable, type Db } from '../db/db.ts';
import { openLocalFanout } from '../db/fanout.ts';
import { openIdentity } from './identity.ts';
import { type IssuedKeys, maxUnconfirmedSeconds, openIssuedKeys, pollSeconds } from './issued-keys.ts';
import type { KeyWish } from './key-scope.ts';
import { createKey, listKeys, type NewKey, revokeKey, rotateKey } from './key-store.ts';
import { newKeyText } from './key-text.ts';
import { CredentialsRefused } from './refused.ts';

const startMs = Date.UTC(2026, 10, 22, 12);
const daySeconds = 86_400;

let test: TestDatabase;
let database: Database;
/** What `now` is in the process that is looked at. */
let nowMs = startMs;
let keys: IssuedKeys;
let made = 0;

beforeAll(async () => {
  test = await openTestDatabase();
  database = await test.open();
  keys = await openProcess(database);
});
afterAll(async () => {
  await keys?.close();
  await database?.close();
  await test?.[Symbol.asyncDispose]();
});

const openProcess = (
  own: Database,
  options: { readonly db?: Pick<Db, 'asOwner'>; readonly deaf?: boolean } = {},
) =>
  openIssuedKeys({
    db: options.db ?? own.db,
    fanout: options.deaf ? openLocalFanout() : own.fanout,
    now: () => nowMs,
    observe: () => {},
  });

type Client = Parameters<Parameters<Db['asOwner']>[1]>[0];

/** A change as the operator plane makes it: one transaction, told to all, in force here when it resolves. */
async function change<T>(run: (client: Client) => Promise<T>): Promise<T> {
  const result = await database.db.asOwner('millrace_admin', async (client) => {
    await client.query('begin');
    const answer = await run(client);
    await keys.changed(client);
    await client.query('commit');
    return answer;
  });
  await keys.follow();
  return result;
}

const wish = (more: Partial<KeyWish> = {}): KeyWish => ({
  name: `key-${++made}`,
  role: 'anon',
  services: [],
  tables: [],
  addresses: [],
  expiresInSeconds: undefined,
  ...more,
});
const create = (more: Partial<KeyWish> = {}): Promise<NewKey> =>
  change((client) => createKey(client, wish(more), 'local:ada', nowMs));
const rotate = (id: string, overlapSeconds: number) =>
  change((client) => rotateKey(client, id, overlapSeconds, 'local:ada', nowMs));
const revoke = (id: string) => change((client) => revokeKey(client, id, nowMs));
const listed = async (id: string) =>
  (await database.db.asOwner('millrace_admin', listKeys)).find((key) => key.id === id);

/** The role, or the reason of the refusal. */
function ask(text: string, service = 'rest', address: string | undefined = '192.0.2.1', of = keys): unknown {
  try {
    return of.callerOf(text, service, address).role;
  } catch (error) {
    return error instanceof CredentialsRefused ? error.reason : error;
  }
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no refusal',
    (error: unknown) => (error instanceof Fault ? [error.status, error.code] : errorCode(error)),
  );

describe('a key of our own', () => {
  it('gives its role and says which key it was', async () => {
    const { text, key } = await create({ role: 'service_role' });
    expect(keys.callerOf(text, 'rest', undefined)).toEqual({
      role: 'service_role',
      claims: '{"role":"service_role"}',
      subject: undefined,
      by: 'key',
      key: { id: key.id, name: key.name, services: undefined, tables: undefined },
    });
  });

  it('is not in the database, only its SHA-256', async () => {
    const { text, key } = await create();
    const rows = await test.run('select * from _millrace.api_keys', 'supabase_admin');
    expect(JSON.stringify(rows)).not.toContain(text.slice('millrace_'.length, -4));
    const [row] = await test.run(
      `select digest = sha256('${text}'::bytea) as same, ending from _millrace.api_keys where id = '${key.id}'`,
      'supabase_admin',
    );
    expect(row).toEqual({ same: true, ending: text.slice(-4) });
  });

  it('is unknown when nobody made it, and when a letter is wrong', async () => {
    const { text } = await create();
    expect(ask(newKeyText())).toBe('unknown_key');
    expect(ask(`${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`)).toBe('unknown_key');
    expect(ask(text.slice(0, -1))).toBe('unknown_key');
  });

  it('is for all services, or for those that it names', async () => {
    const all = await create();
    const some = await create({ services: ['storage', 'rest', 'rest'] });
    expect([ask(all.text), ask(all.text, 'auth')]).toEqual(['anon', 'anon']);
    expect(some.key.services).toEqual(['rest', 'storage']);
    expect([ask(some.text), ask(some.text, 'storage'), ask(some.text, 'auth'), ask(some.text, '')]).toEqual([
      'anon',
      'anon',
      'key_not_for_service',
      'key_not_for_service',
    ]);
  });

  it('is for the service that heeds tables alone once it names tables', async () => {
    const { text, key } = await create({ tables: ['shop_', 'billing.'] });
    expect(key.services).toEqual(['rest']);
    expect(keys.callerOf(text, 'rest', undefined).key?.tables).toEqual([
      { schema: undefined, prefix: 'shop_' },
      { schema: 'billing', prefix: '' },
    ]);
    expect(ask(text, 'storage')).toBe('key_not_for_service');
    // Also when a row was changed by hand.
    await test.run(`update _millrace.api_keys set services = '{}' where id = '${key.id}'`, 'supabase_admin');
    await keys.follow();
    expect(ask(text, 'storage')).toBe('key_not_for_service');
  });

  it('is for the addresses that it names, also as IPv4 within IPv6; nobody without an address', async () => {
    const { text } = await create({ addresses: ['192.0.2.0/24', '2001:db8::/32'] });
    const from = (address: string | undefined) => {
      try {
        return keys.callerOf(text, 'rest', address).role;
      } catch (error) {
        return (error as CredentialsRefused).reason;
      }
    };
    for (const inside of ['192.0.2.1', '192.0.2.1', '::ffff:192.0.2.77', '2001:db8::9'])
      expect(from(inside)).toBe('anon');
    for (const outside of ['192.0.3.1', '::ffff:192.0.3.1', '2001:db9::9', '', undefined, 'unknown'])
      expect(from(outside)).toBe('key_not_for_address');
    // The one that was let in before is not let in by another's key.
    expect(from('192.0.2.1')).toBe('anon');
  });

  it('expires to the second, by the clock of the process', async () => {
    const { text, key } = await create({ expiresInSeconds: 60 });
    expect(key.expiresAt).toEqual(new Date(nowMs + 60_000));
    nowMs += 59_999;
    expect(ask(text)).toBe('anon');
    nowMs += 1;
    expect(ask(text)).toBe('expired_key');
  });

  it('is revoked at once, and is then known by that', async () => {
    const { text, key } = await create();
    expect(ask(text)).toBe('anon');
    expect((await revoke(key.id)).changed).toBe(true);
    expect(ask(text)).toBe('revoked_key');
    expect((await revoke(key.id)).changed).toBe(false);
    expect(await codeOf(revoke('000000000000'))).toEqual([404, 'no_such_key']);
  });

  it('stands beside others of its role, which do not end with it', async () => {
    const [one, two] = [await create({ role: 'authenticated' }), await create({ role: 'authenticated' })];
    await revoke(one.key.id);
    expect([ask(one.text), ask(two.text)]).toEqual(['revoked_key', 'authenticated']);
  });
});

describe('making a key', () => {
  it.each([
    ['a role that requests cannot have', { role: 'postgres' }],
    ['a superuser', { role: 'supabase_admin' }],
    ['an owner of ours', { role: 'millrace_admin' }],
    ['the login of requests itself', { role: 'authenticator' }],
    ['a role that there is not', { role: 'nobody' }],
    ['an unknown service', { services: ['rset'] }],
    ['tables of a service that knows none', { tables: ['shop_'], services: ['rest', 'storage'] }],
    ['an empty table', { tables: [''] }],
    ['a table without a schema before its dot', { tables: ['.shop'] }],
    ['an address that is none', { addresses: ['10.1'] }],
    ['a name with a space', { name: 'deploy bot' }],
    ['no name', { name: '' }],
    ['an end in the past', { expiresInSeconds: 0 }],
    ['an end that is no number', { expiresInSeconds: Number.NaN }],
    ['an end beyond ten years', { expiresInSeconds: 11 * 366 * daySeconds }],
    ['a long list', { addresses: Array.from({ length: 51 }, (_, i) => `10.0.0.${i}`) }],
  ])('refuses %s, and nothing is kept', async (_, more) => {
    const before = await test.run('select count(*) from _millrace.api_keys', 'supabase_admin');
    expect(await codeOf(create(more))).toEqual([422, 'invalid_key']);
    expect(await test.run('select count(*) from _millrace.api_keys', 'supabase_admin')).toEqual(before);
  });

  it('takes a role of the project’s own once authenticator may become it', async () => {
    await test.run(`create role "reader_${test.name}"`);
    expect(await codeOf(create({ role: `reader_${test.name}` }))).toEqual([422, 'invalid_key']);
    await test.run(`grant "reader_${test.name}" to authenticator`);
    try {
      expect(ask((await create({ role: `reader_${test.name}` })).text)).toBe(`reader_${test.name}`);
    } finally {
      await test.run(`drop role "reader_${test.name}"`);
    }
  });

  it('takes none of PostgreSQL’s own roles, though authenticator is a member of one', async () => {
    const refused = create({ role: 'pg_use_reserved_connections' });
    await expect(refused).rejects.toMatchObject({
      code: 'invalid_key',
      hint: expect.not.stringContaining('pg_'),
    });
  });

  it('keeps a name to one key at a time; it is free again after the end', async () => {
    const { key } = await create({ name: 'only-one' });
    expect(await codeOf(create({ name: 'only-one' }))).toEqual([409, 'key_name_taken']);
    await revoke(key.id);
    expect(await codeOf(create({ name: 'only-one' }))).toBe('no refusal');
  });
});

describe('rotating a key', () => {
  it('gives a new key of the same kind, and leaves the old one until the overlap is over', async () => {
    const facts = { role: 'authenticated', tables: ['shop_'], addresses: ['192.0.2.0/24'] };
    const old = await create({ ...facts, expiresInSeconds: 90 * daySeconds });
    nowMs += 10_000;
    const { text, key } = await rotate(old.key.id, daySeconds);
    expect(key).toMatchObject({ ...facts, name: old.key.name, services: ['rest'] });
    // As long a life as the old one was made for, from now on.
    expect(key.expiresAt).toEqual(new Date(nowMs + 90 * daySeconds * 1000));
    expect(text).not.toBe(old.text);
    expect([ask(old.text), ask(text)]).toEqual(['authenticated', 'authenticated']);
    nowMs += daySeconds * 1000 - 1;
    await keys.follow();
    expect(ask(old.text)).toBe('authenticated');
    nowMs += 1;
    await keys.follow();
    expect([ask(old.text), ask(text)]).toEqual(['expired_key', 'authenticated']);
    expect(await listed(old.key.id)).toMatchObject({ replacedBy: key.id });
  });

  it('does not give an old key more time than it had', async () => {
    const old = await create({ expiresInSeconds: 3600 });
    await rotate(old.key.id, daySeconds);
    expect((await listed(old.key.id))?.expiresAt).toEqual(old.key.expiresAt);
  });

  it('ends the old one at once without an overlap', async () => {
    const old = await create();
    const { text } = await rotate(old.key.id, 0);
    expect([ask(old.text), ask(text)]).toEqual(['expired_key', 'anon']);
  });

  it('is refused for a key that ended, that was replaced, that there is not, and for an overlap that is none', async () => {
    const [revoked, replaced, good] = [await create(), await create(), await create()];
    await revoke(revoked.key.id);
    await rotate(replaced.key.id, daySeconds);
    expect(await codeOf(rotate(revoked.key.id, 0))).toEqual([409, 'key_ended']);
    expect(await codeOf(rotate(replaced.key.id, 0))).toEqual([409, 'key_ended']);
    expect(await codeOf(rotate('000000000000', 0))).toEqual([404, 'no_such_key']);
    expect(await codeOf(rotate(good.key.id, -1))).toEqual([422, 'invalid_key']);
    expect(await codeOf(rotate(good.key.id, 91 * daySeconds))).toEqual([422, 'invalid_key']);
  });
});

describe('another process', () => {
  it('hears of a new key and of its end by the fan-out', async () => {
    const other = await test.open();
    const elsewhere = await openProcess(other);
    try {
      const { text, key } = await create();
      await vi.waitFor(() => expect(ask(text, 'rest', undefined, elsewhere)).toBe('anon'), 5_000);
      await revoke(key.id);
      await vi.waitFor(() => expect(ask(text, 'rest', undefined, elsewhere)).toBe('revoked_key'), 5_000);
    } finally {
      await elsewhere.close();
      await other.close();
    }
  });

  it('that hears nothing sees it when it looks by itself', async () => {
    const deaf = await openProcess(database, { deaf: true });
    const { text, key } = await create();
    const look = deaf.tasks.find(({ name }) => name === 'api keys: follow')!;
    expect(look).toMatchObject({ everySeconds: pollSeconds, scope: 'each' });
    expect(ask(text, 'rest', undefined, deaf)).toBe('unknown_key');
    await look.run();
    expect(ask(text, 'rest', undefined, deaf)).toBe('anon');
    // By hand, as in an emergency.
    await test.run(
      `update _millrace.api_keys set revoked_at = now() where id = '${key.id}'`,
      'supabase_admin',
    );
    expect(ask(text, 'rest', undefined, deaf)).toBe('anon');
    await look.run();
    expect(ask(text, 'rest', undefined, deaf)).toBe('revoked_key');
  });

  it('that is cut off from the database lets no key live longer than it says', async () => {
    let cutOff = false;
    const db: Pick<Db, 'asOwner'> = {
      asOwner: (owner, run) =>
        cutOff
          ? Promise.reject(new DatabaseUnavailable('unreachable', 'gone', 1))
          : database.db.asOwner(owner, run),
    };
    const { text } = await create();
    const alone = await openProcess(database, { db, deaf: true });
    cutOff = true;
    await expect(alone.follow()).rejects.toThrow('gone');
    nowMs += maxUnconfirmedSeconds * 1000;
    expect(ask(text, 'rest', undefined, alone)).toBe('anon');
    nowMs += 1;
    expect(ask(text, 'rest', undefined, alone)).toBeInstanceOf(DatabaseUnavailable);
    cutOff = false;
    await alone.follow();
    expect(ask(text, 'rest', undefined, alone)).toBe('anon');
  });

  it('does not miss what was committed while it was reading', async () => {
    const { text, key } = await create();
    // The first look is under way when the key is revoked; the second call must not be answered by it.
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let looks = 0;
    const slow = await openProcess(database, {
      deaf: true,
      db: {
        asOwner: (owner, run) =>
          database.db.asOwner(owner, async (client) => {
            const answer = await run(client);
            if (++looks === 2) await held;
            return answer;
          }),
      },
    });
    const first = slow.follow();
    await vi.waitFor(() => expect(looks).toBe(2));
    await revoke(key.id);
    const second = slow.follow();
    release();
    await first;
    await second;
    expect(ask(text, 'rest', undefined, slow)).toBe('revoked_key');
  });
});

describe('the last use', () => {
  const write = () => keys.tasks.find(({ name }) => name === 'api keys: last use')!.run();

  it('is written once a minute at most for all keys at once, and only for keys that were let in', async () => {
    const [used, unused, refused] = [await create(), await create(), await create({ services: ['auth'] })];
    nowMs += 1_000;
    ask(used.text);
    ask(refused.text);
    expect((await listed(used.key.id))?.lastUsedAt).toBeNull();
    await write();
    expect((await listed(used.key.id))?.lastUsedAt).toEqual(new Date(nowMs));
    expect((await listed(unused.key.id))?.lastUsedAt).toBeNull();
    expect((await listed(refused.key.id))?.lastUsedAt).toBeNull();
    expect(keys.tasks.find(({ name }) => name === 'api keys: last use')).toMatchObject({ everySeconds: 60 });
  });

  it('does not go back when another process was later', async () => {
    const { text, key } = await create();
    ask(text);
    const later = new Date(nowMs + 5_000);
    await test.run(
      `update _millrace.api_keys set last_used_at = '${later.toISOString()}' where id = '${key.id}'`,
      'supabase_admin',
    );
    await write();
    expect((await listed(key.id))?.lastUsedAt).toEqual(later);
  });

  it('survives a reload of the keys that comes before it was written', async () => {
    const { text, key } = await create();
    ask(text);
    await create();
    await write();
    expect((await listed(key.id))?.lastUsedAt).toEqual(new Date(nowMs));
  });

  it('is written at the end of the process', async () => {
    const process = await openProcess(database);
    const { text, key } = await create();
    await process.follow();
    process.callerOf(text, 'rest', undefined);
    await process.close();
    expect((await listed(key.id))?.lastUsedAt).toEqual(new Date(nowMs));
  });
});

describe('keys that ended', () => {
  it('leave the list after 90 days, with the replaced ones', async () => {
    const old = await create();
    const { key } = await rotate(old.key.id, 0);
    await revoke(key.id);
    const kept = await create();
    await test.run(
      `update _millrace.api_keys set revoked_at = now() - interval '91 days' where id in ('${old.key.id}', '${key.id}')`,
      'supabase_admin',
    );
    await keys.tasks.find(({ name }) => name === 'api keys: forget ended')!.run();
    expect(await listed(old.key.id)).toBeUndefined();
    expect(await listed(key.id)).toBeUndefined();
    expect(await listed(kept.key.id)).toBeDefined();
  });
});

describe('in a request', () => {
  const open = () =>
    openIdentity({
      keys: { publishable: 'sb_publishable_p', secret: 'sb_secret_s', anon: 'unused', serviceRole: 'unused' },
      issued: keys,
      tokenKeys: () => undefined,
      rules: () => ({ anonymousRole: 'anon', audience: undefined, roleOf: () => undefined }),
      anonymousWithoutKey: () => true,
      now: () => nowMs,
    });

  it('stands in the header apikey, in Authorization, or in both as supabase-js sends it; it is known at once', async () => {
    const { text, key } = await create({ role: 'service_role', services: ['rest'] });
    for (const [authorization, apikey] of [
      [undefined, text],
      [`Bearer ${text}`, undefined],
      [`Bearer ${text}`, text],
    ] as const) {
      expect(open().callerOf(authorization, apikey, 'rest', '192.0.2.1')).toMatchObject({
        role: 'service_role',
        by: 'key',
        key: { id: key.id },
      });
      expect(() => open().callerOf(authorization, apikey, 'auth', '192.0.2.1')).toThrow(
        'key_not_for_service',
      );
      // Whoever does not say which service it is gets nothing out of a key that is for some.
      expect(() => open().callerOf(authorization, apikey)).toThrow('key_not_for_service');
    }
  });

  it('is refused beside a token, too, before the token is looked at', async () => {
    const { text, key } = await create();
    await revoke(key.id);
    expect(() => open().callerOf('Bearer a.b.c', text, 'rest')).toThrow('revoked_key');
  });

  it('beside a user’s token leaves the user as they are, and narrows them', async () => {
    const secret = new TextEncoder().encode('a secret of at least thirty-two characters');
    const token = await new SignJWT({ role: 'authenticated' })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('ada')
      .sign(secret);
    const identity = openIdentity({
      keys: { publishable: 'sb_publishable_p', secret: 'sb_secret_s', anon: 'unused', serviceRole: 'unused' },
      issued: keys,
      tokenKeys: () => ({ secret, jwks: { keys: [] } }),
      rules: () => ({
        anonymousRole: 'anon',
        audience: undefined,
        roleOf: ({ role }) => (typeof role === 'string' ? role : undefined),
      }),
      anonymousWithoutKey: () => true,
      now: () => nowMs,
    });
    const { text, key } = await create({ role: 'service_role', tables: ['shop_'] });
    const user = { role: 'authenticated', subject: 'ada', by: 'token' };
    expect(await identity.callerOf(`Bearer ${token}`, text, 'rest')).toMatchObject({
      ...user,
      key: { id: key.id, tables: [{ schema: undefined, prefix: 'shop_' }] },
    });
    // The token is remembered, the key's scope is not: it belongs to the request.
    const alone = await identity.callerOf(`Bearer ${token}`, 'sb_publishable_p', 'rest');
    expect(alone).toMatchObject(user);
    expect(alone).not.toHaveProperty('key');
  });

  it('means nothing where there are no keys of our own', () => {
    const identity = openIdentity({
      keys: { publishable: 'sb_publishable_p', secret: 'sb_secret_s', anon: 'unused', serviceRole: 'unused' },
      tokenKeys: () => undefined,
      rules: () => ({ anonymousRole: 'anon', audience: undefined, roleOf: () => undefined }),
      anonymousWithoutKey: () => true,
      now: () => nowMs,
    });
    expect(() => identity.callerOf(undefined, newKeyText(), 'rest')).toThrow('unknown_key');
  });
});
