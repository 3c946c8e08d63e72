// In charge of: the tables of pg_cron, as the worker reads and writes them. What only the leader may write checks its fencing number.
import type { PoolClient } from 'pg';
import type { Db } from '../db/db.ts';
import { assertFence } from '../db/leases.ts';
import type { ParsedSchedule } from './schedule.ts';

export interface Job {
  /** A bigint. */
  readonly id: string;
  readonly schedule: string;
  readonly command: string;
  readonly database: string;
  readonly username: string;
  readonly active: boolean;
  /** Whether it may log in as its role; superusers of our own servers may not. */
  readonly isAllowed: boolean;
}

/** Settings that upstream reads from the server, and so does this: `alter database … set`, `[db.settings]`. */
export interface CronSettings {
  readonly timezone: string;
  readonly maxRunningJobs: number;
  readonly logRun: boolean;
  readonly launchActiveJobs: boolean;
}

export interface Clock {
  /** Minutes since 1970 up to which jobs were started, by whatever process. */
  readonly lastMinute: number;
  /** Whether the server has started since jobs `@reboot` were run. */
  readonly hasStarted: boolean;
}

export type RunStatus = 'starting' | 'connecting' | 'sending' | 'running' | 'succeeded' | 'failed';

export interface RunChange {
  readonly status: RunStatus;
  readonly pid?: number;
  readonly message?: string;
  readonly startedAt?: Date;
  readonly endedAt?: Date;
}

export interface Fence {
  readonly name: string;
  readonly fence: bigint;
}

export interface JobTable {
  /** Whether pg_cron is there, as ours: a real build has a worker of its own. */
  isThere(): Promise<boolean>;
  load(): Promise<{ readonly jobs: readonly Job[]; readonly settings: CronSettings }>;
  parse(schedules: readonly string[]): Promise<ReadonlyMap<string, ParsedSchedule | null>>;
  /** Marks what another process, or this one before, left unfinished. Gives where the clock stands. */
  takeOver(fence: Fence): Promise<Clock>;
  /** Says that the jobs of this minute are started; false when another process was faster. */
  advance(fence: Fence, minute: number): Promise<boolean>;
  /** Notes that a run begins; its number. */
  begin(fence: Fence, job: Job): Promise<string>;
  change(runId: string, change: RunChange): Promise<void>;
}

export function openJobTable(db: Pick<Db, 'asOwner'>): JobTable {
  const ask = <R extends object>(text: string, values: unknown[] = []) =>
    db.asOwner('millrace_admin', (client) => client.query<R>(text, values));

  /** One transaction, in which the lease still holds. */
  function fenced<T>({ name, fence }: Fence, work: (client: PoolClient) => Promise<T>): Promise<T> {
    return db.asOwner('millrace_admin', async (client) => {
      await client.query('begin');
      try {
        await assertFence(client, name, fence);
        const result = await work(client);
        await client.query('commit');
        return result;
      } catch (error) {
        await client.query('rollback').catch(() => {});
        throw error;
      }
    });
  }

  return {
    async isThere() {
      const { rows } = await ask<{ there: boolean }>(thereStatement);
      return rows[0]!.there;
    },
    async load() {
      const { rows } = await ask<{
        timezone: string;
        max_running_jobs: number;
        log_run: boolean;
        launch_active_jobs: boolean;
        jobs: readonly Job[];
      }>(loadStatement);
      const row = rows[0]!;
      return {
        jobs: row.jobs,
        settings: {
          timezone: row.timezone,
          maxRunningJobs: Math.min(Math.max(1, row.max_running_jobs), mostRunningJobs),
          logRun: row.log_run,
          launchActiveJobs: row.launch_active_jobs,
        },
      };
    },
    async parse(schedules) {
      const { rows } = await ask<{ schedule: string; parsed: ParsedSchedule | null }>(
        'select schedule, cron._parsed_schedule(schedule) as parsed from unnest($1::text[]) as schedule',
        [schedules],
      );
      return new Map(rows.map(({ schedule, parsed }) => [schedule, parsed]));
    },
    takeOver: (fence) =>
      fenced(fence, async (client) => {
        await client.query(abandonStatement);
        const { rows } = await client.query<{ last_minute: string; has_started: boolean }>(takeOverStatement);
        return { lastMinute: Number(rows[0]!.last_minute), hasStarted: rows[0]!.has_started };
      }),
    advance: (fence, minute) =>
      fenced(fence, async (client) => {
        const { rowCount } = await client.query(
          'update _millrace.cron_clock set last_minute = to_timestamp($1::bigint * 60) where last_minute < to_timestamp($1::bigint * 60)',
          [minute],
        );
        return rowCount === 1;
      }),
    begin: (fence, job) =>
      fenced(fence, async (client) => {
        const { rows } = await client.query<{ runid: string }>(
          `insert into cron.job_run_details (jobid, database, username, command, status)
           values ($1, $2, $3, $4, 'starting') returning runid::text`,
          [job.id, job.database, job.username, job.command],
        );
        return rows[0]!.runid;
      }),
    async change(runId, { status, pid, message, startedAt, endedAt }) {
      await ask(
        `update cron.job_run_details set status = $2, job_pid = coalesce($3, job_pid), return_message = coalesce($4, return_message),
           start_time = coalesce($5, start_time), end_time = coalesce($6, end_time)
         where runid = $1 and status not in ('succeeded', 'failed')`,
        [runId, status, pid ?? null, message ?? null, startedAt ?? null, endedAt ?? null],
      );
    },
  };
}

/** Connections to the database that jobs may have, whatever `cron.max_running_jobs` says. */
const mostRunningJobs = 32;

/** Asked of the catalog: by name it would need the right to use the schema. A real build has no such view. */
const thereStatement = `
select exists (
  select from pg_class where relname = '_asked' and relnamespace = (select oid from pg_namespace where nspname = 'cron')
) as there`;

const loadStatement = `
select coalesce(nullif(current_setting('cron.timezone', true), ''), 'GMT') as timezone,
  coalesce(nullif(current_setting('cron.max_running_jobs', true), '')::integer, 32) as max_running_jobs,
  coalesce(nullif(current_setting('cron.log_run', true), '')::boolean, true) as log_run,
  coalesce(nullif(current_setting('cron.launch_active_jobs', true), '')::boolean, true) as launch_active_jobs,
  (select coalesce(json_agg(json_build_object(
      'id', job.jobid::text, 'schedule', job.schedule, 'command', job.command, 'database', job.database, 'username', job.username,
      'active', job.active,
      'isAllowed', not coalesce((select role.rolsuper from pg_roles as role where role.rolname = job.username), false)
        or cron._superuser_jobs_are_on(job.username)
    ) order by job.jobid), '[]') from cron.job as job) as jobs`;

/** Source: citusdata/pg_cron src/job_metadata.c MarkPendingRunsAsFailed. */
const abandonStatement = `
update cron.job_run_details set status = 'failed', return_message = 'server restarted', end_time = coalesce(end_time, clock_timestamp())
where status in ('starting', 'connecting', 'sending', 'running')`;

const takeOverStatement = `
with before as (select only_one, server_started_at from _millrace.cron_clock for update)
update _millrace.cron_clock as clock set server_started_at = pg_postmaster_start_time()
from before where before.only_one = clock.only_one
returning floor(extract(epoch from clock.last_minute) / 60)::bigint::text as last_minute,
  before.server_started_at <> pg_postmaster_start_time() as has_started`;
