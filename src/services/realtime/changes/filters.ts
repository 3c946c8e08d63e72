// In charge of: the filters of a subscription on the columns of a table: tested here where the outcome is sure to be Postgres's, else asked of it.
import type { ColumnFacts, TableFacts } from './facts.ts';
import type { Filter, FilterOp } from './params.ts';

/** One filter on one table. */
export interface Condition {
  readonly column: string;
  /** Undefined: Postgres is asked. Null is NULL; what Postgres would call unknown is false. */
  readonly test: ((value: string | null) => boolean) | undefined;
  /** Conditions of the same shape are asked about together. */
  readonly shape: string;
  readonly filter: Filter;
}

/** Undefined: the table has not all of the columns, so that nothing matches. */
export function conditionsOn(
  table: TableFacts,
  filters: readonly Filter[],
): readonly Condition[] | undefined {
  const conditions: Condition[] = [];
  for (const filter of filters) {
    const column = table.columnOf.get(filter.column);
    if (column === undefined) return undefined;
    conditions.push({
      column: filter.column,
      test: testOf(column, filter),
      shape: `${filter.column}\0${filter.op}\0${filter.negate}`,
      filter,
    });
  }
  return conditions;
}

/** Whether `operand` (SQL text of the column's type) meets a filter whose value is `value` (SQL text of type text). */
export function compileFilter(
  { op, negate }: Pick<Filter, 'op' | 'negate'>,
  { type }: Pick<ColumnFacts, 'type'>,
  operand: string,
  value: string,
): string {
  if (op === 'isdistinct') return `${operand} is ${negate ? 'not ' : ''}distinct from ${value}::${type}`;
  if (op === 'is') throw new Error('this is tested without Postgres');
  const right = op === 'in' ? `any (${value}::${type}[])` : `${value}::${type}`;
  const comparison = `${operand} ${sqlOperators[op]} ${right}`;
  return negate ? `not (${comparison})` : comparison;
}

// Source: supabase/realtime realtime.check_equality_op.
const sqlOperators: Readonly<Record<Exclude<FilterOp, 'isdistinct' | 'is'>, string>> = {
  eq: '=',
  neq: '<>',
  lt: '<',
  lte: '<=',
  gt: '>',
  gte: '>=',
  in: '=',
  like: 'like',
  ilike: 'ilike',
  match: '~',
  imatch: '~*',
};

function testOf(column: ColumnFacts, { op, value, negate }: Filter): Condition['test'] {
  if (op === 'is') {
    const isMet = (found: string | null) =>
      value === 'null' || value === 'unknown' ? found === null : found === (value === 'true' ? 't' : 'f');
    return (found) => isMet(found) !== negate;
  }
  const compare = comparisonOf(column);
  if (compare === undefined) return undefined;
  const test = op === 'in' ? testOfList(compare, value) : testOfValue(compare, op, value);
  if (test === undefined) return undefined;
  if (op === 'isdistinct') return (found) => (found === null || !test(found)) !== negate;
  return (found) => found !== null && test(found) !== negate;
}

function testOfValue(
  compare: Comparison,
  op: FilterOp,
  value: string,
): ((found: string) => boolean) | undefined {
  if (op === 'like') return compare.isText ? likeTest(value) : undefined;
  const wanted = compare.read(value);
  if (wanted === undefined) return undefined;
  if (op === 'eq' || op === 'isdistinct') return (found) => compare.read(found) === wanted;
  if (op === 'neq') return (found) => compare.read(found) !== wanted;
  if (!compare.isOrdered) return undefined;
  // Sound: an ordered comparison reads every value of its type as a bigint.
  const order = (found: string) => compare.read(found)!;
  switch (op) {
    case 'lt':
      return (found) => order(found) < wanted;
    case 'lte':
      return (found) => order(found) <= wanted;
    case 'gt':
      return (found) => order(found) > wanted;
    case 'gte':
      return (found) => order(found) >= wanted;
    default:
      return undefined;
  }
}

/** An array literal without anything that has to be read twice. */
function testOfList(compare: Comparison, value: string): ((found: string) => boolean) | undefined {
  const inner = value.slice(1, -1);
  if (/["\\{}\s]|(^|,)(null)?(,|$)/iu.test(inner)) return undefined;
  const wanted = new Set<Value>();
  for (const item of inner.split(',')) {
    const read = compare.read(item);
    if (read === undefined) return undefined;
    wanted.add(read);
  }
  return (found) => {
    const read = compare.read(found);
    return read !== undefined && wanted.has(read);
  };
}

type Value = string | bigint | boolean;

interface Comparison {
  /** The same for what Postgres calls equal; undefined: not sure. */
  readonly read: (text: string) => Value | undefined;
  readonly isOrdered?: boolean;
  readonly isText?: boolean;
}

const comparisons: Readonly<Record<string, Comparison>> = {
  16: { read: (text) => booleans[text.toLowerCase()] },
  20: { read: readInteger, isOrdered: true },
  21: { read: readInteger, isOrdered: true },
  23: { read: readInteger, isOrdered: true },
  2950: {
    read: (text) =>
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : undefined,
  },
};
const asText: Comparison = { read: (text) => text, isText: true };
const texts: ReadonlySet<string> = new Set(['25', '1043']);
const booleans: Readonly<Record<string, boolean>> = { t: true, true: true, f: false, false: false };

function readInteger(text: string): bigint | undefined {
  return /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
}

function comparisonOf(column: ColumnFacts): Comparison | undefined {
  if (column.element !== null) return undefined;
  // A domain may have an operator of its own.
  if (column.base !== column.typeOid) return undefined;
  if (texts.has(column.base)) return column.isDeterministic ? asText : undefined;
  return comparisons[column.base];
}

/** Texts in their order with anything between them; other patterns are Postgres's to match. Source: PostgreSQL src/backend/utils/adt/like_match.c. */
function likeTest(pattern: string): ((found: string) => boolean) | undefined {
  if (/[\\_]/.test(pattern)) return undefined;
  const [first = '', ...rest] = pattern.split('%');
  const last = rest.pop();
  if (last === undefined) return (found) => found === first;
  return (found) => {
    if (!found.startsWith(first)) return false;
    let at = first.length;
    for (const part of rest) {
      const next = found.indexOf(part, at);
      if (next === -1) return false;
      at = next + part.length;
    }
    return found.length - last.length >= at && found.endsWith(last);
  };
}
