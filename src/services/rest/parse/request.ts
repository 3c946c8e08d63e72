// In charge of: the whole request, typed: what is asked of which relation or function. Pure; nothing of the database is known here.
// Source: PostgREST 14.12, src/PostgREST/ApiRequest.hs.
import type {
  At,
  Condition,
  EmbedPath,
  Filter,
  Range,
  Selection,
  Value,
} from '../../../engine/query/query.ts';
import {
  invalidPath,
  limitOnPut,
  openApiDisabled,
  rpcMethod,
  schemaNotExposed,
  unsupportedMethod,
} from '../errors.ts';
import type { RestSettings } from '../settings.ts';
import { formPlace, isFilterName, limitPlace, offsetPlace, type PlacedPair, type Shape } from '../shape.ts';
import type { WireRequest } from '../wire.ts';
import { inShape, parseConditions, parseFilter, parseFilterOrArgument } from './filter.ts';
import { type MediaType, parseAccept, parseMediaType } from './media-type.ts';
import { parseColumns, parseOrder, parseRangePath } from './order.ts';
import type { Payload } from './payload.ts';
import { type Preferences, parsePreferences } from './prefer.ts';
import { decode } from './query-string.ts';
import { parseSelect } from './select.ts';

export type Action =
  | { readonly kind: 'read' | 'insert' | 'upsert-one' | 'update' | 'delete'; readonly relation: string }
  | { readonly kind: 'call'; readonly function: string; readonly post: boolean }
  | { readonly kind: 'describe' }
  | { readonly kind: 'info'; readonly of: 'relation' | 'function' | 'root'; readonly name: string };

export interface Argument {
  readonly name: string;
  readonly value: Value;
}

export interface ApiRequest {
  readonly action: Action;
  readonly headOnly: boolean;
  readonly schema: string;
  /** Whether the answer names the schema: it was chosen among several. */
  readonly namesSchema: boolean;
  readonly selection: Selection;
  /** The filters that stand outside of embeds: of a write they say which rows. */
  readonly rootFilters: readonly Filter[];
  readonly rootConditions: readonly Condition[];
  /** Of a function called by GET, or with a form. */
  readonly arguments: readonly Argument[];
  readonly onConflict: readonly string[] | undefined;
  readonly preferences: Preferences;
  readonly accept: readonly MediaType[];
  readonly contentType: MediaType;
  readonly payload: Payload | undefined;
}

export interface ParseOptions {
  readonly settings: RestSettings;
  readonly timezones: ReadonlySet<string>;
}

/**
 * Parses a request of a shape not seen before.
 * @throws PGRST125 (path), PGRST106 (schema), PGRST117 and PGRST101 (method), PGRST100 (query), PGRST114 (range on PUT), PGRST102 (body), in this order.
 */
export function parseRequest(wire: WireRequest, shape: Shape, options: ParseOptions): ApiRequest {
  const { settings } = options;
  const target = parsePath(wire.path, settings);
  const { schema, namesSchema } = chooseSchema(wire, settings);
  const action = chooseAction(target, wire.method);
  const takesArguments = action.kind === 'call' && !action.post;
  const query = parseParameters(shape.pairs, takesArguments);
  const ranged = query.ranges.some(({ path }) => path.length === 0);
  if (wire.method === 'PUT' && ranged) throw limitOnPut();
  const hasRange = ranged || shape.hasRange;
  if (shape.payload instanceof Error) throw shape.payload;
  return {
    action,
    headOnly: wire.method === 'HEAD',
    schema,
    namesSchema,
    selection: {
      select: parseSelect(query.select ?? '*'),
      filters: query.filters,
      conditions: query.conditions,
      orders: query.orders,
      ranges: [
        ...query.ranges.filter(({ path }) => path.length > 0),
        ...(hasRange ? [rootRangeOf(shape)] : []),
      ],
    },
    rootFilters: query.filters.filter(({ path }) => path.length === 0).map(({ item }) => item),
    rootConditions: query.conditions.filter(({ path }) => path.length === 0).map(({ item }) => item),
    arguments: shape.payload?.kind === 'form' ? formArguments(shape, shape.payload) : query.arguments,
    onConflict: query.onConflict,
    preferences: parsePreferences(
      wire.headers.prefer,
      options.timezones,
      settings.txEnd.endsWith('-allow-override'),
    ),
    accept: parseAccept(wire.headers.accept),
    contentType: parseMediaType(wire.headers['content-type'] ?? 'application/json'),
    payload: shape.payload,
  };
}

/**
 * The root's range. With a Range header both ends are worked out for each request; without, the limit is the query's own and part of
 * the shape, so that it stands in the text: as a parameter the planner would guess it, and plan anew each time to know it.
 */
function rootRangeOf({ limit, offset, hasRange }: Shape): At<Range> {
  const atPlace = { limit: { text: '', at: limitPlace }, offset: { text: '', at: offsetPlace } };
  const ofQuery = {
    limit: limit === undefined ? undefined : { text: limit, at: -1 },
    offset: offset === undefined ? undefined : atPlace.offset,
  };
  return { path: [], item: hasRange ? atPlace : ofQuery };
}

type Target = { readonly of: 'relation' | 'function' | 'root'; readonly name: string };

function parsePath(path: string, settings: RestSettings): Target {
  const parts = path.split('/').slice(1).map(decodePart);
  if (parts.length === 0 || (parts.length === 1 && parts[0] === '')) {
    if (settings.openApiMode === 'disabled') throw openApiDisabled();
    return settings.rootSpec === ''
      ? { of: 'root', name: '' }
      : { of: 'function', name: settings.rootSpec.slice(settings.rootSpec.indexOf('.') + 1) };
  }
  const [first, second] = parts;
  if (parts.length === 1) return { of: 'relation', name: first! };
  if (parts.length === 2 && first === 'rpc') return { of: 'function', name: second! };
  throw invalidPath();
}

/** In a path a plus is a plus. */
function decodePart(part: string): string {
  return part.includes('%') ? decode(part.replaceAll('+', '%2B')) : part;
}

function chooseSchema(wire: WireRequest, settings: RestSettings) {
  const writes = ['POST', 'PATCH', 'PUT', 'DELETE'].includes(wire.method);
  const wanted = wire.headers[writes ? 'content-profile' : 'accept-profile'];
  if (wanted === undefined)
    return { schema: settings.schemas[0] ?? 'public', namesSchema: settings.schemas.length !== 1 };
  if (!settings.schemas.includes(wanted)) throw schemaNotExposed(wanted, settings.schemas);
  return { schema: wanted, namesSchema: true };
}

function chooseAction(target: Target, method: string): Action {
  const { of, name } = target;
  if (method === 'OPTIONS') return { kind: 'info', of, name };
  const reads = method === 'GET' || method === 'HEAD';
  if (of === 'function') {
    if (reads || method === 'POST') return { kind: 'call', function: name, post: !reads };
    throw rpcMethod(method);
  }
  if (of === 'root') {
    if (reads) return { kind: 'describe' };
    throw unsupportedMethod(method);
  }
  if (reads) return { kind: 'read', relation: name };
  const kinds = { POST: 'insert', PUT: 'upsert-one', PATCH: 'update', DELETE: 'delete' } as const;
  const kind = Object.entries(kinds).find(([known]) => known === method)?.[1];
  if (kind === undefined) throw unsupportedMethod(method);
  return { kind, relation: name };
}

interface Parameters {
  readonly select: string | undefined;
  readonly filters: readonly At<Filter>[];
  readonly conditions: readonly At<Condition>[];
  readonly orders: Selection['orders'];
  readonly ranges: readonly At<Range>[];
  readonly arguments: readonly Argument[];
  readonly onConflict: readonly string[] | undefined;
}

function parseParameters(pairs: readonly PlacedPair[], takesArguments: boolean): Parameters {
  const ending = (...words: readonly string[]) => pairs.filter(({ key }) => words.includes(lastWordOf(key)));
  const first = (name: string) => pairs.find(({ key }) => key === name)?.value;
  const orders = ending('order').map(({ key, value }) => parseOrder(key, value));
  const conditions = ending('and', 'or').map(({ key, value }) => parseConditions(key, value));
  const columns = first('columns');
  if (columns !== undefined) parseColumns('columns', columns);
  const select = first('select');
  if (select !== undefined) parseSelect(select);
  const filters: At<Filter>[] = [];
  const args: Argument[] = [];
  for (const { key, value, at } of pairs) {
    if (!isFilterName(key, lastWordOf(key))) continue;
    const filter = takesArguments ? parseFilterOrArgument(key, value, at) : parseFilter(key, value, at);
    if (filter) filters.push(filter);
    else args.push({ name: argumentName(key), value: { text: value, at } });
  }
  const onConflict = first('on_conflict');
  return {
    select,
    filters,
    conditions,
    orders,
    ranges: embeddedRanges(ending('limit', 'offset')),
    arguments: args,
    onConflict: onConflict === undefined ? undefined : parseColumns('on_conflict', onConflict),
  };
}

function lastWordOf(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}

/** The name as the tree path would read it: without quotes and outer spaces. */
function argumentName(key: string): string {
  return parseFilter(key, 'is.null', inShape).item.field.name;
}

/** `embed.limit` and `embed.offset`, joined by their path; given twice, the last counts. */
function embeddedRanges(pairs: readonly PlacedPair[]): readonly At<Range>[] {
  const byPath = new Map<
    string,
    { path: EmbedPath; item: { limit: Value | undefined; offset: Value | undefined } }
  >();
  for (const { key, value, at } of pairs) {
    const path = parseRangePath(key);
    const id = JSON.stringify(path);
    const range = byPath.get(id) ?? { path, item: { limit: undefined, offset: undefined } };
    range.item[lastWordOf(key) === 'limit' ? 'limit' : 'offset'] = { text: value, at };
    byPath.set(id, range);
  }
  return [...byPath.values()];
}

function formArguments(shape: Shape, payload: Payload & { readonly kind: 'form' }): readonly Argument[] {
  return payload.pairs.map(({ key, value }, index) => ({
    name: key,
    value: { text: value, at: formPlace(shape, index) },
  }));
}
