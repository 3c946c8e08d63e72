// In charge of: who it is that a verified assertion speaks of, in the words that this project's mapping has for it.
// Source: supabase/auth internal/api/samlassertion.go.
import type { JsonObject } from '../go-json.ts';
import { profileClaims } from '../oauth/provider.ts';

/** What an identity provider has signed, and nothing else. */
export interface Assertion {
  readonly id: string;
  readonly nameId: string;
  readonly nameIdFormat: string;
  readonly attributes: readonly Attribute[];
  /** When the session at the identity provider ends; undefined: it does not say. */
  readonly sessionEndsMs: number | undefined;
}

export interface Attribute {
  readonly name: string;
  readonly friendlyName: string;
  readonly values: readonly string[];
}

export interface AttributeRule {
  readonly name: string;
  readonly names: readonly string[];
  readonly default: unknown;
  readonly array: boolean;
}

const emailFormat = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress';
const transientFormat = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient';
const subjectIdAttribute = 'urn:oasis:names:tc:SAML:attribute:subject-id';

/** Every value of the attributes of a name, whatever its case. */
function valuesOf({ attributes }: Assertion, name: string): readonly string[] {
  const wanted = name.toLowerCase();
  return attributes
    .filter((one) => one.name.toLowerCase() === wanted || one.friendlyName.toLowerCase() === wanted)
    .flatMap(({ values }) => values);
}

/** By what the identity provider knows a person for good; empty: by nothing. */
export function userIdOf(assertion: Assertion): string {
  const [subjectId] = valuesOf(assertion, subjectIdAttribute);
  if (subjectId !== undefined) return subjectId;
  const { nameId, nameIdFormat } = assertion;
  if (nameIdFormat === emailFormat) return nameId.trim().toLowerCase();
  return nameIdFormat === transientFormat ? '' : nameId;
}

const emailAttributes = [
  'urn:oid:0.9.2342.19200300.100.1.3',
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress',
  'http://schemas.xmlsoap.org/claims/EmailAddress',
  'mail',
  'email',
];

/** The best guess at an address; empty: there is none. */
export function emailOf(assertion: Assertion): string {
  const [found] = emailAttributes
    .flatMap((name) => valuesOf(assertion, name))
    .filter((value) => value !== '');
  if (found !== undefined) return found;
  return assertion.nameIdFormat === emailFormat ? assertion.nameId : '';
}

/** The first name of a rule that has a value counts. */
export function mappedClaims(
  assertion: Assertion,
  rules: ReadonlyMap<string, AttributeRule>,
): ReadonlyMap<string, unknown> {
  const claims = new Map<string, unknown>();
  for (const [key, rule] of rules) {
    const names = rule.name === '' ? rule.names : [rule.name, ...rule.names];
    const values = names
      .map((name) => valuesOf(assertion, name).filter((value) => value !== ''))
      .find((found) => found.length > 0);
    if (values) claims.set(key, rule.array ? values : values[0]);
    else if (rule.default !== undefined && rule.default !== null) claims.set(key, rule.default);
  }
  return claims;
}

/** Members that a mapping cannot say, because they are what is verified. */
const ownClaims: ReadonlySet<string> = new Set([
  'iss',
  'sub',
  'aud',
  'iat',
  'exp',
  'email',
  'email_verified',
  'phone_verified',
  'custom_claims',
  'updated_at',
]);

export function metadataOf(
  facts: { readonly sub: string; readonly iss: string; readonly email: string },
  claims: ReadonlyMap<string, unknown>,
): JsonObject & { readonly sub: string } {
  // The rest of a mapping goes into `custom_claims`.
  const known = profileClaims.flatMap((name) => {
    const value = claims.get(name);
    return typeof value === 'string' && value !== '' ? [[name, value] as const] : [];
  });
  const taken = new Set<string>(known.map(([name]) => name));
  const custom = [...claims].filter(([name]) => !taken.has(name) && !ownClaims.has(name));
  return {
    ...facts,
    ...Object.fromEntries(known),
    email_verified: true,
    phone_verified: false,
    ...(custom.length > 0 && { custom_claims: Object.fromEntries(custom) }),
  };
}
