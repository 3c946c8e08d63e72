// In charge of: a request's body and parameters as values with types, refused in the words in which Go's JSON refuses them.
// Source: supabase/auth internal/api/helpers.go `retrieveRequestParams`, internal/api/api.go `limitRequestBody`; Go encoding/json.
import type { ServiceRequest } from '../../engine/service/http.ts';
import type { Visit } from './context.ts';
import { authFault, badRequest } from './errors.ts';
import type { JsonObject } from './go-json.ts';

/** Source: supabase/auth internal/api/api.go: 1 MiB. */
const maxBodyBytes = 1 << 20;
/** Postgres and JSON.stringify both go down by recursion; nobody's metadata is nested like that. */
const maxDepth = 500;

/** What a member must be: empty text, false, true (`flag_on`) or nothing when it is absent or null. */
type Kind = 'text' | 'optional_text' | 'texts' | 'flag' | 'flag_on' | 'optional_flag' | 'object' | 'objects';
type ValueOf<K extends Kind> = K extends 'text'
  ? string
  : K extends 'optional_text'
    ? string | undefined
    : K extends 'texts'
      ? readonly string[] | undefined
      : K extends 'optional_flag'
        ? boolean | undefined
        : K extends 'flag' | 'flag_on'
          ? boolean
          : K extends 'object'
            ? JsonObject | undefined
            : readonly JsonObject[] | undefined;

export type Shape = Readonly<Record<string, Kind>>;
export type Params<S extends Shape> = { readonly [K in keyof S]: ValueOf<S[K]> };

/**
 * The body's members that `shape` names; others are nobody's concern. null is the same as absent.
 * @throws Fault 400 bad_json, 413 request_entity_too_large
 */
export async function readParams<S extends Shape>(
  request: ServiceRequest,
  shape: S,
  whenEmpty: 'refuse' | 'nothing_said' = 'refuse',
): Promise<Params<S>> {
  const members = await readObject(request, whenEmpty);
  const found = Object.entries(shape).map(([name, kind]) => [name, readMember(name, kind, members[name])]);
  // Sound: each member was read by its kind.
  return Object.fromEntries(found) as Params<S>;
}

async function readObject(
  request: ServiceRequest,
  whenEmpty: 'refuse' | 'nothing_said',
): Promise<JsonObject> {
  const body = await request.readBody();
  if (body.length > maxBodyBytes)
    throw authFault(413, 'request_entity_too_large', `Request body too large (max ${maxBodyBytes} bytes)`);
  if (body.length === 0 && whenEmpty === 'nothing_said') return {};
  if (body.length === 0) throw badJson('unexpected end of JSON input');
  const text = body.toString('utf8');
  // No text of Postgres has this character, wherever it would go.
  if (/(?<!\\)(?:\\\\)*\\u0000/.test(text)) throw badJson("invalid character '\\u0000' in string literal");
  let value: unknown;
  try {
    // A lone half of a pair is no character; Go puts a replacement in its place.
    value = /\\ud[89a-f]/i.test(text) ? JSON.parse(text, (_, inner) => wellFormed(inner)) : JSON.parse(text);
  } catch (error) {
    throw badJson(error instanceof Error ? error.message : 'invalid JSON', error);
  }
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw badJson(`json: cannot unmarshal ${goKind(value)} into Go value of type an object`);
  if (isDeeper(value, maxDepth)) throw badJson('exceeded max depth');
  // Sound: JSON.parse gave an object that is no array.
  return value as JsonObject;
}

/** A text, or an object by its names. */
function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name.toWellFormed(), inner]))
    : value;
}

/** One member by its kind. @throws Fault 400 bad_json */
export function readMember(name: string, kind: Kind, value: unknown): ValueOf<Kind> {
  if (value === undefined || value === null) {
    if (kind === 'flag_on') return true;
    return kind === 'text' ? '' : kind === 'flag' ? false : undefined;
  }
  const fits =
    kind === 'flag' || kind === 'flag_on' || kind === 'optional_flag'
      ? typeof value === 'boolean'
      : kind === 'object'
        ? isObject(value)
        : kind === 'objects'
          ? Array.isArray(value) && value.every(isObject)
          : kind === 'texts'
            ? Array.isArray(value) && value.every((item) => typeof item === 'string')
            : typeof value === 'string';
  if (!fits)
    throw badJson(
      `json: cannot unmarshal ${goKind(value)} into Go struct field ${name} of type ${goTypes[kind]}`,
    );
  // Sound: checked just now.
  return value as ValueOf<Kind>;
}

const goTypes: Readonly<Record<Kind, string>> = {
  text: 'string',
  optional_text: 'string',
  texts: '[]string',
  flag: 'bool',
  flag_on: 'bool',
  optional_flag: 'bool',
  object: 'map[string]interface {}',
  objects: '[]map[string]interface {}',
};

function goKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Level by level, so that depth costs no stack. */
function isDeeper(value: object, depth: number): boolean {
  let level: object[] = [value];
  for (let at = 0; level.length > 0; at++) {
    if (at > depth) return true;
    level = level.flatMap((one) =>
      Object.values(one).filter((inner): inner is object => typeof inner === 'object' && inner !== null),
    );
  }
  return false;
}

function badJson(why: string, cause?: unknown) {
  return badRequest('bad_json', `Could not parse request body as JSON: ${why}`, cause);
}

/** The first value of a query parameter; empty when it is absent. */
export const queryOf = ({ query }: Visit, name: string): string => query.get(name) ?? '';

export const userAgentOf = ({ request }: Visit): string => request.headers['user-agent'] ?? '';
