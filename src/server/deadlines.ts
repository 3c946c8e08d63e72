// In charge of: the time that requests may take. One look at all of them every now and then: a timer for each costs a request more than this.
import type { Passage } from './passage.ts';

/** How long a cancelled query has to say so, before the answer goes out without it. */
const cancelGraceMs = 1_000;
const lookEveryMs = 100;

export interface Deadlines {
  watch(passage: Passage): void;
  /** It has its answer. */
  release(passage: Passage): void;
}

/** @param giveUp answers a request that is over and did not end by itself. */
export function openDeadlines(giveUp: (passage: Passage) => void): Deadlines {
  const watched = new Set<Passage>();
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    // An idle server sleeps.
    if (watched.size === 0) {
      clearInterval(timer);
      timer = undefined;
      return;
    }
    const now = performance.now();
    for (const passage of watched) {
      if (passage.isStreamed) countFromLastByte(passage, now);
      const overMs = now - passage.countedFromMs - passage.timeoutSeconds * 1000;
      if (overMs < 0) continue;
      if (!passage.timedOut) {
        passage.timedOut = true;
        passage.cancellation.cancel(new Error('the request took too long'));
      }
      // A body that does not arrive, or a connection that does not come free, hears of no cancellation.
      if (overMs >= cancelGraceMs) giveUp(passage);
    }
  }

  function countFromLastByte(passage: Passage, now: number): void {
    const moved = passage.line.movedBytes();
    if (moved === passage.movedBytes) return;
    passage.movedBytes = moved;
    passage.countedFromMs = now;
  }

  return {
    watch(passage) {
      watched.add(passage);
      timer ??= setInterval(look, lookEveryMs).unref();
    },
    release: (passage) => void watched.delete(passage),
  };
}
