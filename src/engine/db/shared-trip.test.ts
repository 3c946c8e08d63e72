// In charge of: what requests that share a connection promise each other: nothing of one is seen by another, whatever becomes of it.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import {
  openSharedConnections,
  outcome,
  type SharedConnections,
  someLimits,
} from '../../../test/harness/shared-connections.ts';
import { Cancellation } from '../../base/cancellation.ts';
import type { Caller } from '../identity/caller.ts';
import { withClient } from './client.ts';
import type { Rows, Work } from './db.ts';
import { openPostgres } from './postgres/supervisor.ts';

let test: TestDatabase;

beforeAll(async () => {
  test = await openTestDatabase();
  await test.run(`
    create table public.own (id int, owner text, body text);
    alter table public.own enable row level security;
    create policy own on public.own using (owner = current_setting('request.jwt.claims')::json ->> 'sub');
    insert into public.own select n, 'user' || n % 40, 'of user' || n % 40 from generate_series(0, 399) n;
    grant select on public.own to anon, authenticated;

    create table public.secret as select 'secret' as word;
    revoke all on public.secret from anon, authenticated;
    grant select on public.secret to authenticated;

    create table public.altered as select 'same' as word;
    grant select on public.altered to anon, authenticated;

    create table public.log (n int primary key, owner text);
    grant select, insert on public.log to anon, authenticated;

    create schema one; create schema two;
    create table one.here as select 'one' as name;
    create table two.here as select 2 as name;
    grant usage on schema one, two to anon, authenticated;
    grant select on one.here, two.here to anon, authenticated;

    create function public.put(name text, value text, is_local boolean) returns text language plpgsql volatile as
      $$ begin perform set_config(name, value, is_local); return current_setting(name); end $$;
    create function public.become(name text) returns text language plpgsql volatile as
      $$ begin execute format('set role %I', name); return current_user; end $$;
    create function public.litter(word text) returns text language plpgsql volatile as $$ begin
      execute format('create temp table %I (id int) on commit drop', word);
      execute format('prepare %I as select 1', word);
      execute format('deallocate %I', word);
      perform pg_advisory_xact_lock(hashtext(word));
      return word; end $$;
  `);
});

afterAll(() => test[Symbol.asyncDispose]());

function callerOf(subject: string, role = 'authenticated'): Caller {
  return { role, claims: JSON.stringify({ role, sub: subject }), subject, by: 'token' };
}
const anon = callerOf('nobody', 'anon');
const ada = callerOf('user1');

const read = (text: string, params: readonly (string | null)[] = []): Work => ({
  statement: { text, params },
  readOnly: true,
});
const write = (text: string, params: readonly (string | null)[] = []): Work => ({
  statement: { text, params },
});
const number = (n: number) => read('select $1', [String(n)]);
/** Waits for as long as somebody holds the lock. */
const locked = (key: number, n: number) =>
  read('select pg_advisory_xact_lock_shared($1)::text || $2', [String(key), String(n)]);

/** A session that holds advisory lock `key` until it is disposed of. */
async function lock(key: number): Promise<AsyncDisposable & { query(sql: string): Promise<unknown> }> {
  const client = new pg.Client(test.login('supabase_admin'));
  await client.connect();
  await client.query('select pg_advisory_lock($1)', [key]);
  let ended: Promise<void> | undefined;
  return {
    query: (sql) => client.query(sql),
    async [Symbol.asyncDispose]() {
      ended ??= client.query('select pg_advisory_unlock_all()').then(() => client.end());
      await ended;
    },
  };
}

/** The backends that wait for an advisory lock; as soon as there is one. */
async function waitingBackends(): Promise<readonly number[]> {
  for (;;) {
    const rows = await test.run(
      `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      'supabase_admin',
    );
    if (rows.length > 0) return rows.map((row) => row.pid as number);
  }
}

/** Tells whether somebody still listens to it. */
class Heard extends Cancellation {
  isHeard = false;
  override listen(listener: (() => void) | undefined): void {
    this.isHeard = listener !== undefined;
    super.listen(listener);
  }
}

describe('requests of many callers on few connections', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const asks = 800;

  const who = `select current_user || '|' || current_setting('request.jwt.claims') || '|' || current_setting('request.headers') || '|' ||
    current_setting('timezone') || '|' || current_setting('search_path') || '|' || current_setting('transaction_read_only') || '|' ||
    coalesce((select string_agg(distinct body, ',') from public.own), '')`;
  const here = 'select name from here';
  const leftover = `select coalesce(current_setting('request.cookies', true), '')`;
  const altered = 'select * from public.altered';
  const divide = 'select 60 / $1::int';
  const secret = 'select word from public.secret';
  const insert = 'insert into public.log values ($1, current_user) returning n';
  const sleep = 'select pg_sleep($1)::text || $2';
  const nap = 'select $2 || pg_sleep($1)::text';
  const put = 'select public.put($1, $2, $3)';
  const become = 'select public.become($1)';
  const litter = 'select public.litter($1)';

  /** Asks all in waves, each with what it may be answered; gives what was answered otherwise, and which writes were and which may be done. */
  async function askAll({ db }: SharedConnections, table: number, also: readonly string[]) {
    const random = randomOf(seed);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
    const sure = new Set<string>();
    const unsure = new Set<string>();

    /** One request, and every answer that it may get. */
    const next = (n: number): readonly [caller: Caller, work: Work, expected: readonly unknown[]] => {
      const role = pick(['anon', 'authenticated', 'authenticated']);
      const caller = callerOf(`user${Math.floor(random() * 40)}`, role);
      const readOnly = random() < 0.7;
      const headers = `{"n":"${n}"}`;
      const [timezone, path] = [pick(['UTC', 'Asia/Tokyo', 'America/Lima']), pick(['one', 'two', 'public'])];
      const settings = [
        ['search_path', path],
        ['request.headers', headers],
        ['request.cookies', headers],
        ['timezone', timezone],
      ] as const;
      const base = { settings, readOnly };
      const as = (text: string, params: readonly string[] = []) => ({ ...base, statement: { text, params } });
      const kind = random();
      if (kind < 0.4) {
        const parts = [role, caller.claims, headers, timezone, path, readOnly ? 'on' : 'off'];
        const answer = [...parts, `of ${caller.subject}`].join('|');
        // A transaction of its own now and then, among those that share.
        const isolation = kind < 0.03 ? { isolation: 'repeatable read' as const } : {};
        const verdict = kind > 0.38 ? { verdict: () => 'rollback' as const } : {};
        return [caller, { ...as(who), ...isolation, ...verdict }, [answer]];
      }
      if (kind < 0.43) return [caller, { ...read(leftover), readOnly }, ['']];
      if (kind < 0.5) return [caller, as(here), [{ one: 'one', two: '2', public: '42P01' }[path]]];
      if (kind < 0.58) return [caller, as(altered), ['same']];
      if (kind < 0.65) {
        const by = pick([0, 1, 2, 3]);
        return [caller, as(divide, [String(by)]), [by === 0 ? '22012' : String(60 / by)]];
      }
      if (kind < 0.7) return [caller, as(secret), [role === 'anon' ? '42501' : 'secret']];
      if (kind < 0.8) {
        const key = String(table + n);
        return [caller, as(insert, [key]), [readOnly ? '25006' : key]];
      }
      if (kind < 0.81) return [caller, as(sleep, ['0.06', String(n)]), [String(n)]];
      if (kind < 0.87) {
        // What a function sets for its session stays in the session, as with any pool; what a request sets itself is its own nevertheless.
        const [name, value] = pick([
          ['request.headers', '{"n":"spoilt"}'],
          ['request.jwt.claims', '{"sub":"spoilt"}'],
          ['timezone', 'Europe/Oslo'],
          ['search_path', 'spoilt'],
          ['my.note', 'spoilt'],
        ] as const);
        return [caller, as(put, [name, value, String(random() < 0.5)]), [value]];
      }
      if (kind < 0.9) return [caller, as(become, ['service_role']), ['service_role']];
      if (kind < 0.93) return [caller, as(litter, [`litter${n}`]), [readOnly ? '25006' : `litter${n}`]];
      const cancellation = new Cancellation();
      const cancel = (turns: number) =>
        void (turns === 0 ? cancellation.cancel(new Error('gone')) : setImmediate(cancel, turns - 1));
      cancel(pick([0, 1, 3, 10, 30]));
      return [caller, { ...as(nap, ['0.002', String(n)]), cancellation }, ['gone', '57014', String(n)]];
    };

    const wrong: unknown[] = [];
    for (let n = 0; n < asks; ) {
      const wave = Array.from({ length: Math.min(asks - n, 1 + Math.floor(random() * 120)) }, async () => {
        n += 1;
        const [caller, work, expected] = next(n);
        const [settled] = await Promise.allSettled([db.as(caller, work)]);
        const got = outcome(settled!);
        const { text, params } = work.statement;
        if (text === insert && got === 'unreachable') unsure.add(params[0]!);
        if (text === insert && got === params[0]) sure.add(params[0]!);
        if (![...expected, ...also].includes(got))
          wrong.push({ text, params, caller: caller.claims, got, expected });
      });
      await Promise.all(wave);
    }
    return { wrong, sure, unsure };
  }

  async function learnAll(shared: SharedConnections, table: number) {
    const settings = [['request.headers', '{}']] as const;
    await shared.learn(
      ada,
      { ...read(who), settings },
      read(divide, ['1']),
      read(secret),
      read(sleep, ['0', 'x']),
    );
    await shared.learn(
      ada,
      write(put, ['my.note', 'x', 'true']),
      write(become, ['anon']),
      read(nap, ['0', 'x']),
    );
    await shared.learn(
      ada,
      { ...read(here), settings: [['search_path', 'one']] },
      read(altered),
      read(leftover),
    );
    await shared.learn(
      ada,
      (run) => write(insert, [String(-table - run)]),
      (run) => write(litter, [`first${run}`]),
    );
    shared.forgetWrites();
  }

  const logged = async (table: number) => {
    const rows = await test.run(
      `select n::text from public.log where n between ${table} and ${table + asks}`,
    );
    return new Set(rows.map((row) => row.n as string));
  };

  it(`each get their own answer under their own role, claims and settings (SEED=${seed})`, async () => {
    const limits = { ...someLimits, maxConnections: 3 };
    await using shared = openSharedConnections(test.login('authenticator'), limits);
    await learnAll(shared, 10_000);
    const { wrong, sure } = await askAll(shared, 10_000, []);
    expect(wrong).toEqual([]);
    // It really was shared: much went out in the write of another.
    const writes = shared.writes();
    expect(writes.filter((count) => count > 1).length).toBeGreaterThan(20);
    expect(Math.max(...writes)).toBeGreaterThanOrEqual(5);
    // Each write was done once, however often its request began anew.
    expect(await logged(10_000)).toEqual(sure);
    expect(shared.said).not.toContain('db.prepared_off');
    await shared.atRest();
  });

  it(`get it while connections die and tables change under them, or are told that there is none (SEED=${seed})`, async () => {
    const limits = { ...someLimits, maxConnections: 3 };
    await using shared = openSharedConnections(test.login('authenticator'), limits);
    await learnAll(shared, 20_000);
    let isDone = false;
    const asking = askAll(shared, 20_000, ['unreachable']).finally(() => {
      isDone = true;
    });
    let kills = 0;
    for (let turn = 0; !isDone; turn += 1) {
      if (turn % 3 === 0) {
        const killed = await test.run(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and usename = 'authenticator' order by random() limit 1`,
          'supabase_admin',
        );
        kills += killed.length;
      } else if (turn % 3 === 1) await test.run('alter table public.altered add column more int default 1');
      else await test.run('alter table public.altered drop column more');
    }
    const { wrong, sure, unsure } = await asking;
    expect(wrong).toEqual([]);
    expect(kills).toBeGreaterThan(1);
    expect(shared.writes().filter((count) => count > 1).length).toBeGreaterThan(20);
    const done = await logged(20_000);
    expect([...sure].filter((key) => !done.has(key))).toEqual([]);
    expect([...done].filter((key) => !sure.has(key) && !unsure.has(key))).toEqual([]);
    expect(shared.said).not.toContain('db.prepared_off');
    await shared.atRest();
  });
});

describe('a request that fails', () => {
  it('fails alone, and all are answered in the order in which they came', async () => {
    await using shared = openSharedConnections(test.login('authenticator'));
    const divide = (by: number) => read('select 60 / $1::int', [String(by)]);
    await shared.learn(ada, divide(1), read('select word from public.secret'));
    const order: number[] = [];
    shared.forgetWrites();
    const settled = await shared.together(() =>
      [
        [ada, divide(1)],
        [ada, divide(0)],
        [anon, divide(2)],
        [anon, read('select word from public.secret')],
        [ada, read('select word from public.secret')],
        [callerOf('x', 'no_such_role'), divide(3)],
        [ada, divide(0)],
        [anon, divide(4)],
      ].map(async ([caller, work], index) => {
        try {
          return await shared.db.as(caller as Caller, work as Work);
        } finally {
          order.push(index);
        }
      }),
    );
    expect(settled.map(outcome)).toEqual(['60', '22012', '30', '42501', 'secret', '22023', '22012', '15']);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(shared.writes()).toEqual([8]);
    await shared.atRest();
  });

  it('at the end of its transaction fails alone too', async () => {
    await test.run(`
      create table public.late (id int, constraint once unique (id) deferrable initially deferred);
      insert into public.late values (7); grant all on public.late to authenticated`);
    await using shared = openSharedConnections(test.login('authenticator'));
    const insert = (id: number) => write('insert into public.late values ($1) returning id', [String(id)]);
    await shared.learn(ada, (run) => insert(100 + run));
    shared.forgetWrites();
    const settled = await shared.together(() => [1, 7, 2].map((id) => shared.db.as(ada, insert(id))));
    expect(settled.map(outcome)).toEqual(['1', '23505', '2']);
    expect(shared.writes()).toEqual([3]);
    await shared.atRest();
  });

  it('on the way out leaves nobody hanging', async () => {
    await using shared = openSharedConnections(test.login('authenticator'));
    await shared.learn(ada, number(0));
    // No caller can do this; a mistake of ours could.
    const broken = read('select $1', [{} as string]);
    const settled = await shared.together(() => [shared.db.as(ada, number(1)), shared.db.as(ada, broken)]);
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(outcome((await Promise.allSettled([shared.db.as(ada, number(2))]))[0]!)).toBe('2');
    await shared.atRest();
  });
});

describe('a caller who has gone', () => {
  const some = async (cancelled: readonly number[], holdsUntilDone: boolean) => {
    await using shared = openSharedConnections(test.login('authenticator'));
    await shared.learn(ada, locked(1, 0), number(0));
    const cancellations = Array.from({ length: 4 }, () => new Heard());
    await using held = await lock(1);
    let release: PromiseLike<void> | undefined;
    let settled: PromiseSettledResult<Rows>[];
    try {
      const asked = shared.together(() =>
        cancellations.map((cancellation, index) =>
          shared.db.as(ada, {
            ...(index === 0 || holdsUntilDone ? locked(1, index) : number(index)),
            cancellation,
          }),
        ),
      );
      await waitingBackends();
      for (const index of cancelled) cancellations[index]!.cancel(new Error('gone'));
      if (!holdsUntilDone) release = held[Symbol.asyncDispose]();
      settled = await asked;
    } finally {
      await (release ?? held[Symbol.asyncDispose]());
    }
    await shared.atRest();
    expect(cancellations.map(({ isHeard }) => isHeard)).toEqual([false, false, false, false]);
    // No cancel was left over for whoever came next.
    const after = await Promise.allSettled([5, 6, 7].map((n) => shared.db.as(ada, locked(1, n))));
    expect(after.map(outcome)).toEqual(['5', '6', '7']);
    await shared.atRest();
    return settled.map(outcome);
  };

  it('has the query stopped that runs; the others are answered', async () => {
    const [first, ...others] = await some([0], false);
    // The lock may have come before the cancel.
    expect(['57014', '0']).toContain(first);
    expect(others).toEqual(['1', '2', '3']);
  });

  it('and waits behind another harms nobody', async () => {
    const [first, second, ...others] = await some([1], false);
    expect(first).toBe('0');
    expect(['57014', '1', 'gone']).toContain(second);
    expect(others).toEqual(['2', '3']);
  });

  it('is not waited for by the server, were it all of them', async () => {
    for (const answer of await some([0, 1, 2, 3], true)) expect(['57014', 'gone']).toContain(answer);
  });

  it('has the connection used again only when the cancel is through, which may come late', async () => {
    const server = test.login('authenticator');
    await using proxy = await openProxy(server);
    await using held = await lock(6);
    const config = { ...server, host: '127.0.0.1', port: proxy.port };
    await using shared = openSharedConnections(config);
    await shared.learn(ada, locked(60, 0), number(0));
    const client = await shared.hold();
    const cancellation = new Heard();
    const asked = [{ ...locked(6, 1), cancellation }, number(2)].map((work) => shared.db.as(ada, work));
    shared.free(client);
    const arrived = proxy.holdNew();
    cancellation.cancel(new Error('gone'));
    await arrived;
    await held[Symbol.asyncDispose]();
    expect((await Promise.allSettled(asked)).map(outcome)).toEqual(['1', '2']);
    let isLaterDone = false;
    const later = shared.db.as(ada, number(3)).finally(() => {
      isLaterDone = true;
    });
    // Far longer than it would take.
    await test.run('select 1');
    expect(isLaterDone).toBe(false);
    expect(shared.figures()).toMatchObject({ taken: 1, waiting: 1 });
    proxy.letNew();
    expect((await later).rows).toEqual([['3']]);
    await shared.atRest();
  });

  it('while waiting for a connection is not sent at all', async () => {
    await using shared = openSharedConnections(test.login('authenticator'));
    await shared.learn(ada, number(0));
    shared.forgetWrites();
    const cancellations = [0, 1, 2].map(() => new Heard());
    const settled = await shared.together(() => {
      const asked = cancellations.map((cancellation, n) => shared.db.as(ada, { ...number(n), cancellation }));
      cancellations[0]!.cancel(new Error('gone'));
      cancellations[2]!.cancel(new Error('gone'));
      return asked;
    });
    expect(settled.map(outcome)).toEqual(['gone', '1', 'gone']);
    expect(shared.writes()).toEqual([1]);
    const all = await shared.together(() => {
      const gone = [0, 1].map((n) => {
        const cancellation = new Cancellation();
        const asked = shared.db.as(ada, { ...number(n), cancellation });
        cancellation.cancel(new Error('gone'));
        return asked;
      });
      return gone;
    });
    expect(all.map(outcome)).toEqual(['gone', 'gone']);
    await shared.atRest();
  });
});

describe('a request that suddenly takes long', () => {
  it('does not keep those behind it waiting: it runs again alone, and does not share for a while', async () => {
    await using shared = openSharedConnections(test.login('authenticator'), {
      ...someLimits,
      maxConnections: 2,
    });
    await shared.learn(ada, locked(2, 0), number(0));
    await using held = await lock(2);
    const other = await shared.hold();
    let isFirstDone = false;
    const client = await shared.hold();
    const first = shared.db.as(ada, locked(2, 1)).finally(() => {
      isFirstDone = true;
    });
    const others = [2, 3, 4].map((n) => shared.db.as(ada, number(n)));
    shared.forgetWrites();
    shared.free(client);
    expect(shared.writes()).toEqual([4]);
    // Nobody has let go of the lock, and there is no other connection.
    expect((await Promise.allSettled(others)).map(outcome)).toEqual(['2', '3', '4']);
    expect(isFirstDone).toBe(false);
    shared.free(other);
    await held[Symbol.asyncDispose]();
    expect((await first).rows).toEqual([['1']]);
    await shared.atRest();

    shared.forgetWrites();
    await shared.together(() => [1, 2, 3].map((n) => shared.db.as(ada, locked(2, n))));
    expect(shared.writes()).toEqual([1, 1, 1]);
    await shared.atRest();
  });

  it('and writes does so once', async () => {
    await test.run(
      `create table public.counted (id int primary key, n int); insert into public.counted values (1, 0), (2, 0);
       grant all on public.counted to authenticated`,
    );
    await using shared = openSharedConnections(test.login('authenticator'), {
      ...someLimits,
      maxConnections: 2,
    });
    const add = (id: number) =>
      write('update public.counted set n = n + 1 where id = $1 returning n', [String(id)]);
    await shared.learn(ada, add(2));
    const [counted] = await test.run('select n from public.counted where id = 2');
    const before = counted?.n as number;
    let free = () => {};
    const released = new Promise<void>((resolve) => {
      free = resolve;
    });
    let blocker: Promise<void> | undefined;
    await new Promise<void>((locks) => {
      blocker = withClient(test.login('postgres'), async (client) => {
        await client.query('begin; update public.counted set n = n where id = 1');
        locks();
        await released;
        await client.query('commit');
      });
    });
    const held = await Promise.all([shared.hold(), shared.hold()]);
    const first = shared.db.as(ada, add(1));
    const others = [shared.db.as(ada, add(2)), shared.db.as(ada, add(2))];
    shared.free(held[0]!);
    expect((await Promise.allSettled(others)).map(outcome)).toEqual([String(before + 1), String(before + 2)]);
    free();
    await blocker;
    shared.free(held[1]!);
    expect((await first).rows).toEqual([['1']]);
    expect(await test.run('select n from public.counted order by id')).toEqual([{ n: 1 }, { n: before + 2 }]);
    await shared.atRest();
  });

  it('again and again into its time limit does not share either', async () => {
    await using shared = openSharedConnections(test.login('authenticator'), someLimits, 'on');
    const limited = (n: number): Work => ({ ...locked(3, n), settings: [['statement_timeout', '100ms']] });
    await shared.learn(ada, limited(0));
    await using held = await lock(3);
    const settled = await shared.together(() => [1, 2].map((n) => shared.db.as(ada, limited(n))));
    expect(settled.map(outcome)).toEqual(['57014', '57014']);
    shared.forgetWrites();
    await shared.together(() => [1, 2].map((n) => shared.db.as(ada, limited(n))));
    expect(shared.writes()).toEqual([1, 1]);
    await held[Symbol.asyncDispose]();
    await shared.atRest();
  });
});

describe('a connection that dies', () => {
  it.each(['ended', 'cut'] as const)(
    'under several requests fails all of them, and no other (%s)',
    async (how) => {
      const server = test.login('authenticator');
      await using proxy = await openProxy(server);
      await using held = await lock(4);
      await using shared = openSharedConnections({ ...server, host: '127.0.0.1', port: proxy.port });
      await shared.learn(ada, locked(40, 0), number(0));
      const client = await shared.hold();
      const asked = [locked(4, 1), number(2), number(3)].map((work) => shared.db.as(ada, work));
      const later = shared.db.as(anon, read(`select 'later'`));
      // Sound: `pg`'s Client knows the process that serves it; @types/pg leaves it out.
      const pid = (client as unknown as { processID: number }).processID;
      shared.forgetWrites();
      shared.free(client);
      expect(shared.writes()).toEqual([3]);
      if (how === 'cut') proxy.cut();
      else await held.query(`select pg_terminate_backend(${pid})`);
      expect((await Promise.allSettled(asked)).map(outcome)).toEqual([
        'unreachable',
        'unreachable',
        'unreachable',
      ]);
      expect((await later).rows).toEqual([['later']]);
      await shared.atRest();
    },
  );

  it('without a word is given up when not even a cancel gets through', async () => {
    const server = test.login('authenticator');
    await using proxy = await openProxy(server);
    const config = { ...server, host: '127.0.0.1', port: proxy.port };
    await using shared = openSharedConnections(config, { ...someLimits, maxConnections: 2 });
    await shared.learn(ada, number(0));
    const held = await Promise.all([shared.hold(), shared.hold()]);
    const asked = [1, 2, 3].map((n) => shared.db.as(ada, number(n)));
    const cancellation = new Cancellation();
    const alone = shared.db.as(ada, { ...read('select 1'), cancellation });
    proxy.freeze();
    for (const client of held) shared.free(client);
    cancellation.cancel(new Error('gone'));
    const settled = await Promise.allSettled([...asked, alone]);
    expect(settled.map(outcome)).toEqual(['unreachable', 'unreachable', 'unreachable', 'unreachable']);
    await shared.atRest();
  });

  it('with its server, which falls when one of its processes is killed, fails all requests and is replaced', async () => {
    await using server = await openOwnServer();
    const asked: Promise<Rows>[] = [];
    await using shared = openSharedConnections(server.login, { ...someLimits, maxConnections: 4 });
    const root = callerOf('root', 'supabase_admin');
    await shared.learn(root, locked(5, 0), number(0));
    const client = await shared.hold();
    const { rows } = await client.query('select pg_backend_pid() as pid, pg_advisory_lock(5)');
    const held = await Promise.all([shared.hold(), shared.hold(), shared.hold()]);
    for (let n = 0; n < 24; n += 1) asked.push(shared.db.as(root, n % 8 === 0 ? locked(5, n) : number(n)));
    shared.forgetWrites();
    for (const one of held) shared.free(one);
    expect(shared.writes()).toEqual([8, 8, 8]);
    process.kill(rows[0].pid as number, 'SIGKILL');
    const answers = (await Promise.allSettled(asked)).map(outcome);
    expect(new Set(answers)).toEqual(new Set(['unreachable']));
    shared.free(client);
    await shared.atRest();
    await vi.waitFor(async () => {
      expect((await shared.db.as(root, number(7))).rows).toEqual([['7']]);
    }, 30_000);
    await shared.atRest();
  });
});

describe('what is prepared', () => {
  it('is prepared anew when DDL changed what it gives, once for each connection', async () => {
    await test.run(`
      create table public.changing as select 1 as a, 2 as b; grant select on public.changing to anon, authenticated`);
    await using shared = openSharedConnections(test.login('authenticator'));
    const all = read('select * from public.changing');
    await shared.learn(ada, all, number(0));
    await shared.learn(anon, all);
    await test.run(
      'alter table public.changing drop column a; alter table public.changing add column c int default 3',
    );
    const ask = () =>
      [ada, ada, anon, ada].map((caller, n) => shared.db.as(caller, n === 1 ? number(n) : all));
    const first = await shared.together(ask);
    expect(first.map((settled) => settled.status === 'fulfilled' && settled.value.rows)).toEqual([
      [['2', '3']],
      [['1']],
      [['2', '3']],
      [['2', '3']],
    ]);
    shared.forgetWrites();
    const second = await shared.together(ask);
    expect(second.map(outcome)).toEqual(['2', '1', '2', '2']);
    expect(shared.writes()).toEqual([4]);
    expect(shared.said).not.toContain('db.prepared_off');
    await shared.atRest();
  });

  it('that is stale on one connection is not met there again, though its request went to another', async () => {
    await test.run(
      'create table public.moving as select 1 as a; grant select on public.moving to authenticated',
    );
    const limits = { ...someLimits, maxConnections: 2 };
    await using shared = openSharedConnections(test.login('authenticator'), limits);
    const all = read('select * from public.moving');
    await shared.learn(ada, all, number(0), locked(70, 0));
    const [one, other] = [await shared.hold(), await shared.hold()];
    const onOne = async () => {
      await using held = await lock(7);
      // The last one keeps the connection until the others are through, so that these cannot come back to it.
      const asked = [number(1), all, locked(7, 3)].map((work) => shared.db.as(ada, work));
      shared.free(one);
      shared.free(other);
      await Promise.allSettled(asked.slice(0, 2));
      await held[Symbol.asyncDispose]();
      const settled = await Promise.allSettled(asked);
      for (const client of [await shared.hold(), await shared.hold()]) expect([one, other]).toContain(client);
      return settled.map(outcome);
    };
    expect(await onOne()).toEqual(['1', '1', '3']);
    await test.run(
      `alter table public.moving rename a to b; alter table public.moving alter b type text using 'x'`,
    );
    expect(await onOne()).toEqual(['1', 'x', '3']);
    shared.forgetWrites();
    expect(await onOne()).toEqual(['1', 'x', '3']);
    expect(shared.writes()).toEqual([3]);
    shared.free(one);
    shared.free(other);
    await shared.atRest();
  });

  it('is not taken for prepared when it could not be, whatever others on the same trip had prepared before it', async () => {
    await test.run(
      'create table public.coming as select 1 as a; grant select on public.coming to anon, authenticated',
    );
    await using shared = openSharedConnections(test.login('authenticator'));
    const coming = read('select a from public.coming');
    const others = [number(1), read('select 2 + $1::int', ['0']), read('select 3 + $1::int', ['0'])];
    await shared.learn(ada, coming, ...others);
    // For this role nothing is prepared yet on the one connection; its table is away just now.
    await test.run('alter table public.coming rename to away');
    shared.forgetWrites();
    const settled = await shared.together(() =>
      [...others, coming, coming, ...others].map((work) => shared.db.as(anon, work)),
    );
    expect(settled.map(outcome)).toEqual(['1', '2', '3', '42P01', '42P01', '1', '2', '3']);
    // The second one missed the name that the first was to make, and went alone.
    expect(shared.writes()[0]).toBe(8);
    await test.run('alter table public.away rename to coming');
    const again = await shared.together(() => [coming, coming].map((work) => shared.db.as(anon, work)));
    expect(again.map(outcome)).toEqual(['1', '1']);
    expect(outcome((await Promise.allSettled([shared.db.as(anon, coming)]))[0]!)).toBe('1');
    expect(shared.said).not.toContain('db.prepared_off');
    await shared.atRest();
  });

  it('stays within its bound on a connection, when more goes through than it keeps', async () => {
    await using shared = openSharedConnections(test.login('authenticator'), someLimits, 'on');
    const texts = Array.from({ length: 300 }, (_, n) => read(`select ${n} + $1::int`, ['0']));
    const askAll = (caller: Caller) => shared.together(() => texts.map((work) => shared.db.as(caller, work)));
    const expected = texts.map((_, n) => String(n));
    for (let round = 0; round < 5; round += 1) expect((await askAll(ada)).map(outcome)).toEqual(expected);
    shared.forgetWrites();
    expect((await askAll(ada)).map(outcome)).toEqual(expected);
    expect(shared.writes().filter((count) => count === 8).length).toBeGreaterThan(20);
    // Another role, for which nothing is to be dropped but what belongs to others.
    expect((await askAll(anon)).map(outcome)).toEqual(expected);
    const prepared = read('select count(*) from pg_prepared_statements');
    expect((await shared.db.as(ada, prepared)).rows).toEqual([['256']]);
    await shared.atRest();
  });

  it('is not needed to be right: without names, nothing is shared', async () => {
    await using shared = openSharedConnections(test.login('authenticator'), someLimits, 'off');
    await shared.learn(ada, number(0));
    shared.forgetWrites();
    const settled = await shared.together(() => [1, 2, 3].map((n) => shared.db.as(ada, number(n))));
    expect(settled.map(outcome)).toEqual(['1', '2', '3']);
    expect(shared.writes()).toEqual([1, 1, 1]);
    await shared.atRest();
  });
});

/** The same numbers from 0 to 1 for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** A Postgres that nobody else uses, so that it may fall. */
async function openOwnServer() {
  const folder = await mkdtemp(join(tmpdir(), 'mr-trip-'));
  // Root's Postgres runs as another user, who has to get through.
  await chmod(folder, 0o711);
  const server = await openPostgres({
    project: folder,
    data: join(folder, 'state'),
    systemFolder: join(folder, 'system'),
    port: 0,
    password: 'postgres',
    observe: () => {},
  });
  return {
    login: server.login('supabase_admin'),
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A network between us and the server. */
async function openProxy(server: ClientConfig) {
  const sockets = new Set<Socket>();
  let isFrozen = false;
  let waiting: (() => void)[] | undefined;
  let arrived = () => {};
  const listener = createServer((near) => {
    const far = server.host?.startsWith('/')
      ? connect(`${server.host}/.s.PGSQL.${server.port}`)
      : connect(server.port!, server.host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
      if (waiting) waiting.push(() => from.pipe(to));
      else if (!isFrozen) from.pipe(to);
    }
    if (waiting) arrived();
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  return {
    port: (listener.address() as AddressInfo).port,
    cut,
    /** Keeps back what new connections say; resolves with the first of them. */
    holdNew() {
      waiting = [];
      return new Promise<void>((resolve) => {
        arrived = resolve;
      });
    },
    letNew() {
      for (const go of waiting ?? []) go();
      waiting = undefined;
    },
    /** Nothing goes through any more, and nobody is told. */
    freeze() {
      isFrozen = true;
      for (const socket of sockets) socket.unpipe();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
