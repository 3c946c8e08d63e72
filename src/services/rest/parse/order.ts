// In charge of: the order parameter: `column.desc.nullslast`, `relation(column).asc`.
// Source: PostgREST 14.12, src/PostgREST/ApiRequest/QueryParams.hs (pOrder).
import type { At, OrderTerm } from '../../../engine/query/query.ts';
import { parseFailed } from '../errors.ts';
import { columnList, delimiter, field, fieldName, lexeme, treePath } from './lexemes.ts';
import {
  after,
  ahead,
  attempt,
  before,
  between,
  char,
  either,
  end,
  map,
  optional,
  type Parser,
  run,
  separated1,
  seq,
  string,
} from './parsec.ts';

/** @throws PGRST100 */
export function parseOrder(key: string, text: string): At<readonly OrderTerm[]> {
  const target = run(treePath, key);
  if (!target.ok) throw parseFailed(`tree path (${key})`, target);
  const parsed = run(terms, text);
  if (!parsed.ok) throw parseFailed(`order (${text})`, parsed);
  return { path: target.value.path, item: parsed.value };
}

/** The path before `limit` and `offset`. @throws PGRST100 */
export function parseRangePath(key: string): readonly string[] {
  const target = run(treePath, key);
  if (!target.ok) throw parseFailed(`tree path (${key})`, target);
  return target.value.path;
}

/** The names of `columns` and `on_conflict`. @throws PGRST100 */
export function parseColumns(parameter: 'columns' | 'on_conflict', text: string): readonly string[] {
  const parsed = run(columnList, text);
  if (!parsed.ok) throw parseFailed(`${parameter} parameter (${text})`, parsed);
  return parsed.value;
}

const direction = optional(
  either(
    attempt(map(after(delimiter, string('asc')), () => 'asc' as const)),
    attempt(map(after(delimiter, string('desc')), () => 'desc' as const)),
  ),
);

const termEnd = either(attempt(ahead(char(','))), attempt(end));

const nullsWord = either(
  attempt(map(after(delimiter, string('nullsfirst')), () => 'first' as const)),
  attempt(map(after(delimiter, string('nullslast')), () => 'last' as const)),
);

const nulls = either(
  before(optional(nullsWord), termEnd),
  map(termEnd, () => undefined),
);

const relatedTerm: Parser<OrderTerm> = map(
  seq(fieldName, between(char('('), field, char(')')), direction, nulls),
  ([relation, ordered, way, place]) => ({ relation, field: ordered, direction: way, nulls: place }),
);

const ownTerm: Parser<OrderTerm> = map(seq(field, direction, nulls), ([ordered, way, place]) => ({
  relation: undefined,
  field: ordered,
  direction: way,
  nulls: place,
}));

const terms = separated1(lexeme(either(attempt(relatedTerm), ownTerm)), char(','));
