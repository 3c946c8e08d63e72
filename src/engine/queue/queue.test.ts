// In charge of: what the queue promises: nothing before the commit, nothing lost, nothing twice at the same time.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import type { Observation } from '../../base/observe.ts';
import { withClient } from '../db/client.ts';
import type { Database } from '../db/database.ts';
import { enqueue, type Job, openJobTable } from './jobs.ts';
import { backoffSeconds, JobRefused, openQueue, type QueueOptions } from './queue.ts';
import type { ProcessTask } from './test-process.ts';

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await openTestDatabase();
  database = await test.open();
  await test.run(
    'create table public.running (job text primary key); create table public.ran (job text, pid int)',
  );
});
afterAll(async () => {
  await database.close();
  await test[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await test.run('truncate _millrace.jobs', 'millrace_admin');
  await test.run('truncate public.running, public.ran');
});

interface Opened {
  readonly queue: ReturnType<typeof openQueue>;
  readonly seen: Observation[];
  /** Resolves when this has been seen so many times. */
  until(kind: string, times?: number): Promise<Observation>;
}

function open(options: Partial<QueueOptions> = {}): Opened {
  const seen: Observation[] = [];
  const waiting = new Set<() => void>();
  const { db, listener } = database;
  const queue = openQueue({
    db,
    listener,
    backoffSeconds: () => 0,
    observe(observation) {
      seen.push(observation);
      for (const check of waiting) check();
    },
    ...options,
  });
  onTestFinished(() => queue.close(1_000));
  return {
    queue,
    seen,
    until: (kind, times = 1) =>
      new Promise((resolve) => {
        const check = () => {
          const found = seen.filter((observation) => observation.kind === kind);
          if (found.length >= times) {
            waiting.delete(check);
            resolve(found[times - 1]!);
          }
        };
        waiting.add(check);
        check();
      }),
  };
}

const jobs = () => test.run('select * from _millrace.jobs order by id', 'millrace_admin');

describe('a job', () => {
  it('is done once its transaction has committed; of one that was rolled back nobody hears', async () => {
    // Nothing but the notification can wake it within the test.
    const { queue, until } = open({ pollMs: 3_600_000 });
    const done: unknown[] = [];
    queue.handle({ kind: 'mail', concurrency: 2, run: async (job) => void done.push(job.payload) });
    await database.listener?.ready;
    await withClient(test.login('supabase_auth_admin'), async (client) => {
      await client.query('begin');
      await enqueue(client, { kind: 'mail', payload: { to: 'nobody' } });
      await client.query('rollback');
      await client.query('begin');
      await enqueue(client, { kind: 'mail', payload: { to: 'ada' } });
      expect(done).toEqual([]);
      await client.query('commit');
    });
    await until('queue.done');
    expect(done).toEqual([{ to: 'ada' }]);
    // What it said is forgotten.
    expect(await jobs()).toMatchObject([{ state: 'done', payload: null, attempts: 1, holder: null }]);
  });

  it('with the key of another is that one, also when both are asked for at the same time', async () => {
    const { queue, until } = open();
    const ids = await Promise.all(
      Array.from({ length: 10 }, (_, at) => queue.enqueue({ kind: 'mail', payload: at, key: 'welcome ada' })),
    );
    expect(new Set(ids).size).toBe(1);
    let times = 0;
    queue.handle({ kind: 'mail', concurrency: 5, run: async () => void times++ });
    await until('queue.done');
    expect(await queue.enqueue({ kind: 'mail', payload: 'again', key: 'welcome ada' })).toBe(ids[0]);
    await queue.enqueue({ kind: 'mail', payload: 'other', key: 'welcome eve' });
    await until('queue.done', 2);
    expect(times).toBe(2);
  });

  it('comes back when it fails, and is kept as dead with its reason when it fails for good', async () => {
    const { queue, until } = open();
    const attempts: number[] = [];
    queue.handle({
      kind: 'mail',
      concurrency: 1,
      run: async (job) => {
        attempts.push(job.attempt);
        throw new Error(`no answer ${job.attempt}`);
      },
    });
    await queue.enqueue({ kind: 'mail', payload: {}, maxAttempts: 3 });
    expect(await until('queue.failed', 3)).toMatchObject({ level: 'error', outcome: 'dead', attempt: 3 });
    expect(attempts).toEqual([1, 2, 3]);
    expect(await jobs()).toMatchObject([{ state: 'dead', last_error: 'no answer 3', attempts: 3 }]);
    expect(await queue.figures()).toEqual([
      { kind: 'mail', waiting: 0, running: 0, dead: 1, lateSeconds: 0 },
    ]);
  });

  it('that is refused is dead at once', async () => {
    const { queue, until } = open();
    queue.handle({
      kind: 'mail',
      concurrency: 1,
      run: () => Promise.reject(new JobRefused('no such address')),
    });
    await queue.enqueue({ kind: 'mail', payload: {} });
    expect(await until('queue.failed')).toMatchObject({ outcome: 'dead', message: 'no such address' });
  });

  it('that has expired is not done any more', async () => {
    const { queue, until } = open();
    await queue.enqueue({
      kind: 'mail',
      payload: { code: '123456' },
      expiresAt: new Date(Date.now() - 1_000),
    });
    let done = false;
    queue.handle({
      kind: 'mail',
      concurrency: 1,
      run: async () => {
        done = true;
      },
    });
    expect(await until('queue.failed')).toMatchObject({
      outcome: 'dead',
      message: 'too late: it has expired',
    });
    expect(done).toBe(false);
  });

  it('waits for its time', async () => {
    const { queue, until } = open();
    const order: unknown[] = [];
    await queue.enqueue({ kind: 'mail', payload: 'later', runAt: new Date(Date.now() + 300) });
    await queue.enqueue({ kind: 'mail', payload: 'now' });
    queue.handle({ kind: 'mail', concurrency: 5, run: async ({ payload }) => void order.push(payload) });
    await until('queue.done', 2);
    expect(order).toEqual(['now', 'later']);
  });

  it('whose lease somebody else has is stopped, and its end counts no more', async () => {
    const { queue, until } = open({ leaseSeconds: 1 });
    const stopped = new Promise<string>((resolve) => {
      queue.handle({
        kind: 'mail',
        concurrency: 1,
        run: (job, signal) =>
          new Promise((end) => {
            signal.addEventListener('abort', () => {
              resolve(job.id);
              end();
            });
            void test.run(
              `update _millrace.jobs set holder = 'another', attempts = 2, run_at = now() + interval '1 hour'`,
              'millrace_admin',
            );
          }),
      });
    });
    const id = await queue.enqueue({ kind: 'mail', payload: {} });
    expect(await stopped).toBe(id);
    await until('queue.lost');
    expect(await jobs()).toMatchObject([{ state: 'waiting', holder: 'another' }]);
  });

  it('that runs when the process stops may finish; one that does not comes back unharmed', async () => {
    const { queue } = open();
    let began = 0;
    let finish: () => void = () => {};
    const both = new Promise<void>((resolve) => {
      queue.handle({
        kind: 'mail',
        concurrency: 2,
        run: ({ payload }, signal) =>
          new Promise((end, fail) => {
            if (payload === 'quick') finish = end;
            else signal.addEventListener('abort', () => fail(signal.reason));
            if (++began === 2) resolve();
          }),
      });
    });
    await queue.enqueue({ kind: 'mail', payload: 'quick' });
    await queue.enqueue({ kind: 'mail', payload: 'slow' });
    await both;
    const closed = queue.close(50);
    finish();
    await closed;
    expect(await jobs()).toMatchObject([
      { state: 'done' },
      { state: 'waiting', holder: null, attempts: 0, last_error: null },
    ]);
  });
});

describe('the queue', () => {
  it('takes no more than a bound of one kind', async () => {
    await test.run(
      `insert into _millrace.jobs (kind, payload, max_attempts, run_at)
       select 'mail', '{}', 1, now() + interval '1 hour' from generate_series(1, 50000)`,
      'millrace_admin',
    );
    const { queue } = open();
    await expect(queue.enqueue({ kind: 'mail', payload: {} })).rejects.toThrow(
      'the queue "mail" is full: 50000 jobs wait',
    );
    await expect(queue.enqueue({ kind: 'sms', payload: {} })).resolves.toMatch(/^\d+$/);
  });

  it.each([
    ['supabase_auth_admin', undefined],
    ['supabase_storage_admin', undefined],
    ['authenticator', 'permission denied for schema _millrace'],
    ['postgres', undefined],
    ['supabase_realtime_admin', 'permission denied for schema _millrace'],
  ] as const)('takes jobs from owners of services, not from roles of requests: %s', async (role, refusal) => {
    const asked = test.run(`select _millrace.enqueue('mail', '{}')`, role);
    if (refusal === undefined) {
      await asked;
      // What is in it is for the program alone to change.
      const written = test.run(`update _millrace.jobs set payload = '{"to": "eve"}'`, role);
      await expect(written).rejects.toThrow('permission denied for table jobs');
    } else await expect(asked).rejects.toThrow(refusal);
  });

  it('forgets what has ended long ago', async () => {
    await test.run(
      `insert into _millrace.jobs (kind, payload, max_attempts, state, ended_at) values
        ('mail', '1', 1, 'done', now() - interval '25 hours'), ('mail', '2', 1, 'done', now() - interval '23 hours'),
        ('mail', '3', 1, 'dead', now() - interval '31 days'), ('mail', '4', 1, 'dead', now() - interval '29 days'),
        ('mail', '5', 1, 'waiting', null)`,
      'millrace_admin',
    );
    expect(await openJobTable(database.db, 'test').clean()).toBe(2);
    expect((await jobs()).map(({ payload }) => payload)).toEqual([2, 4, 5]);
  });

  it('tries again soon at first, then seldom, for more than an hour', () => {
    const waits = Array.from({ length: 7 }, (_, at) => backoffSeconds(at + 1));
    for (const [at, least] of [2, 8, 32, 128, 512, 1800, 1800].entries()) {
      expect(waits[at]).toBeGreaterThanOrEqual(least);
      expect(waits[at]).toBeLessThanOrEqual(least * 1.2);
    }
  });
});

describe('several processes', () => {
  function start(hangs: boolean): ChildProcess {
    const child = fork(fileURLToPath(new URL('./test-process.ts', import.meta.url)), {
      execArgv: [],
      execPath: process.execPath,
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const logins = {
      authenticator: test.login('authenticator'),
      millrace_admin: test.login('millrace_admin'),
      postgres: test.login('postgres'),
    };
    child.send({ logins, hangs } satisfies ProcessTask);
    return child;
  }

  it('do the job again of one that was killed between its claim and its end', async () => {
    const { queue } = open({ leaseSeconds: 2, pollMs: 200 });
    const id = await queue.enqueue({ kind: 'test', payload: 'precious' });
    const child = start(true);
    await new Promise<void>((resolve) => {
      child.on('message', (message) => {
        if (typeof message === 'object') resolve();
      });
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const job = await new Promise<Job>((resolve) => {
      queue.handle({ kind: 'test', concurrency: 1, run: async (taken) => resolve(taken) });
    });
    expect(job).toMatchObject({ id, attempt: 2, payload: 'precious' });
  });

  it('never do one job at the same time, and each job once', async () => {
    const total = 300;
    await test.run(
      `select _millrace.enqueue('test', to_jsonb(n)) from generate_series(1, ${total}) as n`,
      'supabase_auth_admin',
    );
    const children = [start(false), start(false), start(false)];
    const { queue, until } = open();
    const ran = async () => Number((await test.run('select count(*) as n from public.ran'))[0]!.n);
    queue.handle({
      kind: 'test',
      concurrency: 2,
      async run({ id }) {
        await database.db.asOwner('postgres', (client) =>
          client.query('insert into public.running values ($1)', [id]),
        );
        await database.db.asOwner('postgres', (client) =>
          client.query(
            'with ended as (delete from public.running where job = $1) insert into public.ran values ($1, 0)',
            [id],
          ),
        );
      },
    });
    await until('queue.done');
    await expect.poll(ran, { timeout: 30_000 }).toBe(total);
    for (const child of children) {
      child.send('stop');
      await once(child, 'exit');
    }
    const rows = await test.run(
      'select job, count(*)::int as times from public.ran group by job having count(*) > 1',
    );
    expect(rows).toEqual([]);
    // A second one at the same time would have failed on the key, and would have been tried again.
    expect(await test.run('select * from _millrace.jobs where attempts <> 1', 'millrace_admin')).toEqual([]);
    const pids = await test.run('select distinct pid from public.ran');
    expect(pids.length).toBeGreaterThan(1);
  });
});
