// In charge of: the whole line of one request: shape → (parse → plan → compile, when the shape is new) → bind → database → answer.
import type { Cancellation } from '../../base/cancellation.ts';
import type { Catalog } from '../../engine/catalog/catalog.ts';
import type { CatalogSource } from '../../engine/catalog/source.ts';
import type { Db, Rows, Work } from '../../engine/db/db.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import { bind, type Values } from '../../engine/query/compile/bind.ts';
import type { Compiled } from '../../engine/query/compile/statement.ts';
import type { Answer } from '../../engine/service/http.ts';
import type { Live } from '../../engine/settings/live.ts';
import { contextSettings, isolationOf, preRequest } from './context.ts';
import { describe } from './describe.ts';
import { keyMismatchOnPut, noMediaType, notSingular, tooManyAffected } from './errors.ts';
import { inShape, operatorPrefix, parseFilter } from './parse/filter.ts';
import { splitValueList } from './parse/lexemes.ts';
import { renderMediaType } from './parse/media-type.ts';
import { type RowRange, rootRange } from './parse/range.ts';
import { type ApiRequest, parseRequest } from './parse/request.ts';
import type { PlanCache } from './plan-cache.ts';
import { type Description, type Info, type Prepared, prepareInfo, prepareStatement } from './prepare.ts';
import { type Result, respond, respondDescription, respondInfo, resultOf } from './respond.ts';
import { refuseOutOfScope } from './scope.ts';
import type { RestSettings } from './settings.ts';
import { limitPlace, offsetPlace, type Shape, shapeOf } from './shape.ts';
import type { WireRequest } from './wire.ts';

export type AnyPrepared = Prepared | Info | Description;

export interface Rest {
  readonly db: Db;
  readonly catalog: CatalogSource;
  readonly config: Live<RestSettings>;
  readonly cache: PlanCache<AnyPrepared>;
}

export interface RequestContext {
  readonly caller: Caller;
  readonly cancellation: Cancellation;
  /** Milliseconds per phase, when they are wanted. */
  readonly timings: Map<string, number> | undefined;
}

/** Answers a request. @throws Fault; the errors of the database as they came. */
export async function answer(rest: Rest, wire: WireRequest, context: RequestContext): Promise<Answer> {
  const timed = stopwatch(context.timings);
  const timezones = wantsTimezone(wire) ? await rest.catalog.timezones() : noTimezones;
  const settings = rest.config.now();
  const catalog = rest.catalog.now();
  const shape = shapeOf(wire);
  const known = rest.cache.get(shape.key);
  timed('parse');
  const prepared = known ?? prepare(rest, wire, shape, { catalog, timezones, settings }, timed);
  refuseOutOfScope(context.caller, prepared);
  timed('plan');
  if (prepared.answer === 'info') {
    const informed = respondInfo(prepared);
    timed('response');
    return informed;
  }
  if (prepared.answer === 'describe') {
    const description = await describe(rest, wire, context, prepared);
    timed('transaction');
    const described = respondDescription(prepared, description());
    timed('response');
    return described;
  }
  const range = rangeOf(wire, shape);
  const work = workOf(wire, shape, range, prepared, context, catalog, settings);
  const result = await run(rest.db, context.caller, work, prepared, settings);
  timed('transaction');
  const answered = respond(prepared, wire.query, range, result);
  timed('response');
  return answered;
}

/** What a request without preferences would be answered by. @throws Fault */
export function preparedFor(rest: Rest, wire: WireRequest): AnyPrepared {
  const shape = shapeOf(wire);
  const facts = { catalog: rest.catalog.now(), timezones: noTimezones, settings: rest.config.now() };
  return rest.cache.get(shape.key) ?? prepare(rest, wire, shape, facts, () => {});
}

const noTimezones: ReadonlySet<string> = new Set();
const wantsTimezone = ({ headers }: WireRequest) => headers.prefer?.includes('timezone=') === true;

/** What a shape is prepared by. */
interface Facts {
  readonly catalog: Catalog;
  /** The names that `Prefer: timezone=` may give. */
  readonly timezones: ReadonlySet<string>;
  readonly settings: RestSettings;
}

/** What is known of a shape that was not seen before; kept for the next request of its kind. */
function prepare(
  rest: Rest,
  wire: WireRequest,
  shape: Shape,
  { catalog, timezones, settings }: Facts,
  timed: (phase: string) => void,
): AnyPrepared {
  const request = parseRequest(wire, shape, { settings, timezones });
  rangeOf(wire, shape);
  timed('parse');
  if (request.action.kind === 'info') return prepareInfo(request, catalog);
  if (request.action.kind === 'describe') return describeShape(request);
  const prepared = prepareStatement(request, catalog, settings);
  // A reload in between would have cleared the cache of what this was made from.
  if (rest.catalog.now() === catalog) rest.cache.set(shape.key, prepared, prepared.statement.text.length);
  return prepared;
}

function rangeOf(wire: WireRequest, shape: Shape): RowRange {
  return rootRange(shape.limit, shape.offset, wire.method === 'GET' ? wire.headers.range : undefined);
}

function workOf(
  wire: WireRequest,
  shape: Shape,
  range: RowRange,
  prepared: Prepared,
  { caller, cancellation }: RequestContext,
  catalog: Catalog,
  settings: RestSettings,
): Work & { readonly estimate: Work['statement'] | undefined } {
  const { values } = shape;
  values[limitPlace] = range.limit === undefined ? undefined : String(range.limit);
  values[offsetPlace] = String(range.offset);
  const before = preRequest(settings);
  const isolation = isolationOf(caller.role, prepared.isolation, catalog);
  const facts = { settings: prepared.settings, timezone: prepared.preferences.timezone };
  return {
    statement: bound(prepared.statement, values, wire, shape),
    estimate: prepared.estimate && bound(prepared.estimate, values, wire, shape),
    settings: contextSettings(wire, caller.role, facts, catalog, settings),
    readOnly: prepared.readOnly,
    ...(before === undefined ? {} : { before }),
    ...(isolation === undefined ? {} : { isolation }),
    ...(prepared.rollback ? { end: 'rollback' } : {}),
    cancellation,
  };
}

function bound(statement: Compiled, values: Values, wire: WireRequest, shape: Shape): Work['statement'] {
  const params = bind(statement.parameters, values, splitValueList);
  if (params) return { text: statement.text, params };
  // A list that is none: parsing it says what is wrong with it.
  for (const { key, value } of shape.pairs) {
    if (operatorPrefix.test(value)) parseFilter(key, value, inShape);
  }
  throw new Error(`the values of ${wire.path} do not fit their statement`);
}

async function run(
  db: Db,
  caller: Caller,
  work: ReturnType<typeof workOf>,
  prepared: Prepared,
  settings: RestSettings,
): Promise<Result> {
  if (work.estimate) return runWithEstimate(db, caller, work, work.estimate, prepared, settings);
  const { refusal } = verdictOf(prepared);
  if (work.end === 'rollback' && !work.readOnly) return runUndone(db, caller, work, prepared);
  if (refusal === undefined) return answerOf(prepared, await db.as(caller, work));
  if (work.readOnly) {
    const result = answerOf(prepared, await db.as(caller, work));
    refusal(result);
    return result;
  }
  const rows = await db.as(caller, {
    ...work,
    verdict(found) {
      refusal(resultOf(found, prepared.answer));
      return work.end ?? 'commit';
    },
  });
  return resultOf(rows, prepared.answer);
}

/** A write that is rolled back says what a commit would have said of deferred constraints. */
async function runUndone(
  db: Db,
  caller: Caller,
  work: ReturnType<typeof workOf>,
  prepared: Prepared,
): Promise<Result> {
  const { cancellation, isolation, end: _, estimate: __, ...step } = work;
  return db.transaction(
    caller,
    async (next) => {
      const result = answerOf(prepared, await next(step));
      verdictOf(prepared).refusal?.(result);
      await next({ statement: { text: 'set constraints all immediate', params: [] } });
      return result;
    },
    {
      ...(cancellation === undefined ? {} : { cancellation }),
      ...(isolation === undefined ? {} : { isolation }),
      end: 'rollback',
    },
  );
}

/** An EXPLAIN answers in lines. */
function answerOf(prepared: Prepared, rows: Rows): Result {
  if (prepared.answer !== 'plan') return resultOf(rows, prepared.answer);
  const body = rows.rows.map(([line]) => `${line ?? ''}\n`).join('');
  return { ...resultOf({ ...rows, rows: [] }, prepared.answer), body };
}

/** What undoes a request whose rows are not what was asked for: looked at before the transaction ends. */
function verdictOf(prepared: Prepared): { readonly refusal: ((result: Result) => void) | undefined } {
  const { singular, maxAffected, answer: kind } = prepared;
  if (kind === 'plan') return { refusal: undefined };
  if (!singular && maxAffected === undefined && kind !== 'upsert-one') return { refusal: undefined };
  return {
    refusal({ page }) {
      if (kind === 'upsert-one' && page !== 1) throw keyMismatchOnPut();
      if (singular && page !== 1) throw notSingular(page);
      if (maxAffected !== undefined && page > maxAffected) throw tooManyAffected(page);
    },
  };
}

/** The planner's estimate of all rows: instead of a count, or when there are more than max_rows. */
async function runWithEstimate(
  db: Db,
  caller: Caller,
  work: ReturnType<typeof workOf>,
  statement: Work['statement'],
  prepared: Prepared,
  settings: RestSettings,
): Promise<Result> {
  const { cancellation, isolation, readOnly, end, estimate: _, ...step } = work;
  const options = {
    ...(cancellation === undefined ? {} : { cancellation }),
    ...(isolation === undefined ? {} : { isolation }),
    ...(end === undefined ? {} : { end }),
    readOnly: readOnly ?? false,
  };
  return db.transaction(
    caller,
    async (next) => {
      const result = resultOf(await next(step), prepared.answer);
      verdictOf(prepared).refusal?.(result);
      const plan = await next({ settings: step.settings ?? [], statement });
      const estimated = estimatedRows(plan);
      if (prepared.preferences.count === 'planned') return { ...result, total: estimated };
      const { total } = result;
      const isMore = settings.maxRows > 0 && total !== undefined && total > settings.maxRows;
      return isMore ? { ...result, total: Math.max(total, estimated ?? 0) } : result;
    },
    options,
  );
}

function estimatedRows(plan: Rows): number | undefined {
  const found = /"Plan Rows":\s*(\d+)/.exec(plan.rows[0]?.[0] ?? '');
  return found ? Number(found[1]) : undefined;
}

function describeShape(request: ApiRequest): Description {
  const known = request.accept.some(
    (type) =>
      type.kind === 'any' ||
      (type.kind === 'known' &&
        (type.name === 'application/openapi+json' || type.name === 'application/json')),
  );
  if (!known) throw noMediaType(request.accept.map(renderMediaType));
  return {
    answer: 'describe',
    schema: request.schema,
    headOnly: request.headOnly,
    profile: request.namesSchema ? request.schema : undefined,
    readOnly: true,
  };
}

function stopwatch(timings: Map<string, number> | undefined): (phase: string) => void {
  if (!timings) return () => {};
  let since = performance.now();
  return (phase) => {
    const now = performance.now();
    timings.set(phase, (timings.get(phase) ?? 0) + now - since);
    since = now;
  };
}
