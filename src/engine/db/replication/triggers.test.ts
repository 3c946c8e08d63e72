// In charge of: what a listener hears of changes that triggers write down, where there is no logical replication.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import { withClient } from '../client.ts';
import { type Database, openDatabase } from '../database.ts';
import { openPglite } from '../pglite/pglite.ts';
import { bootstrapDatabase } from '../shape/shape.ts';
import { openChangeFeed } from './change-feed.ts';
import { line, openEar, openTestFeed, openTriggerFeed } from './test-support.ts';

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

describe('a listener', () => {
  it('hears the same as by replication', async () => {
    await test.run(`create table kinds (id int primary key, t text, at timestamptz, b bytea, n numeric, j jsonb, f float8, d interval,
        twice int generated always as (id * 2) stored);
      create table whole (a int, t text); alter table whole replica identity full;
      create table parts (id int primary key) partition by range (id);
      create table parts_1 partition of parts for values from (0) to (10); create table parts_2 partition of parts for values from (10) to (20);
      alter publication supabase_realtime add table kinds, whole, parts`);
    await using byTriggers = openTriggerFeed(database);
    await using byReplication = openTestFeed(database, () => test.login('supabase_realtime_admin'));
    const [one, other] = [openEar(), openEar()];
    await byTriggers.feed.listen(one);
    await byReplication.feed.listen(other);
    await test.run(`set timezone = 'Asia/Tokyo'; set datestyle = 'German'; set bytea_output = 'escape'; set intervalstyle = 'iso_8601';
      insert into kinds values (1, 'a "quoted", (text)', '2026-11-30 12:00:00+00', '\\x00ff', 1.50, '{"a": "b\\\\c"}', 0.1, '1 day 2 hours');
      insert into kinds (id, t) values (2, null), (3, '')`);
    await test.run(
      `update kinds set t = 'new' where id = 2; update kinds set id = 4 where id = 3; delete from kinds where id = 4`,
    );
    await test.run("insert into whole values (1, 'x'); update whole set t = null; delete from whole");
    await test.run(
      'alter table kinds drop column n; alter table kinds rename t to u; alter table kinds add column more int default 5',
    );
    await test.run("insert into kinds (id, u) values (5, 'five'); truncate kinds");
    await test.run(
      'insert into parts values (1), (11); update parts set id = 12 where id = 1; truncate parts',
    );
    await test.run(
      `select realtime.send('{"id":"0f0b1a3c-0000-4000-8000-000000000000"}', 'happened', 'room', false)`,
    );
    await test.run(
      "set session_replication_role = replica; insert into whole values (2, 'unseen by triggers')",
      'supabase_admin',
    );
    await other.until(19);
    await one.until(19);
    expect(one.heard.map(line)).toEqual(other.heard.map(line));
    expect(one.heard.map(({ table }) => table.columns)).toEqual(
      other.heard.map(({ table }) => table.columns),
    );
    expect(one.heard.map(({ table }) => table.identity)).toEqual(
      other.heard.map(({ table }) => table.identity),
    );
    const ids = one.heard.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort());
    expect(byTriggers.feed.since(ids[7]!)).toEqual(one.heard.slice(8));
  });

  it('hears of what is added to the publication later, and nothing of what is taken from it', async () => {
    await test.run('create table later (id int primary key); create table never (id int primary key)');
    await using opened = openTriggerFeed(database);
    const ear = openEar();
    await opened.feed.listen(ear);
    const followed = () =>
      test.run(
        "select tgrelid::regclass::text as name from pg_trigger where tgname = 'millrace_note_change' and tgrelid = 'later'::regclass",
      );
    await test.run('alter publication supabase_realtime add table later');
    await expect.poll(followed).toEqual([{ name: 'later' }]);
    await test.run('insert into never values (1); insert into later values (1)');
    await ear.until(1);
    await test.run('drop publication supabase_realtime; create publication supabase_realtime');
    await expect.poll(followed).toEqual([]);
    await test.run('insert into later values (2)');
    await test.run('alter publication supabase_realtime add table later');
    await expect.poll(followed).toEqual([{ name: 'later' }]);
    await test.run('insert into later values (3)');
    await ear.until(2);
    expect(ear.heard.map(line)).toEqual(['INSERT public.later {"id":"1"}', 'INSERT public.later {"id":"3"}']);
  });

  it('hears of a row’s changes in their order, whichever transaction began first', async () => {
    await test.run(
      'create table rows (id int primary key, n int); insert into rows values (1, 0); alter publication supabase_realtime add table rows',
    );
    await using opened = openTriggerFeed(database);
    const ear = openEar();
    await opened.feed.listen(ear);
    const first = new pg.Client(test.login('postgres'));
    const second = new pg.Client(test.login('postgres'));
    await Promise.all([first.connect(), second.connect()]);
    await first.query('begin; insert into rows values (2, 0)');
    await second.query('begin; update rows set n = 1 where id = 1; commit');
    await first.query('update rows set n = 2 where id = 1; commit');
    await Promise.all([first.end(), second.end()]);
    await ear.until(3);
    expect(ear.heard.map(line)).toEqual([
      'UPDATE public.rows {"id":"1","n":"1"} old {"id":"1"}',
      'INSERT public.rows {"id":"2","n":"0"}',
      'UPDATE public.rows {"id":"1","n":"2"} old {"id":"1"}',
    ]);
  });
});

it('goes on after a stop where it was, and leaves no trigger behind when nobody listens any more', async () => {
  await test.run(
    'create table kept (id int primary key); alter publication supabase_realtime add table kept',
  );
  const ear = openEar();
  {
    await using opened = openTriggerFeed(database);
    await opened.feed.listen(ear);
    await test.run('insert into kept values (1)');
    await test.run('insert into kept values (2)');
    await ear.until(2);
  }
  await test.run('insert into kept values (3)');
  await using opened = openTriggerFeed(database, { idleMs: 20 });
  const again = openEar();
  const stop = await opened.feed.listen(again);
  await test.run('insert into kept values (4)');
  await again.until(1);
  expect(again.heard.map(({ row }) => row![0])).toEqual(['4']);
  expect(opened.feed.since(ear.heard[0]!.id)!.map(({ row }) => row![0])).toEqual(['2', '3', '4']);
  stop();
  const left = () => test.run("select from pg_trigger where tgname like 'millrace_note%'");
  await expect.poll(left).toEqual([]);
  const seen = opened.feed.latestId()!;
  await test.run('insert into kept values (5)');
  await opened.feed.listen(openEar());
  expect(opened.feed.since(seen)).toBeUndefined();
});

it('does not wait for whoever writes when too much was kept, and nobody waits for it', async () => {
  await test.run(
    'create table busy (id int primary key, t text); alter publication supabase_realtime add table busy',
  );
  await using opened = openTriggerFeed(database, { maxQueueBytes: () => 400_000 });
  const ear = openEar();
  await opened.feed.listen(ear);
  const long = new pg.Client(test.login('postgres'));
  await long.connect();
  await long.query("begin; insert into busy values (0, '')");
  const began = performance.now();
  await test.run("insert into busy select n, repeat('x', 1000) from generate_series(1, 1000) as n");
  const reason = await ear.untilGap();
  expect(reason).toMatch(/^the changes that were kept had grown to \d+ bytes/);
  // Behind somebody who waits for the whole table these would wait as long as the transaction above goes on, which is for good.
  for (let id = 10_000; performance.now() - began < 4_000; id++)
    await test.run(`insert into busy values (${id}, '')`);
  await long.query('commit');
  await long.end();
  await expect.poll(() => ear.heard.at(-1)?.row?.[0]).toBe('0');
  // Said once, although the table stays as large as it was.
  expect(ear.gaps.length).toBe(1);
}, 60_000);

it('hears on PGlite, too, and the start says how', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mr-changes-'));
  await chmod(folder, 0o711);
  const observe = () => {};
  const server = await openPglite({
    project: folder,
    data: join(folder, 'state'),
    port: 0,
    password: 'postgres',
    observe,
  });
  try {
    await withClient(server.login('supabase_admin'), (client) =>
      bootstrapDatabase(client, {
        external: false,
        passwordOf: () => undefined,
        autoExposeNewTables: true,
        observe,
      }),
    );
    const limits = { maxConnections: 10, acquireTimeoutMs: 5_000, maxWaiting: 100 };
    const own = await openDatabase(server, { limits, prepared: 'auto' }, observe);
    const { changes, notices, close } = await openChangeFeed({
      server,
      database: own,
      leases: own.leases,
      isShared: false,
      maxSlotBytes: () => 1024 ** 3,
      observe,
      now: Date.now,
    });
    expect(notices).toEqual([
      'Realtime reads changes by triggers on the tables of the publication "supabase_realtime", because PGlite has no replication.',
    ]);
    const run = (sql: string) => withClient(server.login('postgres'), (client) => client.query(sql));
    await run('create table t (id int primary key); alter publication supabase_realtime add table t');
    const ear = openEar();
    await changes.listen(ear);
    await run('insert into t values (1); update t set id = 2');
    await run(`select realtime.send('{"a":1}', 'happened', 'room', false)`);
    await ear.until(3);
    expect(ear.heard.map(({ kind, table }) => `${kind} ${table.schema}.${table.name}`)).toEqual([
      'INSERT public.t',
      'UPDATE public.t',
      'INSERT realtime.messages',
    ]);
    await close();
    await own.close();
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}, 240_000);
