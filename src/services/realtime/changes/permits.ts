// In charge of: how many may do something at the same time.

export interface Permits {
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** Whoever comes while all are taken waits; those that wait are bounded by what they are about. */
export function openPermits(count: number): Permits {
  let free = count;
  const waiting: (() => void)[] = [];
  return {
    async run(work) {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free++;
        else next();
      }
    },
  };
}
