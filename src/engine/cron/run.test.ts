// In charge of: a run that is broken off: it ends, whatever its job makes of that.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { RunChange } from './job-table.ts';
import { RunEnded, runJob } from './run.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await openTestDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

describe('a run that is broken off', () => {
  it('sends nothing when that is said before its command is on its way', async () => {
    const { stop, changes, ended } = start('create table public.too_late (id int)', (change) => {
      if (change.status === 'running') stop.abort(new RunEnded('job canceled'));
    });
    expect(await ended).toBe('failed');
    expect(changes.at(-1)).toMatchObject({ status: 'failed', message: 'job canceled' });
    expect(await db.run("select to_regclass('public.too_late') as made")).toEqual([{ made: null }]);
  });

  it('ends although its command catches the cancel', async () => {
    const stubborn = `do $$ begin
      loop begin perform pg_catalog.pg_sleep(60); exception when query_canceled then null; end; end loop; end $$`;
    const { stop, changes, ended } = start(stubborn, () => {}, 0);
    await untilAsleep();
    stop.abort(new RunEnded('server restarted'));
    expect(await ended).toBe('failed');
    expect(changes.at(-1)).toMatchObject({ status: 'failed', message: 'server restarted' });
    await db.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg_cron'");
  });
});

function start(command: string, onChange: (change: RunChange) => void, graceMs?: number) {
  const stop = new AbortController();
  const changes: RunChange[] = [];
  const job = {
    id: '1',
    schedule: '* * * * *',
    command,
    database: db.name,
    username: 'postgres',
    active: true,
    isAllowed: true,
  };
  const ended = runJob(
    job,
    () => db.login('postgres'),
    async (change) => {
      changes.push(change);
      onChange(change);
    },
    stop.signal,
    graceMs,
  );
  return { stop, changes, ended };
}

async function untilAsleep(): Promise<void> {
  for (;;) {
    const asleep = await db.run(
      "select from pg_stat_activity where application_name = 'pg_cron' and datname = current_database() and wait_event = 'PgSleep'",
    );
    if (asleep.length > 0) return;
  }
}
