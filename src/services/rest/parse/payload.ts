// In charge of: the body of a request: what keys it has and how it reaches SQL. The text itself goes to Postgres as it came.
// Source: PostgREST 14.12, src/PostgREST/ApiRequest/Payload.hs.
import { invalidBody } from '../errors.ts';
import { parseCsv } from './csv.ts';
import { type MediaType, renderMediaType } from './media-type.ts';
import { splitQuery } from './query-string.ts';

export type Payload =
  /** JSON text, of one object or of an array of them; the keys are those of every object, sorted. */
  | {
      readonly kind: 'json';
      readonly text: string;
      readonly isObject: boolean;
      readonly keys: readonly string[];
    }
  /** Arguments of a function, as a form sends them. */
  | { readonly kind: 'form'; readonly pairs: readonly { readonly key: string; readonly value: string }[] }
  /** Text or bytes, for a function's only parameter. Bytes stand as characters 0 to 255. */
  | { readonly kind: 'raw'; readonly text: string };

const emptyArray: Payload = { kind: 'json', text: '[]', isObject: false, keys: [] };

/**
 * `columns`, when given, stand for the keys, and the body is not looked at.
 * @throws PGRST102
 */
export function parsePayload(
  body: Buffer,
  type: MediaType,
  forCall: boolean,
  columns: readonly string[] | undefined,
): Payload {
  switch (type.kind === 'known' ? type.name : '') {
    case 'application/json': {
      const text = body.toString('utf8');
      if (columns) return { kind: 'json', text, isObject: looksLikeObject(text), keys: columns };
      if (forCall && text === '') return { kind: 'json', text: '{}', isObject: true, keys: [] };
      return jsonPayload(text, parseJson(text), 'All object keys must match');
    }
    case 'text/csv': {
      const rows = parseCsv(body.toString('utf8'));
      if (!rows) throw invalidBody('All lines must have same number of fields');
      return jsonPayload(JSON.stringify(rows), rows, 'All lines must have same number of fields');
    }
    case 'application/x-www-form-urlencoded': {
      const pairs = splitQuery(body.toString('utf8'));
      if (forCall) return { kind: 'form', pairs };
      const object = Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
      return { kind: 'json', text: JSON.stringify(object), isObject: true, keys: Object.keys(object).sort() };
    }
    case 'text/plain':
    case 'text/xml':
      if (forCall) return { kind: 'raw', text: body.toString('utf8') };
      break;
    case 'application/octet-stream':
      if (forCall) return { kind: 'raw', text: body.toString('latin1') };
      break;
  }
  throw invalidBody(`Content-Type not acceptable: ${renderMediaType(type)}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidBody('Empty or invalid json');
  }
}

function jsonPayload(text: string, value: unknown, complaint: string): Payload {
  if (Array.isArray(value)) {
    if (value.length === 0) return emptyArray;
    const keys = keysOf(value[0]);
    if (!keys) throw invalidBody(complaint);
    for (let index = 1; index < value.length; index++) {
      if (!hasKeys(value[index], keys)) throw invalidBody(complaint);
    }
    return { kind: 'json', text, isObject: false, keys: [...keys].sort() };
  }
  const keys = keysOf(value);
  // Any other JSON value holds no rows.
  return keys ? { kind: 'json', text, isObject: true, keys: [...keys].sort() } : emptyArray;
}

function keysOf(value: unknown): readonly string[] | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.keys(value)
    : undefined;
}

function hasKeys(value: unknown, keys: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  let count = 0;
  for (const _ in value) count++;
  return count === keys.length && keys.every((key) => Object.hasOwn(value, key));
}

function looksLikeObject(text: string): boolean {
  return /^[ \t\n\r]*\{/.test(text);
}
