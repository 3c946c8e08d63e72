// In charge of: what a test said in TAP, and whether it passed. Pure.

export interface TapTest {
  readonly number: number;
  readonly ok: boolean;
  readonly description: string;
  /** A failure under `todo` is expected, and a skipped test was not run: neither counts against the file. */
  readonly directive?: { readonly kind: 'todo' | 'skip'; readonly reason: string };
  /** The `#` lines behind it. */
  readonly diagnostics: readonly string[];
}

export interface TapResult {
  /** Undefined: it was never said. */
  readonly planned: number | undefined;
  readonly tests: readonly TapTest[];
  /** The reason of a whole file that was skipped: `1..0 # SKIP no tables`. */
  readonly skippedAll: string | undefined;
  readonly bailOut: string | undefined;
  /** What is wrong beside tests that failed, a sentence each: no plan, a plan that does not fit, numbers out of order. */
  readonly problems: readonly string[];
  readonly failed: readonly TapTest[];
  /** Tests that were expected to fail and did not. */
  readonly unexpected: readonly TapTest[];
  readonly passed: boolean;
}

/**
 * Reads the lines that a test printed. What is not TAP is passed over: any SELECT prints its rows.
 * Source: the TAP specification, version 13; TAP::Parser for which problems there are and their words.
 */
export function parseTap(lines: readonly string[]): TapResult {
  const tests: (Omit<TapTest, 'diagnostics'> & { readonly diagnostics: string[] })[] = [];
  const problems: string[] = [];
  let planned: number | undefined;
  let skippedAll: string | undefined;
  let bailOut: string | undefined;

  for (const line of lines) {
    const plan = /^1\.\.(\d+)(?:\s*#\s*skip\S*\s*(.*))?\s*$/i.exec(line);
    const test = /^(not )?ok\b(?:\s+(\d+))?\s*(.*)$/.exec(line);
    const bail = /^\s*Bail out!\s*(.*)$/.exec(line);
    if (bail !== null) {
      bailOut = bail[1]!;
      break;
    }
    if (plan !== null) {
      if (planned === undefined) planned = Number(plan[1]);
      else problems.push('More than one plan found in TAP output');
      if (planned === 0) skippedAll = plan[2] ?? '';
    } else if (test !== null) {
      const number = test[2] === undefined ? tests.length + 1 : Number(test[2]);
      if (number !== tests.length + 1) {
        problems.push(`Tests out of sequence.  Found (${number}) but expected (${tests.length + 1})`);
      }
      tests.push({ number, ok: test[1] === undefined, ...describe(test[3]!), diagnostics: [] });
    } else if (line.startsWith('#')) {
      tests.at(-1)?.diagnostics.push(line);
    }
  }
  if (bailOut === undefined) {
    if (planned === undefined) problems.push('No plan found in TAP output');
    else if (planned !== tests.length) {
      problems.push(`Bad plan.  You planned ${planned} tests but ran ${tests.length}.`);
    }
  }
  const failed = tests.filter(({ ok, directive }) => !ok && directive === undefined);
  return {
    planned,
    tests,
    skippedAll,
    bailOut,
    problems,
    failed,
    unexpected: tests.filter(({ ok, directive }) => ok && directive?.kind === 'todo'),
    passed: failed.length === 0 && problems.length === 0 && bailOut === undefined,
  };
}

/** `- it works # TODO later`: a `#` that is escaped belongs to the description. */
function describe(text: string): Pick<TapTest, 'description' | 'directive'> {
  const match = /^(.*?)(?<!\\)#\s*(todo|skip)\S*\s*(.*)$/i.exec(text);
  const description = (match?.[1] ?? text).replace(/^-\s*/, '').replaceAll('\\#', '#').trim();
  if (match === null) return { description };
  return { description, directive: { kind: match[2]!.toLowerCase() as 'todo' | 'skip', reason: match[3]! } };
}
