// In charge of: closing what was opened, the last first.
import type { Observe } from '../base/observe.ts';

export interface Closers {
  add(close: () => Promise<unknown>): void;
  /** A close that fails is reported, and the others go on. */
  closeAll(): Promise<void>;
}

export function openClosers(observe: Observe): Closers {
  const closers: (() => Promise<unknown>)[] = [];
  return {
    add: (close) => closers.push(close),
    async closeAll() {
      for (const close of closers.splice(0).reverse()) {
        await close().catch((error: unknown) => observe({ kind: 'stop.failed', level: 'error', error }));
      }
    },
  };
}
