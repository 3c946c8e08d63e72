// In charge of: how many files come in at once.
import { slowDown } from './errors.ts';

export interface Transfers {
  /** @throws SlowDown when there are as many as there may be. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

export function openTransfers(max: () => number): Transfers {
  let running = 0;
  return {
    async run(work) {
      if (running >= max()) throw slowDown();
      running += 1;
      try {
        return await work();
      } finally {
        running -= 1;
      }
    },
  };
}
