// In charge of: chance that can be repeated: the same choices for the same seed.

export interface Random {
  /** From 0 up to, and without, 1. */
  next(): number;
  /** A whole number, both ends included. */
  whole(from: number, to: number): number;
  /** True in this part of all cases. */
  chance(part: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** One of the makers, called; a number before it says how often it comes compared with the others. */
  weighted<T>(makers: readonly (readonly [weight: number, make: () => T])[]): T;
  /** As many as a whole number from `from` to `to` says. */
  several<T>(from: number, to: number, make: () => T): T[];
  bytes(length: number): Buffer;
}

/** The same numbers for the same seed. Source: Steele and Vigna, SplitMix, in 32 bits. */
export function randomNumbers(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** @param turn of one seed there are as many sequences as there are turns, so that each can be had again without those before it. */
export function openRandom(seed: number, turn = 0): Random {
  const next = randomNumbers(Math.imul(seed + 1, 0x2545f491) ^ Math.imul(turn + 1, 0x632be59b));
  const whole = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  const pick = <T>(list: readonly T[]): T => list[whole(0, list.length - 1)]!;
  return {
    next,
    whole,
    chance: (part) => next() < part,
    pick,
    weighted(makers) {
      let left = next() * makers.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, make] of makers) {
        left -= weight;
        if (left < 0) return make();
      }
      return makers.at(-1)![1]();
    },
    several: (from, to, make) => Array.from({ length: whole(from, to) }, make),
    bytes(length) {
      const bytes = Buffer.allocUnsafe(length);
      for (let at = 0; at < length; at++) bytes[at] = next() * 256;
      return bytes;
    },
  };
}
