// In charge of: the nearest name for a hint. Names are compared by the letter groups they share, the best by edit distance.
// The measure is that of the fuzzy set which PostgREST's hints come from (grams of 3, then of 2; cosine; Levenshtein on the best 50),
// so that the same misspelling gets the same hint. Source: PostgREST 14.12, src/PostgREST/Error.hs (getFuzzyHint).

/** More names than this are not searched: a hint is not worth the time. Source: maxDbTablesForFuzzySearch in SchemaCache.hs. */
const maxNames = 500;
const candidates = 50;

/** The scores (0…1) of the names like `wanted`, the best first; names under `minScore` are left out. */
export function rankNames(
  names: Iterable<string>,
  wanted: string,
  minScore = 0.33,
): readonly { readonly name: string; readonly score: number }[] {
  const all = [...new Set(names)];
  if (all.length >= maxNames) return [];
  const same = all.find((name) => name.toLowerCase() === wanted.toLowerCase());
  if (same !== undefined) return [{ name: same, score: 1 }];
  for (const size of [3, 2]) {
    const found = rankByGrams(all, wanted, size, minScore);
    if (found.length > 0) return found;
  }
  return [];
}

/** The nearest name, or undefined when none is near enough. */
export function nearestName(names: Iterable<string>, wanted: string, minScore = 0.33): string | undefined {
  return rankNames(names, wanted, minScore)[0]?.name;
}

function rankByGrams(names: readonly string[], wanted: string, size: number, minScore: number) {
  const wantedGrams = countGrams(wanted.toLowerCase(), size);
  const wantedNorm = norm(wantedGrams);
  const scored: { name: string; score: number }[] = [];
  for (const name of names) {
    const grams = countGrams(name.toLowerCase(), size);
    let shared = 0;
    for (const [gram, count] of wantedGrams) shared += count * (grams.get(gram) ?? 0);
    if (shared > 0) scored.push({ name, score: shared / (wantedNorm * norm(grams)) });
  }
  return scored
    .sort((a, b) => b.score - a.score)
    .slice(0, candidates)
    .map(({ name }) => ({ name, score: similarity(name.toLowerCase(), wanted.toLowerCase()) }))
    .filter(({ score }) => score >= minScore)
    .sort((a, b) => b.score - a.score);
}

function countGrams(text: string, size: number): ReadonlyMap<string, number> {
  const word = `-${text.replace(/[^\p{L}\p{N}, ]/gu, '')}-`.padEnd(size, '-');
  const counts = new Map<string, number>();
  for (let at = 0; at + size <= word.length; at++) {
    const gram = word.slice(at, at + size);
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

function norm(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count * count;
  return Math.sqrt(sum);
}

function similarity(a: string, b: string): number {
  const longest = Math.max(a.length, b.length);
  return longest === 0 ? 1 : 1 - editDistance(a, b) / longest;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}
