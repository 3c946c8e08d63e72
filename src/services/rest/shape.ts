// In charge of: the shape of a request: everything that decides what statement it becomes, with the values taken out. Two requests of one shape
// run the same statement with other parameters, so a plan is made once per shape. Each part is written with its length before it: no value that
// a client sends can make the shape of one request look like another's, which would run someone else's plan.
import type { Fault } from '../../base/errors.ts';
import { isIssuedKey } from '../../engine/identity/key-text.ts';
import { operatorPrefix } from './parse/filter.ts';
import { parseMediaType } from './parse/media-type.ts';
import { parseColumns } from './parse/order.ts';
import { type Payload, parsePayload } from './parse/payload.ts';
import { type Pair, splitQuery } from './parse/query-string.ts';
import { parseCount } from './parse/range.ts';
import type { WireRequest } from './wire.ts';

/** The places of the values that are not filters. */
export const limitPlace = 0;
export const offsetPlace = 1;
export const bodyPlace = 2;
const firstPlace = 3;

/** A pair of the query string, and where its value stands among the request's; -1 when the value is part of the shape. */
export interface PlacedPair extends Pair {
  readonly at: number;
}

export interface Shape {
  readonly key: string;
  readonly pairs: readonly PlacedPair[];
  /** Without the range of the root, which is worked out for each request. */
  readonly values: (string | undefined)[];
  readonly payload: Payload | Fault | undefined;
  /** The last `limit` and `offset` of the root. */
  readonly limit: string | undefined;
  readonly offset: string | undefined;
  /** Whether a Range header takes part in the root's range. */
  readonly hasRange: boolean;
}

/** The headers that decide about the statement or the answer. */
const shapingHeaders = ['accept', 'prefer', 'content-type', 'accept-profile', 'content-profile'];

const bodyMethods = new Set(['POST', 'PUT', 'PATCH']);

export function shapeOf(wire: WireRequest): Shape {
  const isCall = wire.path.startsWith('/rpc/');
  const takesArguments = isCall && (wire.method === 'GET' || wire.method === 'HEAD');
  let key = part(wire.method) + part(wire.path);
  for (const name of shapingHeaders) {
    const value = wire.headers[name];
    key += value === undefined ? '-' : part(value);
  }
  const hasRange = wire.method === 'GET' && wire.headers.range !== undefined;
  const values: (string | undefined)[] = [undefined, undefined, undefined];
  const pairs: PlacedPair[] = [];
  let limit: string | undefined;
  let offset: string | undefined;
  let columns: string | undefined;
  const place = (value: string) => values.push(value) - 1;

  for (const { key: name, value } of splitQuery(wire.query)) {
    if (name === 'apikey' && isKey(value)) continue;
    const lastDot = name.lastIndexOf('.');
    const lastWord = lastDot < 0 ? name : name.slice(lastDot + 1);
    if (lastWord === 'limit' || lastWord === 'offset') {
      // What is no number is not heard.
      if (parseCount(value) === undefined) continue;
      const at = lastDot < 0 ? -1 : place(value);
      if (lastDot < 0 && lastWord === 'limit') limit = value;
      else if (lastDot < 0) offset = value;
      pairs.push({ key: name, value, at });
      key += part(name);
      // A limit of the root stands in the statement's text; see rootRangeOf().
      if (lastDot < 0 && lastWord === 'limit' && !hasRange) key += part(value);
      continue;
    }
    const operator = isFilterName(name, lastWord) ? operatorPrefix.exec(value)?.[0] : undefined;
    if (operator !== undefined) {
      pairs.push({ key: name, value, at: place(value.slice(operator.length)) });
      key += part(name) + part(operator);
    } else if (takesArguments && isFilterName(name, lastWord)) {
      pairs.push({ key: name, value, at: place(value) });
      key += `${part(name)}=`;
    } else {
      if (name === 'columns') columns ??= value;
      pairs.push({ key: name, value, at: -1 });
      key += part(name) + part(value);
    }
  }

  let payload: Payload | Fault | undefined;
  if (bodyMethods.has(wire.method)) {
    payload = readPayload(wire, isCall, columns);
    key += payloadShape(payload, values, isCall);
  }
  if (hasRange) key += 'R';
  return { key, pairs, values, payload, limit, offset, hasRange };
}

/** The gateway hears a key in the query of a link or a socket; it is no filter. */
function isKey(value: string): boolean {
  return isIssuedKey(value) || value.startsWith('sb_') || value.startsWith('eyJ');
}

function part(text: string): string {
  return `${text.length}:${text}`;
}

const otherParameters = new Set(['select', 'columns', 'on_conflict']);
const otherEndings = new Set(['order', 'limit', 'offset', 'and', 'or']);

export function isFilterName(name: string, lastWord: string): boolean {
  return !otherEndings.has(lastWord) && !otherParameters.has(name);
}

/** The payload, or what is wrong with it: said later, as what is wrong with the rest of the request comes first. */
function readPayload(wire: WireRequest, isCall: boolean, columns: string | undefined): Payload | Fault {
  try {
    const type = parseMediaType(wire.headers['content-type'] ?? 'application/json');
    // Source: Payload.hs: PUT writes whole rows, so it does not hear `columns`.
    const named =
      columns === undefined || wire.method === 'PUT' ? undefined : parseColumns('columns', columns);
    return parsePayload(wire.body, type, isCall, named && [...new Set(named)].sort());
  } catch (error) {
    if (error instanceof Error && error.name === 'Fault') return error as Fault;
    throw error;
  }
}

function payloadShape(payload: Payload | Fault, values: (string | undefined)[], isCall: boolean): string {
  if (payload instanceof Error) return '!';
  switch (payload.kind) {
    case 'json':
      values[bodyPlace] = payload.text;
      return `${payload.isObject ? '{' : '['}${payload.keys.map(part).join('')}`;
    case 'raw':
      values[bodyPlace] = payload.text;
      return isCall ? '=' : '!';
    case 'form':
      values[bodyPlace] = JSON.stringify(
        Object.fromEntries(payload.pairs.map(({ key, value }) => [key, value])),
      );
      return `&${payload.pairs
        .map(({ key, value }) => {
          values.push(value);
          return part(key);
        })
        .join('')}`;
  }
}

/** Where the values of a form begin: behind those of the query string. */
export function formPlace(shape: Shape, index: number): number {
  const inQuery = shape.pairs.reduce((last, { at }) => Math.max(last, at), firstPlace - 1);
  return inQuery + 1 + index;
}
