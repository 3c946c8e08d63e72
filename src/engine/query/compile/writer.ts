// In charge of: the text of a statement while it is compiled, and the parameters that its values become.
import type { Name } from '../../catalog/catalog.ts';
import type { Value } from '../query.ts';

/** How a value becomes a parameter. */
export type Encoding =
  | { readonly kind: 'text' }
  /** `*` is written for `%`, which has to be escaped in a URL. */
  | { readonly kind: 'pattern' }
  /** A list, as it stands in the request, becomes an array literal. */
  | { readonly kind: 'list'; readonly values: readonly string[] }
  /** Several values become an array literal. */
  | { readonly kind: 'array'; readonly more: readonly Value[] }
  /** A number of rows, at most `cap`. */
  | { readonly kind: 'limit'; readonly cap: number | undefined }
  /** Bytes, which travel as text. */
  | { readonly kind: 'bytes' };

export interface Parameter {
  readonly value: Value;
  readonly encoding: Encoding;
}

export interface Writer {
  readonly parameters: Parameter[];
  /** Embedded rows are of type jsonb: what groups or shows them as text needs it. */
  readonly embedsAs: 'json' | 'jsonb';
}

const asText: Encoding = { kind: 'text' };

/** A value as `$n`. Its type is left to Postgres, as that of a literal would be. */
export function param(writer: Writer, value: Value, encoding: Encoding = asText): string {
  writer.parameters.push({ value, encoding });
  return `$${writer.parameters.length}`;
}

/** A value that is the same for all requests of this shape. */
export function constant(writer: Writer, text: string): string {
  return param(writer, { text, at: -1 });
}

/** A limit: as a number in the text when all requests of this shape have the same, which the planner can use; else a parameter. */
export function limitOf(writer: Writer, value: Value, cap: number | undefined): string {
  if (value.at < 0 && /^\d{1,15}$/.test(value.text))
    return String(Math.min(Number(value.text), cap ?? Number.MAX_SAFE_INTEGER));
  writer.parameters.push({ value, encoding: { kind: 'limit', cap } });
  return `$${writer.parameters.length}`;
}

/** A quoted identifier. What is behind a NUL is dropped, as no name in Postgres holds one and the statement would end there. */
export function ident(name: string): string {
  const end = name.indexOf('\0');
  return `"${(end < 0 ? name : name.slice(0, end)).replaceAll('"', '""')}"`;
}

export function qualified(name: Name): string {
  return name.schema === '' ? ident(name.name) : `${ident(name.schema)}.${ident(name.name)}`;
}

/** A column of a table or alias; the star stands for all. */
export function column(table: Name, name: string): string {
  return `${qualified(table)}.${name === '*' ? '*' : ident(name)}`;
}

/** A name from the catalog as a text literal. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
