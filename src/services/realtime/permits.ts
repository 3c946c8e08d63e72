// In charge of: how many may do something at the same time.

export interface Permits {
  /** @param by whoever asks for much waits behind those who ask for little; unset: all wait in their order */
  run<T>(work: () => Promise<T>, by?: string): Promise<T>;
}

/** Whoever comes while all are taken waits; those that wait are bounded by what they are about. */
export function openPermits(count: number): Permits {
  let free = count;
  /** Whose turn is next stands first. */
  const waiting = new Map<string, (() => void)[]>();

  function next(): (() => void) | undefined {
    for (const [by, own] of waiting) {
      waiting.delete(by);
      const first = own.shift();
      if (own.length > 0) waiting.set(by, own);
      return first;
    }
    return undefined;
  }

  return {
    async run(work, by = '') {
      if (free > 0) free--;
      else
        await new Promise<void>((resolve) => {
          const own = waiting.get(by);
          if (own === undefined) waiting.set(by, [resolve]);
          else own.push(resolve);
        });
      try {
        return await work();
      } finally {
        const following = next();
        if (following === undefined) free++;
        else following();
      }
    },
  };
}
