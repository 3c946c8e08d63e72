// In charge of: doing the jobs of the queue in this process: woken by NOTIFY, bounded in number, held by a lease that is renewed.
import { randomUUID } from 'node:crypto';
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../db/db.ts';
import type { Listener } from '../db/listener.ts';
import {
  enqueue,
  type Job,
  type JobTable,
  type NewJob,
  openJobTable,
  type Queryable,
  type QueueFigures,
} from './jobs.ts';

/** It will never work, however often it is tried: the job ends as dead at once. */
export class JobRefused extends Error {
  override readonly name = 'JobRefused';
}

export interface Handler {
  readonly kind: string;
  /** Jobs of this kind that run in this process at once. */
  readonly concurrency: number;
  /** Does it. A throw brings it back later; `signal` says that nobody may count on it any more: the lease is lost, or the process stops. */
  readonly run: (job: Job, signal: AbortSignal) => Promise<void>;
}

export interface Queue {
  /** Puts a job in; with `client` in its transaction. Gives its number. */
  enqueue(job: NewJob, client?: Queryable): Promise<string>;
  /** Begins to do jobs of a kind. Each kind has one handler. */
  handle(handler: Handler): void;
  figures(): Promise<readonly QueueFigures[]>;
  /** Takes no more jobs, lets those that run finish for `drainMs`, then aborts them: they come back. */
  close(drainMs: number): Promise<void>;
}

export interface QueueOptions {
  readonly db: Pick<Db, 'asOwner'>;
  /** Undefined behind a transaction pooler: the table is then polled. */
  readonly listener: Listener | undefined;
  readonly observe: Observe;
  /** How long a process that died keeps a job from the others. */
  readonly leaseSeconds?: number;
  /** Seconds until the next attempt. */
  readonly backoffSeconds?: (attempt: number) => number;
  readonly pollMs?: number;
}

const notifyChannel = 'millrace_jobs';
const defaultLeaseSeconds = 30;
/** Where NOTIFY wakes this is for what it did not tell: jobs of a process that died. */
const pollWithListenMs = 5_000;
const pollWithoutListenMs = 1_000;

export function openQueue(options: QueueOptions): Queue {
  const { db, listener, observe } = options;
  const table = openJobTable(db, randomUUID());
  const workers = new Map<string, Worker>();
  const settings = {
    table,
    observe,
    leaseSeconds: options.leaseSeconds ?? defaultLeaseSeconds,
    backoffSeconds: options.backoffSeconds ?? backoffSeconds,
    pollMs: options.pollMs ?? (listener ? pollWithListenMs : pollWithoutListenMs),
  };
  let isClosed = false;
  const wakeAll = () => {
    for (const worker of workers.values()) worker.wake();
  };
  listener?.listen(notifyChannel, (kind) => workers.get(kind)?.wake(), wakeAll);
  return {
    enqueue: (job, client) =>
      client ? enqueue(client, job) : db.asOwner('millrace_admin', (own) => enqueue(own, job)),
    handle(handler) {
      if (isClosed || workers.has(handler.kind))
        throw new Error(`"${handler.kind}" has a handler, or the queue is closed`);
      const worker = openWorker(handler, settings);
      workers.set(handler.kind, worker);
      worker.wake();
    },
    figures: () => table.figures(),
    async close(drainMs) {
      isClosed = true;
      await Promise.all([...workers.values()].map((worker) => worker.close(drainMs)));
    },
  };
}

/** What has to be done again and again: what has ended long ago goes. */
export function queueTasks(db: Pick<Db, 'asOwner'>) {
  const table = openJobTable(db, 'upkeep');
  return [
    {
      name: 'queue',
      everySeconds: 600,
      scope: 'one',
      async run(signal: AbortSignal): Promise<void> {
        await table.clean(signal);
      },
    },
  ] as const;
}

/** 2, 8, 32, 128, 512, 1800, 1800 seconds, each a fifth longer at most: eight attempts take a bit more than an hour. */
export function backoffSeconds(attempt: number): number {
  return Math.min(2 * 4 ** (attempt - 1), 1_800) * (1 + 0.2 * Math.random());
}

interface Worker {
  wake(): void;
  close(drainMs: number): Promise<void>;
}

interface WorkerSettings {
  readonly table: JobTable;
  readonly observe: Observe;
  readonly leaseSeconds: number;
  readonly backoffSeconds: (attempt: number) => number;
  readonly pollMs: number;
}

/** Claims as many jobs as have room, one claim at a time. */
function openWorker({ kind, concurrency, run }: Handler, settings: WorkerSettings): Worker {
  const { table, observe, leaseSeconds, pollMs } = settings;
  const running = new Set<Promise<void>>();
  const closing = new AbortController();
  let isClosed = false;
  let claiming: Promise<void> | undefined;
  let again = false;
  let timer: NodeJS.Timeout | undefined;

  function wake(): void {
    if (isClosed) return;
    if (claiming !== undefined) {
      again = true;
      return;
    }
    clearTimeout(timer);
    claiming = claim()
      .catch((error: unknown) => {
        observe({ kind: 'queue.claim_failed', level: 'warn', queue: kind, message: errorMessage(error) });
        return pollMs;
      })
      .then((waitMs) => {
        claiming = undefined;
        if (isClosed) return;
        if (again) {
          again = false;
          wake();
        } else {
          timer = setTimeout(wake, waitMs);
          timer.unref();
        }
      });
  }

  /** Gives how long to wait until the next look. */
  async function claim(): Promise<number> {
    const room = concurrency - running.size;
    // Whoever ends wakes.
    if (room === 0) return pollMs;
    const { jobs, dead } = await table.claim(kind, room, leaseSeconds);
    for (const { id, message } of dead)
      observe({ kind: 'queue.failed', level: 'error', queue: kind, job: id, message, outcome: 'dead' });
    for (const job of jobs) {
      const done: Promise<void> = work(job).finally(() => {
        running.delete(done);
        wake();
      });
      running.add(done);
    }
    if (jobs.length + dead.length === room) return jobs.length === 0 ? 0 : pollMs;
    return Math.min(pollMs, (await table.dueInMs(kind)) ?? pollMs);
  }

  /** Never rejects. */
  async function work(job: Job): Promise<void> {
    const lost = new AbortController();
    const lease = holdLease(job, settings, lost);
    const signal = AbortSignal.any([lost.signal, closing.signal]);
    const about = { queue: kind, job: job.id, attempt: job.attempt };
    try {
      try {
        if (isClosed) throw new Error('the process stops');
        await run(job, signal);
      } finally {
        await lease.end();
      }
      if (await table.finish(job)) observe({ kind: 'queue.done', level: 'debug', ...about });
      else observe({ kind: 'queue.lost', level: 'warn', ...about });
    } catch (error) {
      await failed(job, error, about);
    }
  }

  async function failed(job: Job, error: unknown, about: object): Promise<void> {
    const message = errorMessage(error);
    try {
      if (closing.signal.aborted || isClosed) {
        await table.release(job);
        observe({ kind: 'queue.released', level: 'info', ...about });
        return;
      }
      const retrySeconds = error instanceof JobRefused ? undefined : settings.backoffSeconds(job.attempt);
      const outcome = await table.fail(job, message, retrySeconds);
      const level = outcome === 'dead' ? 'error' : 'warn';
      observe({ kind: 'queue.failed', level, ...about, message, outcome });
    } catch (second) {
      // The database is away: the lease ends by itself, and the job is done again.
      observe({ kind: 'queue.failed', level: 'warn', ...about, message, outcome: 'unknown', error: second });
    }
  }

  return {
    wake,
    async close(drainMs) {
      isClosed = true;
      clearTimeout(timer);
      await claiming;
      const abort = setTimeout(() => closing.abort(new Error('the process stops')), drainMs);
      await Promise.all(running);
      clearTimeout(abort);
    },
  };
}

/** Renews a lease at a third of its time. When that fails until it is nearly over, whoever works under it is told to stop before another begins. */
function holdLease(job: Job, { table, leaseSeconds }: WorkerSettings, lost: AbortController) {
  const leaseMs = leaseSeconds * 1000;
  let endsAt = performance.now() + leaseMs;
  let renewing: Promise<void> | undefined;
  const lose = () => lost.abort(new Error('another process may have this job now'));
  const timer = setInterval(() => {
    if (performance.now() > endsAt - leaseMs * lastPart) return lose();
    if (renewing !== undefined) return;
    const askedAt = performance.now();
    renewing = table
      .renew(job, leaseSeconds)
      .then(
        (holds) => {
          if (holds) endsAt = askedAt + leaseMs;
          else lose();
        },
        // The next round tries again, as long as there is time.
        () => {},
      )
      .finally(() => {
        renewing = undefined;
      });
  }, leaseMs / 6);
  return {
    async end(): Promise<void> {
      clearInterval(timer);
      await renewing;
    },
  };
}

/** The last part of a lease belongs to stopping. */
const lastPart = 0.3;
