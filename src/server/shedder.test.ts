// In charge of: what is let in when more comes than can be answered, on a clock that the test turns.
import { describe, expect, it } from 'vitest';
import { openShedder, type ShedderOptions } from './shedder.ts';

const connections = 10;
const minLimit = 40;

/** A server whose database answers `connections` requests at once, each in `serviceMs`; what is let in waits in a queue for its turn. */
function simulate({
  perSecond,
  seconds,
  serviceMs,
  usefulMs,
  ...options
}: {
  readonly perSecond: (atMs: number) => number;
  readonly seconds: number;
  readonly serviceMs: (number: number) => number;
  /** An answer after this long helps nobody. */
  readonly usefulMs: number;
} & Partial<ShedderOptions>) {
  let nowMs = 0;
  const shedder = openShedder({
    targetMs: () => 500,
    minLimit,
    maxLimit: 10_000,
    loopDelayMs: () => 0,
    now: () => nowMs,
    ...options,
  });
  const waiting: number[] = [];
  const working: { readonly startedMs: number; readonly endsMs: number }[] = [];
  const seen = { asked: 0, refused: 0, useful: 0, late: 0, mostWaiting: 0 };
  let due = 0;
  for (; nowMs < seconds * 1000; nowMs += 1) {
    for (let at = working.length - 1; at >= 0; at -= 1) {
      const { startedMs, endsMs } = working[at]!;
      if (endsMs > nowMs) continue;
      working.splice(at, 1);
      shedder.leave(nowMs - startedMs);
      if (nowMs - startedMs <= usefulMs) seen.useful += 1;
      else seen.late += 1;
    }
    for (due += perSecond(nowMs) / 1000; due >= 1; due -= 1) {
      seen.asked += 1;
      if (shedder.enter()) waiting.push(nowMs);
      else seen.refused += 1;
    }
    while (working.length < connections && waiting.length > 0) {
      working.push({ startedMs: waiting.shift()!, endsMs: nowMs + serviceMs(seen.asked) });
    }
    seen.mostWaiting = Math.max(seen.mostWaiting, waiting.length);
  }
  return { ...seen, limit: shedder.figures().limit };
}

/** Ten connections, 10 ms each. */
const capacity = 1_000;
const tenMs = () => 10;

describe('load that can be answered', () => {
  it('is let in, whole', () => {
    const load = { perSecond: () => 0.9 * capacity, seconds: 20, serviceMs: tenMs, usefulMs: 1_000 };
    expect(simulate(load)).toMatchObject({ refused: 0, late: 0 });
  });

  it('is let in also when all of it is slow: what is usual here is no overload', () => {
    const load = { perSecond: () => 4, seconds: 120, serviceMs: () => 2_000, usefulMs: 10_000 };
    expect(simulate(load)).toMatchObject({ refused: 0, late: 0 });
  });

  it('is let in when some of it is a hundred times as slow', () => {
    const load = {
      perSecond: () => 100,
      seconds: 60,
      serviceMs: (number: number) => (number % 20 === 0 ? 1_000 : 10),
      usefulMs: 5_000,
    };
    expect(simulate(load)).toMatchObject({ refused: 0, late: 0 });
  });

  it('is let in when it comes at once and is over again', () => {
    const perSecond = (atMs: number) => (atMs % 5_000 < 100 ? 3 * capacity : 0);
    expect(simulate({ perSecond, seconds: 30, serviceMs: tenMs, usefulMs: 1_000 })).toMatchObject({
      refused: 0,
      late: 0,
    });
  });
});

describe('load beyond that', () => {
  it('five times over leaves nine tenths of what can be answered, in time', () => {
    const seconds = 60;
    const { useful, late, refused, asked } = simulate({
      perSecond: () => 5 * capacity,
      seconds,
      serviceMs: tenMs,
      usefulMs: 1_000,
    });
    expect(useful).toBeGreaterThan(0.9 * capacity * seconds);
    expect(late).toBeLessThan(0.05 * capacity * seconds);
    expect(asked).toBeGreaterThanOrEqual(useful + late + refused);
  });

  it('is answered too late without the shedder, which shows what the test above is about', () => {
    const { useful } = simulate({
      perSecond: () => 5 * capacity,
      seconds: 60,
      serviceMs: tenMs,
      usefulMs: 1_000,
      targetMs: () => Number.POSITIVE_INFINITY,
    });
    expect(useful).toBeLessThan(0.1 * capacity * 60);
  });

  it('is let in again soon after it has gone', () => {
    const perSecond = (atMs: number) => (atMs < 20_000 ? 5 * capacity : 0.8 * capacity);
    const during = simulate({ perSecond, seconds: 21, serviceMs: tenMs, usefulMs: 1_000 });
    const after = simulate({ perSecond, seconds: 60, serviceMs: tenMs, usefulMs: 1_000 });
    expect(after.refused - during.refused).toBe(0);
  });

  it('never takes from the database what it needs to be busy', () => {
    const { limit } = simulate({
      perSecond: (atMs) => (atMs < 2_000 ? 0.5 : 50) * capacity,
      seconds: 20,
      serviceMs: tenMs,
      usefulMs: 1_000,
      targetMs: () => 1,
    });
    expect(limit).toBe(minLimit);
  });

  it('is also what an event loop says that comes late', () => {
    const { limit } = simulate({
      perSecond: () => 5 * capacity,
      seconds: 20,
      serviceMs: tenMs,
      usefulMs: 1_000,
      targetMs: () => 100_000,
      loopDelayMs: () => 200_000,
    });
    expect(limit).toBe(minLimit);
  });
});
