// In charge of: everything about a request that depends on its shape alone: its plan, its one statement, and what its answer will look like.
// Pure; made once per shape and used again with other values.
import type { Catalog, Isolation, Name, Routine } from '../../engine/catalog/catalog.ts';
import { type Arguments, type Plan, type ReadNode, returnsVoid } from '../../engine/query/ast.ts';
import { findFunction, takesBody } from '../../engine/query/call.ts';
import {
  type Compiled,
  type CompileOptions,
  compileEstimate,
  compileStatement,
  type ExplainOption,
} from '../../engine/query/compile/statement.ts';
import type { CallFacts } from '../../engine/query/errors.ts';
import {
  findRelation,
  type Insert,
  planCall,
  planDelete,
  planInsert,
  planReadOf,
  planUpdate,
  planUpsertOne,
} from '../../engine/query/plan.ts';
import type { Value } from '../../engine/query/query.ts';
import type { ReadOptions } from '../../engine/query/read.ts';
import { invalidPreferences, maxAffectedNeedsSet } from './errors.ts';
import { negotiate, type Rendering } from './negotiate.ts';
import { type MediaType, renderContentType } from './parse/media-type.ts';
import { type Preferences, renderPreferences } from './parse/prefer.ts';
import type { ApiRequest } from './parse/request.ts';
import type { RestSettings } from './settings.ts';
import { bodyPlace } from './shape.ts';
import { type Touched, touchesOf } from './touches.ts';
import { renderWarning } from './warning.ts';

/** What kind of answer: how status, headers and body follow from the rows. */
export type AnswerKind = 'read' | 'insert' | 'upsert-one' | 'update' | 'delete' | 'call' | 'plan';

export interface Prepared {
  readonly answer: AnswerKind;
  readonly statement: Compiled;
  /** Every relation and function that the request names, for keys that are not for all of them. */
  readonly touches: readonly Touched[];
  /** EXPLAIN of the count, for `count=planned` and `count=estimated`. */
  readonly estimate: Compiled | undefined;
  readonly schema: string;
  /** The relation's or function's name, for `Location` and `Content-Location`. */
  readonly name: string;
  readonly headOnly: boolean;
  readonly readOnly: boolean;
  readonly isolation: Isolation | undefined;
  /** `search_path` and the called function's own settings. */
  readonly settings: readonly (readonly [name: string, value: string])[];
  readonly preferences: Preferences;
  readonly applied: string | undefined;
  /** Exactly one row has to come. */
  readonly singular: boolean;
  /** More rows than this are refused. */
  readonly maxAffected: number | undefined;
  readonly contentType: string;
  /** `Content-Profile` */
  readonly profile: string | undefined;
  /** The body comes as the hexadecimal digits of bytes. */
  readonly isBytes: boolean;
  /** The answer of a function without a result. */
  readonly isVoid: boolean;
  /** `Warning` */
  readonly warning: string | undefined;
  readonly rollback: boolean;
}

/** The answer to OPTIONS needs no statement: which methods there are. */
export interface Info {
  readonly answer: 'info';
  readonly allow: string;
  readonly touches: readonly Touched[];
}

/** The description at the root. */
export interface Description {
  readonly answer: 'describe';
  readonly schema: string;
  readonly headOnly: boolean;
  readonly profile: string | undefined;
  readonly readOnly: true;
}

/** Plans and compiles. @throws the faults of planning and negotiation, PGRST122, PGRST128. */
export function prepareStatement(request: ApiRequest, catalog: Catalog, settings: RestSettings): Prepared {
  const { preferences } = request;
  const { plan, routine } = planRequest(request, catalog, settings);
  if (plan.kind !== 'read' && plan.kind !== 'call') refuseInvalid(preferences);
  const rendering = negotiate(
    catalog,
    request.accept,
    plan.read.relation,
    selectsWholeRows(plan.read),
    settings.plans,
  );
  if (plan.kind === 'read' || plan.kind === 'call') refuseInvalid(preferences);
  if (
    routine &&
    !routine.returns.set &&
    preferences.handling === 'strict' &&
    preferences.maxAffected !== undefined
  ) {
    throw maxAffectedNeedsSet();
  }
  const isWrite = plan.kind !== 'read' && plan.kind !== 'call';
  const answer = answerKind(request, rendering.mediaType);
  const count = preferences.count;
  const maxRows = settings.maxRows || undefined;
  const options: CompileOptions = {
    output: withoutBody(request, isWrite) ? { kind: 'none' } : rendering.output,
    count:
      count === 'exact'
        ? true
        : count === 'estimated' && plan.kind === 'read'
          ? // One more than max_rows is enough to see that there are more.
            maxRows === undefined
            ? true
            : { atMost: maxRows + 1 }
          : count === 'estimated',
    location: preferences.return === 'headers-only' && plan.kind === 'insert',
    explain: explainOptions(rendering.mediaType),
  };
  return {
    answer,
    statement: compileStatement(plan, options),
    // Of the handler also where the answer has no body: whether there is one is no matter of names.
    touches: touchesOf(plan, rendering.output, catalog),
    estimate:
      plan.kind === 'read' && (count === 'planned' || count === 'estimated') && answer !== 'plan'
        ? compileEstimate(plan)
        : undefined,
    schema: request.schema,
    name: nameOf(request),
    headOnly: request.headOnly,
    readOnly: plan.kind === 'read' || (routine !== undefined && callsReadOnly(request, routine)),
    isolation: routine?.isolation,
    settings: [['search_path', searchPath(request.schema, settings)], ...(routine?.settings ?? [])],
    preferences,
    applied: renderPreferences(appliedPreferences(request, plan)),
    singular: rendering.mediaType.kind === 'object' && answer !== 'upsert-one',
    maxAffected:
      heedsMaxAffected(plan) && preferences.handling === 'strict' ? preferences.maxAffected : undefined,
    contentType: renderContentType(rendering.mediaType),
    profile: request.namesSchema ? request.schema : undefined,
    isBytes: options.output.kind === 'custom' && options.output.isBytes && answer !== 'plan',
    isVoid: routine !== undefined && returnsVoid(routine),
    warning: renderWarning(plan.read),
    rollback:
      preferences.tx === 'rollback' || (settings.txEnd.startsWith('rollback') && preferences.tx !== 'commit'),
  };
}

/** The answer to OPTIONS. Source: PostgREST 14.12, src/PostgREST/Response.hs; docs/references/api/options.rst. */
export function prepareInfo(request: ApiRequest, catalog: Catalog): Info {
  const { action } = request;
  if (action.kind !== 'info' || action.of === 'root')
    return { answer: 'info', allow: 'OPTIONS,GET,HEAD', touches: [] };
  const name: Name = { schema: request.schema, name: action.name };
  if (action.of === 'function') {
    const routine = findFunction(catalog, callFacts(request, action.name, false));
    const reads = routine.volatility === 'volatile' ? 'OPTIONS,POST' : 'OPTIONS,GET,HEAD,POST';
    return { answer: 'info', allow: reads, touches: [{ kind: 'function', ...name }] };
  }
  const relation = findRelation(catalog, name);
  const methods = ['OPTIONS', 'GET', 'HEAD'];
  if (relation.insertable) methods.push('POST');
  if (relation.insertable && relation.updatable && relation.primaryKey.length > 0) methods.push('PUT');
  if (relation.updatable) methods.push('PATCH');
  if (relation.deletable) methods.push('DELETE');
  return { answer: 'info', allow: methods.join(','), touches: [{ kind: 'relation', ...name }] };
}

function refuseInvalid(preferences: Preferences): void {
  if (preferences.handling === 'strict' && preferences.invalid.length > 0) {
    throw invalidPreferences(preferences.invalid);
  }
}

function planRequest(
  request: ApiRequest,
  catalog: Catalog,
  settings: RestSettings,
): { readonly plan: Plan; readonly routine: Routine | undefined } {
  const { aggregates, legacyTargetNames } = settings;
  const options: ReadOptions = { aggregates, legacyTargetNames, maxRows: settings.maxRows || undefined };
  const { action, schema } = request;
  switch (action.kind) {
    case 'call': {
      const call = callFacts(request, action.function, action.post);
      const routine = findFunction(catalog, call);
      const args = chooseArguments(request, routine, call);
      return { plan: planCall(catalog, routine, args, request.selection, options), routine };
    }
    case 'read':
      return {
        plan: planReadOf(catalog, { schema, name: action.relation }, request.selection, options),
        routine: undefined,
      };
    case 'insert':
      return { plan: planInsert(catalog, writeOf(request, action.relation), options), routine: undefined };
    case 'upsert-one':
      return { plan: planUpsertOne(catalog, writeOf(request, action.relation), options), routine: undefined };
    case 'update':
      return { plan: planUpdate(catalog, writeOf(request, action.relation), options), routine: undefined };
    case 'delete':
      return { plan: planDelete(catalog, writeOf(request, action.relation), options), routine: undefined };
    case 'describe':
    case 'info':
      throw new Error(`a request to ${action.kind} has no statement`);
  }
}

function writeOf(request: ApiRequest, relation: string): Insert {
  const { payload, preferences, selection } = request;
  const json = payload?.kind === 'json' ? payload : undefined;
  return {
    relation: { schema: request.schema, name: relation },
    // The root's filters, order and range are about what is written; what is given back is all of that.
    selection: {
      select: selection.select,
      filters: selection.filters.filter(({ path }) => path.length > 0),
      conditions: selection.conditions.filter(({ path }) => path.length > 0),
      orders: selection.orders,
      ranges: [],
    },
    filters: request.rootFilters,
    conditions: request.rootConditions,
    returnRows: preferences.return === 'representation' || preferences.return === 'headers-only',
    columns: json?.keys ?? [],
    body: { json: { text: '', at: bodyPlace }, isObject: json?.isObject ?? false },
    resolution:
      preferences.resolution === undefined
        ? undefined
        : preferences.resolution === 'merge-duplicates'
          ? 'merge'
          : 'ignore',
    onConflict: request.onConflict,
    applyDefaults: preferences.missing === 'default',
  };
}

function callFacts(request: ApiRequest, name: string, post: boolean): CallFacts {
  const { payload, contentType } = request;
  const keys =
    payload?.kind === 'json'
      ? payload.keys
      : [...new Set(request.arguments.map((argument) => argument.name))];
  return { function: { schema: request.schema, name }, keys, post, single: singleType(contentType) };
}

function singleType(type: MediaType): CallFacts['single'] {
  if (type.kind !== 'known') return undefined;
  const types: Readonly<Record<string, CallFacts['single']>> = {
    'application/json': 'json',
    'text/plain': 'text',
    'text/xml': 'xml',
    'application/octet-stream': 'bytea',
  };
  return types[type.name];
}

function chooseArguments(request: ApiRequest, routine: Routine, call: CallFacts): Arguments {
  const { payload } = request;
  const wholeBody: Value = { text: '', at: bodyPlace };
  const only = routine.parameters[0];
  // A key without a name finds a parameter without one, and then that takes the whole body as well. Source: src/PostgREST/Plan.hs `callPlan`.
  const isUnnamed = only?.name === '' && payload?.kind === 'json';
  if (only && routine.parameters.length === 1 && (isUnnamed || takesBody(routine, call))) {
    return { kind: 'single', type: only.type, value: wholeBody };
  }
  if (payload?.kind === 'json') {
    const parameters = routine.parameters.filter(({ name }) => payload.keys.includes(name));
    if (parameters.length === 0) return { kind: 'none' };
    return { kind: 'body', parameters, body: { json: wholeBody, isObject: payload.isObject } };
  }
  const values = routine.parameters.flatMap((parameter) => {
    const passed = request.arguments.filter(({ name }) => name === parameter.name).map(({ value }) => value);
    if (passed.length === 0) return [];
    return [{ ...parameter, value: parameter.variadic ? passed : passed.at(-1)! }];
  });
  return values.length === 0 ? { kind: 'none' } : { kind: 'values', values };
}

function callsReadOnly(request: ApiRequest, routine: Routine): boolean {
  return (request.action.kind === 'call' && !request.action.post) || routine.volatility !== 'volatile';
}

function selectsWholeRows(read: ReadNode): boolean {
  return read.embeds.length === 0 && read.columns.length === 1 && read.columns[0]!.field.name === '*';
}

function withoutBody(request: ApiRequest, isWrite: boolean): boolean {
  return request.headOnly || (isWrite && request.preferences.return !== 'representation');
}

function answerKind(request: ApiRequest, mediaType: Rendering['mediaType']): AnswerKind {
  if (mediaType.kind === 'plan') return 'plan';
  const { kind } = request.action;
  if (kind === 'describe' || kind === 'info') throw new Error(`a request to ${kind} has no statement`);
  return kind;
}

function explainOptions(mediaType: MediaType): readonly ExplainOption[] | undefined {
  return mediaType.kind === 'plan' ? [`format ${mediaType.format}`, ...mediaType.options] : undefined;
}

function nameOf({ action }: ApiRequest): string {
  return action.kind === 'call' ? action.function : 'relation' in action ? action.relation : '';
}

/** The exposed schema, then those that are searched behind it. */
export function searchPath(schema: string, settings: RestSettings): string {
  return [schema, ...settings.extraSearchPath].map((name) => `"${name.replaceAll('"', '""')}"`).join(', ');
}

function heedsMaxAffected(plan: Plan): boolean {
  return plan.kind === 'update' || plan.kind === 'delete' || plan.kind === 'call';
}

function appliedPreferences(request: ApiRequest, plan: Plan): Partial<Preferences> {
  const { preferences, action, onConflict } = request;
  const isInsert = action.kind === 'insert' && plan.kind === 'insert';
  const canConflict = isInsert && (plan.primaryKey.length > 0 || onConflict !== undefined);
  return {
    ...preferences,
    resolution: canConflict ? preferences.resolution : undefined,
    return: plan.kind === 'read' || plan.kind === 'call' ? undefined : preferences.return,
    missing: isInsert || action.kind === 'update' ? preferences.missing : undefined,
    maxAffected: heedsMaxAffected(plan) ? preferences.maxAffected : undefined,
  };
}
