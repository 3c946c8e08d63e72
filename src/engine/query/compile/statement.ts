// In charge of: the one statement of a plan. It gives one row: how many rows there are in all, how many are in the answer, the answer's body,
// and what functions of the project want to add to the response. Postgres builds the body, so nothing of it is parsed here.
import type { CallPlan, Plan, ReadPlan, WritePlan } from '../ast.ts';
import { sourceName } from '../plan.ts';
import { compileCall } from './call.ts';
import { compileCount } from './count.ts';
import { compileOutput, type Output, rowName } from './output.ts';
import { compileRead, isAggregated } from './read.ts';
import { compileWrite, countsInserted, insertedSetting } from './write.ts';
import { ident, literal, type Parameter, type Writer } from './writer.ts';

export interface CompileOptions {
  readonly output: Output;
  /** Count all rows, not only those of the range; a number stops there. */
  readonly count: boolean | { readonly atMost: number };
  /** Give the primary key of the one inserted row. */
  readonly location: boolean;
  /** Answer with the plan instead of the rows: the options of EXPLAIN, from a closed list. */
  readonly explain: readonly ExplainOption[] | undefined;
}

export type ExplainOption =
  | 'format text'
  | 'format json'
  | 'analyze'
  | 'verbose'
  | 'settings'
  | 'buffers'
  | 'wal';

export interface Compiled {
  readonly text: string;
  readonly parameters: readonly Parameter[];
}

/** The columns of the one row of a read or a call, and of a write, in this order. */
export const readColumns = ['total', 'page', 'body', 'headers', 'status'] as const;
export const writeColumns = ['total', 'page', 'location', 'body', 'headers', 'status', 'inserted'] as const;

export function compileStatement(plan: Plan, options: CompileOptions): Compiled {
  const text = isJson(options.output) && !isAggregated(plan.read);
  const writer: Writer = { parameters: [], embedsAs: text ? 'json' : 'jsonb' };
  const sql = compilePlan(writer, plan, options);
  const explain = options.explain === undefined ? '' : `explain (${options.explain.join(', ')}) `;
  return { text: explain + sql, parameters: writer.parameters };
}

/** The count of all rows, for the planner's estimate of it. */
export function compileEstimate(plan: ReadPlan): Compiled {
  const writer: Writer = { parameters: [], embedsAs: 'json' };
  return { text: `explain (format json) ${compileCount(writer, plan.read)}`, parameters: writer.parameters };
}

function isJson({ kind }: Output): boolean {
  return kind === 'array' || kind === 'object' || kind === 'none';
}

function compilePlan(writer: Writer, plan: Plan, options: CompileOptions): string {
  switch (plan.kind) {
    case 'read':
      return compileReading(writer, plan, options);
    case 'call':
      return compileCalling(writer, plan, options);
    case 'insert':
    case 'update':
    case 'delete':
      return compileWriting(writer, plan, options);
  }
}

// Settings that functions of the project make for the response. A setting that was once set in a session is empty afterwards, not null.
const response = `nullif(current_setting('response.headers', true), '') as headers, nullif(current_setting('response.status', true), '') as status`;

function compileReading(writer: Writer, plan: ReadPlan, options: CompileOptions): string {
  const total = compileTotal(writer, plan, 'count(*)', options);
  const body = compileOutput(options.output, undefined);
  const rows = compileRead(writer, plan.read);
  return `select ${total} as total, count(*) as page, ${body} as body, ${response} from (${rows}) ${rowName}`;
}

function compileCalling(writer: Writer, plan: CallPlan, options: CompileOptions): string {
  const call = compileCall(writer, plan);
  const page = plan.routine.returns.set ? 'count(*)' : '1';
  const total = compileTotal(writer, plan, page, options);
  const body = compileOutput(options.output, plan.routine);
  const rows = compileRead(writer, plan.read);
  return `with ${sourceName} as (${call}) select ${total} as total, ${page} as page, ${body} as body, ${response} from (${rows}) ${rowName}`;
}

function compileTotal(
  writer: Writer,
  plan: ReadPlan | CallPlan,
  page: string,
  { count }: CompileOptions,
): string {
  if (count === false) return 'null::bigint';
  if (count === true && givesAllRows(plan.read)) return page;
  const atMost = count === true ? undefined : count.atMost;
  return `(select count(*) from (${compileCount(writer, plan.read, atMost)}) _)`;
}

/**
 * Nothing cuts the rows off, so those of the answer are all there are. Source: PostgREST 16, src/library/PostgREST/Query/SqlFragment.hs `countF`,
 * which also takes the rows that aggregates left for those they were made of: 14.12 counts these, and so do we.
 */
function givesAllRows(read: ReadPlan['read']): boolean {
  const { limit, offset, cap } = read.range;
  return limit === undefined && offset === undefined && cap === undefined && !isAggregated(read);
}

function compileWriting(writer: Writer, plan: WritePlan, options: CompileOptions): string {
  const write = compileWrite(writer, plan);
  const body = compileOutput(options.output, undefined);
  // Without a body none of the selected columns need exist in what the write returns.
  const rows =
    options.output.kind === 'none' ? `select * from ${sourceName}` : compileRead(writer, plan.read);
  const location = options.location && plan.kind === 'insert' ? compileLocation(plan.primaryKey) : 'null';
  const inserted = countsInserted(plan)
    ? `nullif(current_setting('${insertedSetting}', true), '')::int`
    : 'null';
  return `with ${sourceName} as (${write}) select null::bigint as total, count(*) as page, ${location} as location, ${body} as body, ${response}, ${inserted} as inserted from (${rows}) ${rowName}`;
}

/** The key of the inserted row as `[[column, value], …]`, when it is one row and has a key. */
function compileLocation(primaryKey: readonly string[]): string {
  if (primaryKey.length === 0) return 'null';
  const pairs = primaryKey.map(
    (name) => `json_build_array(${literal(name)}, to_json(_l.${ident(name)}) #>> '{}')`,
  );
  return `case when count(*) = 1 then (select json_build_array(${pairs.join(', ')}) from ${sourceName} _l limit 1) end`;
}
