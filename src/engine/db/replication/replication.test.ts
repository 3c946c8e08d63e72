// In charge of: what a listener hears of changes that come by replication.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import type { Database } from '../database.ts';
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
});
