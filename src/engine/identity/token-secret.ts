// In charge of: the keys in a text as PostgREST's `jwt-secret` holds it: a plain secret, a JWK, or a set of them.
// Source: PostgREST 14.12, src/PostgREST/Config.hs `parseSecret`; docs/references/auth.rst "Asymmetric Keys".
import { type JWK, publicJwk, type TokenKeys } from './tokens.ts';

/** HS256 needs a secret as long as its hash. Source: RFC 7518 section 3.2. */
const minSecretBytes = 32;

/** The keys; a sentence when the text holds none. */
export function parseTokenSecret(bytes: Uint8Array): TokenKeys | string {
  const jwks = parseJwks(bytes);
  if (jwks) return { secret: undefined, jwks: { keys: jwks } };
  if (bytes.length >= minSecretBytes) return { secret: bytes, jwks: { keys: [] } };
  return `The JWT secret must be at least ${minSecretBytes} characters long.`;
}

function parseJwks(bytes: Uint8Array): JWK[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (isJwk(value)) return [verifying(value)];
  const keys = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : undefined;
  return Array.isArray(keys) && keys.every(isJwk) ? keys.map(verifying) : undefined;
}

function isJwk(value: unknown): value is JWK {
  return typeof value === 'object' && value !== null && 'kty' in value && typeof value.kty === 'string';
}

/** What of a key verifies: the public half, or the secret itself. */
function verifying(key: JWK): JWK {
  return key.kty === 'oct' ? { ...key, key_ops: ['verify'] } : publicJwk(key);
}
