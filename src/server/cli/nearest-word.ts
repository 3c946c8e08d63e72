// In charge of: the word that was meant by a slip of the hand.

/** Letters that may be wrong, missing, too many or swapped with their neighbour. */
const maxSlips = 2;

/** The word that is the fewest slips away, the first of several; undefined when none is near. */
export function nearestWord(words: readonly string[], given: string): string | undefined {
  let best: { readonly word: string; readonly slips: number } | undefined;
  for (const word of words) {
    const slips = slipsBetween(word, given);
    if (
      slips <= maxSlips &&
      slips < Math.max(word.length, given.length) / 2 &&
      slips < (best?.slips ?? Infinity)
    )
      best = { word, slips };
  }
  // A word that was not written to its end.
  return best?.word ?? words.find((word) => given.length > maxSlips && word.startsWith(given));
}

/** Source: the optimal string alignment distance. */
function slipsBetween(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, rows[i - 1]![j]! + 1, row[j - 1]! + 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
