// In charge of: pg_cron's jobs by the clock. One process of several leads, by lease; it starts what is due and keeps the book.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Clock as Now } from '../../base/time.ts';
import type { Db } from '../db/db.ts';
import { type Lease, LeaseLost, type Leases } from '../db/leases.ts';
import type { Listener } from '../db/listener.ts';
import { type CronSettings, type Job, openJobTable, type RunChange } from './job-table.ts';
import { type LoginOf, RunEnded, runJob } from './run.ts';
import { dueRuns, isTimezone, minuteMs, openSchedule, type Schedule } from './schedule.ts';

export interface CronOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly leases: Leases;
  /** Undefined behind a transaction pooler: jobs are then read again every few seconds. */
  readonly listener: Listener | undefined;
  readonly loginOf: LoginOf;
  readonly now: Now;
  readonly observe: Observe;
}

export interface Cron {
  /** Breaks off what runs, as a stop of the server does, and lets another process lead. */
  close(): Promise<void>;
}

const leaseName = 'cron';
const leaseSeconds = 15;
const renewEveryMs = 4_000;
/** How often a process that does not lead tries to. */
const followMs = 5_000;
const absentWithListenMs = 60_000;
/** Without LISTEN jobs are read again this often; with it for what was missed. */
const reloadWithoutListenMs = 2_000;
const reloadWithListenMs = 30_000;
/** Runs of one job that wait for its end, at most. */
const maxPending = 1_000;

/** A job, and what of it is due or runs. */
interface Task {
  job: Job;
  schedule: Schedule;
  pending: number;
  lastStartMs: number;
  running: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
}

export function openCron(options: CronOptions): Cron {
  const { db, leases, listener, loginOf, now, observe } = options;
  const table = openJobTable(db);
  const tasks = new Map<string, Task>();
  const startedMinute = minuteOf(now());
  let settings: CronSettings | undefined;
  let lease: Lease | undefined;
  // By the clock that nobody sets: the lease runs on in the database while a machine's time is put right. Schedules go by `now`.
  let renewAtMs = 0;
  let reloadAtMs = 0;
  let lastMinute = startedMinute;
  let isClosed = false;
  let wake: () => void = () => {};

  const hear = () => {
    reloadAtMs = 0;
    wake();
  };
  listener?.listen('millrace_cron', hear, hear);

  /** Gives how long to sleep. */
  async function round(): Promise<number> {
    if (lease === undefined) {
      if (!(await table.isThere())) return listener ? absentWithListenMs : followMs;
      lease = await leases.acquire(leaseName, leaseSeconds);
      if (lease === undefined) return followMs;
      renewAtMs = performance.now() + renewEveryMs;
      const clock = await table.takeOver(lease);
      // What came due while another process led and this one was there is caught up on; what came due while nobody was there is not.
      lastMinute = Math.max(startedMinute, clock.lastMinute);
      await reload();
      if (clock.hasStarted)
        for (const task of tasks.values()) if (task.schedule.kind === 'atStart') task.pending += 1;
      observe({ kind: 'cron.leads', level: 'info', jobs: tasks.size });
    }
    if (performance.now() >= renewAtMs) {
      if (!(await lease.renew())) throw new LeaseLost('the lease of pg_cron is held by another process');
      renewAtMs = performance.now() + renewEveryMs;
    }
    if (performance.now() >= reloadAtMs) await reload();
    await findDue(lease);
    await startPending(lease);
    return Math.max(1, Math.min(Math.min(renewAtMs, reloadAtMs) - performance.now(), nextDueMs() - now()));
  }

  async function reload(): Promise<void> {
    if (!(await table.isThere())) {
      await stepDown('job canceled');
      return;
    }
    const loaded = await table.load();
    if (!isTimezone(loaded.settings.timezone))
      observe({ kind: 'cron.unknown_timezone', level: 'warn', timezone: loaded.settings.timezone });
    const timezone = isTimezone(loaded.settings.timezone) ? loaded.settings.timezone : 'GMT';
    const isOtherZone = settings?.timezone !== loaded.settings.timezone;
    settings = loaded.settings;
    const changed = loaded.jobs.filter(
      (job) => isOtherZone || tasks.get(job.id)?.job.schedule !== job.schedule,
    );
    const parsed =
      changed.length === 0 ? new Map() : await table.parse([...new Set(changed.map((job) => job.schedule))]);
    const isActive = (job: Job) => job.active && loaded.settings.launchActiveJobs;
    const known = new Set(loaded.jobs.filter(isActive).map(({ id }) => id));
    for (const job of loaded.jobs) {
      const schedule =
        parsed.has(job.schedule) && changed.includes(job)
          ? openSchedule(parsed.get(job.schedule) ?? null, timezone)
          : undefined;
      const task = tasks.get(job.id);
      if (task !== undefined) {
        task.job = { ...job, active: isActive(job) };
        if (schedule) task.schedule = schedule;
      } else {
        tasks.set(job.id, {
          job: { ...job, active: isActive(job) },
          schedule: schedule ?? { kind: 'never' },
          pending: 0,
          // The first run of a job by seconds is that long after it was seen first.
          lastStartMs: now(),
          running: undefined,
        });
      }
    }
    const there = new Set(loaded.jobs.map(({ id }) => id));
    for (const [id, task] of tasks) {
      if (known.has(id)) continue;
      task.pending = 0;
      task.running?.stop.abort(new RunEnded('job canceled'));
      if (!there.has(id)) tasks.delete(id);
    }
    reloadAtMs = performance.now() + (listener ? reloadWithListenMs : reloadWithoutListenMs);
  }

  async function findDue(held: Lease): Promise<void> {
    const atMs = now();
    for (const task of tasks.values()) {
      const { schedule, job } = task;
      if (!job.active || schedule.kind !== 'seconds') continue;
      if (task.pending === 0 && atMs - task.lastStartMs >= schedule.seconds * 1000) task.pending = 1;
    }
    const minute = minuteOf(atMs);
    if (minute <= lastMinute) return;
    if (await table.advance(held, minute)) {
      for (const task of tasks.values()) {
        if (!task.job.active) continue;
        task.pending = Math.min(maxPending, task.pending + dueRuns(task.schedule, lastMinute, minute));
      }
    }
    lastMinute = minute;
  }

  async function startPending(held: Lease): Promise<void> {
    let running = [...tasks.values()].filter((task) => task.running !== undefined).length;
    for (const task of tasks.values()) {
      if (task.pending === 0 || task.running !== undefined) continue;
      if (running >= (settings?.maxRunningJobs ?? 1)) return;
      running++;
      await start(task, held);
    }
  }

  async function start(task: Task, held: Lease): Promise<void> {
    const { job } = task;
    task.pending -= 1;
    task.lastStartMs = now();
    const runId = settings?.logRun === false ? undefined : await table.begin(held, job);
    const stop = new AbortController();
    const change = async (what: RunChange) => {
      if (runId === undefined) return;
      await table.change(runId, what).catch((error: unknown) =>
        observe({
          kind: 'cron.note_failed',
          level: 'warn',
          job: job.id,
          run: runId,
          message: errorMessage(error),
        }),
      );
    };
    observe({ kind: 'cron.starts', level: 'debug', job: job.id, run: runId });
    const ended = runJob(job, loginOf, change, stop.signal)
      .then(
        (status) =>
          observe({
            kind: 'cron.ended',
            level: status === 'failed' ? 'warn' : 'debug',
            job: job.id,
            run: runId,
            status,
          }),
        (error: unknown) => observe({ kind: 'cron.ended', level: 'error', job: job.id, run: runId, error }),
      )
      .finally(() => {
        task.running = undefined;
        wake();
      });
    task.running = { stop, ended };
  }

  /** When something is due next. */
  function nextDueMs(): number {
    let next = (minuteOf(now()) + 1) * minuteMs;
    for (const { schedule, job, pending, running, lastStartMs } of tasks.values()) {
      if (job.active && schedule.kind === 'seconds' && pending === 0 && running === undefined)
        next = Math.min(next, lastStartMs + schedule.seconds * 1000);
    }
    return next;
  }

  /** Breaks off what runs; nothing of it is led by this process any more. */
  async function stepDown(reason: string): Promise<void> {
    const ended: Promise<void>[] = [];
    for (const { running } of tasks.values()) {
      running?.stop.abort(new RunEnded(reason));
      if (running) ended.push(running.ended);
    }
    await Promise.all(ended);
    tasks.clear();
    const held = lease;
    lease = undefined;
    await held?.release().catch(() => {});
  }

  async function loop(): Promise<void> {
    while (!isClosed) {
      let waitMs: number;
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      try {
        waitMs = await round();
      } catch (error) {
        observe({ kind: 'cron.failed', level: 'warn', message: errorMessage(error) });
        if (error instanceof LeaseLost) await stepDown('server restarted');
        waitMs = renewEveryMs / 4;
      }
      if (isClosed) break;
      await Promise.race([woken, sleep(waitMs)]);
    }
    await stepDown('server restarted');
  }

  let timer: NodeJS.Timeout | undefined;
  const sleep = (ms: number) =>
    new Promise<void>((resolve) => {
      clearTimeout(timer);
      timer = setTimeout(resolve, ms);
      timer.unref();
    });
  const looping = loop();
  return {
    async close() {
      isClosed = true;
      wake();
      await looping;
      clearTimeout(timer);
    },
  };
}

function minuteOf(ms: number): number {
  return Math.floor(ms / minuteMs);
}
