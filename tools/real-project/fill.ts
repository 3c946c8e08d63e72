// In charge of: a chain as it is sent: literals as they stand, a placeholder of a fitting type for what the code does not tell.
import type { Column, ColumnType, Parameter, ProjectCatalog } from './catalog.ts';
import type { Chain, Step } from './chains.ts';
import type { Value } from './values.ts';

/** A chain with plain values, ready to be built on the client. */
export interface FilledChain {
  readonly schema: string | undefined;
  readonly steps: readonly { readonly name: string; readonly args: readonly unknown[] }[];
  /** The table or function that it is about. */
  readonly target: string;
}

export type Filled =
  | { readonly kind: 'filled'; readonly chain: FilledChain }
  /** Nothing can be sent: what is not known decides what the request is about. */
  | { readonly kind: 'unresolvable'; readonly why: string };

/** A chain gives one request for each table that it may name. Pure. */
export function fill(chain: Chain, catalog: ProjectCatalog, userId: string): readonly Filled[] {
  const [root, ...rest] = chain.steps;
  const names = root?.args[0];
  if (root === undefined || names === undefined) return [];
  const schema = chain.schema === undefined ? undefined : literalOf(chain.schema);
  if (chain.schema !== undefined && typeof schema !== 'string')
    return [{ kind: 'unresolvable', why: `the schema is ${sourceOf(chain.schema)}` }];
  return (names.kind === 'choice' ? names.options : [names]).map((name, which): Filled => {
    const target = literalOf(name);
    const what = root.name === 'rpc' ? 'function' : 'table';
    if (typeof target !== 'string') return { kind: 'unresolvable', why: `the ${what} is ${sourceOf(name)}` };
    const facts: Facts = { catalog, userId, schema: typeof schema === 'string' ? schema : 'public', target };
    const steps: { name: string; args: readonly unknown[] }[] = [];
    for (const step of [root, ...rest]) {
      const args = step === root ? rootArguments(step, target, which, facts) : argumentsOf(step, facts);
      if (args === undefined) continue;
      if ('why' in args) return { kind: 'unresolvable', why: args.why };
      steps.push({ name: step.name, args });
    }
    return {
      kind: 'filled',
      chain: { schema: typeof schema === 'string' ? schema : undefined, steps, target },
    };
  });
}

interface Facts {
  readonly catalog: ProjectCatalog;
  readonly userId: string;
  readonly schema: string;
  readonly target: string;
}

/** Undefined: the call changes nothing that is sent. `why`: what is missing decides what the request is about. */
type Arguments = readonly unknown[] | { readonly why: string } | undefined;

function rootArguments(step: Step, target: string, which: number, facts: Facts): Arguments {
  if (step.name === 'from') return [target];
  const [names, all, options] = step.args;
  // `rpc(a ? 'f' : 'g', a ? { … } : { … })`: what belongs together stands in the same place.
  const paired =
    names?.kind === 'choice' && all?.kind === 'choice' && names.options.length === all.options.length;
  const args = paired ? all.options[which] : all;
  const overloads = facts.catalog.functions.get(`${facts.schema}.${target}`) ?? [];
  const filled = args === undefined ? {} : callArguments(args, overloads, facts);
  return [target, filled, ...(options === undefined ? [] : [plain(options, undefined, facts)])];
}

/** Of the overloads the first that has all the names that are given. */
function callArguments(args: Value, overloads: readonly (readonly Parameter[])[], facts: Facts): unknown {
  const record = args.kind === 'choice' ? args.options.find(({ kind }) => kind === 'record') : args;
  const given = record?.kind === 'record' ? record.entries : [];
  const fits = (parameters: readonly Parameter[]) =>
    given.every(([key]) => parameters.some(({ name }) => name === key));
  const parameters = overloads.find(fits) ?? overloads[0] ?? [];
  const typeOf = (key: string) => parameters.find(({ name }) => name === key)?.type;
  const known = given.map(([key, value]) => [key, plain(value, typeOf(key), facts)] as const);
  const open = record?.kind !== 'record' || record.open;
  const missing = open
    ? parameters
        .filter(({ name, optional }) => !optional && name !== '' && !given.some(([key]) => key === name))
        .map(({ name, type }) => [name, placeholder(type, facts)] as const)
    : [];
  return Object.fromEntries([...known, ...missing].filter(([, value]) => value !== undefined));
}

/** Source: @supabase/postgrest-js 2.119, PostgrestQueryBuilder.ts, PostgrestFilterBuilder.ts, PostgrestTransformBuilder.ts. */
function argumentsOf(step: Step, facts: Facts): Arguments {
  const { name, args } = step;
  const [first, second, third] = args;
  if (withoutEffect.has(name)) return undefined;
  if (rowMethods.has(name)) {
    const rows = first === undefined ? {} : rowsOf(first, name === 'update', facts);
    return [rows, ...options(second, facts)];
  }
  if (name === 'select') {
    if (first === undefined) return [];
    const columns = plain(first, undefined, facts);
    if (typeof columns !== 'string' || holes(first)) return { why: `what is selected is ${sourceOf(first)}` };
    return [columns, ...options(second, facts)];
  }
  if (name === 'or') {
    if (first === undefined || first.kind === 'unknown')
      return { why: `what .or() says is ${first === undefined ? 'missing' : sourceOf(first)}` };
    return [plain(first, undefined, facts), ...options(second, facts)];
  }
  if (name === 'match') return [first === undefined ? {} : matched(first, facts)];
  if (name === 'limit') return [numberOr(first, 10), ...options(second, facts)];
  if (name === 'range') return [numberOr(first, 0), numberOr(second, 9), ...options(third, facts)];
  if (name === 'delete' || !columnMethods.has(name)) return args.map((arg) => plain(arg, undefined, facts));
  const column = first === undefined ? undefined : literalOf(first);
  if (typeof column !== 'string')
    return { why: `the column of .${name}() is ${first === undefined ? 'missing' : sourceOf(first)}` };
  const type = columnType(column, facts);
  if (name === 'order') return [column, ...options(second, facts)];
  if (name === 'not' || name === 'filter') {
    const operator = second === undefined ? 'eq' : plain(second, textType, facts);
    return [column, operator, listed(operator, operand(String(operator), third, type, facts))];
  }
  return [column, operand(name, second, type, facts), ...options(third, facts)];
}

const withoutEffect = new Set([
  'throwOnError',
  'abortSignal',
  'returns',
  'overrideTypes',
  'setHeader',
  'retry',
]);
const rowMethods = new Set(['insert', 'upsert', 'update']);
const columnMethods = new Set(
  `eq neq gt gte lt lte like ilike likeAllOf likeAnyOf ilikeAllOf ilikeAnyOf is isDistinct in notIn contains containedBy overlaps
   rangeGt rangeGte rangeLt rangeLte rangeAdjacent regexMatch regexIMatch textSearch not filter order`.split(
    /\s+/,
  ),
);
const listMethods = new Set(['in', 'notIn', 'likeAllOf', 'likeAnyOf', 'ilikeAllOf', 'ilikeAnyOf']);

function operand(
  method: string,
  value: Value | undefined,
  type: ColumnType | undefined,
  facts: Facts,
): unknown {
  if (method === 'is') return value?.kind === 'literal' ? value.value : null;
  if (listMethods.has(method)) {
    const list = value?.kind === 'choice' ? value.options.find(({ kind }) => kind === 'list') : value;
    if (list?.kind === 'literal') return list.value;
    const items = list?.kind === 'list' ? list.items.map((item) => plain(item, type, facts)) : [];
    return items.length > 0 ? items : [placeholder(type, facts)];
  }
  if (value === undefined) return placeholder(type, facts);
  return plain(value, method.includes('like') || method === 'textSearch' ? textType : type, facts);
}

/** These two methods take a list as PostgREST writes it. */
function listed(operator: unknown, value: unknown): unknown {
  if (operator !== 'in' || (typeof value === 'string' && value.startsWith('('))) return value;
  return `(${Array.isArray(value) ? value.join(',') : String(value)})`;
}

/** What is given, and for what is not known of it the columns that must be there. */
function rowsOf(value: Value, update: boolean, facts: Facts): unknown {
  const columns = facts.catalog.relations.get(`${facts.schema}.${facts.target}`) ?? [];
  if (value.kind === 'list') {
    const rows = value.items.map((item) => rowOf(item, columns, update, facts));
    return rows.length > 0 ? rows : [rowOf(unknownRow, columns, update, facts)];
  }
  return rowOf(value, columns, update, facts);
}

const unknownRow: Value = { kind: 'unknown', source: '' };

function rowOf(value: Value, columns: readonly Column[], update: boolean, facts: Facts): unknown {
  const record = value.kind === 'choice' ? value.options.find(({ kind }) => kind === 'record') : value;
  const given = record?.kind === 'record' ? record.entries : [];
  const typeOf = (key: string) => columns.find(({ name }) => name === key)?.type;
  const row = new Map(given.map(([key, inner]) => [key, plain(inner, typeOf(key), facts)]));
  if (record?.kind !== 'record' || record.open) {
    const writable = columns.filter(({ generated, name }) => !generated && !row.has(name));
    const some = update
      ? row.size > 0
        ? []
        : writable.slice(-1)
      : writable.filter(({ required }) => required);
    for (const { name, type } of some) row.set(name, placeholder(type, facts));
  }
  return Object.fromEntries([...row].filter(([, inner]) => inner !== undefined));
}

function matched(value: Value, facts: Facts): unknown {
  if (value.kind !== 'record') return {};
  return Object.fromEntries(
    value.entries.map(([key, inner]) => [key, plain(inner, columnType(key, facts), facts)]),
  );
}

function options(value: Value | undefined, facts: Facts): readonly unknown[] {
  const plainValue = value === undefined ? undefined : plain(value, undefined, facts);
  return typeof plainValue === 'object' && plainValue !== null ? [plainValue] : [];
}

function numberOr(value: Value | undefined, otherwise: number): number {
  const known = value === undefined ? undefined : literalOf(value);
  return typeof known === 'number' ? known : otherwise;
}

/** A value as JavaScript has it; what is unknown becomes a placeholder of `type`. */
function plain(value: Value, type: ColumnType | undefined, facts: Facts): unknown {
  switch (value.kind) {
    case 'literal':
      return value.value;
    case 'text':
      return value.parts.reduce<string>(
        (text, part) => text + (typeof part === 'string' ? part : inText(part, text, facts)),
        '',
      );
    case 'list':
      return value.items.map((item) => plain(item, type, facts));
    case 'record':
      return Object.fromEntries(
        value.entries.map(([key, inner]) => [key, plain(inner, optionTypes[key], facts)]),
      );
    case 'choice': {
      const known = value.options.find(({ kind }) => kind !== 'unknown') ?? value.options[0];
      return known === undefined ? undefined : plain(known, type, facts);
    }
    case 'unknown':
      return placeholder(type, facts);
  }
}

/** A hole in a filter's text stands behind `column.operator.`: it gets what fits the column. */
function inText(value: Value, before: string, facts: Facts): string {
  const column = /([A-Za-z_]\w*)\.(?:not\.)?(?:eq|neq|gt|gte|lt|lte|is|in|cs|cd|ov)\.[({"]*$/.exec(
    before,
  )?.[1];
  const filled = plain(value, column === undefined ? textType : columnType(column, facts), facts);
  return Array.isArray(filled) ? filled.join(',') : String(filled);
}

function columnType(column: string, { catalog, schema, target }: Facts): ColumnType | undefined {
  if (column.includes('->')) return textType;
  const [last, table] = column.split('.').reverse();
  const relation = `${schema}.${table ?? target}`;
  return catalog.relations.get(relation)?.find(({ name }) => name === last)?.type;
}

/** A value that the type can read. Of a type that is not known a text, which most types refuse with 22P02 and no worse. */
export function placeholder(type: ColumnType | undefined, { userId }: Pick<Facts, 'userId'>): unknown {
  if (type === undefined) return 'placeholder';
  if (type.category === 'A') return [];
  if (type.labels.length > 0) return type.labels[0];
  const special = byName[type.name];
  if (type.name === 'uuid') return userId;
  if (type.name === 'vector' || type.name === 'halfvec')
    return JSON.stringify(new Array(Math.max(type.dimensions, 1)).fill(0));
  if (special !== undefined) return special;
  return byCategory[type.category] ?? 'placeholder';
}

const byName: Readonly<Record<string, unknown>> = {
  date: '2026-01-01',
  time: '12:00:00',
  timetz: '12:00:00+00',
  json: {},
  jsonb: {},
  bytea: '\\x00',
  xml: '<a/>',
  oid: 1,
};

/** Source: PostgreSQL manual, "typcategory Codes". */
const byCategory: Readonly<Record<string, unknown>> = {
  B: true,
  D: '2026-01-01T00:00:00Z',
  I: '127.0.0.1',
  N: 1,
  R: 'empty',
  S: 'placeholder',
  T: '1 day',
};

const textType: ColumnType = { name: 'text', category: 'S', labels: [], dimensions: -1 };
const booleanType: ColumnType = { name: 'bool', category: 'B', labels: [], dimensions: -1 };

/** Options of methods that the code leaves open. */
const optionTypes: Readonly<Record<string, ColumnType>> = {
  ascending: booleanType,
  nullsFirst: booleanType,
  head: booleanType,
};

function literalOf(value: Value): unknown {
  const one = value.kind === 'choice' ? value.options.find(({ kind }) => kind === 'literal') : value;
  return one?.kind === 'literal' ? one.value : undefined;
}

function holes(value: Value): boolean {
  return value.kind === 'text' || value.kind === 'unknown';
}

function sourceOf(value: Value): string {
  switch (value.kind) {
    case 'unknown':
      return `\`${value.source.replaceAll(/\s+/g, ' ').slice(0, 60)}\``;
    case 'text':
      return 'a text that is put together while it runs';
    default:
      return `a ${value.kind}`;
  }
}
