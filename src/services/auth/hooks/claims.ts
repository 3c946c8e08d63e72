// In charge of: what a hook may make of an access token's claims: anything, as long as those are there that everybody counts on.
// Source: supabase/auth internal/tokens/service.go `MinimumViableTokenSchema`; xeipuuv/gojsonschema locales.go for the words.
import { failed } from '../errors.ts';
import type { JsonObject } from '../go-json.ts';

type Kind = 'string' | 'array' | 'integer' | 'object';

const kinds: Readonly<Record<string, readonly Kind[]>> = {
  aud: ['string', 'array'],
  exp: ['integer'],
  jti: ['string'],
  iat: ['integer'],
  iss: ['string'],
  nbf: ['integer'],
  sub: ['string'],
  email: ['string'],
  phone: ['string'],
  app_metadata: ['object'],
  user_metadata: ['object'],
  role: ['string'],
  aal: ['string'],
  amr: ['array'],
  session_id: ['string'],
  client_id: ['string'],
};

const required = [
  'aud',
  'exp',
  'iat',
  'sub',
  'email',
  'phone',
  'role',
  'aal',
  'session_id',
  'is_anonymous',
] as const;

/** The claims that the hook gives. @throws Fault 500 unexpected_failure, with what is wrong with them */
export function claimsOfAnswer({ claims }: JsonObject): JsonObject {
  if (claims === undefined) throw failed('output claims field is missing');
  if (claims !== null && (typeof claims !== 'object' || Array.isArray(claims)))
    throw failed('Error unmarshaling JSON output.');
  if (claims === null) throw notEnough(['(root): Invalid type. Expected: object, given: null']);
  // Sound: an object that is no array.
  const given = claims as JsonObject;
  const complaints = complaintsAbout(given);
  if (complaints.length > 0) throw notEnough(complaints);
  return given;
}

const notEnough = (complaints: readonly string[]) =>
  failed(
    `output claims do not conform to the expected schema: \n${complaints.map((one) => `- ${one}\n`).join('')}`,
  );

function complaintsAbout(claims: JsonObject): readonly string[] {
  const missing = required
    .filter((name) => !Object.hasOwn(claims, name))
    .map((name) => `(root): ${name} is required`);
  const wrong = Object.entries(kinds)
    .filter(
      ([name, allowed]) => Object.hasOwn(claims, name) && !allowed.some((kind) => isOf(kind, claims[name])),
    )
    .map(([name, allowed]) => invalidType(name, allowed, claims[name]));
  const methods = Array.isArray(claims.amr) ? claims.amr : [];
  const wrongMethods = methods.flatMap((method: unknown, at) =>
    typeof method === 'string' || isOf('object', method)
      ? []
      : [
          `amr.${at}: Must validate at least one schema (anyOf)`,
          invalidType(`amr.${at}`, ['string'], method),
        ],
  );
  return [...missing, ...wrong, ...wrongMethods];
}

function invalidType(name: string, allowed: readonly string[], given: unknown): string {
  const expected = allowed.length === 1 ? allowed[0] : `[${allowed.join(',')}]`;
  return `${name}: Invalid type. Expected: ${expected}, given: ${kindOf(given)}`;
}

function isOf(kind: Kind, value: unknown): boolean {
  return kindOf(value) === kind;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}
