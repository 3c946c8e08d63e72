// In charge of: closing what was opened, the last first.
import type { Observe } from '../base/observe.ts';

export interface Closers {
  /** @param withinMs after which the others go on without it; Infinity for what bounds itself, and must not be left */
  add(close: () => Promise<unknown>, withinMs?: number): void;
  /** A close that fails, or does not end, is reported, and the others go on. */
  closeAll(): Promise<void>;
}

/** Longer than any part takes that is not stuck: whoever stops the program gets it stopped. */
const closeWithinMs = 30_000;

export function openClosers(observe: Observe): Closers {
  const closers: { readonly close: () => Promise<unknown>; readonly withinMs: number }[] = [];

  async function run(close: () => Promise<unknown>, withinMs: number): Promise<void> {
    const closed = close().catch((error: unknown) => observe({ kind: 'stop.failed', level: 'error', error }));
    if (withinMs === Number.POSITIVE_INFINITY) {
      await closed;
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), withinMs);
    });
    // Its own text says best which one it is.
    if ((await Promise.race([closed, late])) === 'late')
      observe({ kind: 'stop.stuck', level: 'error', part: String(close), withinMs });
    clearTimeout(timer);
  }

  return {
    add: (close, withinMs = closeWithinMs) => closers.push({ close, withinMs }),
    async closeAll() {
      for (const { close, withinMs } of closers.splice(0).reverse()) await run(close, withinMs);
    },
  };
}
