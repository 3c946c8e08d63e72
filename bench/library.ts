// In charge of: how long a test waits for a backend of its own: without a project, with the example, and for the first of all, which makes the template.
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout } from '../test/harness/backend.ts';

/** `npm run bench -- library`. The machine's load stands beside the figures: they mean nothing without it. */
export async function libraryTable(rounds: number): Promise<void> {
  const startedMs = performance.now();
  const { createBackend } = await import('../src/server/library.ts');
  const importMs = performance.now() - startedMs;
  const cacheFolder = await mkdtemp(join(tmpdir(), 'mr-bench-library-'));
  const timed = async (project?: string) => {
    const atMs = performance.now();
    const cpu = process.cpuUsage();
    const backend = await createBackend({ cacheFolder, project });
    const { user, system } = process.cpuUsage(cpu);
    const tookMs = performance.now() - atMs;
    await backend.close();
    return { tookMs, cpuMs: (user + system) / 1e3 };
  };
  const several = async (project?: string) => {
    const runs: Awaited<ReturnType<typeof timed>>[] = [];
    for (let round = 0; round < rounds; round += 1) runs.push(await timed(project));
    return runs;
  };
  try {
    const first = await timed();
    const bare = await several();
    const example = await several(join(checkout, 'examples', 'tool-library'));
    console.log(`createBackend, load ${loadavg()[0]!.toFixed(1)}, medians of ${rounds}`);
    console.log(row('import of the module', importMs));
    console.log(row('the first, which makes the template', first.tookMs));
    console.log(
      row(
        'without a project',
        median(bare.map(({ tookMs }) => tookMs)),
        median(bare.map(({ cpuMs }) => cpuMs)),
      ),
    );
    console.log(
      row(
        'the example, migrated and seeded',
        median(example.map(({ tookMs }) => tookMs)),
        median(example.map(({ cpuMs }) => cpuMs)),
      ),
    );
  } finally {
    await rm(cacheFolder, { recursive: true, force: true });
  }
}

function row(name: string, tookMs: number, cpuMs?: number): string {
  const cpu = cpuMs === undefined ? '' : `   of which this process computes ${Math.round(cpuMs)} ms`;
  return `  ${name.padEnd(38)}${String(Math.round(tookMs)).padStart(6)} ms${cpu}`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
