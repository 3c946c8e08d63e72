// In charge of: what a token says of itself before anything is verified. Nothing here is believed; it only chooses what is tried.
// Source: RFC 7515 sections 3.1, 4.1.11 and 7.1; RFC 7519 section 7.2; jose-jwt 0.9.6 Jose/Internal/Parser.hs for which defect is which refusal.
import { CredentialsRefused } from './refused.ts';

export interface TokenText {
  readonly alg: string;
  readonly kid: string | undefined;
  /** The claims as they were encoded. */
  readonly payload: string;
}

/** As long as a whole head may be: a token that comes by another way (a socket's message) is bounded here. */
const maxTokenCharacters = 32 * 1024;

/**
 * Takes a compact JWS apart.
 * @throws CredentialsRefused `empty`, `wrong_parts`, `bad_algorithm` for one that is not signed, `malformed` for every other defect:
 * what is no base64url, a header that is no JSON object, an algorithm that is not known, an extension.
 */
export function parseTokenText(token: string): TokenText {
  if (token === '') throw new CredentialsRefused('empty');
  if (token.length > maxTokenCharacters) throw new CredentialsRefused('malformed');
  const parts = token.split('.');
  if (parts.length !== 3) throw new CredentialsRefused('wrong_parts', String(parts.length));
  const [header = '', payload = '', signature = ''] = parts;
  const { alg, kid, typ, cty, crit, b64, enc } = readHeader(header);
  if (alg === 'none') throw new CredentialsRefused('bad_algorithm', 'none');
  const isRefused =
    typeof alg !== 'string' ||
    !Object.hasOwn(algorithms, alg) ||
    ![kid, typ, cty].every((name) => name === undefined || name === null || typeof name === 'string') ||
    // No extension is understood here, and whoever does not understand one must refuse it.
    crit !== undefined ||
    // Unencoded payloads (RFC 7797) are not for tokens; an encrypted token has five parts.
    b64 !== undefined ||
    enc !== undefined ||
    !isCanonical(payload) ||
    // One signature has one spelling: otherwise a good token would have many that are remembered one by one.
    signature === '' ||
    !isCanonical(signature);
  if (isRefused) throw new CredentialsRefused('malformed');
  return { alg, kid: typeof kid === 'string' ? kid : undefined, payload };
}

/** What a signed text holds. @throws CredentialsRefused `claims_not_an_object` for what is no UTF-8, no JSON or no object. */
export function readClaims(payload: Uint8Array): {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly text: string;
} {
  try {
    const text = utf8.decode(payload);
    return { claims: parseObject(text), text };
  } catch (error) {
    throw new CredentialsRefused('claims_not_an_object', undefined, error);
  }
}

/** Who the token says it is from. Not verified: only for choosing whose keys may verify it. */
export function issuerNamedIn({ payload }: TokenText): string | undefined {
  try {
    const { iss } = parseObject(utf8.decode(Buffer.from(payload, 'base64url')));
    return typeof iss === 'string' ? iss : undefined;
  } catch {
    // Its signature is judged first, as for any other token.
    return undefined;
  }
}

function readHeader(header: string): Readonly<Record<string, unknown>> {
  if (!isCanonical(header)) throw new CredentialsRefused('malformed');
  try {
    return parseObject(utf8.decode(Buffer.from(header, 'base64url')));
  } catch (error) {
    throw new CredentialsRefused('malformed', undefined, error);
  }
}

/** base64url without padding, spaces or bits that are thrown away. */
function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('the JSON is no object');
  // Sound: JSON.parse gave an object that is no array.
  return value as Readonly<Record<string, unknown>>;
}

/** Without taking a byte-order mark away: JSON has none. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface Algorithm {
  readonly kty: string;
  readonly crv?: string;
}

/**
 * The algorithms, and which kind of key each takes. No PS…: PostgREST knows none either.
 * Source: RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864; jose-jwt 0.9.6 Jose/Jwa.hs `JwsAlg`.
 */
export const algorithms: Readonly<Record<string, Algorithm>> = {
  HS256: { kty: 'oct' },
  HS384: { kty: 'oct' },
  HS512: { kty: 'oct' },
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  Ed25519: { kty: 'OKP', crv: 'Ed25519' },
};
