// In charge of: limits and quotas when their database stops, crashes and comes back.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Observation } from '../../base/observe.ts';
import { withClient } from '../db/client.ts';
import { type Database, openDatabase } from '../db/database.ts';
import type { PostgresServer } from '../db/postgres/server.ts';
import { openPostgres } from '../db/postgres/supervisor.ts';
import { bootstrapDatabase } from '../db/shape/shape.ts';
import { type Limits, openLimits } from './limits.ts';
import { refusalFault } from './refusal.ts';
import { limitSettings } from './settings.ts';
import { limitsSettings, requestOf, steadyWindow } from './test-support.ts';

let folder: string;
let server: PostgresServer;
let database: Database;
const observed: Observation[] = [];

/** Starts the server on its folder, under the port it had before, so that those who lost it find it again. */
async function start(port: number): Promise<PostgresServer> {
  const state = { project: folder, data: join(folder, 'state'), systemFolder: join(folder, 'system') };
  return openPostgres({ ...state, port, password: 'postgres', observe: () => {} });
}

const portOf = ({ url }: PostgresServer) => Number(new URL(url).port);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-limits-'));
  // Root's Postgres runs as another user, who has to get through.
  await chmod(folder, 0o711);
  server = await start(0);
  await withClient(server.login('supabase_admin'), (client) =>
    bootstrapDatabase(client, {
      external: false,
      passwordOf: () => undefined,
      autoExposeNewTables: true,
      observe: () => {},
    }),
  );
  database = await openDatabase(
    server,
    {
      limits: { maxConnections: 5, acquireTimeoutMs: 2_000, maxWaiting: 100 },
      prepared: 'auto',
      listens: false,
    },
    () => {},
  );
});
afterAll(async () => {
  await database.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const rate = `20/${steadyWindow()}`;
const large = `10000/${steadyWindow()}`;
const rules = {
  lax: { by: 'route', path: '/lax', rate, on_store_failure: 'allow' },
  large: { by: 'route', path: '/large', rate: large, on_store_failure: 'allow' },
  strict: { by: 'route', path: '/strict', rate, on_store_failure: 'refuse' },
  guarded: { by: 'route', path: '/guarded', rate: large, on_store_failure: 'refuse' },
};
const quotas = { plan: { by: 'key', path: '/plan', per: 'month', amount: 1_000 } };

function open(): Promise<Limits> {
  const settings = limitsSettings({ limits: { rules }, quotas }).of(limitSettings);
  const observe = (observation: Observation) => observed.push(observation);
  return openLimits({ settings, db: database.db, alone: false, observe, now: Date.now });
}

async function allowedOf(limits: Limits, path: string, count: number): Promise<number> {
  let allowed = 0;
  for (let at = 0; at < count; at += 1)
    if ((await limits.check(requestOf({ path }))).kind === 'allowed') allowed += 1;
  return allowed;
}

/** Resolves when the limiter says that its store is away, or is back. It tries by itself. */
async function storeIs(limits: Limits, isDown: boolean): Promise<void> {
  while (limits.figures().isStoreDown !== isDown) await new Promise<void>((resolve) => setImmediate(resolve));
}

describe('a limiter whose database stops', () => {
  it('goes on by each rule’s own setting, and is back by itself', async () => {
    const limits = await open();
    expect(await allowedOf(limits, '/lax', 5)).toBe(5);
    expect(await allowedOf(limits, '/strict', 5)).toBe(5);
    const port = portOf(server);
    await server.stop();

    // Each process counts by itself: what it was allowed before counts, too.
    expect(await allowedOf(limits, '/lax', 30)).toBe(15);
    const refused = await limits.check(requestOf({ path: '/strict' }));
    expect(refused).toMatchObject({ kind: 'refused', because: 'store', rule: 'strict' });
    if (refused.kind !== 'refused') return;
    expect(refusalFault(refused)).toMatchObject({
      status: 503,
      code: 'limits_unavailable',
      message: 'The limit "strict" cannot be checked: the database does not answer.',
      headers: { 'retry-after': '2' },
    });
    expect(await allowedOf(limits, '/large', 50)).toBe(50);
    expect(await allowedOf(limits, '/guarded', 50)).toBe(0);
    // Known to be away, nobody waits for it.
    expect(limits.check(requestOf({ path: '/strict' }))).toMatchObject({ kind: 'refused', because: 'store' });
    expect(observed.filter(({ kind }) => kind === 'limits.store_down').length).toBeGreaterThan(0);

    server = await start(port);
    await storeIs(limits, false);
    expect(await allowedOf(limits, '/strict', 30)).toBe(15);
    expect(await allowedOf(limits, '/guarded', 5)).toBe(5);
    // What was lent meanwhile is paid: another process does not get it again.
    expect(await allowedOf(limits, '/lax', 1)).toBe(0);
    await limits.close();
    const other = await open();
    expect(await allowedOf(other, '/lax', 1)).toBe(0);
    await other.close();
  });

  it('opens while it is away', async () => {
    const port = portOf(server);
    await server.stop();
    const limits = await open();
    expect(await allowedOf(limits, '/large', 5)).toBe(5);
    expect(await allowedOf(limits, '/guarded', 5)).toBe(0);
    server = await start(port);
    await storeIs(limits, false);
    expect(await allowedOf(limits, '/guarded', 5)).toBe(5);
    await limits.close();
  });
});

describe('a quota', () => {
  it('goes on where it was after a restart of the program and of the database', async () => {
    const before = await open();
    expect(await allowedOf(before, '/plan', 400)).toBe(400);
    await before.close();
    const port = portOf(server);
    await server.stop();
    server = await start(port);
    const after = await open();
    // Exactly: what was taken and not spent was given back.
    expect(await allowedOf(after, '/plan', 300)).toBe(300);
    await after.close();
  });

  it('outlives a crash of the database, which empties the counters of rates', async () => {
    const kept = () =>
      withClient(server.login('millrace_admin'), async (session) => {
        const { rows } = await session.query<{ rates: number; quota: number }>(
          `select (select count(*)::int from _millrace.limit_counters) as rates,
                (select used::int from _millrace.quota_counters) as quota`,
        );
        return rows[0]!;
      });
    expect(await kept()).toEqual({ rates: expect.any(Number) as number, quota: 700 });
    expect((await kept()).rates).toBeGreaterThan(0);
    await withClient(server.login('millrace_admin'), async (session) => {
      const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid');
      session.on('error', () => {});
      const ended = new Promise((resolve) => session.once('end', resolve));
      // A session that is killed makes the server throw away its memory and recover from its log.
      process.kill(rows[0]!.pid, 'SIGKILL');
      await ended;
    });
    while (!(await server.health()).ok) await new Promise<void>((resolve) => setImmediate(resolve));
    expect(await kept()).toEqual({ rates: 0, quota: 700 });
    const limits = await open();
    expect(await allowedOf(limits, '/plan', 400)).toBe(300);
    await limits.close();
  });
});
