// In charge of: what our hashing threads cost over bcrypt alone, and what they do with more than they can work off.
import { once } from 'node:events';
import { availableParallelism, constants } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Fault } from '../src/base/errors.ts';
import { type Hasher, openHasher } from '../src/services/auth/passwords/hasher.ts';
import { median } from './median.ts';

export interface HashingBenchOptions {
  readonly rounds: number;
  readonly seconds: number;
}

export const parallelism = Math.max(1, availableParallelism() - 1);
export const password = 'allmine';
export const encoded = '$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga';
const offeredPerSecond = 200;

export async function hashingTable({ rounds, seconds }: HashingBenchOptions): Promise<void> {
  const own: Worker[] = [];
  const startWorker = () => {
    const worker = new Worker(new URL('../src/services/auth/passwords/hash-worker.ts', import.meta.url));
    own.push(worker);
    return worker;
  };
  // Kept for as long as the others' turns take.
  const hasher = openHasher({ parallelism, observe: () => undefined, startWorker, idleMs: 600_000 });
  const raw = startRaw(0);
  // Where something else wants the processors, ours stand back; this one does as well.
  const behind = startRaw(constants.priority.PRIORITY_BELOW_NORMAL);
  const contenders = {
    hasher: () => keepBusy(hasher, seconds),
    raw: () => runRaw(raw, seconds),
    'raw, same priority': () => runRaw(behind, seconds),
  };
  const rates: Record<keyof typeof contenders, number[]> = { hasher: [], raw: [], 'raw, same priority': [] };
  try {
    await hasher.verify(password, encoded);
    for (let round = 0; round < rounds; round += 1) {
      for (const [who, run] of Object.entries(contenders) as [
        keyof typeof contenders,
        () => Promise<number>,
      ][]) {
        rates[who].push((await run()) / seconds);
      }
    }
    console.log(`bcrypt at cost 10 in ${parallelism} threads, ${rounds} rounds of ${seconds} s in turns`);
    for (const [who, runs] of Object.entries(rates))
      console.log(`  ${who.padEnd(20)} ${median(runs).toFixed(1)}/s`);
    const ratio = (other: 'raw' | 'raw, same priority') =>
      median(rates.hasher.map((rate, index) => rate / rates[other][index]!)).toFixed(2);
    console.log(`  ratio to raw ${ratio('raw')}, with the same priority ${ratio('raw, same priority')}`);
    await overloadTable({ rounds, seconds }, hasher, own, raw, behind);
  } finally {
    await hasher.close();
    await Promise.all([...raw, ...behind].map((worker) => worker.terminate()));
  }
}

async function overloadTable(
  { rounds, seconds }: HashingBenchOptions,
  hasher: Hasher,
  own: readonly Worker[],
  raw: readonly Worker[],
  behind: readonly Worker[],
): Promise<void> {
  const runs: Overload[] = [];
  const shares: { raw: number; behind: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const run = await overload(hasher, own, seconds);
    runs.push(run);
    shares.push({
      raw: run.done / (await runRaw(raw, seconds)),
      behind: run.done / (await runRaw(behind, seconds)),
    });
  }
  const refused = runs.reduce((sum, run) => sum + run.refused, 0);
  const most = (of: (run: Overload) => number) => Math.max(...runs.map(of)).toFixed(0);
  console.log(`offered ${offeredPerSecond}/s, raw in turns`);
  console.log(
    `  done ${(median(runs.map((run) => run.done)) / seconds).toFixed(1)}/s, each within ${most((run) => run.doneMs)} ms; ${refused} refused, each within ${most((run) => run.refusedMs)} ms`,
  );
  console.log(
    `  ratio to raw ${median(shares.map((share) => share.raw)).toFixed(2)}, with the same priority ${median(shares.map((share) => share.behind)).toFixed(2)}; threads busy ${(median(runs.map((run) => run.busy)) * 100).toFixed(1)} % of the time; event loop late by p99 ${most((run) => run.lateMs)} ms`,
  );
}

interface Overload {
  /** Within the time. */
  readonly done: number;
  readonly refused: number;
  /** The longest of each. */
  readonly doneMs: number;
  readonly refusedMs: number;
  readonly lateMs: number;
  /** The part of the time in which the idlest hashing thread had work. */
  readonly busy: number;
}

/** More than fits, as it would come from outside: each call at its time, whether the ones before are done or not. */
async function overload(hasher: Hasher, own: readonly Worker[], seconds: number): Promise<Overload> {
  const doneMs: number[] = [];
  const refusedMs: number[] = [];
  const calls: Promise<void>[] = [];
  const loop = monitorEventLoopDelay({ resolution: 5 });
  loop.enable();
  const before = own.map((worker) => worker.performance.eventLoopUtilization());
  const startedAt = performance.now();
  for (let sent = 0; sent < offeredPerSecond * seconds; sent += 1) {
    const dueMs = startedAt + (sent * 1000) / offeredPerSecond - performance.now();
    if (dueMs > 0) await delay(dueMs);
    calls.push(call());
  }
  const done = doneMs.length;
  const busy = own.map((worker, index) => worker.performance.eventLoopUtilization(before[index]).utilization);
  await Promise.all(calls);
  loop.disable();
  return {
    done,
    refused: refusedMs.length,
    doneMs: Math.max(...doneMs),
    refusedMs: Math.max(0, ...refusedMs),
    busy: Math.min(...busy),
    lateMs: loop.percentile(99) / 1e6 - 5,
  };

  async function call(): Promise<void> {
    const calledAt = performance.now();
    try {
      await hasher.verify(password, encoded);
      doneMs.push(performance.now() - calledAt);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      refusedMs.push(performance.now() - calledAt);
    }
  }
}

/** Twice as many callers as threads: there is always a job waiting. */
async function keepBusy(hasher: Hasher, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let count = 0;
  const caller = async () => {
    while (performance.now() < end) {
      if (!(await hasher.verify(password, encoded)).ok) throw new Error('bench: the password did not match');
      if (performance.now() < end) count += 1;
    }
  };
  await Promise.all(Array.from({ length: parallelism * 2 }, caller));
  return count;
}

export function startRaw(nice: number): Worker[] {
  const file = new URL('./hashing-raw.ts', import.meta.url);
  return Array.from(
    { length: parallelism },
    () => new Worker(file, { workerData: { nice, password, encoded } }),
  );
}

export async function runRaw(workers: readonly Worker[], seconds: number): Promise<number> {
  const counts = await Promise.all(
    workers.map(async (worker) => {
      worker.postMessage(seconds);
      const [count] = (await once(worker, 'message')) as [number];
      return count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
