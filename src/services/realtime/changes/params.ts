// In charge of: what a client wants to hear of, from the text that it sent: an entry of `postgres_changes`, and the filters in it.
// Source: supabase/realtime lib/extensions/postgres_cdc_rls/subscriptions.ex parse_subscription_params and below.
import { inspect, inspectTuples } from './inspect.ts';
import { maxFilterLength, maxFilters } from './limits.ts';
import { SubscriptionRefused } from './refused.ts';

export type EventWish = '*' | 'INSERT' | 'UPDATE' | 'DELETE';

export interface Filter {
  readonly column: string;
  readonly op: FilterOp;
  /** Of `in`: an array literal of Postgres. */
  readonly value: string;
  /** By the prefix `not.`. */
  readonly negate: boolean;
}

export type FilterOp = (typeof filterOps)[number];

export const filterOps = [
  'eq',
  'neq',
  'lt',
  'lte',
  'gt',
  'gte',
  'in',
  'like',
  'ilike',
  'is',
  'match',
  'imatch',
  'isdistinct',
] as const;

export interface Wish {
  readonly event: EventWish;
  /** `*` is any. */
  readonly schema: string;
  readonly table: string;
  /** All have to hold. */
  readonly filters: readonly Filter[];
  /** The columns that are told beside the primary key; undefined: all. */
  readonly select: readonly string[] | undefined;
}

/** @throws SubscriptionRefused */
export function parseWish(params: unknown): Wish {
  const given = isObject(params) ? params : {};
  const { schema, table, filter } = given;
  const select = parseSelect(given['select']);
  const event = parseEvent(given['event']);
  const has = (key: string) => Object.hasOwn(given, key);
  const wish = (inSchema: string, ofTable: string, filters: readonly Filter[]): Wish => {
    if (select !== undefined && (inSchema === '*' || ofTable === '*')) {
      throw new SubscriptionRefused(
        'Column selection is not supported for wildcard subscriptions. Provide an explicit schema and table name.',
      );
    }
    return { event, schema: inSchema, table: ofTable, filters, select };
  };
  if (typeof schema === 'string' && typeof table === 'string') {
    if (typeof filter === 'string') return wish(schema, table, parseFilters(filter));
    if (!has('filter')) return wish(schema, table, []);
  }
  if (!has('filter')) {
    if (typeof schema === 'string' && !has('table')) return wish(schema, '*', []);
    if (typeof table === 'string' && !has('schema')) return wish('public', table, []);
  }
  const told = has('user_token') || has('auth_token') ? '<redacted>' : inspect(params);
  throw new SubscriptionRefused(
    `No subscription params provided. Please provide at least a \`schema\` or \`table\` to subscribe to: ${told}`,
  );
}

/** The wish as upstream's refusals name it. */
export function describeWish({ event, schema, table, filters, select }: Wish): string {
  const tuples = inspectTuples(filters.map((one) => [one.column, one.op, one.value, one.negate]));
  return `[event: ${event}, schema: ${schema}, table: ${table}, filters: ${tuples}, select: ${inspect(select)}]`;
}

function parseEvent(event: unknown): EventWish {
  const wanted = typeof event === 'string' ? event.toUpperCase() : '*';
  return wanted === 'INSERT' || wanted === 'UPDATE' || wanted === 'DELETE' ? wanted : '*';
}

function parseSelect(select: unknown): readonly string[] | undefined {
  if (typeof select === 'string') {
    throw new SubscriptionRefused(
      'Error parsing `select` params: expected a list of column name strings, e.g. select: ["col1", "col2"]',
    );
  }
  if (!Array.isArray(select)) return undefined;
  const names = select.filter((name) => typeof name === 'string');
  return names.length === 0 ? undefined : [...new Set(names)];
}

function parseFilters(text: string): readonly Filter[] {
  const trimmed = text.trim();
  // Each costs two questions when it is checked, and a comparison for every change.
  if (trimmed.length > maxFilterLength)
    refuseFilter(`filter must not be longer than ${maxFilterLength} characters`);
  const segments = trimmed === '' ? [] : splitAtCommas(trimmed);
  if (segments.length > maxFilters) refuseFilter(`filter must not have more than ${maxFilters} conditions`);
  return segments.map(parseFilter);
}

function parseFilter(segment: string): Filter {
  const trimmed = segment.trim();
  if (trimmed === '') refuseFilter('filter must not contain empty segments (check for extra commas)');
  const [column, rest] = splitOnce(trimmed, '=');
  if (rest === undefined) refuseFilter(inspect([trimmed]));
  const negate = rest.startsWith('not.');
  const operation = negate ? rest.slice('not.'.length) : rest;
  const [op, value] = splitOnce(operation, '.');
  if (value === undefined) refuseFilter(inspect([operation]));
  if (!isFilterOp(op)) refuseFilter(inspect([op, value]));
  return { column, op, value: op === 'in' ? arrayLiteral(value) : unquoted(value), negate };
}

function arrayLiteral(value: string): string {
  if (!/^\(.*\)$/su.test(value)) refuseFilter('`in` filter value must be wrapped by parentheses');
  return `{${value.slice(1, -1)}}`;
}

/** A value in double quotes; one that goes on behind them, or does not end, stands for itself. */
function unquoted(value: string): string {
  if (!/^"(?:[^"\\]|\\.)*"$/su.test(value)) return value;
  return value.slice(1, -1).replace(/\\(.)/gsu, '$1');
}

/** At commas outside of parentheses and quotes. A quote begins one only behind a dot, a parenthesis or a comma. */
function splitAtCommas(text: string): readonly string[] {
  const segments: string[] = [];
  let current = '';
  let depth = 0;
  let isQuoted = false;
  let before = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (isQuoted && char === '\\' && at + 1 < text.length) {
      current += char + text[++at]!;
      before = text[at]!;
      continue;
    }
    if (!isQuoted && depth === 0 && char === ',') {
      segments.push(current);
      current = '';
      before = '';
      continue;
    }
    if (isQuoted) isQuoted = char !== '"';
    else if (char === '"') isQuoted = before === '.' || before === '(' || before === ',';
    else if (char === '(') depth++;
    else if (char === ')') depth = Math.max(0, depth - 1);
    current += char;
    before = char;
  }
  return [...segments, current];
}

function splitOnce(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function refuseFilter(reason: string): never {
  throw new SubscriptionRefused(`Error parsing \`filter\` params: ${reason}`);
}

function isFilterOp(op: string): op is FilterOp {
  return (filterOps as readonly string[]).includes(op);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
