// In charge of: the queue's table: putting in, claiming, ending. Each is one statement; who claimed a job is known by holder and attempt.
import type { Db } from '../db/db.ts';

export interface NewJob {
  readonly kind: string;
  readonly payload: unknown;
  /** Two jobs of a kind with one key are one job, also for a while after it is done. */
  readonly key?: string;
  /** Not before. */
  readonly runAt?: Date;
  /** Too late after: it then ends as dead. */
  readonly expiresAt?: Date;
  readonly maxAttempts?: number;
}

/** A job that this process holds. */
export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly payload: unknown;
  /** 1 for the first. */
  readonly attempt: number;
  readonly createdAt: Date;
}

export interface QueueFigures {
  readonly kind: string;
  /** Ready or later; those that somebody holds are `running`. */
  readonly waiting: number;
  readonly running: number;
  readonly dead: number;
  /** Of the job that is due for longest; 0 when none is. */
  readonly lateSeconds: number;
}

/** A session in a transaction, of whatever driver. */
export interface Queryable {
  query(text: string, values: unknown[]): Promise<{ readonly rows: unknown[] }>;
}

/** Puts a job into the transaction of `client`. Gives its number. */
export async function enqueue(client: Queryable, job: NewJob): Promise<string> {
  const { rows } = await client.query(
    `select _millrace.enqueue($1, $2::jsonb, $3, coalesce($4::timestamptz, now()), $5::timestamptz, $6::integer)::text as id`,
    [
      job.kind,
      JSON.stringify(job.payload),
      job.key ?? null,
      job.runAt?.toISOString() ?? null,
      job.expiresAt?.toISOString() ?? null,
      job.maxAttempts ?? defaultMaxAttempts,
    ],
  );
  // Sound: the statement has one row with this column.
  return (rows[0] as { id: string }).id;
}

export interface Claimed {
  readonly jobs: readonly Job[];
  /** Those that ended here instead, and why. */
  readonly dead: readonly { readonly id: string; readonly message: string }[];
}

export interface JobTable {
  /**
   * Takes up to `limit` jobs of a kind that are due, for `leaseSeconds`. One that was claimed as often as it may be, or is too late, ends as dead
   * here: whoever held it has died or has given up in silence.
   */
  claim(kind: string, limit: number, leaseSeconds: number): Promise<Claimed>;
  /** Holds a job for another lease; false when somebody else has it. */
  renew(job: Job, leaseSeconds: number): Promise<boolean>;
  /** False when somebody else has it: then that one decides. */
  finish(job: Job): Promise<boolean>;
  /** Comes back in `retrySeconds`, or with undefined never: it is kept as dead. */
  fail(job: Job, message: string, retrySeconds: number | undefined): Promise<'again' | 'dead' | 'lost'>;
  /** Gives it back unharmed: the attempt does not count. */
  release(job: Job): Promise<void>;
  /** Milliseconds until the next job of a kind is due; undefined when none waits. */
  dueInMs(kind: string): Promise<number | undefined>;
  figures(): Promise<readonly QueueFigures[]>;
  /** Deletes what has ended long ago. Gives how many. */
  clean(signal?: AbortSignal): Promise<number>;
}

/** @param holder names this process: another one's jobs are not its own. */
export function openJobTable(db: Pick<Db, 'asOwner'>, holder: string): JobTable {
  const ask = <R extends object>(text: string, values: unknown[]) =>
    db.asOwner('millrace_admin', (client) => client.query<R>(text, values));
  const held = (job: Job) => [job.id, holder, job.attempt];
  return {
    async claim(kind, limit, leaseSeconds) {
      const { rows } = await ask<{
        id: string;
        payload: unknown;
        attempts: number;
        created_at: Date;
        state: string;
        last_error: string | null;
      }>(claimStatement, [kind, limit, holder, leaseSeconds]);
      const jobs: Job[] = [];
      const dead: { id: string; message: string }[] = [];
      for (const { id, payload, attempts, created_at: createdAt, state, last_error: message } of rows) {
        if (state === 'waiting') jobs.push({ id, kind, payload, attempt: attempts, createdAt });
        else dead.push({ id, message: message ?? '' });
      }
      return { jobs, dead };
    },
    async renew(job, leaseSeconds) {
      const { rowCount } = await ask(
        `update _millrace.jobs set run_at = clock_timestamp() + make_interval(secs => $4) ${whereHeld}`,
        [...held(job), leaseSeconds],
      );
      return rowCount === 1;
    },
    async finish(job) {
      const { rowCount } = await ask(
        `update _millrace.jobs set state = 'done', payload = null, holder = null, last_error = null, ended_at = clock_timestamp() ${whereHeld}`,
        held(job),
      );
      return rowCount === 1;
    },
    async fail(job, message, retrySeconds) {
      const { rows } = await ask<{ state: string }>(failStatement, [
        ...held(job),
        message.slice(0, maxErrorLength),
        retrySeconds ?? null,
      ]);
      if (rows[0] === undefined) return 'lost';
      return rows[0].state === 'dead' ? 'dead' : 'again';
    },
    async release(job) {
      await ask(
        `update _millrace.jobs set holder = null, run_at = clock_timestamp(), attempts = attempts - 1 ${whereHeld}`,
        held(job),
      );
    },
    async dueInMs(kind) {
      const { rows } = await ask<{ ms: string | null }>(
        `select extract(epoch from min(run_at) - clock_timestamp()) * 1000 as ms
         from _millrace.jobs where kind = $1 and state = 'waiting'`,
        [kind],
      );
      const ms = rows[0]?.ms;
      return ms === undefined || ms === null ? undefined : Math.max(0, Number(ms));
    },
    async figures() {
      const { rows } = await ask<{
        kind: string;
        waiting: string;
        running: string;
        dead: string;
        late: string;
      }>(figuresStatement, []);
      return rows.map((row) => ({
        kind: row.kind,
        waiting: Number(row.waiting),
        running: Number(row.running),
        dead: Number(row.dead),
        lateSeconds: Number(row.late),
      }));
    },
    async clean(signal) {
      let total = 0;
      for (let deleted = maxDeleted; deleted === maxDeleted && !signal?.aborted; total += deleted) {
        const { rowCount } = await ask(cleanStatement, [keepDoneHours, keepDeadDays, maxDeleted]);
        deleted = rowCount ?? 0;
      }
      return total;
    },
  };
}

const defaultMaxAttempts = 8;
const maxErrorLength = 2_000;
/** A key counts for this long after its job is done. */
const keepDoneHours = 24;
const keepDeadDays = 30;
const maxDeleted = 5_000;

const whereHeld = `where id = $1 and holder = $2 and attempts = $3 and state = 'waiting'`;

const claimStatement = `
with due as (
  select id, case
      when attempts >= max_attempts then coalesce(last_error, 'its process ended before it did')
      when expires_at <= clock_timestamp() then 'too late: it has expired' || coalesce('; ' || last_error, '')
    end as over
  from _millrace.jobs
  where kind = $1 and state = 'waiting' and run_at <= clock_timestamp()
  order by run_at, id limit $2 for update skip locked
)
update _millrace.jobs as job set
  state = case when due.over is null then 'waiting' else 'dead' end,
  attempts = job.attempts + case when due.over is null then 1 else 0 end,
  holder = case when due.over is null then $3 end,
  run_at = case when due.over is null then clock_timestamp() + make_interval(secs => $4) else job.run_at end,
  last_error = coalesce(due.over, job.last_error),
  ended_at = case when due.over is not null then clock_timestamp() end
from due where job.id = due.id
returning job.id::text, job.payload, job.attempts, job.created_at, job.state, job.last_error`;

const failStatement = `
update _millrace.jobs set
  state = case when $5::float8 is null or attempts >= max_attempts then 'dead' else 'waiting' end,
  ended_at = case when $5::float8 is null or attempts >= max_attempts then clock_timestamp() end,
  run_at = clock_timestamp() + make_interval(secs => coalesce($5::float8, 0)),
  holder = null, last_error = $4
${whereHeld} returning state`;

const figuresStatement = `
select kind,
  count(*) filter (where state = 'waiting' and (holder is null or run_at <= clock_timestamp())) as waiting,
  count(*) filter (where state = 'waiting' and holder is not null and run_at > clock_timestamp()) as running,
  count(*) filter (where state = 'dead') as dead,
  coalesce(greatest(0, extract(epoch from clock_timestamp() - min(run_at) filter (where state = 'waiting'))), 0) as late
from _millrace.jobs where state <> 'done' group by kind order by kind`;

const cleanStatement = `
delete from _millrace.jobs where ctid = any (array(
  select ctid from _millrace.jobs
  where (state = 'done' and ended_at < clock_timestamp() - make_interval(hours => $1))
    or (state = 'dead' and ended_at < clock_timestamp() - make_interval(days => $2))
  limit $3 for update skip locked))`;
