// In charge of: reading `[gateway.<what>.<name>]` tables strictly, with a sentence that names the key and the value that is wrong.

import { findWrongRange, rangeExpectation } from '../../base/address-ranges.ts';
import { isPlainPath } from '../../base/path-forms.ts';
import { hasGoodStars } from '../../base/path-pattern.ts';

/** What is wrong with a table, as a whole sentence. */
export class WrongTable extends Error {
  override readonly name = 'WrongTable';
}

export interface NamedTable {
  readonly name: string;
  /** `gateway.rules.office`, for complaints. */
  readonly key: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** More are a mistake: each costs every request a little. */
const maxTables = 256;
const maxListed = 1024;

/**
 * The tables in the order in which they count: by `order` where it is given, else as they stand. They come as a table of tables, which is how
 * config.toml has them, or as a list of tables with a `name` each, which keeps its order also where it is kept as JSON in the database.
 * @throws WrongTable
 */
export function readNamedTables(
  section: string,
  raw: unknown,
  known: readonly string[],
): readonly NamedTable[] {
  const entries = Array.isArray(raw)
    ? raw.map((entry, at) => listed(section, entry, at))
    : tabled(section, raw);
  if (entries.length > maxTables)
    throw new WrongTable(`"${section}" has ${entries.length} entries, but may have ${maxTables}.`);
  const names = new Set<string>();
  for (const { name, key, values } of entries) {
    // A name of digits alone would change its place among the others: JavaScript sorts such keys first.
    if (!/^[a-z_][\w-]{0,63}$/i.test(name))
      throw new WrongTable(
        `"${key}" is named "${name}", but a name is a letter and up to 63 letters, digits, "_" or "-".`,
      );
    if (names.has(name)) throw new WrongTable(`"${section}" has "${name}" twice.`);
    names.add(name);
    const stranger = Object.keys(values).find((own) => !known.includes(own) && own !== 'order');
    if (stranger !== undefined)
      throw new WrongTable(
        `"${key}.${stranger}" is not known here; the keys are order, ${known.join(', ')}.`,
      );
    const { order } = values;
    if (order !== undefined && !(typeof order === 'number' && Number.isFinite(order)))
      throw wrong(`${key}.order`, order, 'a number');
  }
  const orderOf = ({ values }: NamedTable) => (typeof values.order === 'number' ? values.order : 0);
  return [...entries].sort((one, other) => orderOf(one) - orderOf(other));
}

export function wrong(key: string, value: unknown, expects: string): WrongTable {
  return new WrongTable(`"${key}" is ${JSON.stringify(value) ?? 'missing'}, but must be ${expects}.`);
}

/** A list of texts, or one text in its place; undefined when it is not there. @throws WrongTable */
export function readTexts(
  { key, values }: NamedTable,
  name: string,
  expects: string,
  isRight: (text: string) => boolean,
): readonly string[] | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  const list: unknown = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.length === 0)
    throw wrong(`${key}.${name}`, value, `${expects}, or a list of such`);
  if (list.length > maxListed)
    throw new WrongTable(`"${key}.${name}" has ${list.length} items, but may have ${maxListed}.`);
  for (const item of list) {
    if (typeof item !== 'string' || !isRight(item))
      throw new WrongTable(`"${key}.${name}" holds ${JSON.stringify(item)}, but must hold ${expects}.`);
  }
  return list as readonly string[];
}

export function readPaths(table: NamedTable): readonly string[] | undefined {
  return readTexts(
    table,
    'path',
    'a path from "/", decoded, without "//", ".", "..", ";" or "?"; "*" stands for a part of a segment and "**" for any number of segments',
    (text) => isPlainPath(text) && hasGoodStars(text),
  );
}

export function readMethods(table: NamedTable): readonly string[] | undefined {
  return readTexts(table, 'methods', 'an HTTP method such as "POST"', (text) =>
    /^[a-z]{1,32}$/i.test(text),
  )?.map((method) => method.toUpperCase());
}

export function readRanges(table: NamedTable): readonly string[] | undefined {
  return readTexts(table, 'cidr', rangeExpectation, (text) => findWrongRange([text]) === undefined);
}

/** The sentence that `read` throws; none when it is content. */
export function complaintsOf(read: () => unknown): readonly string[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof WrongTable) return [error.message];
    throw error;
  }
}

/** For a setting's `parse`: undefined in the place of the sentence. */
export function undefinedIfWrong<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof WrongTable) return undefined;
    throw error;
  }
}

function tabled(section: string, raw: unknown): readonly NamedTable[] {
  if (!isTable(raw)) throw wrong(section, raw, 'a table of tables, or a list of tables with a name each');
  return Object.entries(raw).map(([name, values]) => {
    const key = `${section}.${name}`;
    if (!isTable(values)) throw wrong(key, values, 'a table');
    return { name, key, values };
  });
}

function listed(section: string, entry: unknown, at: number): NamedTable {
  if (!isTable(entry) || typeof entry.name !== 'string')
    throw wrong(`${section}[${at}]`, entry, 'a table with a name');
  const { name, ...values } = entry;
  return { name: name as string, key: `${section}.${name}`, values };
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
