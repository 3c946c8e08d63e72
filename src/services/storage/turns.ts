// In charge of: how many of something are worked on at once, and how long the others wait.

export interface Turns {
  /** Runs `work` when it is its turn. @throws what `refusals` say when too many wait already, or it waited too long */
  run<T>(work: () => Promise<T>): Promise<T>;
}

export interface TurnBounds {
  readonly maxParallel: number;
  readonly maxWaiting: number;
  readonly maxWaitSeconds: number;
}

export interface TurnRefusals {
  readonly full: () => Error;
  readonly late: () => Error;
}

export function openTurns(bounds: () => TurnBounds, refusals: TurnRefusals): Turns {
  let running = 0;
  const waiting = new Set<() => void>();

  function next(): void {
    for (const start of waiting) {
      if (running >= bounds().maxParallel) return;
      waiting.delete(start);
      running += 1;
      start();
    }
  }

  async function turn(): Promise<void> {
    const { maxParallel, maxWaiting, maxWaitSeconds } = bounds();
    if (running < maxParallel) {
      running += 1;
      return;
    }
    if (waiting.size >= maxWaiting) throw refusals.full();
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(start);
        reject(refusals.late());
      }, maxWaitSeconds * 1000);
      const start = () => {
        clearTimeout(timer);
        resolve();
      };
      waiting.add(start);
    });
  }

  return {
    async run(work) {
      await turn();
      try {
        return await work();
      } finally {
        running -= 1;
        next();
      }
    },
  };
}
