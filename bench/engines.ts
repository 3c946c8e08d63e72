// In charge of: PGlite beside the embedded PostgreSQL: the start, a row read by its key, a row written, and what both weigh.
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout, type RunningBackend, startBackend } from '../test/harness/backend.ts';
import { load } from './load.ts';
import { median } from './median.ts';
import { memoryMiB } from './memory.ts';

const engines = ['embedded', 'pglite'] as const;

interface Measured {
  readonly firstMs: number;
  readonly laterMs: number;
  readonly readsPerSecond: number[];
  readonly writesPerSecond: number[];
  mib: number;
}

/** Prints one line an engine, and the ratio. The two take turns, so that a busy machine is busy for both. */
export async function enginesTable(rounds: number, seconds: number, connections: number): Promise<void> {
  const folders = await Promise.all(engines.map((name) => mkdtemp(join(tmpdir(), `mr-bench-${name}-`))));
  const backends: RunningBackend[] = [];
  try {
    const measured: Measured[] = [];
    for (const [at, name] of engines.entries()) {
      const folder = folders[at]!;
      await cp(join(checkout, 'examples', 'tool-library'), folder, {
        recursive: true,
        filter: (source) => !source.endsWith('.millrace'),
      });
      const firstMs = await timed(async () => {
        await using _first = await start(folder, name);
      });
      let later: RunningBackend | undefined;
      const laterMs = await timed(async () => {
        later = await start(folder, name);
      });
      backends.push(later!);
      measured.push({ firstMs, laterMs, readsPerSecond: [], writesPerSecond: [], mib: 0 });
    }
    for (let round = 0; round < rounds; round++) {
      for (const [at, backend] of backends.entries()) {
        const { report } = backend;
        const common = { url: report.API_URL, connections, seconds };
        const headers = { apikey: report.SECRET_KEY };
        const read = await load({
          ...common,
          headers,
          luaPath: '"/rest/v1/tools?id=eq." .. math.random(1, 30)',
        });
        const write = await load({
          ...common,
          headers: { ...headers, Prefer: 'return=minimal' },
          luaPath: '"/rest/v1/tools?id=eq." .. math.random(1, 30)',
          method: 'PATCH',
          body: '{"deposit_cents":1000}',
        });
        measured[at]!.readsPerSecond.push(read.requestsPerSecond);
        measured[at]!.writesPerSecond.push(write.requestsPerSecond);
        const { node, postgres } = memoryMiB(report.PID);
        measured[at]!.mib = node + postgres;
      }
    }
    console.log('engine     first start  next start  reads/s  writes/s  MiB');
    for (const [at, name] of engines.entries()) {
      const { firstMs, laterMs, readsPerSecond, writesPerSecond, mib } = measured[at]!;
      console.log(
        `${name.padEnd(10)} ${ms(firstMs)} ${ms(laterMs).slice(1)} ${whole(median(readsPerSecond), 8)} ${whole(median(writesPerSecond), 9)} ${whole(mib, 4)}`,
      );
    }
  } finally {
    for (const backend of backends) await backend.stop();
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  }
}

function start(folder: string, engine: string): Promise<RunningBackend> {
  return startBackend(folder, ['--engine', engine], { log: 'discard', timeoutMs: 300_000 });
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

const ms = (value: number) => `${whole(value, 8)} ms`;
const whole = (value: number, width: number) => String(Math.round(value)).padStart(width);
