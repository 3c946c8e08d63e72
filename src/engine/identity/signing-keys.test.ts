// In charge of: signing keys from their making to their end, over a real database, in one process and in several.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { decodeProtectedHeader } from 'jose';
import type { PoolClient } from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import { errorCode, Fault } from '../../base/errors.ts';
import type { Observation } from '../../base/observe.ts';
import type { Database } from '../db/database.ts';
import { DatabaseUnavailable, type Db } from '../db/db.ts';
import { openLocalFanout } from '../db/fanout.ts';
import { openSecrets, type Secrets } from '../secrets/secrets.ts';
import { developmentSigningKey } from './development-secrets.ts';
import { CredentialsRefused } from './refused.ts';
import { newSigningKey, parseSigningKey } from './signing.ts';
import { announcedSeconds, listSigningKeys } from './signing-key-store.ts';
import {
  fixedSigningKeys,
  maxUnconfirmedSigningSeconds,
  openSigningKeys,
  type SigningKeyChanges,
  type SigningKeys,
  signingPollSeconds,
} from './signing-keys.ts';
import type { SignerAsk, SignerTask } from './test-signer.ts';
import { openTokens, type Tokens } from './tokens.ts';

const masterKey = 'the-master-key-of-this-test-0123456789-0123';
const jwtSecret = 'a-secret-that-nobody-may-read-0123456789';
const startMs = Date.UTC(2026, 10, 22, 12);

let nowMs: number;
let test: TestDatabase;
let database: Database;
let observed: Observation[];
let signing: SigningKeys;
let secrets: Secrets;
const opened: SigningKeys[] = [];

beforeEach(async () => {
  nowMs = startMs;
  observed = [];
  test = await openTestDatabase();
  database = await test.open();
});
afterEach(async () => {
  for (const one of opened.splice(0)) one.close();
  await database?.close();
  await test?.[Symbol.asyncDispose]();
});

async function openKeyring(current = masterKey, previous: readonly string[] = []): Promise<Secrets> {
  const keys = {
    current,
    previous,
    from: 'MILLRACE_MASTER_KEY',
    isChanging: false,
    isNew: false,
    write: undefined,
  };
  return openSecrets({
    db: database.db,
    keys: { ...keys, read: async () => [], discard: async () => {} },
    observe: () => {},
  });
}

async function openProcess(
  options: { readonly db?: Pick<Db, 'asOwner'>; readonly deaf?: boolean; readonly secrets?: Secrets } = {},
): Promise<SigningKeys> {
  const one = await openSigningKeys({
    db: options.db ?? database.db,
    fanout: options.deaf ? openLocalFanout() : database.fanout,
    secrets: options.secrets ?? secrets,
    jwtSecret: Buffer.from(jwtSecret),
    observe: (observation) => void observed.push(observation),
    now: () => nowMs,
  });
  opened.push(one);
  return one;
}

async function start(): Promise<void> {
  secrets = await openKeyring();
  signing = await openProcess();
}

/** A change as the operator plane makes it: one transaction, told to all, in force here when it resolves. */
async function change<T>(run: (changes: SigningKeyChanges, client: PoolClient) => Promise<T>): Promise<T> {
  const result = await database.db.asOwner('millrace_admin', async (client) => {
    await client.query('begin');
    const answer = await run(signing.changes!, client);
    await client.query('commit');
    return answer;
  });
  await signing.follow();
  return result;
}
const standby = async (key = newSigningKey('ES256')) => {
  const made = await key;
  return change((changes, client) => changes.standby(client, made, 'local:ada'));
};
const rotate = (hurried = true) => change((changes, client) => changes.rotate(client, hurried));
const revoke = (id: string, endsLegacyKeys = false) =>
  change((changes, client) => changes.revoke(client, id, endsLegacyKeys));
const standBy = (id: string) => change((changes, client) => changes.standBy(client, id));
const remove = (id: string) => change((changes, client) => changes.remove(client, id));
const listed = async () =>
  (await database.db.asOwner('millrace_admin', listSigningKeys)).map(({ id, algorithm, status }) => [
    id === 'legacy' ? id : algorithm,
    status,
  ]);

const rules = {
  anonymousRole: undefined,
  audience: undefined,
  roleOf: ({ role }: { role?: unknown }) => String(role),
};
const tokensOf = (keys: SigningKeys): Tokens =>
  openTokens(
    keys.tokenKeys,
    () => rules,
    () => nowMs,
  );
let people = 0;
const sign = (keys = signing) => keys.sign({ sub: `person-${++people}`, role: 'authenticated' });

/** `memory` or `fresh`, or why not. */
async function judge(tokens: Tokens, token: string): Promise<unknown> {
  try {
    if (tokens.verifyNow(token) !== undefined) return 'memory';
    await tokens.verify(token);
    return 'fresh';
  } catch (error) {
    return error instanceof CredentialsRefused ? error.reason : error;
  }
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no refusal',
    (error: unknown) => (error instanceof Fault ? [error.status, error.code] : errorCode(error)),
  );
const publishedKids = (keys = signing) => keys.jwks().keys.map(({ kid }) => kid);

describe('the first start', () => {
  it('of a new project makes an ES256 key that signs; the JWT secret still verifies the legacy API keys', async () => {
    await start();
    expect(await listed()).toEqual([
      ['ES256', 'current'],
      ['legacy', 'previous'],
    ]);
    const token = await sign();
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', kid: signing.currentKid(), typ: 'JWT' });
    expect(publishedKids()).toEqual([signing.currentKid()]);
    expect(await judge(tokensOf(signing), token)).toBe('fresh');
    expect(signing.tokenKeys().secret).toEqual(Buffer.from(jwtSecret));
    expect(signing.notices).toEqual([]);
  });

  it('of a project that had people before goes on with the JWT secret; an ES256 key stands by', async () => {
    await test.run(`insert into auth.users (id) values (gen_random_uuid())`, 'supabase_auth_admin');
    await start();
    expect(await listed()).toEqual([
      ['ES256', 'standby'],
      ['legacy', 'current'],
    ]);
    const token = await sign();
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'JWT' });
    expect(publishedKids()).toHaveLength(1);
    expect(signing.notices[0]).toMatch(/^Tokens are signed by the JWT secret/);
    const tokens = tokensOf(signing);
    await tokens.verify(token);
    await rotate();
    expect(decodeProtectedHeader(await sign()).alg).toBe('ES256');
    expect(await judge(tokens, token)).toBe('memory');
  });

  it('of many processes at once makes one key', async () => {
    secrets = await openKeyring();
    const all = await Promise.all(Array.from({ length: 6 }, () => openProcess()));
    expect(new Set(all.map((one) => one.currentKid())).size).toBe(1);
    expect(await listed()).toHaveLength(2);
  });

  it('later ones find the keys that there are', async () => {
    await start();
    const again = await openProcess();
    expect(again.currentKid()).toBe(signing.currentKid());
    expect(await judge(tokensOf(again), await sign())).toBe('fresh');
  });
});

describe('a rotation', () => {
  beforeEach(start);

  it('publishes the key before it signs, and the one before it verifies afterwards', async () => {
    const [first, old] = [signing.currentKid(), await sign()];
    const { id } = await standby();
    expect([signing.currentKid(), publishedKids()]).toEqual([first, [first, id]]);
    nowMs += announcedSeconds * 1000;
    await signing.follow();
    await rotate(false);
    expect([signing.currentKid(), publishedKids()]).toEqual([id, [id, first]]);
    expect(await judge(tokensOf(signing), old)).toBe('fresh');
    expect(decodeProtectedHeader(await sign()).kid).toBe(id);
    expect(await listed()).toEqual([
      ['ES256', 'current'],
      ['ES256', 'previous'],
      ['legacy', 'previous'],
    ]);
  });

  it('waits until others can know the key, unless it is hurried', async () => {
    await standby();
    nowMs += announcedSeconds * 1000 - 1;
    await signing.follow();
    expect(await codeOf(rotate(false))).toEqual([409, 'standby_too_new']);
    expect(await codeOf(rotate(true))).toBe('no refusal');
  });

  it('needs a key that stands by, of which there is one', async () => {
    expect(await codeOf(rotate())).toEqual([409, 'no_standby']);
    await standby();
    expect(await codeOf(standby())).toEqual([409, 'standby_exists']);
    await rotate();
    const [, previous] = publishedKids();
    await standby();
    expect(await codeOf(standBy(previous!))).toEqual([409, 'standby_exists']);
  });

  it('takes a key that was made elsewhere, and forgets nothing that was verified', async () => {
    const tokens = tokensOf(signing);
    const token = await sign();
    await tokens.verify(token);
    const key = parseSigningKey(developmentSigningKey);
    if (typeof key === 'string') throw new Error(key);
    await standby(Promise.resolve(key));
    await rotate();
    expect(decodeProtectedHeader(await sign()).kid).toBe(developmentSigningKey.kid);
    expect(await judge(tokens, token)).toBe('memory');
    expect(await codeOf(standby(Promise.resolve(key)))).toEqual([409, 'signing_key_exists']);
  });

  it.each(['RS256', 'EdDSA', 'HS256'] as const)(
    'to %s works alike; a secret is not published',
    async (algorithm) => {
      const old = await sign();
      const { id } = await standby(newSigningKey(algorithm));
      await rotate();
      const token = await sign();
      expect(decodeProtectedHeader(token)).toEqual({ alg: algorithm, kid: id, typ: 'JWT' });
      const tokens = tokensOf(signing);
      expect([await judge(tokens, token), await judge(tokens, old)]).toEqual(['fresh', 'fresh']);
      expect(publishedKids().includes(id)).toBe(algorithm !== 'HS256');
      expect(JSON.stringify(signing.jwks())).not.toMatch(/"[dk]":/);
    },
  );
});

describe('the end of a key', () => {
  beforeEach(start);

  it('comes at once, also for tokens that were verified before; other keys’ tokens stay', async () => {
    const tokens = tokensOf(signing);
    const old = await sign();
    const first = signing.currentKid()!;
    await standby();
    await rotate();
    const young = await sign();
    for (const token of [old, young]) await tokens.verify(token);
    expect([await judge(tokens, old), await judge(tokens, young)]).toEqual(['memory', 'memory']);
    expect((await revoke(first)).changed).toBe(true);
    expect([await judge(tokens, old), await judge(tokens, young)]).toEqual(['no_suitable_key', 'fresh']);
    expect(publishedKids()).not.toContain(first);
    expect((await revoke(first)).changed).toBe(false);
  });

  it('is refused for the key that signs, and for the JWT secret while the legacy API keys are not given up', async () => {
    expect(await codeOf(revoke(signing.currentKid()!))).toEqual([409, 'signing_key_in_use']);
    expect(await codeOf(revoke('legacy'))).toEqual([409, 'legacy_keys_end']);
    await revoke('legacy', true);
    expect(signing.tokenKeys().secret).toBeUndefined();
    expect(await codeOf(revoke('nobody'))).toEqual([404, 'no_such_signing_key']);
  });

  it('can be taken back: the key verifies again, and can be made to sign', async () => {
    const old = await sign();
    const first = signing.currentKid()!;
    await standby();
    await rotate();
    await revoke(first);
    await standBy(first);
    expect(await judge(tokensOf(signing), old)).toBe('fresh');
    await rotate();
    expect(signing.currentKid()).toBe(first);
  });

  it('is for good when it is deleted, and nothing of it is left', async () => {
    const first = signing.currentKid()!;
    await standby();
    await rotate();
    expect(await codeOf(remove(first))).toEqual([409, 'signing_key_not_revoked']);
    await revoke(first);
    await remove(first);
    expect(await codeOf(standBy(first))).toEqual([404, 'no_such_signing_key']);
    const rows = await test.run(
      `select id from _millrace.secrets where purpose = 'signing key'`,
      'supabase_admin',
    );
    expect(rows).toEqual([{ id: signing.currentKid() }]);
    await revoke('legacy', true);
    expect(await codeOf(remove('legacy'))).toEqual([409, 'signing_key_not_revoked']);
  });
});

describe('in the database', () => {
  beforeEach(start);

  it('nothing of a key can be read, and without the master key no process starts', async () => {
    const made = await newSigningKey('ES256');
    await standby(Promise.resolve(made));
    const rows = await test.run(`select sealed from _millrace.secrets`, 'supabase_admin');
    const seen = Buffer.concat(rows.map(({ sealed }) => sealed as Buffer));
    for (const secret of [made.whole.d!, made.whole.kid!, '"kty"']) expect(seen.includes(secret)).toBe(false);
    await expect(openKeyring('another-master-key-0123456789-0123456789')).rejects.toThrow(
      'MILLRACE_MASTER_KEY is not the master key',
    );
  });

  it('a key that was put in the place of another signs nothing and verifies nothing', async () => {
    const { id } = await standby();
    const first = signing.currentKid()!;
    const old = await sign();
    await test.run(
      `update _millrace.secrets set sealed = (select sealed from _millrace.secrets where id = '${first}') where id = '${id}'`,
      'supabase_admin',
    );
    await signing.follow();
    expect(publishedKids()).toEqual([first]);
    expect(observed.filter(({ kind }) => kind === 'signing_keys.unreadable')).toMatchObject([
      { id, status: 'standby' },
    ]);
    expect(await judge(tokensOf(signing), old)).toBe('fresh');
  });

  it('a start without the key that signs says so', async () => {
    await test.run(
      `update _millrace.secrets set sealed = set_byte(sealed, 40, 0) where purpose = 'signing key'`,
      'supabase_admin',
    );
    await test.run(
      `update _millrace.secrets set sealed = set_byte(sealed, 40, 1) where purpose = 'signing key'`,
      'supabase_admin',
    );
    await expect(openProcess()).rejects.toThrow(
      'The key that signs tokens cannot be read from the database.',
    );
  });

  it('a change of the master key disturbs no process, not even one that does not have the new one yet', async () => {
    const tokens = tokensOf(signing);
    const token = await sign();
    await tokens.verify(token);
    const kid = signing.currentKid();
    await openKeyring('another-master-key-0123456789-0123456789', [masterKey]);
    await signing.follow();
    expect([signing.currentKid(), await judge(tokens, token)]).toEqual([kid, 'memory']);
    expect(await judge(tokens, await sign())).toBe('fresh');
    expect(await codeOf(standby())).toEqual([503, 'master_key_changed']);
  });
});

describe('another process', () => {
  beforeEach(start);

  it('that hears nothing verifies a new key’s first token all the same, as it looks for it', async () => {
    const deaf = await openProcess({ deaf: true });
    const tokens = tokensOf(deaf);
    await standby();
    await rotate();
    const token = await sign();
    expect(deaf.currentKid()).not.toBe(signing.currentKid());
    expect(await judge(tokens, token)).toBe('fresh');
    expect(deaf.currentKid()).toBe(signing.currentKid());
  });

  it('looks for invented names together, and for those that it knows to be revoked not at all', async () => {
    let looks = 0;
    const db: Pick<Db, 'asOwner'> = {
      asOwner: (owner, run) => {
        looks += 1;
        return database.db.asOwner(owner, run);
      },
    };
    const first = signing.currentKid()!;
    const old = await sign();
    await standby();
    await rotate();
    await revoke(first);
    const deaf = await openProcess({ deaf: true, db });
    const tokens = tokensOf(deaf);
    looks = 0;
    for (let at = 0; at < 50; at++) expect(await judge(tokens, old)).toBe('no_suitable_key');
    expect(looks).toBe(0);
    const [, payload, signature] = old.split('.');
    const invented = Array.from({ length: 200 }, (_, at) => {
      const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: `kid-${at}` })).toString('base64url');
      return `${header}.${payload}.${signature}`;
    });
    const answers = await Promise.all(invented.map((token) => judge(tokens, token)));
    expect(new Set(answers)).toEqual(new Set(['no_suitable_key']));
    expect(looks).toBe(1);
  });

  it('that hears nothing sees a revocation when it looks by itself', async () => {
    const deaf = await openProcess({ deaf: true });
    const tokens = tokensOf(deaf);
    const first = signing.currentKid()!;
    const old = await sign();
    await tokens.verify(old);
    await standby();
    await rotate();
    await revoke(first);
    const [look] = deaf.tasks;
    expect(look).toMatchObject({ everySeconds: signingPollSeconds, scope: 'each' });
    expect(await judge(tokens, old)).toBe('memory');
    await look!.run();
    expect(await judge(tokens, old)).toBe('no_suitable_key');
  });

  it('that is cut off from the database trusts no key longer than it says', async () => {
    let cutOff = false;
    const db: Pick<Db, 'asOwner'> = {
      asOwner: (owner, run) =>
        cutOff
          ? Promise.reject(new DatabaseUnavailable('unreachable', 'gone', 1))
          : database.db.asOwner(owner, run),
    };
    const alone = await openProcess({ db, deaf: true });
    const tokens = tokensOf(alone);
    const token = await sign();
    await tokens.verify(token);
    cutOff = true;
    nowMs += maxUnconfirmedSigningSeconds * 1000;
    expect(await judge(tokens, token)).toBe('memory');
    nowMs += 1;
    expect(await judge(tokens, token)).toBeInstanceOf(DatabaseUnavailable);
    await expect(alone.sign({})).rejects.toThrow(DatabaseUnavailable);
    cutOff = false;
    await alone.follow();
    expect(await judge(tokens, token)).toBe('fresh');
  });
});

it('keys that are settings are used as they are: the development key signs, and nothing can be rotated', async () => {
  const jwks = { keys: [developmentSigningKey] };
  const fixed = fixedSigningKeys(Buffer.from(jwtSecret), jwks, developmentSigningKey);
  expect(decodeProtectedHeader(await sign(fixed))).toEqual({
    alg: 'ES256',
    kid: developmentSigningKey.kid,
    typ: 'JWT',
  });
  expect(fixed.changes).toBeUndefined();
  const plain = fixedSigningKeys(Buffer.from(jwtSecret), { keys: [] }, undefined);
  expect(decodeProtectedHeader(await sign(plain))).toEqual({ alg: 'HS256', typ: 'JWT' });
  expect(await judge(tokensOf(plain), await sign(plain))).toBe('fresh');
});

describe('two processes of their own', () => {
  /** A process that signs and verifies. */
  function startSigner() {
    const child: ChildProcess = fork(fileURLToPath(new URL('./test-signer.ts', import.meta.url)), {
      execArgv: [],
      execPath: process.execPath,
    });
    const waiting = new Map<number, (said: string) => void>();
    let asked = 0;
    const ready = new Promise<void>((resolve, reject) => {
      child.on('message', (message: 'ready' | { readonly id: number; readonly said: string }) => {
        if (message === 'ready') return resolve();
        waiting.get(message.id)?.(message.said);
        waiting.delete(message.id);
      });
      child.once('exit', (code) => reject(new Error(`the process ended with ${code}`)));
    });
    const ask = (what: Omit<SignerAsk, 'id'>) =>
      new Promise<string>((resolve) => {
        waiting.set(++asked, resolve);
        child.send({ ...what, id: asked });
      });
    const [authenticator, millrace_admin, supabase_auth_admin] = (
      ['authenticator', 'millrace_admin', 'supabase_auth_admin'] as const
    ).map((role) => test.login(role));
    child.send({
      logins: {
        authenticator: authenticator!,
        millrace_admin: millrace_admin!,
        supabase_auth_admin: supabase_auth_admin!,
      },
      masterKey,
      jwtSecret,
    } satisfies SignerTask);
    return {
      ready,
      sign: (sub: string) => ask({ sign: sub }),
      verify: (token: string) => ask({ verify: token }),
      async close() {
        if (child.exitCode !== null) return;
        child.disconnect();
        await once(child, 'exit');
      },
    };
  }

  it('rotate under load without one refused token, and refuse a revoked key’s within a moment, in memory too', async () => {
    nowMs = Date.now();
    await start();
    const signers = [startSigner(), startSigner()] as const;
    try {
      await Promise.all(signers.map(({ ready }) => ready));
      const answers = new Map<string, number>();
      const kids = new Set<string | undefined>();
      let last = { token: '', kid: '' as string | undefined };
      let going = true;
      const lane = async (at: number) => {
        for (let turn = 0; going; turn++) {
          const [signer, other] = turn % 2 === 0 ? signers : [signers[1], signers[0]];
          const token = await signer!.sign(`lane-${at}-${turn}`);
          const { kid } = decodeProtectedHeader(token);
          kids.add(kid);
          last = { token, kid };
          for (const one of [other!, signer!, other!]) {
            const said = await one.verify(token);
            answers.set(said, (answers.get(said) ?? 0) + 1);
          }
        }
      };
      const lanes = Array.from({ length: 8 }, (_, at) => lane(at));
      const made = [signing.currentKid()];
      for (let round = 0; round < 6; round++) {
        // Announced and put to use without a pause, which is harder than anything that an operator does without --now.
        made.push((await standby()).id);
        await rotate();
        const seen = answers.get('fresh') ?? 0;
        await vi.waitFor(() => {
          expect(kids).toContain(made.at(-1));
          expect(answers.get('fresh') ?? 0).toBeGreaterThan(seen + 20);
        }, 10_000);
      }
      going = false;
      await Promise.all(lanes);
      expect([...answers.keys()].sort()).toEqual(['fresh', 'memory']);
      expect([...kids].sort()).toEqual([...made].sort());

      const { token } = last;
      for (const { verify } of signers) expect(await verify(token)).toBe('memory');
      await standby();
      await rotate();
      await revoke(last.kid!);
      for (const { verify } of signers)
        await vi.waitFor(async () => expect(await verify(token)).toBe('no_suitable_key'), 5_000);
      for (const { sign: signElsewhere } of signers)
        expect(decodeProtectedHeader(await signElsewhere('later')).kid).toBe(signing.currentKid());
    } finally {
      await Promise.all(signers.map(({ close }) => close()));
    }
  });
});
