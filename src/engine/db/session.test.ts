// In charge of: what one round trip under a caller's rights promises.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import { openSharedConnections, someLimits } from '../../../test/harness/shared-connections.ts';
import { Cancellation } from '../../base/cancellation.ts';
import type { Caller } from '../identity/caller.ts';
import type { Database } from './database.ts';
import { DatabaseUnavailable, type Work } from './db.ts';
import { acquired, giveBack, openPool } from './pool.ts';
import { openDb } from './session.ts';

const anon: Caller = { role: 'anon', claims: '{"role":"anon"}', subject: undefined, by: 'nothing' };
const ada: Caller = {
  role: 'authenticated',
  claims: '{"role":"authenticated","sub":"ada"}',
  subject: 'ada',
  by: 'token',
};

let test: TestDatabase;
let database: Database;

beforeAll(async () => {
  test = await openTestDatabase();
  await test.run(`
    create table public.notes (id int primary key, owner text not null, body text);
    alter table public.notes enable row level security;
    create policy own on public.notes using (owner = current_setting('request.jwt.claims')::json ->> 'sub');
    insert into public.notes values (1, 'ada', 'first'), (2, 'bob', 'second');
    grant all on public.notes to anon, authenticated;
    create table public.plain (id int);
    grant all on public.plain to anon;
  `);
  database = await test.open();
});

afterAll(async () => {
  await database.close();
  await test[Symbol.asyncDispose]();
});

const select = (text: string, params: readonly (string | null)[] = []): Work => ({
  statement: { text, params },
});
const count = () =>
  test.run('select count(*)::int as n from public.notes', 'supabase_admin').then((rows) => rows[0]?.n);
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: { code?: string }) => error.code,
  );

describe('as(caller, work)', () => {
  it('puts role and claims in place for the statement behind', async () => {
    const work = select(`select current_user, current_setting('request.jwt.claims')`);
    expect(await database.db.as(ada, work)).toEqual({ rows: [['authenticated', ada.claims]], affected: 1 });
    expect(await database.db.as(anon, work)).toEqual({ rows: [['anon', anon.claims]], affected: 1 });
  });

  it('lets row-level security decide, by the same prepared text for two callers', async () => {
    const work = select('select id::text from public.notes');
    expect((await database.db.as(ada, work)).rows).toEqual([['1']]);
    expect((await database.db.as(anon, work)).rows).toEqual([]);
    expect((await database.db.as({ ...ada, claims: '{"sub":"bob"}' }, work)).rows).toEqual([['2']]);
  });

  it('leaves nothing of a caller behind on the connection', async () => {
    await database.db.as(ada, { ...select('select 1'), settings: [['my.setting', 'ada']] });
    const rows = await database.db.asOwner('authenticator', (client) =>
      client.query(
        `select current_user, current_setting('my.setting', true) as setting, current_setting('request.jwt.claims', true) as claims`,
      ),
    );
    expect(rows.rows).toEqual([{ current_user: 'authenticator', setting: null, claims: null }]);
    const sessions = await database.db.as(anon, select(`select current_setting('my.setting', true)`));
    expect(sessions.rows).toEqual([['']]);
  });

  it('refuses a write in a read-only transaction', async () => {
    const write = select(`insert into public.notes values (9, 'ada', '') returning id::text`);
    expect(await code(database.db.as(ada, { ...write, readOnly: true }))).toBe('25006');
    expect(await code(database.db.as(ada, { ...write, readOnly: true, isolation: 'serializable' }))).toBe(
      '25006',
    );
  });

  it('undoes a transaction that shall end so, with the rows in hand', async () => {
    const write = select(`insert into public.notes values (9, 'ada', '') returning id::text`);
    expect(await database.db.as(ada, { ...write, end: 'rollback' })).toEqual({ rows: [['9']], affected: 1 });
    expect(await count()).toBe(2);
  });

  it('asks the verdict before the end, and undoes on a throw', async () => {
    const write = select(`insert into public.notes values (9, 'ada', '') returning id::text`);
    const refusal = new Error('one too many');
    const refuse = {
      ...write,
      verdict: () => {
        throw refusal;
      },
    };
    await expect(database.db.as(ada, refuse)).rejects.toBe(refusal);
    await database.db.as(ada, { ...write, verdict: () => 'rollback' });
    expect(await count()).toBe(2);
    await database.db.as(ada, { ...write, verdict: () => 'commit' });
    expect(await count()).toBe(3);
    await test.run('delete from public.notes where id = 9');
  });

  it('runs what stands before the statement in the same transaction', async () => {
    const before = { text: `select set_config('my.before', 'yes', true)`, params: [] };
    const answer = await database.db.as(anon, { ...select(`select current_setting('my.before')`), before });
    expect(answer.rows).toEqual([['yes']]);
  });

  it('works on after each kind of failure, on the same connections', async () => {
    for (const [text, expected] of [
      ['select no_such_column from public.notes', '42703'],
      ['syntax error', '42601'],
      ['select 1/0', '22012'],
      ['select * from auth.users', '42501'],
      ['copy public.plain from stdin', '57014'],
      [`select 'x'::int`, '22P02'],
    ] as const) {
      expect([text, await code(database.db.as(anon, select(text)))]).toEqual([text, expected]);
      expect((await database.db.as(ada, select('select id::text from public.notes'))).rows).toEqual([['1']]);
    }
    expect(await code(database.db.as(anon, select('select $1::int', ['no number'])))).toBe('22P02');
    expect((await database.db.as(anon, select('select $1::int', ['7']))).rows).toEqual([['7']]);
  });

  it('makes a new plan when DDL changed the result of a prepared statement', async () => {
    await test.run(
      `create table public.changing (a int); insert into public.changing values (1); grant select on public.changing to anon`,
    );
    const work = select('select * from public.changing');
    expect((await database.db.as(anon, work)).rows).toEqual([['1']]);
    await test.run('alter table public.changing add column b int default 2');
    expect((await database.db.as(anon, work)).rows).toEqual([['1', '2']]);
  });

  it('cancels the query of a caller who has gone, and uses the connection again', async () => {
    const cancellation = new Cancellation();
    const running = code(database.db.as(anon, { ...select('select pg_sleep(30)'), cancellation }));
    const isRunning = async () =>
      (
        await test.run(
          `select 1 from pg_stat_activity where query like 'select pg_sleep(30)%' and state = 'active' and datname = current_database()`,
          'supabase_admin',
        )
      ).length > 0;
    while (!(await isRunning()));
    cancellation.cancel(new Error('gone'));
    expect(await running).toBe('57014');
    expect(await isRunning()).toBe(false);
    expect((await database.db.as(anon, select('select 1::text'))).rows).toEqual([['1']]);
  });

  it('uses a full connection for a role that has nothing prepared on it yet', async () => {
    await using shared = openSharedConnections(test.login('authenticator'));
    for (let n = 0; n < 300; n += 1) await shared.db.as(anon, select(`select ${n}::text`));
    const work = select('select current_user::text');
    expect((await shared.db.as(ada, work)).rows).toEqual([['authenticated']]);
    expect((await shared.db.as(anon, work)).rows).toEqual([['anon']]);
    expect(shared.said).toEqual([]);
  });

  it('keeps a bounded number of prepared statements on a connection, and closes what it drops', async () => {
    for (let index = 0; index < 300; index += 1) await database.db.as(anon, select(`select ${index}::text`));
    const { rows } = await database.db.as(anon, select('select count(*)::text from pg_prepared_statements'));
    expect(Number(rows[0]?.[0])).toBe(256);
  });
});

describe('transaction(caller, run)', () => {
  it('lets each step see what the earlier ones wrote, and undoes all on a throw', async () => {
    const add = (id: number) => select('insert into public.notes values ($1, $2, null)', [String(id), 'ada']);
    const seen = await database.db.transaction(ada, async (step) => {
      await step(add(20));
      return (await step(select('select count(*)::text from public.notes'))).rows;
    });
    expect(seen).toEqual([['2']]);
    expect(
      await code(
        database.db.transaction(ada, async (step) => {
          await step(add(21));
          await step(add(20));
        }),
      ),
    ).toBe('23505');
    expect(await count()).toBe(3);
    await test.run('delete from public.notes where id = 20');
  });

  it('begins once more when DDL changed the result of its first step, and does the rest once', async () => {
    await test.run(
      `create table public.stepped as select 1 as a; grant select on public.stepped to authenticated`,
    );
    await using shared = openSharedConnections(test.login('authenticator'));
    const all = select('select * from public.stepped');
    const add = select('insert into public.notes values ($1, $2, null) returning id::text', ['30', 'ada']);
    const twoSteps = () =>
      shared.db.transaction(ada, async (step) => [(await step(all)).rows, (await step(add)).rows], {
        isolation: 'repeatable read',
        end: 'rollback',
      });
    expect(await twoSteps()).toEqual([[['1']], [['30']]]);
    await test.run('alter table public.stepped add column b int default 2');
    expect(await twoSteps()).toEqual([[['1', '2']], [['30']]]);
    // Its transaction is the one that was asked for.
    const level = select(`select current_setting('transaction_isolation')`);
    await test.run('alter table public.stepped add column c int default 3');
    const seen = await shared.db.transaction(
      ada,
      async (step) => [(await step(all)).rows, (await step(level)).rows],
      { isolation: 'serializable' },
    );
    expect(seen).toEqual([[['1', '2', '3']], [['serializable']]]);
    expect(shared.said).toEqual([]);
    await shared.atRest();
  });

  it('begins once more without names when its first step misses one', async () => {
    await using shared = openSharedConnections(test.login('authenticator'));
    const one = () => shared.db.transaction(ada, (step) => step(select('select 1::text')));
    expect((await one()).rows).toEqual([['1']]);
    await shared.db.as(ada, select('deallocate all'));
    expect((await one()).rows).toEqual([['1']]);
    expect(shared.said).toEqual(['db.prepared_off']);
    await shared.atRest();
  });

  it('runs no step outside of its transaction after one has failed, were it the first', async () => {
    const add = (id: number) => select('insert into public.notes values ($1, $2, null)', [String(id), 'ada']);
    const codes: unknown[] = [];
    const before = await count();
    await database.db
      .transaction(ada, async (step) => {
        codes.push(await code(step(select('select 1 / 0'))));
        codes.push(await code(step(add(40))));
        throw new Error('no more');
      })
      .catch(() => {});
    expect(codes).toEqual(['22012', '25P02']);
    expect(await count()).toBe(before);
  });

  it('leaves no open transaction to who comes next, even when it could not be undone', async () => {
    await using shared = openSharedConnections(test.login('authenticator'), someLimits, 'on');
    const one = select('select 1::text');
    await shared.db.transaction(ada, (step) => step(one), { end: 'rollback' });
    // The server has lost the prepared rollback; asked to keep to names, we do not know of it.
    const backend = select('select pg_backend_pid()::text');
    let inside: unknown;
    const refused = shared.db.transaction(ada, async (step) => {
      inside = (await step(backend)).rows;
      await step(select('deallocate all'));
      throw new Error('no more');
    });
    await expect(refused).rejects.toThrow('no more');
    const after = await shared.db.as(ada, backend);
    expect(after.rows).not.toEqual(inside);
    expect((await shared.db.as(ada, one)).rows).toEqual([['1']]);
    await shared.atRest();
  });
});

describe('a database that does not answer', () => {
  const limits = { maxConnections: 1, acquireTimeoutMs: 2_000, maxWaiting: 1 };
  const reason = (promise: Promise<unknown>) =>
    promise.then(
      () => 'no error',
      (error: unknown) => (error instanceof DatabaseUnavailable ? error.reason : String(error)),
    );

  it('is said to be unreachable when nothing listens', async () => {
    const pool = openPool({ host: '127.0.0.1', port: 1, user: 'authenticator' }, limits, () => {});
    const db = openDb({ requests: pool, limits, ownerPool: () => pool, prepared: 'auto', observe: () => {} });
    expect(await reason(db.as(anon, select('select 1')))).toBe('unreachable');
    await pool.end();
  });

  it('is said to be busy when no connection comes free in time, and when too many wait', async () => {
    const pool = openPool(test.login('authenticator'), limits, () => {});
    const db = openDb({ requests: pool, limits, ownerPool: () => pool, prepared: 'auto', observe: () => {} });
    const held = await acquired(pool, limits);
    const first = reason(db.as(anon, select('select 1')));
    const second = reason(db.as(anon, select('select 1')));
    expect(await Promise.all([first, second])).toEqual(['timeout', 'overloaded']);
    giveBack(pool, limits, held, false);
    expect((await db.as(anon, select('select 1::text'))).rows).toEqual([['1']]);
    await pool.end();
  });

  it('is said to be unreachable when the session is ended in the middle', async () => {
    const running = reason(database.db.as(anon, select('select pg_sleep(20)')));
    const end = () =>
      test.run(
        `select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(20)%' and datname = current_database() and state = 'active' and pid <> pg_backend_pid()`,
        'supabase_admin',
      );
    while ((await end()).length === 0);
    expect(await running).toBe('unreachable');
    expect((await database.db.as(anon, select('select 1::text'))).rows).toEqual([['1']]);
  });
});
