// In charge of: the tokens that were verified already. Bounded in number and in bytes, and quick to ask: it is asked for every request.
import type { Caller } from './caller.ts';

export interface Remembered {
  readonly caller: Caller;
  /** Seconds since 1970; Infinity without an exp claim. */
  readonly expiresAt: number;
  /** Whether the keys that verified it still count; undefined where a change forgets everything. */
  readonly stillCounts: (() => boolean) | undefined;
}

export interface TokenMemory {
  find(token: string): Remembered | undefined;
  keep(token: string, remembered: Remembered, maxTokens: number): void;
  drop(token: string): void;
  clear(): void;
  /** For metrics and tests. */
  size(): { readonly tokens: number; readonly bytes: number };
}

interface Entry {
  readonly remembered: Remembered;
  readonly bytes: number;
  /** Asked for since it was kept or spared. */
  used: boolean;
}

/** What an entry costs beside its two texts: the map's slot and four objects. */
const entryOverheadBytes = 400;
/** How many used entries are spared while looking for one to drop: keeping one token never walks the whole memory. */
const maxSpared = 16;

/**
 * The oldest entry goes, unless it was used since its last turn: then it is spared once (second chance). A flood of tokens that are used
 * once does not push out those that are used again and again, and a hit costs one assignment.
 * PostgREST's SIEVE does the same with a hand that stays in place. Source: PostgREST 14 src/PostgREST/Cache/Sieve.hs.
 */
export function openTokenMemory(maxBytes: number): TokenMemory {
  const entries = new Map<string, Entry>();
  let bytes = 0;

  function drop(token: string): void {
    const entry = entries.get(token);
    if (entry === undefined) return;
    bytes -= entry.bytes;
    entries.delete(token);
  }

  function dropOne(): void {
    let spared = 0;
    // A Map gives its entries in the order in which they were put in, and those put in meanwhile as well.
    for (const [token, entry] of entries) {
      if (!entry.used || spared === maxSpared) {
        drop(token);
        return;
      }
      entry.used = false;
      entries.delete(token);
      entries.set(token, entry);
      spared++;
    }
  }

  return {
    find(token) {
      const entry = entries.get(token);
      if (entry === undefined) return undefined;
      entry.used = true;
      return entry.remembered;
    },
    keep(token, remembered, maxTokens) {
      drop(token);
      const size = token.length + remembered.caller.claims.length + entryOverheadBytes;
      if (maxTokens <= 0 || size > maxBytes) return;
      while (entries.size > 0 && (entries.size >= maxTokens || bytes + size > maxBytes)) dropOne();
      entries.set(token, { remembered, bytes: size, used: false });
      bytes += size;
    },
    drop,
    clear() {
      entries.clear();
      bytes = 0;
    },
    size: () => ({ tokens: entries.size, bytes }),
  };
}
