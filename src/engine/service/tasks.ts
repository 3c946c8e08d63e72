// In charge of: work that is done again and again. `each` on every process; `one` on one at a time, by lease.
import type { Observe } from '../../base/observe.ts';
import { delay } from '../../base/time.ts';
import { LeaseLost, type Leases } from '../db/leases.ts';
import type { Task } from './contract.ts';

/** A lease lives this much longer than the time between two runs, so that its holder keeps it and another soon takes over when it dies. */
const leaseMarginSeconds = 15;
/** Runs of all processes are spread by up to this part of the interval, so that they do not all wake at once. */
const spread = 0.1;
/** The first runs come one after the other: all at once they would stand in the way of the start, whose connections these are, too. */
const staggerMs = 20;

export interface TaskRunner {
  /** Resolves when the runs that are under way have ended. */
  close(): Promise<void>;
}

/** Runs `tasks` until closed; the first time soon. A run that fails is reported, and tried again at its next time. */
export function openTaskRunner(tasks: readonly Task[], leases: Leases, observe: Observe): TaskRunner {
  const closing = new AbortController();
  const loops = tasks.map(async (task, at) => {
    await delay(at * staggerMs, closing.signal).catch(() => {});
    await loop(task, leases, observe, closing.signal);
  });
  return {
    async close() {
      closing.abort();
      await Promise.all(loops);
    },
  };
}

async function loop(task: Task, leases: Leases, observe: Observe, signal: AbortSignal): Promise<void> {
  const holder = task.scope === 'one' ? holdLease(task, leases) : undefined;
  while (!signal.aborted) {
    try {
      const fence = holder === undefined ? 0n : await holder.fence();
      if (fence !== undefined) await task.run(signal, fence);
    } catch (error) {
      if (!signal.aborted) observe({ kind: 'task.failed', level: 'warn', task: task.name, error });
      // Another process has it now; the next round asks again.
      if (error instanceof LeaseLost) holder?.forget();
    }
    const waitMs = task.everySeconds * 1000 * (1 + spread * Math.random());
    // Closing ends the wait; there is nothing to report then.
    await delay(waitMs, signal).catch(() => {});
  }
  await holder?.release().catch((error: unknown) => {
    observe({ kind: 'task.release_failed', level: 'warn', task: task.name, error });
  });
}

/** The lease of one task in this process: renewed while it holds, asked for anew when it does not. */
function holdLease(task: Task, leases: Leases) {
  const ttlSeconds = task.everySeconds * (1 + spread) + leaseMarginSeconds;
  let lease: Awaited<ReturnType<Leases['acquire']>>;
  return {
    async fence(): Promise<bigint | undefined> {
      if (lease === undefined || !(await lease.renew()))
        lease = await leases.acquire(`task ${task.name}`, ttlSeconds);
      return lease?.fence;
    },
    forget() {
      lease = undefined;
    },
    async release() {
      await lease?.release();
    },
  };
}
