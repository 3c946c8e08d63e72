// In charge of: asking a backend for its memory and for the longest time in which its event loop did nothing else. probe.ts answers.
import { expect } from 'vitest';
import type { RunningBackend } from './backend.ts';

export interface Figures {
  /** The longest delay of its event loop since it was asked before, in milliseconds. */
  readonly longestMs: number;
  readonly rssBytes: number;
  /** After a collection of garbage, as the next. */
  readonly heapBytes: number;
  readonly externalBytes: number;
}

/** What a backend needs in its environment to be asked. */
export const withProbe = { NODE_OPTIONS: `--import ${new URL('./probe.ts', import.meta.url).href}` };

const mark = '"kind":"test.figures"';

export async function figuresOf(backend: RunningBackend): Promise<Figures> {
  const lines = () =>
    backend
      .log()
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.includes(mark));
  const before = lines().length;
  process.kill(backend.report.PID, 'SIGUSR2');
  await expect.poll(() => lines().length, { timeout: 20_000, interval: 20 }).toBe(before + 1);
  // Sound: the probe writes it.
  return JSON.parse(lines().at(-1)!) as Figures;
}
