// In charge of: changes across the death of the database itself, which the supervisor brings back, and across a reset.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openDatabase } from '../src/engine/db/database.ts';
import { openEar, openTestFeed } from '../src/engine/db/replication/test-support.ts';
import { resetDatabase } from '../src/server/project-database.ts';
import { openShaped, type Shaped } from './harness/shaped.ts';

let shaped: Shaped;
let database: Database;
beforeAll(async () => {
  shaped = await openShaped();
  const limits = { maxConnections: 10, acquireTimeoutMs: 20_000, maxWaiting: 100 };
  database = await openDatabase(shaped.shaped.server, { limits, prepared: 'auto' }, () => {});
});
afterAll(async () => {
  await database?.close();
  await shaped?.[Symbol.asyncDispose]();
});

const open = () => openTestFeed(database, () => shaped.shaped.server.login('supabase_realtime_admin'));

/** Again and again until the database is back. */
async function patiently(sql: string): Promise<void> {
  await expect
    .poll(
      () =>
        shaped.run(sql).then(
          () => 'done',
          () => 'not yet',
        ),
      { interval: 100 },
    )
    .toBe('done');
}

it('a database that is killed comes back, and listeners go on where they were', async () => {
  await shaped.run('create table t (id int primary key); alter publication supabase_realtime add table t');
  await using opened = open();
  const ear = openEar();
  await opened.feed.listen(ear);
  await shaped.run('insert into t values (1)');
  await shaped.run('insert into t values (2)');
  await ear.until(2);
  process.kill(shaped.shaped.server.processId!, 'SIGKILL');
  await patiently('insert into t values (3)');
  await shaped.run('insert into t values (4)');
  await ear.until(4);
  expect(ear.heard.map(({ row }) => row![0])).toEqual(['1', '2', '3', '4']);
  expect(ear.gaps).toEqual([]);
});

it('a server that is stopped does not wait for what is kept for listeners', async () => {
  await using opened = open();
  const ear = openEar();
  await opened.feed.listen(ear);
  await shaped.run('insert into t values (10)');
  await ear.until(1);
  // Fast: it ends sessions, but waits for those that replicate to have received everything.
  const pid = shaped.shaped.server.processId!;
  process.kill(pid, 'SIGINT');
  await patiently('insert into t values (11)');
  expect(shaped.shaped.server.processId).not.toBe(pid);
  await ear.until(2);
  expect(ear.heard.map(({ row }) => row![0])).toEqual(['10', '11']);
});

it('a reset is told as a gap, and what is committed in the new database is heard', async () => {
  await using opened = open();
  const ear = openEar();
  await opened.feed.listen(ear);
  await shaped.run('insert into t values (20)');
  await ear.until(1);
  const options = { observe: () => {}, progress: () => {}, signal: new AbortController().signal };
  await resetDatabase(shaped.shaped, shaped.prepared, options, false);
  expect(await ear.untilGap()).toBe('the replication slot is gone');
  await patiently('create table if not exists fresh (id int primary key)');
  await shaped.run('alter publication supabase_realtime add table fresh; insert into fresh values (1)');
  await ear.until(2);
  expect(ear.heard.map(({ table, row }) => [table.name, row![0]])).toEqual([
    ['t', '20'],
    ['fresh', '1'],
  ]);
});
