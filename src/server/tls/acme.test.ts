// In charge of: certificates by ACME, against an authority of the tests' own that checks every signature and really fetches every challenge.
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AcmeServer, openAcmeServer } from '../../../test/harness/acme-server.ts';
import { type Authority, makeAuthority } from '../../../test/harness/certificates.ts';
import type { Observation } from '../../base/observe.ts';
import { type Leases, openLocalLeases } from '../../engine/db/leases.ts';
import { openEgress } from '../../engine/egress/egress.ts';
import { openSettings } from '../../engine/settings/live.ts';
import { needsOrder, retryMs, type WhenLeader } from './acme.ts';
import { openAcmeStore } from './acme-store.ts';
import { leaderByLease } from './leader.ts';
import { openRedirect } from './redirect.ts';
import { tlsSettings } from './settings.ts';
import { openTls, type Tls } from './tls.ts';

const dayMs = 24 * 3600 * 1000;
const minuteMs = 60 * 1000;
const startMs = Date.now();
const lifetime = { notBefore: new Date(startMs), notAfter: new Date(startMs + 90 * dayMs) };

let authority: Authority;
let acme: AcmeServer;
let folder: string;
let seen: Observation[];
let clockMs: number;
/** Where the authority finds port 80 of the domains. */
let portOf80: number;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  authority = await makeAuthority();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr acme '));
  seen = [];
  clockMs = startMs;
  portOf80 = 1;
  acme = await openAcmeServer({ authority, resolve: () => ({ host: '127.0.0.1', port: portOf80 }) });
  acme.lifetime = lifetime;
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await acme[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Running {
  readonly tls: Tls;
  /** The fingerprint and the issuer that a new connection is shown. */
  shown(): Promise<{ readonly fingerprint: string; readonly issuer: unknown }>;
}

interface RunOptions {
  readonly toml?: Record<string, unknown>;
  readonly leases?: Leases;
  readonly whenLeader?: WhenLeader;
  /** Only one process of a machine has it. */
  readonly withoutRedirect?: boolean;
}

/** What the program does with these parts, without the program: the port, the redirect, and then the orders begin. */
async function run({ toml = {}, withoutRedirect, ...leading }: RunOptions = {}): Promise<Running> {
  const order = {
    enabled: true,
    accept_terms: true,
    email: 'ada@example.com',
    directory_url: acme.directoryUrl,
  };
  const file = { api: { tls: { enabled: true, redirect_port: 80, acme: { ...order, ...toml } } } };
  const observe = (event: Observation) => seen.push(event);
  const now = () => clockMs;
  const egress = openEgress({ allow: () => ['127.0.0.1'], observe: () => {}, now });
  closers.push(() => egress.close());
  const tls = await openTls({
    settings: openSettings([tlsSettings], { file, environment: {} }).of(tlsSettings).now(),
    supabaseFolder: folder,
    stateFolder: folder,
    host: '127.0.0.1',
    externalUrl: 'https://api.example',
    production: true,
    whenLeader: leading.whenLeader ?? leaderByLease(leading.leases ?? openLocalLeases(), 'tls.acme'),
    egress,
    observe,
    now,
    timing: { pollMs: 3_600_000, renewalCheckMs: 3_600_000, orderPollMs: 5, settleMs: 40 },
  });
  closers.push(() => tls.close());
  if (!withoutRedirect) {
    const redirect = await openRedirect({
      host: '127.0.0.1',
      port: 0,
      externalUrl: () => 'https://api.example',
      challengeResponse: tls.challengeResponse,
      observe,
    });
    closers.push(() => redirect.close());
    portOf80 = redirect.port;
  }
  const server = createServer(tls.secureOptions(), (_, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  tls.attach(server);
  const { port } = server.address() as AddressInfo;
  return { tls, shown: () => show(port) };
}

function show(port: number) {
  return new Promise<{ fingerprint: string; issuer: unknown }>((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      const { fingerprint256, issuer } = socket.getPeerCertificate();
      resolve({ fingerprint: fingerprint256, issuer: issuer.CN });
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

const theirs = { issuer: 'Authority of the tests' };
const kinds = () => seen.map(({ kind }) => kind);
const failures = () => seen.filter(({ kind }) => kind === 'tls.acme_failed');
const newOrders = () => acme.asked.filter((path) => path === '/new-order').length;
const storeOf = () => openAcmeStore(join(folder, 'tls'), acme.directoryUrl);

describe('the first certificate', () => {
  it('is ordered once the ports are open; until it is there a self-signed one is shown', async () => {
    const { tls, shown } = await run();
    expect(tls.notices).toEqual([
      `The TLS certificate is self-signed until ${new URL(acme.directoryUrl).host} has given one for api.example.`,
    ]);
    await expect.poll(shown, { timeout: 20_000 }).toMatchObject(theirs);
    expect(acme.issued).toEqual([['api.example']]);
    expect(acme.contacts).toEqual([['mailto:ada@example.com']]);
    expect(kinds()).toEqual(['tls.acme_ordering', 'tls.acme_issued', 'tls.certificate']);
  });

  it('may be for several names', async () => {
    const { tls, shown } = await run({ toml: { domains: ['api.example', 'www.example'] } });
    await tls.check();
    expect(await shown()).toMatchObject(theirs);
    expect(acme.issued).toEqual([['api.example', 'www.example']]);
  });

  it('and the account are kept for this user alone, and no challenge is left', async () => {
    const store = await storeOf();
    // What a killed process has left behind.
    await store.putChallenge('left', 'left.thumbprint');
    const { tls } = await run();
    await tls.check();
    const own = join(store.certificatePath, '..');
    expect((await readdir(own)).sort()).toEqual(['account.pem', 'certificate.pem', 'challenges']);
    expect(await readdir(join(own, 'challenges'))).toEqual([]);
    for (const name of ['account.pem', 'certificate.pem'])
      expect((await stat(join(own, name))).mode & 0o777).toBe(0o600);
    expect((await stat(own)).mode & 0o777).toBe(0o700);
  });

  it('is found by the next start, which orders none', async () => {
    const first = await run();
    await first.tls.check();
    const second = await run();
    expect(second.tls.notices).toEqual([]);
    await second.tls.check();
    expect(await second.shown()).toEqual(await first.shown());
    expect(newOrders()).toBe(1);
  });

  it('comes although the authority refuses a nonce, again and again', async () => {
    acme.faults.push({ kind: 'bad nonce' }, { kind: 'bad nonce' }, { kind: 'bad nonce' });
    const { tls, shown } = await run();
    await tls.check();
    expect(await shown()).toMatchObject(theirs);
    expect(failures()).toEqual([]);
    expect(acme.faults).toEqual([]);
  });

  it('is not taken when it is for other names', async () => {
    acme.lifetime = { ...lifetime, names: ['evil.example'] };
    const { tls, shown } = await run();
    await tls.check();
    expect(await shown()).not.toMatchObject(theirs);
    expect(failures()).toMatchObject([
      { level: 'error', message: 'the certificate that was given is not for api.example' },
    ]);
  });
});

describe('a challenge', () => {
  it('that the authority cannot fetch ends the order with its reason', async () => {
    const { tls } = await run();
    // Another machine's port 80: there, nobody knows the token.
    const other = await openRedirect({
      host: '127.0.0.1',
      port: 0,
      externalUrl: () => 'https://other.example',
      challengeResponse: () => undefined,
      observe: () => {},
    });
    closers.push(() => other.close());
    portOf80 = other.port;
    await tls.check();
    expect(failures()).toMatchObject([
      {
        attempt: 1,
        message:
          'the order is invalid: api.example: urn:ietf:params:acme:error:unauthorized: api.example answered 308',
      },
    ]);
  });

  it('is answered under its own path only, and leads to no other file', async () => {
    const { tls } = await run();
    await tls.check();
    const store = await storeOf();
    await store.putChallenge('to-ken_1', 'to-ken_1.thumbprint');
    const at = (path: string) => tls.challengeResponse(`/.well-known/acme-challenge/${path}`);
    expect(at('to-ken_1')).toBe('to-ken_1.thumbprint');
    expect(at('to-ken_1?x=y')).toBe('to-ken_1.thumbprint');
    for (const path of [
      '',
      'other',
      '../account.pem',
      '..%2Faccount.pem',
      'to-ken_1/',
      'to-ken_1/../to-ken_1',
    ])
      expect(at(path), path).toBeUndefined();
    expect(tls.challengeResponse('/rest/v1/')).toBeUndefined();
    await expect(store.putChallenge('../certificate.pem', 'x')).rejects.toThrow('challenge token');
  });
});

describe('the renewal', () => {
  it('comes after two thirds of the life, and takes a new key', async () => {
    const { tls, shown } = await run();
    await tls.check();
    const first = await shown();
    const store = await storeOf();
    const firstFile = await readFile(store.certificatePath, 'utf8');
    clockMs = startMs + 59 * dayMs;
    await tls.check();
    expect(newOrders()).toBe(1);
    // Two thirds are 60 days; the spread is a fiftieth of 90.
    clockMs = startMs + 62 * dayMs;
    acme.lifetime = { notBefore: new Date(clockMs), notAfter: new Date(clockMs + 90 * dayMs) };
    await tls.check();
    expect(newOrders()).toBe(2);
    const second = await shown();
    expect(second).toMatchObject(theirs);
    expect(second.fingerprint).not.toBe(first.fingerprint);
    const keyOf = (text: string) => text.slice(0, text.indexOf('-----END'));
    expect(keyOf(await readFile(store.certificatePath, 'utf8'))).not.toBe(keyOf(firstFile));
    // With the account of the first time.
    expect(acme.contacts).toHaveLength(1);
    // And no third.
    await tls.check();
    expect(newOrders()).toBe(2);
  });

  it('comes at once when the settings name another domain', async () => {
    await (await run()).tls.check();
    const { tls } = await run({ toml: { domains: ['api.example', 'new.example'] } });
    await tls.check();
    expect(acme.issued).toEqual([['api.example'], ['api.example', 'new.example']]);
  });

  it('is done by one of several processes, and the others take what it got', async () => {
    const leases = openLocalLeases();
    const one = await run({ leases });
    const two = await run({ leases, withoutRedirect: true });
    const three = await run({ leases, withoutRedirect: true });
    await expect.poll(one.shown, { timeout: 20_000 }).toMatchObject(theirs);
    // Heard from the operating system, not asked for.
    await expect.poll(two.shown, { timeout: 20_000 }).toEqual(await one.shown());
    await expect.poll(three.shown, { timeout: 20_000 }).toEqual(await one.shown());
    await Promise.all([two.tls.check(), three.tls.check()]);
    expect(newOrders()).toBe(1);
  });
});

it('a process that waited to lead orders none when the one before it has', async () => {
  const one = await run({ whenLeader: async () => false });
  const { tls } = await run({
    withoutRedirect: true,
    async whenLeader(work) {
      // While this one waits for its turn, another orders.
      const other = await run();
      await other.tls.check();
      await work(new AbortController().signal);
      return true;
    },
  });
  await tls.check();
  expect(newOrders()).toBe(1);
  await expect.poll(one.shown, { timeout: 20_000 }).toMatchObject(theirs);
});

it('a process that stops leading gives the order up', async () => {
  acme.faults.push({ kind: 'silence' });
  const leading = new AbortController();
  const { tls } = await run({
    async whenLeader(work) {
      await work(leading.signal);
      return true;
    },
  });
  await expect.poll(() => acme.asked, { timeout: 20_000 }).toEqual(['/directory']);
  leading.abort();
  await tls.check();
  expect(failures()).toEqual([]);
});

describe('an authority that fails', () => {
  it('is asked again later and later, and what is there stays', async () => {
    const { tls, shown } = await run();
    await tls.check();
    const before = await shown();
    clockMs = startMs + 62 * dayMs;
    const url = acme.directoryUrl;
    await acme[Symbol.asyncDispose]();
    await tls.check();
    expect(await shown()).toEqual(before);
    expect(failures()).toMatchObject([
      { level: 'warn', attempt: 1, message: expect.stringContaining(new URL(url).host) },
    ]);
    // Before its time, nothing is tried.
    clockMs += 4 * minuteMs;
    await tls.check();
    expect(failures()).toHaveLength(1);
    clockMs += 2 * minuteMs;
    await tls.check();
    expect(failures()).toMatchObject([{ attempt: 1 }, { attempt: 2 }]);
    const next = Date.parse(String(failures()[1]!.nextAttemptAt)) - clockMs;
    expect(next).toBeGreaterThanOrEqual(9 * minuteMs);
    expect(next).toBeLessThanOrEqual(11 * minuteMs);
  });

  it('is not asked at once by a program that was started anew, but is when its file is removed', async () => {
    acme.faults.push({ kind: 'status', status: 500 });
    await (await run()).tls.check();
    const asked = acme.asked.length;
    const { tls, shown } = await run();
    await tls.check();
    expect(acme.asked).toHaveLength(asked);
    await rm((await storeOf()).attemptsPath);
    await tls.check();
    expect(await shown()).toMatchObject(theirs);
  });

  it('is left alone for as long as its Retry-After says', async () => {
    acme.faults.push({ kind: 'status', status: 429, retryAfter: '7200' });
    const { tls, shown } = await run();
    await tls.check();
    expect(failures()).toMatchObject([{ nextAttemptAt: new Date(startMs + 7200_000).toISOString() }]);
    const asked = acme.asked.length;
    clockMs = startMs + 7199_000;
    await tls.check();
    expect(acme.asked).toHaveLength(asked);
    clockMs = startMs + 7200_000;
    await tls.check();
    expect(await shown()).toMatchObject(theirs);
    expect(await (await storeOf()).attempts()).toBeUndefined();
  });

  it('and says to come back in a year is asked within a week', async () => {
    acme.faults.push({ kind: 'status', status: 503, retryAfter: String(365 * 24 * 3600) });
    const { tls } = await run();
    await tls.check();
    expect(failures()).toMatchObject([{ nextAttemptAt: new Date(startMs + 7 * dayMs).toISOString() }]);
  });

  it('by saying nothing does not hold up a stop', async () => {
    acme.faults.push({ kind: 'silence' });
    const { tls } = await run();
    await expect.poll(() => acme.asked, { timeout: 20_000 }).toEqual(['/directory']);
    // Were it killed now, the next start would not try again at once.
    expect(await (await storeOf()).attempts()).toMatchObject({ failures: 1 });
    await tls.close();
    expect(failures()).toEqual([]);
    // A stop is no failure; it is tried again soon.
    expect(await (await storeOf()).attempts()).toMatchObject({ failures: 0, nextAtMs: startMs + minuteMs });
  });
});

describe('the times', () => {
  const certificate = {
    notBeforeMs: 0,
    notAfterMs: 900,
    covers: (host: string) => host === 'a.example',
  } as unknown as Parameters<typeof needsOrder>[0];

  it.each<[string, number, number, boolean]>([
    ['before two thirds', 599, 0, false],
    ['at two thirds', 600, 0, true],
    ['at two thirds, spread', 617, 1, false],
    ['after the spread', 618, 1, true],
    ['after its end', 1000, 1, true],
  ])('%s', (_, nowMs, jitter, due) => {
    expect(needsOrder(certificate, ['a.example'], nowMs, jitter)).toBe(due);
  });

  it('is due without a certificate, and with one that lacks a name', () => {
    expect(needsOrder(undefined, ['a.example'], 0, 0)).toBe(true);
    expect(needsOrder(certificate, ['a.example', 'b.example'], 0, 0)).toBe(true);
  });

  it('between failures double from five minutes to a day', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 50].map((failures) => retryMs(failures, 0.5) / minuteMs);
    expect(waits).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
    expect([retryMs(1, 0), retryMs(1, 1)].map((ms) => ms / minuteMs)).toEqual([4.5, 5.5]);
  });
});
