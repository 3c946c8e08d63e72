// In charge of: what a listener has heard against what it should have: everything, in the order of the commits, nothing twice, and nothing else.
import type { HeardChange, OracleListener, Row } from './oracle-listeners.ts';
import type { Line } from './oracle-verdicts.ts';

/** What is to be told of the change with this number; any of the lines is right. */
export interface Expected {
  readonly at: number;
  readonly lines: readonly Line[];
  /** Not to tell it is right as well. */
  readonly isOptional: boolean;
}

/** Sentences about what is wrong; what is missing may be where a gap was told. */
export function compare(
  { heard }: Pick<OracleListener, 'heard'>,
  expected: readonly Expected[],
  numberOf: (id: string) => number | undefined,
): readonly string[] {
  const problems: string[] = [];
  let next = 0;
  let isGap = false;
  const missed = (from: number, to: number) => {
    if (isGap) return;
    for (const one of expected.slice(from, to))
      if (!one.isOptional) problems.push(`missed ${one.at}: ${describe(one.lines[0]!)}`);
  };
  for (const entry of heard) {
    if ('gap' in entry) {
      isGap = true;
      if (!entry.isExpected && !entry.gap.startsWith('policies or filters failed for too many'))
        problems.push(`a gap: ${entry.gap}`);
      continue;
    }
    const at = numberOf(entry.id);
    let found = next;
    while (found < expected.length && expected[found]!.at !== at) found++;
    if (found === expected.length) {
      problems.push(
        `told of ${at}, which is not for it, or was told, or is not behind the last: ${say(entry)}`,
      );
      continue;
    }
    missed(next, found);
    const { lines } = expected[found]!;
    if (!lines.some((line) => isLike(line, entry)))
      problems.push(`told otherwise of ${at}: ${say(entry)} instead of ${lines.map(describe).join(' or ')}`);
    next = found + 1;
    isGap = false;
  }
  missed(next, expected.length);
  return problems;
}

function isLike(line: Line, told: HeardChange): boolean {
  if (line.type !== told.type) return false;
  const [record, old] = [withoutLarge(told.record), withoutLarge(told.old)];
  if (line.isSame)
    return canonical(record) === canonical(line.record) && canonical(old) === canonical(line.old);
  // The columns that the table had then and has now, as they were.
  const isKept = (from: Row, to: Row) =>
    Object.entries(from).every(
      ([name, value]) => !line.same.has(name) || canonical(value) === canonical(to[name]),
    );
  const isNoMore = Object.keys(old).every((name) => !line.same.has(name) || name in line.old);
  return isKept(line.record, record) && isNoMore && isKept(old, line.old);
}

/** A byte string is told otherwise than `to_jsonb` has it, and a large value may be a later one. */
const large: ReadonlySet<string> = new Set(['bytes', 'large', 'big']);
export const isLarge = (name: string) => large.has(name);

const withoutLarge = (row: Row) => Object.fromEntries(Object.entries(row).filter(([name]) => !isLarge(name)));

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

const say = ({ type, record, old }: HeardChange) =>
  `${type} ${JSON.stringify(withoutLarge(record))} ${JSON.stringify(withoutLarge(old))}`.slice(0, 600);

const describe = ({ type, record, old }: Line) =>
  `${type} ${JSON.stringify(record)} ${JSON.stringify(old)}`.slice(0, 600);
