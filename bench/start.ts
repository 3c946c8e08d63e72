// In charge of: how long the example takes from nothing, and from its data, to the first 200, and what both processes weigh then.
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout, startBackend } from '../test/harness/backend.ts';
import { memoryMiB } from './memory.ts';

export interface StartTimes {
  /** From the command to the first 200 on `/rest/v1/`, in milliseconds: the first run, and those after it. */
  readonly firstMs: number;
  readonly laterMs: readonly number[];
  readonly idle: ReturnType<typeof memoryMiB>;
}

/** How long a backend is left alone before it is weighed: what starting took is given back by then. */
const settleMs = 3_000;

export async function measureStarts(laterRuns: number): Promise<StartTimes> {
  const folder = await mkdtemp(join(tmpdir(), 'mr-bench-start-'));
  try {
    await cp(join(checkout, 'examples', 'tool-library'), folder, {
      recursive: true,
      filter: (source) => !source.endsWith('.millrace'),
    });
    const first = await startOnce(folder);
    const laterMs: number[] = [];
    for (let run = 0; run < laterRuns; run += 1) laterMs.push((await startOnce(folder)).tookMs);
    const { idle } = await startOnce(folder, settleMs);
    return { firstMs: first.tookMs, laterMs, idle };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function startOnce(folder: string, restMs = 0) {
  const startedMs = performance.now();
  await using backend = await startBackend(folder, [], { log: 'discard' });
  const { report } = backend;
  const answer = await fetch(`${report.API_URL}/rest/v1/`, { headers: { apikey: report.SECRET_KEY } });
  if (answer.status !== 200) throw new Error(`/rest/v1/ answered ${answer.status}: ${await answer.text()}`);
  await answer.arrayBuffer();
  const tookMs = performance.now() - startedMs;
  await new Promise((resolve) => setTimeout(resolve, restMs));
  return { tookMs, idle: memoryMiB(report.PID) };
}
