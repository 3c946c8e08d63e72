// In charge of: the newest changes, kept for clients that come back and ask for what they missed. Bounded by number, size and age.
import type { Clock } from '../../../base/time.ts';
import { type Change, sizeOfChange } from './change.ts';

export interface HistoryBounds {
  readonly maxChanges: number;
  /** Of the rows' text, roughly. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

/** Enough for a client that changes networks or whose process is exchanged; whoever was away longer reads anew. */
export const historyBounds: HistoryBounds = {
  maxChanges: 20_000,
  maxBytes: 32 * 1024 * 1024,
  maxAgeMs: 10 * 60 * 1000,
};

export interface History {
  add(changes: readonly Change[]): void;
  /** Those after `id`, the oldest first, no more than `limit`; undefined when some of them may be missing. */
  since(id: string, limit?: number): readonly Change[] | undefined;
  /** Everything after it is kept; undefined: nothing is known yet. */
  floor(): string | undefined;
  /** Forgets everything: from now on what comes after `id` is kept. */
  startAt(id: string): void;
  /** Forgets what is up to `id`. */
  forget(id: string): void;
}

interface Entry {
  readonly change: Change;
  readonly bytes: number;
  readonly atMs: number;
}

export function openHistory(bounds: HistoryBounds, now: Clock): History {
  /** Read from `first` on: taking one from the beginning of a long array costs too much. */
  let entries: Entry[] = [];
  let first = 0;
  let bytes = 0;
  let floor: string | undefined;

  function dropFirst(): void {
    const entry = entries[first]!;
    bytes -= entry.bytes;
    floor = entry.change.id;
    first += 1;
    if (first < compactFrom || first * 2 < entries.length) return;
    entries = entries.slice(first);
    first = 0;
  }

  /** The newest is kept at any age: nothing has come after it, so whoever has seen it has missed nothing. */
  function trim(): void {
    const oldestMs = now() - bounds.maxAgeMs;
    while (entries.length - first > 1) {
      const tooMany = entries.length - first > bounds.maxChanges || bytes > bounds.maxBytes;
      if (!tooMany && entries[first]!.atMs >= oldestMs) break;
      dropFirst();
    }
  }

  return {
    add(changes) {
      const atMs = now();
      for (const change of changes) {
        const size = sizeOfChange(change);
        bytes += size;
        entries.push({ change, bytes: size, atMs });
      }
      trim();
    },
    since(id, limit = bounds.maxChanges) {
      if (floor === undefined || id < floor) return undefined;
      const at = firstAfter(entries, first, id);
      return entries.slice(at, at + limit).map(({ change }) => change);
    },
    floor() {
      trim();
      return floor;
    },
    startAt(id) {
      entries = [];
      first = 0;
      bytes = 0;
      floor = id;
    },
    forget(id) {
      while (first < entries.length && entries[first]!.change.id <= id) dropFirst();
    },
  };
}

/** The index of the first entry behind `id`; the entries are in the order of their ids. */
function firstAfter(entries: readonly Entry[], from: number, id: string): number {
  let low = from;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle]!.change.id <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}

const compactFrom = 1_000;
