// In charge of: work that runs alone, for everybody who wants it done: a reload, a look at files.

export interface OneAtATime {
  (): Promise<void>;
  /** Resolves when nothing of it runs or waits any more, however it ended. */
  settled(): Promise<void>;
}

/**
 * Runs `work` alone. Calls while it runs share one more run after it: what they mean may have come too late for this one.
 * Each call resolves or rejects as its run does.
 */
export function oneAtATime(work: () => Promise<void>): OneAtATime {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const run = (): Promise<void> => {
    if (running === undefined) {
      running = work().finally(() => {
        running = undefined;
      });
      return running;
    }
    next ??= running
      .catch(() => {})
      .then(() => {
        next = undefined;
        return run();
      });
    return next;
  };
  return Object.assign(run, {
    async settled() {
      await Promise.allSettled([running, next]);
    },
  });
}
