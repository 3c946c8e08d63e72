// In charge of: who gets a connection when, and that no count is lost on the way.

import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import type { PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import {
  openSharedConnections,
  outcome,
  type SharedConnections,
  someLimits,
} from '../../../test/harness/shared-connections.ts';
import type { Caller } from '../identity/caller.ts';
import type { Work } from './db.ts';
import { acquire, acquired, giveBack, openPool, poolFigures, type Taker } from './pool.ts';

let test: TestDatabase;

beforeAll(async () => {
  test = await openTestDatabase();
});
afterAll(() => test[Symbol.asyncDispose]());

const anon: Caller = { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by: 'nothing' };
const read = (text: string, params: readonly (string | null)[] = []): Work => ({
  statement: { text, params },
  readOnly: true,
});
const number = (n: number) => read('select $1', [String(n)]);
const write = (n: number): Work => ({ statement: { text: 'select $1 as written', params: [String(n)] } });
const unknown = (n: number) => read(`select '${n}'`);
const locked = (n: number) => read('select pg_advisory_xact_lock_shared(9)::text || $1', [String(n)]);
const login = () => test.login('authenticator');

/** Keeps lock 9 on a connection of `shared` itself, until it is let go. */
async function lockOn(
  shared: SharedConnections,
): Promise<{ readonly client: PoolClient; free(): Promise<void> }> {
  const client = await shared.hold();
  await client.query('select pg_advisory_lock(9)');
  return {
    client,
    async free() {
      await client.query('select pg_advisory_unlock(9)');
      shared.free(client);
    },
  };
}

describe('those who wait for a connection', () => {
  it('get it in the order in which they came, with whom they share', async () => {
    await using shared = openSharedConnections(login());
    await shared.learn(anon, number(0), write(0));
    const works = [
      ...[0, 1, 2].map(number),
      unknown(3),
      ...[4, 5, 6, 7, 8, 9, 10, 11, 12, 13].map(number),
      ...[14, 15].map(write),
      number(16),
      write(17),
      unknown(18),
      write(19),
    ];
    const order: string[] = [];
    shared.forgetWrites();
    await shared.together(() =>
      works.map(async (work) => {
        order.push((await shared.db.as(anon, work)).rows[0]![0]!);
        return work;
      }),
    );
    expect(order).toEqual(works.map((_, n) => String(n)));
    // Eight that read, three as soon as one of them writes, and who is not known to be quick alone.
    expect(shared.writes()).toEqual([3, 1, 8, 3, 3, 1, 1]);
    await shared.atRest();
  });

  it('all get it, when far more ask than there are connections', async () => {
    await using shared = openSharedConnections(login(), { ...someLimits, maxConnections: 4 });
    await shared.learn(anon, number(0), write(0));
    const asked = Array.from({ length: 1_500 }, (_, n) =>
      shared.db.as(anon, [number, number, number, write, unknown][n % 5]!(n)),
    );
    const settled = await Promise.allSettled(asked);
    expect(settled.map(outcome)).toEqual(asked.map((_, n) => String(n)));
    await shared.atRest();
  });

  it('wait for those who share only as long as these are quick', async () => {
    await using shared = openSharedConnections(login(), { ...someLimits, maxConnections: 10 });
    await shared.learn(anon, locked(0), number(0));
    const lock = await lockOn(shared);
    // Connections with those who share there are enough of, and none of them moves.
    const stuck = [1, 2, 3].map((n) => shared.db.as(anon, locked(n)));
    expect(shared.figures()).toMatchObject({ taken: 4, eager: 3 });
    const waiting = shared.figures().waiting;
    const quick = [4, 5].map((n) => shared.db.as(anon, number(n)));
    expect(shared.figures()).toMatchObject({ taken: 4, eager: 3, waiting: waiting + 2 });
    expect((await Promise.allSettled(quick)).map(outcome)).toEqual(['4', '5']);
    await lock.free();
    expect((await Promise.allSettled(stuck)).map(outcome)).toEqual(['1', '2', '3']);
    await shared.atRest();
  });

  it('are refused in time when none comes free, and at once when too many wait', async () => {
    // As long as a connection may take on a busy machine, too: the first is opened within it.
    const limits = { maxConnections: 1, acquireTimeoutMs: 2_000, maxWaiting: 3 };
    await using shared = openSharedConnections(login(), limits);
    await shared.learn(anon, number(0));
    const held = await shared.hold();
    const settled = await Promise.allSettled([1, 2, 3, 4].map((n) => shared.db.as(anon, number(n))));
    expect(settled.map(outcome)).toEqual(['timeout', 'timeout', 'timeout', 'overloaded']);
    shared.free(held);
    expect((await shared.db.as(anon, number(5))).rows).toEqual([['5']]);
    await shared.atRest();
  });

  it('are not refused for being too many where there is room', async () => {
    await using shared = openSharedConnections(login(), {
      ...someLimits,
      maxConnections: 10,
      maxWaiting: 10,
    });
    await shared.learn(anon, number(0));
    // Three go out, ten wait for these by their own choice, and seven find the line full.
    const asked = Array.from({ length: 20 }, (_, n) => shared.db.as(anon, number(n)));
    expect((await Promise.allSettled(asked)).map(outcome)).toEqual(asked.map((_, n) => String(n)));
    await shared.atRest();
  });

  it('and were spoilt by another on the way are not refused for those who came since', async () => {
    await using shared = openSharedConnections(login(), { ...someLimits, maxConnections: 2, maxWaiting: 2 });
    await shared.learn(anon, locked(0), number(0));
    const lock = await lockOn(shared);
    const held = await shared.hold();
    const first = [locked(1), number(2)].map((work) => shared.db.as(anon, work));
    shared.free(held);
    // The line is full again before the first one is sent back to it.
    const later = [unknown(3), unknown(4)].map((work) => shared.db.as(anon, work));
    expect(outcome((await Promise.allSettled([first[1]!]))[0]!)).toBe('2');
    await lock.free();
    expect((await Promise.allSettled([first[0]!, ...later])).map(outcome)).toEqual(['1', '3', '4']);
    await shared.atRest();
  });

  it('are looked after by one timer', async () => {
    const limits = { ...someLimits, acquireTimeoutMs: 60_000 };
    const pool = openPool(login(), limits, () => {});
    let client = await acquired(pool, limits);
    const timers = vi.spyOn(globalThis, 'setTimeout');
    try {
      const taker: Taker = {
        give(given) {
          client = given;
        },
        refuse() {},
      };
      for (let n = 0; n < 100; n += 1) {
        acquire(pool, limits, taker);
        giveBack(pool, limits, client, false);
      }
      expect(timers.mock.calls.length).toBe(1);
    } finally {
      timers.mockRestore();
    }
    giveBack(pool, limits, client, false);
    expect(poolFigures(pool)).toMatchObject({ taken: 0, eager: 0, waiting: 0 });
    await pool.end();
  });
});

describe('a pool', () => {
  it('that ends refuses all who wait, however many they are', async () => {
    await using shared = openSharedConnections(login(), { ...someLimits, maxWaiting: 50_000 });
    await shared.learn(anon, number(0));
    const held = await shared.hold();
    const asked = Array.from({ length: 30_000 }, (_, n) =>
      shared.db.as(anon, n % 2 ? number(n) : unknown(n)),
    );
    const ended = shared.end();
    shared.free(held);
    const settled = await Promise.allSettled(asked);
    expect(new Set(settled.map(outcome))).toEqual(new Set(['unreachable']));
    await ended;
    expect(outcome((await Promise.allSettled([shared.db.as(anon, number(1))]))[0]!)).toBe('unreachable');
    await shared.atRest();
  });

  it('lets those on the way come home before it ends', async () => {
    await using shared = openSharedConnections(login(), { ...someLimits, maxConnections: 2 });
    await shared.learn(anon, locked(0), number(0));
    const lock = await lockOn(shared);
    const held = await shared.hold();
    const asked = [number(1), number(2), locked(3)].map((work) => shared.db.as(anon, work));
    shared.free(held);
    const ended = shared.end();
    await lock.free();
    expect((await Promise.allSettled(asked)).map(outcome)).toEqual(['1', '2', '3']);
    await ended;
    await shared.atRest();
  });

  it('renews its connections while they are shared', async () => {
    const limits = { ...someLimits, maxConnections: 2, maxLifetimeSeconds: 1 };
    await using shared = openSharedConnections(login(), limits);
    const who = read('select pg_backend_pid()::text || $1', ['']);
    await shared.learn(anon, who);
    const backends = new Set<string>();
    while (backends.size < 5) {
      const settled = await Promise.allSettled(Array.from({ length: 20 }, () => shared.db.as(anon, who)));
      for (const one of settled) backends.add(outcome(one)!);
      for (const backend of backends) expect(backend).toMatch(/^\d+$/);
      expect(shared.figures().total).toBeLessThanOrEqual(2);
    }
    expect(Math.max(...shared.writes())).toBeGreaterThan(1);
    await shared.atRest();
  });

  it('does not hand on a connection that has ended while somebody had it', async () => {
    const pool = openPool(login(), someLimits, () => {});
    const client = await acquired(pool, someLimits);
    const { rows } = await client.query('select pg_backend_pid() as pid');
    const next = acquired(pool, someLimits);
    const gone = new Promise((resolve) => client.once('end', resolve));
    await test.run(`select pg_terminate_backend(${rows[0].pid})`, 'supabase_admin');
    await gone;
    giveBack(pool, someLimits, client, false);
    const other = await next;
    expect((await other.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    giveBack(pool, someLimits, other, false);
    expect(poolFigures(pool)).toMatchObject({ taken: 0, eager: 0, waiting: 0 });
    await pool.end();
  });
});

describe('a server that is away', () => {
  it('is said to be so to all who ask for it, also to those who meant to share', async () => {
    const away = await openListener((socket) => socket.destroy());
    const config = { ...login(), host: '127.0.0.1', port: (away.address() as AddressInfo).port };
    const pool = openPool(config, { ...someLimits, maxConnections: 4 }, () => {});
    const refused: string[] = [];
    const taker = (sharing: Taker['sharing']): Taker => ({
      ...(sharing && { sharing }),
      give: () => refused.push('given'),
      refuse: (error) => refused.push(error.reason),
    });
    for (let n = 0; n < 40; n += 1) {
      acquire(
        pool,
        { ...someLimits, maxConnections: 4 },
        taker((['eager', 'full', undefined] as const)[n % 3]),
      );
    }
    await vi.waitFor(() => expect(refused.length).toBe(40), 20_000);
    expect(new Set(refused)).toEqual(new Set(['unreachable']));
    expect(poolFigures(pool)).toMatchObject({ taken: 0, eager: 0, waiting: 0 });
    await pool.end();
    await new Promise((resolve) => away.close(resolve));
  });

  it('and does not even say so keeps nobody longer than it may', async () => {
    const sockets: Socket[] = [];
    const silent = await openListener((socket) => void sockets.push(socket));
    const limits = { maxConnections: 2, acquireTimeoutMs: 200, maxWaiting: 100 };
    const config = { ...login(), host: '127.0.0.1', port: (silent.address() as AddressInfo).port };
    const pool = openPool(config, limits, () => {});
    const refused: string[] = [];
    for (let n = 0; n < 10; n += 1) {
      acquire(pool, limits, {
        sharing: 'eager',
        give: () => refused.push('given'),
        refuse: (error) => refused.push(error.reason),
      });
    }
    await vi.waitFor(() => expect(refused.length).toBe(10), 20_000);
    expect(refused).not.toContain('given');
    await vi.waitFor(
      () => expect(poolFigures(pool)).toMatchObject({ taken: 0, eager: 0, waiting: 0 }),
      20_000,
    );
    await pool.end();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });
});

async function openListener(heard: (socket: Socket) => void): Promise<Server> {
  const server = createServer(heard);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
