// In charge of: what of an issuer's key set is taken. Public keys that verify, within bounds; nothing else that stands there.
// Source: RFC 7517 sections 4 and 5; RFC 7518 section 6.
import type { JWK } from './tokens.ts';

const maxKeys = 100;
const maxKidCharacters = 256;
/** An RSA modulus of 8,192 bits in base64url: a longer one makes each verification slow. */
const maxModulusCharacters = 1366;
/** An exponent of 32 bits: likewise. */
const maxExponentCharacters = 6;
/** A coordinate of P-521 in base64url. */
const maxCoordinateCharacters = 88;

/**
 * The keys; what is wrong with the set, to be read behind its name, when there are none. A member that is of no use here is left out, as
 * RFC 7517 section 5 wants it: a secret key (`oct`) above all, which everybody can read there, an encryption key, an unknown curve.
 */
export function parseIssuerKeys(value: unknown): readonly JWK[] | string {
  const members = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : undefined;
  if (!Array.isArray(members)) return 'holds no list of keys.';
  if (members.length > maxKeys) return `holds ${members.length} keys; ${maxKeys} are taken at most.`;
  const keys = members.map(parseKey).filter((key) => key !== undefined);
  return keys.length > 0 ? keys : 'holds no key that verifies a token.';
}

function parseKey(member: unknown): JWK | undefined {
  if (typeof member !== 'object' || member === null) return undefined;
  // Sound: its members are looked at one by one.
  const { kty, kid, alg, use, key_ops: operations, ...rest } = member as Readonly<Record<string, unknown>>;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return undefined;
  if (kid !== undefined && !isText(kid, maxKidCharacters)) return undefined;
  if (alg !== undefined && !isText(alg, maxKidCharacters)) return undefined;
  const named = { ...(kid !== undefined && { kid }), ...(alg !== undefined && { alg }) };
  const { crv, n, e, x, y } = rest;
  if (kty === 'RSA' && isText(n, maxModulusCharacters) && isText(e, maxExponentCharacters))
    return { kty, n, e, ...named };
  if (
    kty === 'EC' &&
    isCurve(crv) &&
    isText(x, maxCoordinateCharacters) &&
    isText(y, maxCoordinateCharacters)
  )
    return { kty, crv, x, y, ...named };
  if (kty === 'OKP' && crv === 'Ed25519' && isText(x, maxCoordinateCharacters))
    return { kty, crv, x, ...named };
  return undefined;
}

function isText(value: unknown, maxCharacters: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= maxCharacters;
}

function isCurve(value: unknown): value is string {
  return value === 'P-256' || value === 'P-384' || value === 'P-521';
}
