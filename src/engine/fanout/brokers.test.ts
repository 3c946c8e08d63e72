// In charge of: what processes hear of each other by a real broker, and what they know when it is gone, held up, or says what nobody said.
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Broker, type BrokerKind, hasBroker, startBroker } from '../../../test/harness/brokers.ts';
import { makeAuthority } from '../../../test/harness/certificates.ts';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import { OperatorError } from '../../base/errors.ts';
import type { Observation } from '../../base/observe.ts';
import type { Database } from '../db/database.ts';
import { makeFolder, removeFolder } from '../db/postgres/test-support.ts';
import { parseBrokerUrl } from './address.ts';
import type { BrokerFanout } from './broker-fanout.ts';
import type { Carrier } from './carrier.ts';
import { connectNats } from './nats.ts';
import { type OpenFanoutOptions, openFanoutBy } from './open.ts';
import { connectRedis } from './redis.ts';

let test: TestDatabase;
let other: TestDatabase;
let database: Database;
let otherDatabase: Database;
let folder: string;
beforeAll(async () => {
  [test, other] = [await openTestDatabase(), await openTestDatabase()];
  [database, otherDatabase] = [await test.open(), await other.open()];
  folder = await makeFolder();
});
const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});
afterAll(async () => {
  await database.close();
  await otherDatabase.close();
  await test[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await removeFolder(folder);
});

const masterKey = randomBytes(32).toString('hex');

interface Process {
  readonly fanout: BrokerFanout;
  readonly observed: Observation[];
  /** What it heard on channel `c`, and `gap` where something may be missing. */
  readonly heard: unknown[];
  /** What `meet` said. */
  readonly met: ReadonlySet<unknown>;
  kinds(): readonly string[];
}

async function openProcess(url: string, more: Partial<OpenFanoutOptions> = {}): Promise<Process> {
  const observed: Observation[] = [];
  const fanout = await openFanoutBy({
    broker: parseBrokerUrl(url)!,
    prefix: '',
    ca: undefined,
    masterKey,
    db: database.db,
    observe: (observation) => observed.push(observation),
    signal: new AbortController().signal,
    startWithinMs: 300,
    ...more,
  });
  opened.push(() => fanout.close());
  const heard: unknown[] = [];
  const met = new Set<unknown>();
  const hear = (payload: unknown) => {
    if (typeof payload === 'string' && payload.startsWith('meet ')) met.add(payload);
    else heard.push(payload);
  };
  fanout.subscribe('c', hear, () => heard.push('gap'));
  return { fanout, observed, heard, met, kinds: () => observed.map(({ kind }) => kind) };
}

/** Until each of them hears what the others say. */
async function meet(...processes: readonly Process[]): Promise<void> {
  for (const { fanout } of processes)
    for (const { met } of processes) {
      const token = `meet ${randomUUID()}`;
      const isHeard = async () => {
        await fanout.publish('c', token).catch(() => {});
        return met.has(token);
      };
      await expect.poll(isHeard).toBe(true);
    }
}

const refusal = (url: string, more: Partial<OpenFanoutOptions> = {}) =>
  openProcess(url, more).then(
    () => 'no refusal',
    (error: unknown) => {
      expect(error).toBeInstanceOf(OperatorError);
      const { message, hint } = error as OperatorError;
      return `${message} ${hint}`;
    },
  );

const withLogin = (url: string, login: string) => url.replace('//', `//${login}@`);
const connectors: Readonly<Record<BrokerKind, typeof connectNats>> = {
  nats: connectNats,
  redis: connectRedis,
};

describe.each([{ kind: 'nats' as const }, { kind: 'redis' as const }].filter(({ kind }) => hasBroker(kind)))(
  'between processes, by $kind',
  ({ kind }) => {
    let broker: Broker;
    beforeAll(async () => {
      broker = await startBroker(kind);
    });
    afterAll(() => broker[Symbol.asyncDispose]());

    it('all hear what one says, itself included, in its order and whatever it is', async () => {
      const [one, two] = [await openProcess(broker.url), await openProcess(broker.url)];
      await meet(one, two);
      // Larger than a message of NATS may be, and with what Postgres's JSON has not.
      const large = 'x'.repeat(3 * 1024 * 1024);
      const said = [1, { odd: 'zero \u0000, ✓' }, large, null, [2]];
      await Promise.all(said.map((payload) => one.fanout.publish('c', payload)));
      for (const { heard } of [one, two]) await expect.poll(() => heard).toEqual(said);
      await expect(one.fanout.publish('c', 'x'.repeat(17 * 1024 * 1024))).rejects.toMatchObject({
        reason: 'too_large',
      });
      // Who did not hear it learns that there was something.
      await one.fanout.publish('c', 'behind');
      await expect.poll(() => two.heard.slice(said.length)).toEqual(['gap', 'behind']);
      expect(two.observed).toMatchObject([{ kind: 'fanout.missed', level: 'warn', count: 1 }]);
    });

    it('of two databases, or with another master key, nobody hears the other', async () => {
      const mine = await openProcess(broker.url);
      const theirs = await openProcess(broker.url, { db: otherDatabase.db });
      const stranger = await openProcess(broker.url, {
        masterKey: 'another master key, of as many characters',
      });
      for (const process of [mine, theirs, stranger]) await meet(process);
      for (const [at, { fanout }] of [theirs, stranger, mine].entries()) await fanout.publish('c', at);
      await expect.poll(() => [theirs.heard, stranger.heard, mine.heard]).toEqual([[0], [1], [2]]);
      expect(mine.kinds()).toEqual(['fanout.refused']);
      expect(theirs.kinds()).toEqual([]);
    });

    it('what no process said ends nothing and is not heard, nor what comes twice', async () => {
      const prefix = `shared.${randomUUID().slice(0, 8)}`;
      const [one, two] = [
        await openProcess(broker.url, { prefix }),
        await openProcess(broker.url, { prefix }),
      ];
      await meet(one, two);
      const frames: Uint8Array[] = [];
      const intruder: Carrier = await connectors[kind](parseBrokerUrl(broker.url)!, {
        ca: undefined,
        onAway() {},
        onBack() {},
        onComplaint() {},
      });
      opened.push(() => intruder.close());
      intruder.listen(`${prefix}.c`, (frame) => frames.push(Buffer.from(frame)));
      let count = 0;
      const isCopied = async () => {
        await one.fanout.publish('c', 'told');
        count += 1;
        return frames.length > 0;
      };
      await expect.poll(isCopied).toBe(true);
      await expect.poll(() => two.heard.length).toBe(count);
      for (const bytes of [Buffer.alloc(0), Buffer.from('{}'), randomBytes(20_000), Buffer.from(frames[0]!)])
        await intruder.send(`${prefix}.c`, bytes);
      await one.fanout.publish('c', 'behind');
      await expect.poll(() => two.heard.slice(count)).toEqual(['behind']);
      expect(two.observed[0]).toMatchObject({ kind: 'fanout.refused', level: 'warn', count: 1 });
      expect(frames.some((frame) => Buffer.from(frame).includes('told'))).toBe(false);
    });

    it('a broker that is killed and comes back is said; what waits is told, and a gap behind what was missed', async () => {
      const [one, two] = [await openProcess(broker.url), await openProcess(broker.url)];
      await meet(one, two);
      await broker.kill();
      await expect
        .poll(() => [one.fanout.trouble(), two.fanout.trouble()])
        .toEqual([
          expect.stringContaining(`the broker ${broker.url} is away since `),
          expect.stringContaining(`the broker ${broker.url} is away since `),
        ]);
      const waiting = one.fanout.publish('c', 'waited').catch((error: unknown) => error);
      await broker.start();
      const outcome = await waiting;
      await meet(one, two);
      // A busy machine may take longer to come back than a message waits.
      if (outcome === undefined) expect(one.heard).toContain('waited');
      else expect(outcome).toMatchObject({ reason: 'away' });
      for (const { heard, kinds, fanout } of [one, two]) {
        expect(heard).toContain('gap');
        expect(kinds()).toEqual(expect.arrayContaining(['fanout.away', 'fanout.back']));
        expect(fanout.trouble()).toBeUndefined();
      }
    });

    it('away for long, it costs nobody time: what cannot be told is refused at once, and a stop waits for nothing', async () => {
      const one = await openProcess(broker.url);
      await broker.kill();
      await expect.poll(() => one.fanout.trouble()).toBeDefined();
      await expect.poll(() => one.fanout.publish('c', 1).catch(({ reason }) => reason)).toBe('away');
      const refused = await Promise.all(
        Array.from({ length: 100 }, () =>
          one.fanout.publish('c', 'x'.repeat(1024 * 1024)).catch(({ reason }) => reason),
        ),
      );
      expect(new Set(refused)).toEqual(new Set(['away']));
      await one.fanout.close();
      await broker.start();
    });

    it('held up, it is given so much and no more', async () => {
      const [one, two] = [await openProcess(broker.url), await openProcess(broker.url)];
      await meet(one, two);
      broker.hold();
      const outcomes = await Promise.all(
        Array.from({ length: 40 }, () =>
          one.fanout.publish('c', 'x'.repeat(1024 * 1024 - 2)).then(
            () => 'sent',
            ({ reason }) => reason as string,
          ),
        ),
      );
      broker.goOn();
      expect(outcomes.filter((outcome) => outcome === 'full')).toHaveLength(8);
      expect(outcomes).not.toContain('sent');
      await meet(one, two);
      await expect.poll(() => one.fanout.trouble()).toBeUndefined();
    });

    it('is encrypted where the URL says so, and its certificate is looked at', async () => {
      const authority = await makeAuthority();
      const { cert, key } = await authority.issue();
      const [certPath, keyPath] = [join(folder, `${kind}.crt`), join(folder, `${kind}.key`)];
      await writeFile(certPath, cert);
      await writeFile(keyPath, key);
      await using encrypted = await startBroker(
        kind,
        kind === 'nats'
          ? ['--tls', '--tlscert', certPath, '--tlskey', keyPath]
          : [
              '--port',
              '0',
              '--tls-port',
              'PORT',
              '--tls-cert-file',
              certPath,
              '--tls-key-file',
              keyPath,
              '--tls-auth-clients',
              'no',
            ],
        kind === 'nats' ? 'tls' : 'valkeys',
      );
      const ca = authority.cert;
      const [one, two] = [await openProcess(encrypted.url, { ca }), await openProcess(encrypted.url, { ca })];
      await meet(one, two);
      for (const { fanout } of [one, two]) await fanout.close();
      expect(await refusal(encrypted.url)).toMatch(
        /^The broker \w+:\/\/127\.0\.0\.1:\d+ of \[fanout\]\.url cannot be reached: .*certificate.*\. Start it, /,
      );
      expect(await refusal(broker.url, { ca })).toMatch(
        /^\[fanout\]\.tls_ca_path is set, but .* is not encrypted\./,
      );
    });

    it('one that is not there, does not know us, or lets us not speak, is said at start with the next move and without a password', async () => {
      const login = withLogin(broker.url, 'me:hush');
      await broker.kill();
      expect(await refusal(login)).toMatch(
        new RegExp(
          `^The broker ${broker.url} of \\[fanout\\]\\.url cannot be reached: .+\\. Start it, correct the URL, or take it out: then Postgres carries what processes tell each other\\.$`,
        ),
      );
      await broker.start();
      const narrow = join(folder, 'narrow.conf');
      await writeFile(
        narrow,
        'authorization { users = [{ user: me, password: hush, permissions: { publish: "else.>", subscribe: ">" } }] }',
      );
      await using guarded = await startBroker(
        kind,
        kind === 'nats'
          ? ['--config', narrow]
          : ['--requirepass', 'other', '--user', 'me', 'on', '>hush', '~*', '&else.*', '+@all'],
      );
      for (const wrong of [guarded.url, withLogin(guarded.url, 'me:wr0ng')]) {
        const said = await refusal(wrong);
        expect(said).toMatch(
          /^The broker \w+:\/\/127\.0\.0\.1:\d+ does not let this program in: .+ Put user and password into/,
        );
        expect(said).not.toContain('wr0ng');
      }
      const said = await refusal(withLogin(guarded.url, 'me:hush'));
      expect(said).toMatch(
        /^What this program says at the broker \w+:\/\/127\.0\.0\.1:\d+ does not come back to it: .+ Its user has to be allowed .*"millrace\.[0-9a-f]{12}\./,
      );
      expect(said).not.toContain('hush');
    });
  },
);
