// In charge of: how many of something there are a second, counted as upstream counts: in ticks of five seconds, over the last twelve of them.
// Source: supabase/realtime lib/realtime/rate_counter/rate_counter.ex; lib/realtime/tenants.ex.
import type { Clock } from '../../base/time.ts';

export interface Rate {
  count(amount?: number): void;
  /** A second, as of the last tick. */
  average(): number;
  /** Nothing has come in its present tick. */
  isIdle(): boolean;
  /** When its present tick began, and over how many it counts. */
  age(): { readonly startedAt: number; readonly ticks: number };
}

const tickMs = 5_000;
export const maxTicks = 12;

/**
 * Without a timer: what has ticked in between is made up for when somebody counts or asks.
 * @param age of another that it is compared with, or over how many ticks it counts from the beginning
 */
export function openRate(now: Clock, age?: Partial<ReturnType<Rate['age']>>): Rate {
  // Upstream's first tick comes at once and finds nothing: the average of the first five seconds is half of what they had.
  let ticks: number[] = Array(age?.ticks ?? 1).fill(0);
  let current = 0;
  let startedAt = age?.startedAt ?? now();
  let average = 0;

  function catchUp(): void {
    const passed = Math.floor((now() - startedAt) / tickMs);
    if (passed <= 0) return;
    startedAt += passed * tickMs;
    const silent = Math.min(passed - 1, maxTicks);
    ticks = [...ticks, current, ...Array<number>(silent).fill(0)].slice(-maxTicks);
    current = 0;
    average = ticks.reduce((sum, each) => sum + each, 0) / ticks.length / (tickMs / 1_000);
  }

  return {
    count(amount = 1) {
      catchUp();
      current += amount;
    },
    average() {
      catchUp();
      return average;
    },
    isIdle() {
      catchUp();
      return current === 0;
    },
    age() {
      catchUp();
      return { startedAt, ticks: ticks.length };
    },
  };
}
