// In charge of: a value in Postgres's text format as the JSON that `to_jsonb` makes of it, where that is sure; the rest is asked of Postgres.
// Source: PostgreSQL src/backend/utils/adt/jsonb.c datum_to_jsonb_internal, json.c JsonEncodeDateTime; supabase/realtime realtime.cast.
import type { ColumnFacts } from './facts.ts';

/** JSON text of a value that is not null. */
export type ToJson = (text: string) => string;

/** Undefined: only Postgres can say. */
export function toJsonOf(column: ColumnFacts): ToJson | undefined {
  if (column.hasJsonCast) return undefined;
  if (column.element === null) {
    const known = scalars[column.base];
    if (known !== undefined) return known;
    // A vector of system catalogs is told as an array, and a row as an object.
    return column.kind === 'c' || vectors.has(column.base) ? undefined : JSON.stringify;
  }
  if (column.elementKind === 'c' || column.delimiter !== ',') return undefined;
  const ofElement = column.element === bytea ? JSON.stringify : (scalars[column.element] ?? JSON.stringify);
  return (text) => arrayToJson(text, ofElement);
}

/** A type whose values stand in JSON as they are. */
export function isJson(column: ColumnFacts): boolean {
  return column.element === null && (column.base === json || column.base === jsonb);
}

const json = '114';
const jsonb = '3802';
const bytea = '17';
const vectors: ReadonlySet<string> = new Set(['22', '30']);

const number: ToJson = (text) => (/^-?\d/.test(text) ? text : JSON.stringify(text));
const raw: ToJson = (text) => text;

/** With a T between date and time, and minutes in the offset. */
const moment: ToJson = (text) =>
  JSON.stringify(text.replace(/^(\d+-\d\d-\d\d) /, '$1T').replace(/([+-]\d\d)( BC)?$/, zoneWithMinutes));

function zoneWithMinutes(
  found: string,
  offset: string,
  era: string | undefined,
  at: number,
  all: string,
): string {
  // A date alone ends like an offset.
  return all.includes(':') && at > 0 ? `${offset}:00${era ?? ''}` : found;
}

const scalars: Readonly<Record<string, ToJson>> = {
  16: (text) => (text === 't' ? 'true' : 'false'),
  // wal2json leaves out the mark of hexadecimal, and upstream tells what that says.
  [bytea]: (text) => JSON.stringify(text.startsWith('\\x') ? text.slice(2) : text),
  20: number,
  21: number,
  23: number,
  700: number,
  701: number,
  1700: number,
  [json]: raw,
  [jsonb]: raw,
  1114: moment,
  1184: moment,
};

/** Source: PostgreSQL docs, "Array Input and Output Syntax". */
export function arrayToJson(text: string, ofElement: ToJson): string {
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0;
  const value = (): string => {
    if (text[at] === '{') return list();
    if (text[at] !== '"') {
      const from = at;
      while (at < text.length && text[at] !== ',' && text[at] !== '}') at++;
      const plain = text.slice(from, at);
      return plain === 'NULL' ? 'null' : ofElement(plain);
    }
    let quoted = '';
    for (at++; text[at] !== '"'; at++) {
      if (text[at] === '\\') at++;
      quoted += text[at];
      if (at >= text.length) throw new Error('not an array of Postgres');
    }
    at++;
    return ofElement(quoted);
  };
  const list = (): string => {
    const items: string[] = [];
    for (at++; text[at] !== '}'; ) {
      if (at >= text.length) throw new Error('not an array of Postgres');
      items.push(value());
      if (text[at] === ',') at++;
    }
    at++;
    return `[${items.join(',')}]`;
  };
  return list();
}
