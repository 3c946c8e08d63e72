// In charge of: how long a test waits for a backend of its own, on each engine: without a project, with the example, and for the first of all, which makes the template.
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackendOptions } from '../src/server/library.ts';
import { checkout } from '../test/harness/backend.ts';
import { median } from './median.ts';

/** `npm run bench -- library`. The machine's load stands beside the figures: they mean nothing without it. */
export async function libraryTable(rounds: number): Promise<void> {
  const startedMs = performance.now();
  const { createBackend } = await import('../src/server/library.ts');
  const importMs = performance.now() - startedMs;
  const cacheFolder = await mkdtemp(join(tmpdir(), 'mr-bench-library-'));
  const timed = async (options: BackendOptions) => {
    const atMs = performance.now();
    const cpu = process.cpuUsage();
    const backend = await createBackend({ cacheFolder, ...options });
    const { user, system } = process.cpuUsage(cpu);
    const tookMs = performance.now() - atMs;
    await backend.close();
    return { tookMs, cpuMs: (user + system) / 1e3 };
  };
  const several = async (name: string, options: BackendOptions = {}) => {
    const runs: Awaited<ReturnType<typeof timed>>[] = [];
    for (let round = 0; round < rounds; round += 1) runs.push(await timed(options));
    const [tookMs, cpuMs] = [median(runs.map((run) => run.tookMs)), median(runs.map((run) => run.cpuMs))];
    console.log(row(name, tookMs, cpuMs));
  };
  const project = join(checkout, 'examples', 'tool-library');
  const engine = 'pglite';
  try {
    console.log(`createBackend, load ${loadavg()[0]!.toFixed(1)}, medians of ${rounds}`);
    console.log(row('import of the module', importMs));
    console.log(row('the first, which makes the template', (await timed({})).tookMs));
    await several('without a project');
    await several('the example, migrated and seeded', { project });
    console.log(row('the first on pglite', (await timed({ engine })).tookMs));
    await several('pglite, without a project', { engine });
    await several('pglite, the example', { engine, project });
  } finally {
    await rm(cacheFolder, { recursive: true, force: true });
  }
}

function row(name: string, tookMs: number, cpuMs?: number): string {
  const cpu = cpuMs === undefined ? '' : `   of which this process computes ${Math.round(cpuMs)} ms`;
  return `  ${name.padEnd(38)}${String(Math.round(tookMs)).padStart(6)} ms${cpu}`;
}
