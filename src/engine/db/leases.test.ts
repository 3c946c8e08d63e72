// In charge of: what leases and the fan-out promise between two processes over one database.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { Database } from './database.ts';
import { assertFence, endLeftLeases, LeaseLost } from './leases.ts';

let test: TestDatabase;
let one: Database;
let two: Database;

beforeAll(async () => {
  test = await openTestDatabase();
  [one, two] = [await test.open(), await test.open()];
});

afterAll(async () => {
  await one.close();
  await two.close();
  await test[Symbol.asyncDispose]();
});

const inTransaction = (fence: bigint) =>
  one.db.asOwner('millrace_admin', async (client) => {
    await client.query('begin');
    try {
      await assertFence(client, 'reader', fence);
    } finally {
      await client.query('rollback');
    }
  });

describe('leases', () => {
  it('of a process that was killed are nobody’s for the next on a server of its own', async () => {
    const left = await two.leases.acquire('left', 600);
    await endLeftLeases(one.db);
    expect((await one.leases.acquire('left', 600))?.fence).toBe(2n);
    expect(await left?.renew()).toBe(false);
  });

  it('has one holder at a time, and a higher fencing number for the next', async () => {
    const first = await one.leases.acquire('reader', 30);
    expect(first?.fence).toBe(1n);
    expect(await two.leases.acquire('reader', 30)).toBeUndefined();
    expect(await first?.renew()).toBe(true);
    await inTransaction(1n);
    await first?.release();
    const second = await two.leases.acquire('reader', 30);
    expect(second?.fence).toBe(2n);
    expect(await first?.renew()).toBe(false);
    await expect(inTransaction(1n)).rejects.toThrow(LeaseLost);
    await inTransaction(2n);
    await second?.release();
  });

  it('gives it to exactly one of many who ask at once', async () => {
    const asked = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? one : two).leases.acquire('race', 30)),
    );
    expect(asked.filter((lease) => lease !== undefined)).toHaveLength(1);
  });
});

describe('fan-out', () => {
  it('tells every process once, also payloads that NOTIFY could not carry', async () => {
    const heard: [string, unknown][] = [];
    const all = new Promise<void>((resolve) => {
      const hear = (who: string) => (payload: unknown) => {
        heard.push([who, payload]);
        if (heard.length === 4) resolve();
      };
      one.fanout.subscribe('news', hear('one'));
      two.fanout.subscribe('news', hear('two'));
    });
    const long = { text: 'x'.repeat(20_000) };
    await one.listener?.ready;
    await two.listener?.ready;
    await one.fanout.publish('news', 'short');
    await two.fanout.publish('news', long);
    await all;
    const of = (who: string) => heard.filter(([name]) => name === who).map(([, payload]) => payload);
    expect(of('one')).toEqual(['short', long]);
    expect(of('two')).toEqual(['short', long]);
  });

  it('says nothing when the transaction of the publisher is undone', async () => {
    const heard: unknown[] = [];
    const last = new Promise<void>((resolve) => {
      two.fanout.subscribe('undone', (payload) => {
        heard.push(payload);
        if (payload === 'last') resolve();
      });
    });
    await one.db.asOwner('millrace_admin', async (client) => {
      await client.query('begin');
      await one.fanout.publish('undone', 'never', client);
      await client.query('rollback');
    });
    await one.fanout.publish('undone', 'last');
    await last;
    expect(heard).toEqual(['last']);
  });

  it('delivers all of a flood, each event once', async () => {
    const heard: unknown[] = [];
    let until = Promise.withResolvers<void>();
    two.fanout.subscribe('flood', (payload) => {
      heard.push(payload);
      if (payload === 'last' || payload === 'after') until.resolve();
    });
    // More than a read takes, and more than is remembered.
    const count = 10_500;
    await test.run(
      `insert into _millrace.events (channel, payload) select 'flood', to_jsonb(n) from generate_series(1, ${count}) as n`,
      'millrace_admin',
    );
    await one.fanout.publish('flood', 'last');
    await until.promise;
    until = Promise.withResolvers<void>();
    await one.fanout.publish('flood', 'after');
    await until.promise;
    expect(heard).toEqual([...Array.from({ length: count }, (_, i) => i + 1), 'last', 'after']);
  });

  it('goes on after a reset, when the numbers begin anew', async () => {
    const heard = new Promise<unknown>((resolve) => two.fanout.subscribe('anew', resolve));
    await test.run(
      `create table _millrace.anew (like _millrace.events including all);
       drop table _millrace.events; alter table _millrace.anew rename to events`,
      'millrace_admin',
    );
    await one.fanout.publish('anew', 'first');
    expect(await heard).toBe('first');
  });
});
