// In charge of: the Supabase CLI's words for what has a shorter name here, so that scripts and habits go on working.

/** The words of a command line, without its flags, as they are called here: `db diff` → `diff`, `migration list` → `migrate list`. */
export function toOwnWords(words: readonly string[]): readonly string[] {
  for (const [theirs, own] of renamed) {
    if (theirs.every((word, at) => words[at] === word)) return [...own, ...words.slice(theirs.length)];
  }
  return words;
}

/** Source: supabase/cli 3.1.0, `supabase --help` and the helps of its subcommands. */
const renamed: readonly (readonly [theirs: readonly string[], own: readonly string[]])[] = [
  [['db', 'diff'], ['diff']],
  [['db', 'pull'], ['pull']],
  [['db', 'dump'], ['dump']],
  [['db', 'lint'], ['lint']],
  [['db', 'reset'], ['reset']],
  [['db', 'push'], ['migrate']],
  [['migration', 'up'], ['migrate']],
  [['migrations', 'up'], ['migrate']],
  [['migration'], ['migrate']],
  [['migrations'], ['migrate']],
  [['test', 'db'], ['test']],
];
