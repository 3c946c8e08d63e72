// In charge of: a request's body and parameters as values with types, refused in the words in which Go's JSON refuses them.
// Source: supabase/auth internal/api/helpers.go `retrieveRequestParams`, internal/api/api.go `limitRequestBody`; Go encoding/json.
import type { ServiceRequest } from '../../engine/service/http.ts';
import type { Visit } from './context.ts';
import { authFault, badRequest } from './errors.ts';
import type { JsonObject } from './go-json.ts';
import { scanJson, wrongType } from './go-json-error.ts';

/** Source: supabase/auth internal/api/api.go: 1 MiB. */
const maxBodyBytes = 1 << 20;
/** Postgres and JSON.stringify both go down by recursion; nobody's metadata is nested like that. */
const maxDepth = 500;

/** What a member must be: empty text, false, true (`flag_on`) or nothing when it is absent or null. */
type Kind = 'text' | 'optional_text' | 'texts' | 'flag' | 'flag_on' | 'optional_flag' | 'object';
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
          : JsonObject | undefined;

export type Shape = Readonly<Record<string, Kind>>;
export type Params<S extends Shape> = { readonly [K in keyof S]: ValueOf<S[K]> };

/**
 * How a body is read: as one value; as one, or nothing where there is none; or as upstream's stream decoder reads it, which takes the first
 * value and leaves the rest. Source: supabase/auth internal/api/magic_link.go, internal/api/oauthserver/handlers.go.
 */
type Reading = 'whole' | 'whole_or_nothing' | 'first_value';

/**
 * The body's members that `shape` names; others are nobody's concern. null is the same as absent. `struct` is the name of upstream's type, which
 * stands in what is said of a member of another type.
 * @throws Fault 400 bad_json, 413 request_entity_too_large
 */
export async function readParams<S extends Shape>(
  request: ServiceRequest,
  struct: string,
  shape: S,
  reading: Reading = 'whole',
): Promise<Params<S>> {
  const members = await readObject(request, struct, reading);
  const absent = Object.entries(shape).map(([name, kind]) => [name, readMember(struct, name, kind, null)]);
  // In the order of the body: what is told is the first that is wrong.
  const found = Object.entries(members).flatMap(([name, value]) => {
    const kind = Object.hasOwn(shape, name) ? shape[name] : undefined;
    return kind === undefined ? [] : [[name, readMember(struct, name, kind, value, reading)]];
  });
  // Sound: each member was read by its kind.
  return Object.fromEntries([...absent, ...found]) as Params<S>;
}

async function readObject(request: ServiceRequest, struct: string, reading: Reading): Promise<JsonObject> {
  const body = await request.readBody();
  if (body.length > maxBodyBytes)
    throw authFault(413, 'request_entity_too_large', `Request body too large (max ${maxBodyBytes} bytes)`);
  if (body.length === 0 && reading === 'whole_or_nothing') return {};
  const value = parseBody(body, reading);
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw badJson(wrongType(value, struct, '', ''), reading);
  if (isDeeper(value, maxDepth)) throw badJson('exceeded max depth', reading);
  // Sound: JSON.parse gave an object that is no array.
  return value as JsonObject;
}

function parseBody(body: Buffer, reading: Reading): unknown {
  const text = body.toString('utf8');
  // No text of Postgres has this character, wherever it would go.
  if (/(?<!\\)(?:\\\\)*\\u0000/.test(text))
    throw badJson("invalid character '\\u0000' in string literal", reading);
  try {
    // A lone half of a pair is no character; Go puts a replacement in its place.
    return /\\ud[89a-f]/i.test(text) ? JSON.parse(text, (_, inner) => wellFormed(inner)) : JSON.parse(text);
  } catch (error) {
    const scanned = scanJson(body);
    switch (scanned.kind) {
      case 'more':
        if (reading === 'first_value') return parseBody(body.subarray(0, scanned.valueBytes), reading);
        throw badJson(scanned.message, reading, error);
      case 'short':
        throw badJson(reading === 'first_value' ? endOf(text) : scanned.message, reading, error);
      case 'wrong':
        throw badJson(scanned.message, reading, error);
      case 'value':
        throw badJson('it is no JSON', reading, error);
    }
  }
}

/** Source: Go io.EOF, io.ErrUnexpectedEOF; encoding/json stream.go `readValue`. */
const endOf = (text: string) => (/^[ \t\r\n]*$/.test(text) ? 'EOF' : 'unexpected EOF');

/** A text, or an object by its names. */
function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name.toWellFormed(), inner]))
    : value;
}

/** One member by its kind. @throws Fault 400 bad_json */
export function readMember(
  struct: string,
  name: string,
  kind: Kind,
  value: unknown,
  reading: Reading = 'whole',
): ValueOf<Kind> {
  if (value === undefined || value === null) {
    if (kind === 'flag_on') return true;
    return kind === 'text' ? '' : kind === 'flag' ? false : undefined;
  }
  const wrong = (found: unknown, type: string) => badJson(wrongType(found, struct, name, type), reading);
  const fits =
    kind === 'flag' || kind === 'flag_on' || kind === 'optional_flag'
      ? typeof value === 'boolean'
      : kind === 'object'
        ? isObject(value)
        : kind === 'texts'
          ? Array.isArray(value)
          : typeof value === 'string';
  if (!fits) throw wrong(value, namedTypes[`${struct}.${name}`] ?? goTypes[kind]);
  if (kind === 'texts' && Array.isArray(value)) return textsOf(value, wrong);
  // Sound: checked just now.
  return value as ValueOf<Kind>;
}

/** null in a list is an empty text, as for Go. */
function textsOf(
  list: readonly unknown[],
  wrong: (found: unknown, type: string) => Error,
): readonly string[] {
  return list.map((item) => {
    if (item !== null && typeof item !== 'string') throw wrong(item, 'string');
    return item ?? '';
  });
}

const goTypes: Readonly<Record<Kind, string>> = {
  text: 'string',
  optional_text: 'string',
  texts: '[]string',
  flag: 'bool',
  flag_on: 'bool',
  optional_flag: 'bool',
  object: 'map[string]interface {}',
};

/** Members whose types have names of their own. Source: supabase/auth internal/api/{mfa,sso,ssoadmin,middleware}.go. */
const namedTypes: Readonly<Record<string, string>> = {
  'VerifyFactorParams.challenge_id': 'uuid.UUID',
  'VerifyFactorParams.webauthn': 'api.WebAuthnParams',
  'SingleSignOnParams.provider_id': 'uuid.UUID',
  'CreateSSOProviderParams.attribute_mapping': 'models.SAMLAttributeMapping',
  'captchaRequest.gotrue_meta_security': 'api.captchaSecurity',
};

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

export function badJson(why: string, reading: Reading = 'whole', cause?: unknown) {
  const what =
    reading === 'first_value' ? 'Could not read verification params' : 'Could not parse request body as JSON';
  return badRequest('bad_json', `${what}: ${why}`, cause);
}

/** The first value of a query parameter; empty when it is absent. */
export const queryOf = ({ query }: Visit, name: string): string => query.get(name) ?? '';

export const userAgentOf = ({ request }: Visit): string => request.headers['user-agent'] ?? '';
