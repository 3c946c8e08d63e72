// In charge of: those who want the same thing going one after the other, within this process, instead of trying again and again.
import { delay } from './time.ts';

export interface Turns {
  /**
   * Waits until all who came before with the same key are through, but no longer than `maxWaitMs`: then it goes on all the same.
   * Whoever took a turn gives it back by disposing of it.
   */
  take(key: string, maxWaitMs: number, signal: AbortSignal): Promise<Disposable>;
}

/** There is an entry for each key of those who have or want a turn now, and no other. */
export function openTurns(): Turns {
  const last = new Map<string, Promise<void>>();
  return {
    async take(key, maxWaitMs, signal) {
      const before = last.get(key);
      const { promise: through, resolve } = Promise.withResolvers<void>();
      last.set(key, through);
      const turn = {
        [Symbol.dispose]() {
          resolve();
          if (last.get(key) === through) last.delete(key);
        },
      };
      if (before === undefined) return turn;
      const came = new AbortController();
      try {
        await Promise.race([
          before,
          delay(maxWaitMs, AbortSignal.any([signal, came.signal])).catch(() => {}),
        ]);
        signal.throwIfAborted();
        return turn;
      } catch (error) {
        turn[Symbol.dispose]();
        throw error;
      } finally {
        came.abort();
      }
    },
  };
}
