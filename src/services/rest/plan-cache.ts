// In charge of: what was prepared for the shapes seen last. Bounded in number and in text; the least recently used goes first.

/** Enough for the shapes of a large application; a shape is a few kilobytes. */
export const maxEntries = 2_000;
/** Characters of keys and statements held together. A client can send long shapes, so their number alone is no bound. */
export const maxCharacters = 16_000_000;

export interface PlanCache<T> {
  get(key: string): T | undefined;
  set(key: string, value: T, characters: number): void;
  clear(): void;
  readonly size: number;
}

export function openPlanCache<T>(): PlanCache<T> {
  // A Map keeps the order of insertion, so the first key is the one not used for longest.
  const entries = new Map<string, { readonly value: T; readonly characters: number }>();
  let held = 0;
  return {
    get(key) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, characters) {
      const cost = key.length + characters;
      if (cost > maxCharacters / 100) return;
      held += cost - (entries.get(key)?.characters ?? 0);
      entries.delete(key);
      entries.set(key, { value, characters: cost });
      for (const [oldest, entry] of entries) {
        if (entries.size <= maxEntries && held <= maxCharacters) break;
        entries.delete(oldest);
        held -= entry.characters;
      }
    },
    clear() {
      entries.clear();
      held = 0;
    },
    get size() {
      return entries.size;
    },
  };
}
