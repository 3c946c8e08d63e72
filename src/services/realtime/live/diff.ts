// In charge of: what is different between two answers of the same read, by the keys of their rows. Pure.
import { parseExactly } from '../../../base/exact-json.ts';

/** An answer: each row's JSON text by its key, in the answer's order. */
export type Answered = ReadonlyMap<string, string>;

export interface Difference {
  /** Rows that are new, or other than before. JSON texts. */
  readonly upserts: readonly string[];
  /** Keys of rows that are gone: the values of the primary key. JSON texts. */
  readonly removes: readonly string[];
  /** All keys in their order, where that is another. JSON texts. */
  readonly order: readonly string[] | undefined;
}

/** A read whose rows cannot be told apart. */
export class NotFollowable extends Error {
  override readonly name = 'NotFollowable';
}

/** @throws NotFollowable */
export function answered(rows: string, primaryKey: readonly string[]): Answered {
  const found = new Map<string, string>();
  for (const row of parseExactly(rows) as readonly Readonly<Record<string, unknown>>[]) {
    const lacking = primaryKey.find((name) => !(name in row));
    if (lacking !== undefined)
      throw new NotFollowable(
        `Its rows lack "${lacking}" of the primary key, by which they are told apart. Select it.`,
      );
    found.set(JSON.stringify(primaryKey.map((name) => row[name])), JSON.stringify(row));
  }
  return found;
}

/** Undefined: there is none. */
export function difference(before: Answered, after: Answered): Difference | undefined {
  const upserts = [...after].filter(([key, row]) => before.get(key) !== row).map(([, row]) => row);
  const removes = [...before.keys()].filter((key) => !after.has(key));
  const order = isSameOrder([...before.keys()], [...after.keys()]) ? undefined : [...after.keys()];
  return upserts.length + removes.length === 0 && order === undefined
    ? undefined
    : { upserts, removes, order };
}

const isSameOrder = (before: readonly string[], after: readonly string[]) =>
  before.length === after.length && before.every((key, n) => key === after[n]);
