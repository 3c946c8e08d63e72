// In charge of: what a listener hears of changes that come by replication.
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import type { Database } from '../database.ts';
import { openReplicationSource } from './reader.ts';
import { dropSlot, findSlot } from './slot.ts';
import type { Sink } from './source.ts';
import { line, openEar, openTestFeed } from './test-support.ts';

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await openTestDatabase();
  database = await test.open();
});
afterAll(async () => {
  await database.close();
  await test[Symbol.asyncDispose]();
});

const open = () => openTestFeed(database, () => test.login('supabase_realtime_admin'));

describe('a listener', () => {
  it('hears what is committed once it listens, in order, with ids that sort', async () => {
    await test.run(`create table t (id int primary key, name text); alter publication supabase_realtime add table t;
      insert into t values (0, 'before')`);
    await using opened = open();
    const ear = openEar();
    const stop = await opened.feed.listen(ear);
    await test.run(`insert into t values (1, 'one'), (2, null)`);
    await test.run(`update t set name = 'two' where id = 2; update t set id = 3 where id = 2`);
    await test.run('delete from t where id = 1; truncate t');
    await ear.until(6);
    expect(ear.heard.map(line)).toEqual([
      'INSERT public.t {"id":"1","name":"one"}',
      'INSERT public.t {"id":"2","name":null}',
      'UPDATE public.t {"id":"2","name":"two"} old {"id":"2"}',
      'UPDATE public.t {"id":"3","name":"two"} old {"id":"2"}',
      'DELETE public.t old {"id":"1"}',
      'TRUNCATE public.t',
    ]);
    const ids = ear.heard.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort());
    expect(ids[0]).toMatch(/^[0-9A-F]{16}-\d{6}$/);
    expect(opened.feed.latestId()).toBe(ids.at(-1));
    expect(opened.feed.since(ids[3]!)).toEqual(ear.heard.slice(4));
    expect(opened.feed.since(ids.at(-1)!)).toEqual([]);
    expect(opened.feed.since('0000000000000000-000001')).toBeUndefined();
    expect(opened.feed.since('FFFFFFFFFFFFFFFF-000001')).toBeUndefined();
    expect(opened.feed.since('nonsense')).toBeUndefined();
    stop();
  });

  it('gets the columns as they were at each change', async () => {
    await test.run(
      'create table shapes (id int primary key, a text); alter publication supabase_realtime add table shapes',
    );
    await using opened = open();
    const ear = openEar();
    await opened.feed.listen(ear);
    await test.run(`insert into shapes values (1, 'x'); alter table shapes add column b int default 7;
      insert into shapes values (2, 'y'); alter table shapes rename a to c; insert into shapes values (3, 'z', 8)`);
    await test.run(
      'alter table shapes drop column b; alter table shapes rename to forms; update forms set c = c || c where id = 1',
    );
    await ear.until(4);
    expect(ear.heard.map(line)).toEqual([
      'INSERT public.shapes {"id":"1","a":"x"}',
      'INSERT public.shapes {"id":"2","a":"y","b":"7"}',
      'INSERT public.shapes {"id":"3","c":"z","b":"8"}',
      'UPDATE public.forms {"id":"1","c":"xx"} old {"id":"1"}',
    ]);
  });

  it.each([
    ['the primary key', 'primary key (a, b)', '', 'old {"a":"1","b":"1"}', 'old {"a":"1","b":"1"}'],
    [
      'all columns',
      'primary key (a, b)',
      'replica identity full',
      'old {"a":"1","b":"1","c":"one"}',
      'old {"a":"1","b":"1","c":"two"}',
    ],
    [
      'all columns, without a key',
      'check (true)',
      'replica identity full',
      'old {"a":"1","b":"1","c":"one"}',
      'old {"a":"1","b":"1","c":"two"}',
    ],
    [
      'an index',
      'unique (b)',
      'replica identity using index identities_b_key',
      'old {"b":"1"}',
      'old {"b":"1"}',
    ],
  ])('gets of an old row what the replica identity has: %s', async (_, key, identity, updated, deleted) => {
    await test.run(`drop table if exists identities; create table identities (a int not null, b int not null, c text, ${key});
      alter publication supabase_realtime add table identities`);
    if (identity !== '') await test.run(`alter table identities ${identity}`);
    await test.run("insert into identities values (1, 1, 'one')");
    await using opened = open();
    const ear = openEar();
    await opened.feed.listen(ear);
    await test.run("update identities set c = 'two'; delete from identities");
    await ear.until(2);
    expect(ear.heard.map(line)).toEqual([
      `UPDATE public.identities {"a":"1","b":"1","c":"two"} ${updated}`,
      `DELETE public.identities ${deleted}`,
    ]);
  });

  it('gets a large value that an update has not touched where the old row has it', async () => {
    await test.run(`create table plain (id int primary key, n int, big text); create table whole (like plain including all);
      alter table plain alter big set storage external; alter table whole alter big set storage external;
      alter table whole replica identity full; alter publication supabase_realtime add table plain, whole;
      insert into plain values (1, 1, repeat('x', 10000)); insert into whole select * from plain`);
    await using opened = open();
    const ear = openEar();
    await opened.feed.listen(ear);
    await test.run('update plain set n = 2; update whole set n = 2');
    const [plain, whole] = await ear.until(2);
    expect(plain!.row).toEqual(['1', '2', undefined]);
    expect(whole!.row).toEqual(['1', '2', 'x'.repeat(10_000)]);
  });

  it('hears of partitions, and of the messages of realtime as of one table', async () => {
    await test.run(`create table parts (id int primary key) partition by range (id);
      create table parts_1 partition of parts for values from (0) to (10); create table parts_2 partition of parts for values from (10) to (20);
      alter publication supabase_realtime add table parts`);
    await using opened = open();
    const ear = openEar();
    await opened.feed.listen(ear);
    await test.run('insert into parts values (1), (11); update parts set id = 12 where id = 1');
    await test.run(`select realtime.send('{"a":1}', 'happened', 'room', false)`);
    await test.run('delete from realtime.messages', 'supabase_realtime_admin');
    await test.run('truncate parts');
    await ear.until(7);
    expect(ear.heard.map(({ kind, table }) => `${kind} ${table.schema}.${table.name}`)).toEqual([
      'INSERT public.parts_1',
      'INSERT public.parts_2',
      'DELETE public.parts_1',
      'INSERT public.parts_2',
      'INSERT realtime.messages',
      'TRUNCATE public.parts_1',
      'TRUNCATE public.parts_2',
    ]);
  });

  it('delays the reading while it is busy, and misses nothing', async () => {
    await test.run(
      'create table busy (id int primary key); alter publication supabase_realtime add table busy',
    );
    await using opened = open();
    const ids: string[] = [];
    let largest = 0;
    let isBusy = false;
    const done = new Promise<void>((resolve) => {
      void opened.feed
        .listen({
          async changes(changes) {
            expect(isBusy).toBe(false);
            isBusy = true;
            largest = Math.max(largest, changes.length);
            ids.push(...changes.map(({ row }) => row![0]!));
            await new Promise((next) => setTimeout(next, 1));
            isBusy = false;
            if (ids.length === 20_000) resolve();
          },
          gap: () => {},
        })
        .then(() => test.run('insert into busy select generate_series(1, 20000)'));
    });
    await done;
    expect(ids).toEqual(Array.from({ length: 20_000 }, (_, index) => String(index + 1)));
    expect(largest).toBeLessThanOrEqual(1_000);
  });

  it('does not disturb others by what it throws', async () => {
    await test.run(
      'create table thrown (id int primary key); alter publication supabase_realtime add table thrown',
    );
    await using opened = open();
    const ear = openEar();
    await opened.feed.listen({
      changes: () => Promise.reject(new Error('no')),
      gap: () => {},
    });
    await opened.feed.listen({
      changes: () => {
        throw new Error('neither');
      },
      gap: () => {},
    });
    await opened.feed.listen(ear);
    await test.run('insert into thrown values (1)');
    await ear.until(1);
    expect(
      opened.observed.filter(({ kind }) => kind === 'changes.listener_failed').map(({ message }) => message),
    ).toEqual(['neither', 'no']);
  });
});

describe('what breaks the stream off', () => {
  it('is made up for: the end of its session, and whatever is committed meanwhile', async () => {
    await test.run(
      'create table cut (id int primary key); alter publication supabase_realtime add table cut',
    );
    await using opened = open();
    const ear = openEar();
    await opened.feed.listen(ear);
    for (let id = 1; id <= 20; id += 1) {
      await test.run(`insert into cut values (${id})`);
      if (id % 5 === 0)
        await test.run(
          `select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database() and active_pid is not null`,
          'supabase_admin',
        );
    }
    await ear.until(20);
    expect(ear.heard.map(({ row }) => row![0])).toEqual(
      Array.from({ length: 20 }, (_, index) => String(index + 1)),
    );
    expect(ear.gaps).toEqual([]);
  });

  it('is told as a gap when the slot is gone, and there is another', async () => {
    await test.run(
      'create table gone (id int primary key); alter publication supabase_realtime add table gone',
    );
    await using opened = open();
    const ear = openEar();
    await opened.feed.listen(ear);
    await test.run('insert into gone values (1)');
    await ear.until(1);
    const seen = opened.feed.latestId()!;
    const client = new pg.Client(test.login('supabase_admin'));
    await client.connect();
    await dropSlot(client, (await findSlot(client)).name);
    await client.end();
    expect(await ear.untilGap()).toBe('the replication slot is gone');
    expect(opened.feed.since(seen)).toBeUndefined();
    await test.run('insert into gone values (2)');
    await ear.until(2);
    expect(ear.heard.map(({ row }) => row![0])).toEqual(['1', '2']);
    expect(opened.feed.latestId()! > seen).toBe(true);
  });

  it('is no reason to keep slots of ours that nobody reads by', async () => {
    await test.run(
      `select pg_create_logical_replication_slot('millrace_changes_1', 'pgoutput'); select pg_create_logical_replication_slot('somebody_elses', 'pgoutput')`,
      'supabase_admin',
    );
    await using opened = open();
    await opened.feed.listen(openEar());
    expect(
      await test.run(
        `select slot_name::text from pg_replication_slots where database = current_database() and slot_name in ('millrace_changes_1', 'somebody_elses')`,
      ),
    ).toEqual([{ slot_name: 'somebody_elses' }]);
    expect(opened.observed.filter(({ kind }) => kind === 'changes.slots_dropped')).toEqual([
      { kind: 'changes.slots_dropped', level: 'warn', slots: ['millrace_changes_1'] },
    ]);
    await test.run(`select pg_drop_replication_slot('somebody_elses')`, 'supabase_admin');
  });

  it('is told as a gap when a listener is stuck for longer than the log may be kept', async () => {
    await test.run(
      'create table stuck (id int primary key, t text); alter publication supabase_realtime add table stuck',
    );
    await using opened = openTestFeed(database, () => test.login('supabase_realtime_admin'), {
      maxSlotBytes: () => 100_000,
      lookEveryMs: 50,
    });
    const ear = openEar();
    let free = () => {};
    let hang: Promise<void> | undefined = new Promise<void>((resolve) => {
      free = resolve;
    });
    await opened.feed.listen({
      changes(changes) {
        void ear.changes(changes);
        return hang;
      },
      gap: ear.gap,
    });
    await test.run("insert into stuck values (1, '')");
    await ear.until(1);
    await test.run("insert into stuck select n, repeat('x', 1000) from generate_series(2, 1000) as n");
    await expect
      .poll(() => test.run('select 1 from pg_replication_slots where database = current_database()'))
      .toEqual([]);
    hang = undefined;
    free();
    expect(await ear.untilGap()).toMatch(
      /^the write-ahead log kept for changes that were not taken had grown to \d+ bytes/,
    );
    await test.run("insert into stuck values (2000, '')");
    await ear.until(2);
    expect(ear.heard.map(({ row }) => row![0])).toEqual(['1', '2000']);
  });

  it('is told as a gap when the slot of a process that was stopped holds more than that, and nothing of it is read', async () => {
    await test.run('create table piled (t text); alter publication supabase_realtime add table piled');
    const ear = openEar();
    const earlier = open();
    await earlier.feed.listen(ear);
    await test.run("insert into piled values ('seen')");
    await ear.until(1);
    await earlier.feed.close();
    await test.run("insert into piled select repeat('x', 1000) from generate_series(1, 1000)");
    await using opened = openTestFeed(database, () => test.login('supabase_realtime_admin'), {
      maxSlotBytes: () => 100_000,
      // It is found at the beginning; what others write to the server's log meanwhile counts as well.
      lookEveryMs: 600_000,
    });
    const later = openEar();
    await opened.feed.listen(later);
    await test.run("insert into piled values ('new')");
    expect((await later.until(1)).map(({ row }) => row)).toEqual([['new']]);
    expect(opened.feed.since(ear.heard[0]!.id)).toBeUndefined();
    expect(opened.observed.filter(({ kind }) => kind === 'changes.gap')).toEqual([
      {
        kind: 'changes.gap',
        level: 'warn',
        reason: expect.stringMatching(/^the write-ahead log kept .* more than realtime\.max_slot_wal$/),
      },
    ]);
  });

  it('is nothing when the publication is dropped and made anew', async () => {
    await test.run(
      'create table published (id int primary key); alter publication supabase_realtime add table published',
    );
    await using opened = open();
    const ear = openEar();
    await opened.feed.listen(ear);
    await test.run('insert into published values (1)');
    await test.run('drop publication if exists supabase_realtime');
    await test.run('insert into published values (2)');
    await test.run('create publication supabase_realtime');
    await test.run('insert into published values (3)');
    await test.run('alter publication supabase_realtime add table published');
    await test.run('insert into published values (4)');
    await ear.until(2);
    expect(ear.heard.map(({ row }) => row![0])).toEqual(['1', '4']);
    expect(ear.gaps).toEqual([]);
  });
});

describe('reading', () => {
  const slots = () =>
    test.run(
      `select active_pid is not null as active from pg_replication_slots where database = current_database()`,
    );

  it('costs nothing before the first listener, and ends some time after the last', async () => {
    await using opened = openTestFeed(database, () => test.login('supabase_realtime_admin'), { idleMs: 20 });
    await expect.poll(slots).toEqual([]);
    expect(opened.feed.state()).toEqual({
      by: 'replication',
      isReading: false,
      sentence: 'Changes come by logical replication; nobody listens.',
    });
    const stop = await opened.feed.listen(openEar());
    expect(await slots()).toEqual([{ active: true }]);
    expect(opened.feed.state()).toEqual({
      by: 'replication',
      isReading: true,
      sentence: 'Changes come by logical replication.',
    });
    stop();
    await expect.poll(slots).toEqual([]);
    await (await opened.feed.listen(openEar()))();
  });

  describe('holds back no more of the log than allowed, also', () => {
    /** What a process leaves that was killed. */
    async function leaveSlot(): Promise<void> {
      await using earlier = open();
      await earlier.feed.listen(openEar());
    }
    const write = () =>
      test.run(`create table if not exists written (t text);
        insert into written select repeat('x', 1000) from generate_series(1, 1000)`);
    // Others write to the server's log as well.
    let allowed = Number.POSITIVE_INFINITY;
    const bounds = { maxSlotBytes: () => allowed, lookEveryMs: 20 };
    beforeEach(() => {
      allowed = Number.POSITIVE_INFINITY;
    });

    it('where whoever read was killed, and nobody listens to those that are left', async () => {
      await leaveSlot();
      await using left = openTestFeed(database, () => test.login('supabase_realtime_admin'), bounds);
      expect(await slots()).toEqual([{ active: false }]);
      allowed = 100_000;
      await write();
      await expect.poll(slots).toEqual([]);
      expect(left.feed.state().isReading).toBe(false);
    });

    it('where reading cannot even begin', async () => {
      await leaveSlot();
      allowed = 100_000;
      await write();
      const source = openReplicationSource({
        db: database.db,
        login: () => test.login('supabase_realtime_admin'),
        observe: () => {},
        ...bounds,
      });
      const stop = new AbortController();
      const never: Sink = {
        begin: () => Promise.reject(new Error('not now')),
        receive: () => {},
        reach: () => {},
        gap: () => {},
        floor: () => undefined,
        forget: () => {},
        newest: () => undefined,
      };
      const over = source.run(never, stop.signal);
      await expect.poll(slots).toEqual([]);
      expect(source.trouble()).toBe('not now');
      stop.abort();
      await over;
    });

    it('while a slot is made, which waits for the transactions that are open', async () => {
      const busy = new pg.Client(test.login('postgres'));
      await busy.connect();
      await busy.query('begin; create table held_open (id int)');
      await using opened = openTestFeed(database, () => test.login('supabase_realtime_admin'), bounds);
      const listening = opened.feed.listen(openEar());
      const places = () =>
        test.run(
          'select restart_lsn::text as place from pg_replication_slots where database = current_database()',
        );
      await expect.poll(places).toEqual([{ place: expect.any(String) }]);
      const [first] = await places();
      allowed = 100_000;
      await write();
      await expect
        .poll(async () => (await places()).filter(({ place }) => place !== first!['place']))
        .toHaveLength(1);
      allowed = Number.POSITIVE_INFINITY;
      await busy.query('rollback');
      await busy.end();
      (await listening)();
    });
  });

  it('goes on after a stop where it was: whoever comes back is told what was missed', async () => {
    await test.run(
      'create table kept (id int primary key); alter publication supabase_realtime add table kept',
    );
    const ear = openEar();
    {
      await using opened = open();
      await opened.feed.listen(ear);
      await test.run('insert into kept values (1)');
      await test.run('insert into kept values (2)');
      await ear.until(2);
    }
    await test.run('insert into kept values (3)');
    await using opened = open();
    const again = openEar();
    await opened.feed.listen(again);
    await test.run('insert into kept values (4)');
    await again.until(1);
    expect(again.heard.map(({ row }) => row![0])).toEqual(['4']);
    expect(opened.feed.since(ear.heard[0]!.id)!.map(({ row }) => row![0])).toEqual(['2', '3', '4']);
    expect(opened.feed.since(ear.heard[1]!.id)!.map(({ row }) => row![0])).toEqual(['3', '4']);
  });

  it('logs in as nobody who is a superuser', async () => {
    await using opened = open();
    await opened.feed.listen(openEar());
    expect(
      await test.run(
        `select usename, rolsuper from pg_stat_activity join pg_roles on rolname = usename where application_name = 'millrace changes' and datname = current_database()`,
        'supabase_admin',
      ),
    ).toEqual([{ usename: 'supabase_realtime_admin', rolsuper: false }]);
  });
});
