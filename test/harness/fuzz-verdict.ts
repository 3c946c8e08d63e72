// In charge of: what a fuzz has to end with. Each is looked at, also when another is not so, as a run takes long.
import { expect } from 'vitest';
import type { RunningBackend } from './backend.ts';
import { renderCounts } from './fuzz-answers.ts';
import type { FuzzReport, Sample } from './fuzz-run.ts';

/** /health asks nobody: it waits for the event loop alone, which parses bodies of up to the bound meanwhile. */
const healthBoundMs = 5_000;
/** Below gateway.drain_timeout, which is how long a stop waits for what is in flight. */
const stopBoundMs = 15_000;
/** The pool, the pool of `millrace_admin`, the reader of the catalog, the listener. */
const maxSessions = 20;

export function renderReport({ tally, made, healthMs }: FuzzReport): string {
  return (
    `${tally.sent} requests sent, ${tally.answered} answered; /health took ${Math.round(healthMs)} ms at most\n` +
    `meanwhile:\n${renderCounts(made)}answers:\n${renderCounts(tally.byStatus)}5xx:\n${renderCounts(tally.serverErrors)}`
  );
}

export async function expectSound(report: FuzzReport, backend: RunningBackend): Promise<void> {
  const { tally, errors, untouched, idleInTransaction, healthMs, samples } = report;
  expect.soft(tally.complaints).toEqual([]);
  expect.soft(errors.slice(0, 20)).toEqual([]);
  expect.soft(backend.process.exitCode).toBeNull();
  expect.soft(untouched[1]).toBe(untouched[0]);
  expect.soft(idleInTransaction).toBe(0);
  expect.soft(healthMs).toBeLessThan(healthBoundMs);
  expect.soft(Math.max(...samples.map(({ sessions }) => sessions))).toBeLessThanOrEqual(maxSessions);
  // That much was asked, and that it was of all kinds.
  expect.soft(tally.answered).toBeGreaterThan(tally.sent / 2);
  const kinds = new Set([...tally.byStatus.keys()].map((key) => key.split(' ')[0]));
  expect.soft([...kinds].sort()).toEqual(['admin', 'auth', 'broken', 'health', 'outside', 'ready', 'rest']);
  const first = async () => {
    const answer = await fetch(`${backend.report.REST_URL}/sealed?select=id&order=id&limit=1`, {
      headers: { apikey: backend.report.PUBLISHABLE_KEY },
    });
    return answer.json();
  };
  // The catalog may have to be read once more.
  await expect.poll(first, { timeout: 10_000 }).toEqual([{ id: 1 }]);
}

/** Everything has been answered or given up, so there is nothing that a stop would have to wait for. */
export async function expectCleanStop(backend: RunningBackend): Promise<void> {
  const startedMs = performance.now();
  expect.soft(await backend.stop()).toBe(0);
  expect.soft(performance.now() - startedMs).toBeLessThan(stopBoundMs);
}

/** The last third of the samples against the second: what is kept for later has been filled by then. */
export function expectFlat(series: readonly Sample[]): void {
  const third = Math.floor(series.length / 3);
  const [middle, last] = [series.slice(third, 2 * third), series.slice(2 * third)];
  const grown = (of: (sample: Sample) => number) => median(last.map(of)) - median(middle.map(of));
  const mebibyte = 2 ** 20;
  expect.soft(grown(({ heapBytes }) => heapBytes)).toBeLessThan(8 * mebibyte);
  expect.soft(grown(({ externalBytes }) => externalBytes)).toBeLessThan(8 * mebibyte);
  // What the allocator keeps of many sizes goes up and down.
  expect.soft(grown(({ rssBytes }) => rssBytes)).toBeLessThan(32 * mebibyte);
  expect.soft(grown(({ descriptors }) => descriptors)).toBeLessThanOrEqual(5);
  expect.soft(grown(({ sessions }) => sessions)).toBeLessThanOrEqual(3);
}

/** The middle one. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
