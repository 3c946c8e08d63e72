// In charge of: JSON Web Tokens. Verified once per token, remembered until they end.
import { type CompactVerifyResult, compactVerify, type JSONWebKeySet, type JWK } from 'jose';
import type { Clock } from '../../base/time.ts';
import type { Caller } from './caller.ts';
import { CredentialsRefused } from './refused.ts';

export type { JSONWebKeySet, JWK };

export interface TokenKeys {
  /** The HS256 secret; undefined when only asymmetric keys are accepted. */
  readonly secret: Uint8Array | undefined;
  /** Public keys for RS…, ES… and EdDSA, and secrets for HS… (`kty` oct). */
  readonly jwks: JSONWebKeySet;
}

export interface TokenRules {
  /** The role of a token without a role claim; undefined refuses it. */
  readonly anonymousRole: string | undefined;
  /** Accepted audiences; undefined accepts any. */
  readonly audience: string | undefined;
  /** Where the role stands in the claims. */
  readonly roleOf: (claims: Readonly<Record<string, unknown>>) => string | undefined;
  /** How many verified tokens are remembered; 0: none. Unset: 10,000. */
  readonly maxRemembered?: number;
}

export interface Tokens {
  /** @throws CredentialsRefused */
  verify(token: string): Promise<Caller>;
  /** Forgets what was verified: keys or rules have changed. */
  forget(): void;
}

/** Clocks of two machines differ. Source: PostgREST 14 src/PostgREST/Auth/Jwt.hs `allowedSkewSeconds`. */
const skewSeconds = 30;
const maxRememberedDefault = 10_000;

interface Remembered {
  readonly caller: Caller;
  /** Seconds since 1970; Infinity without an exp claim. */
  readonly expiresAt: number;
}

/**
 * `keys` and `rules` are asked for at each fresh token, so that both may change while the program runs.
 * Without keys every token is refused: there is nothing to verify it by.
 */
export function openTokens(keys: () => TokenKeys | undefined, rules: () => TokenRules, now: Clock): Tokens {
  const remembered = new Map<string, Remembered>();

  async function verify(token: string): Promise<Caller> {
    const known = remembered.get(token);
    const seconds = Math.floor(now() / 1000);
    if (known) {
      if (known.expiresAt < seconds - skewSeconds) {
        remembered.delete(token);
        throw new CredentialsRefused('expired');
      }
      return known.caller;
    }
    const { claims, text } = await verifySignature(token, keys());
    checkTimes(claims, seconds);
    const current = rules();
    checkAudience(claims, current.audience);
    const role = current.roleOf(claims) ?? current.anonymousRole;
    if (role === undefined) throw new CredentialsRefused('missing');
    const caller: Caller = {
      role,
      // As it was signed: reading and writing it again would round numbers. Only a missing role is put in.
      claims: claims.role === role ? text : JSON.stringify({ ...claims, role }),
      subject: typeof claims.sub === 'string' ? claims.sub : undefined,
      by: 'token',
    };
    remember(token, caller, claims.exp, current.maxRemembered ?? maxRememberedDefault);
    return caller;
  }

  function remember(token: string, caller: Caller, exp: unknown, max: number): void {
    if (max <= 0) return;
    if (remembered.size >= max) {
      // The oldest goes: a Map keeps its keys in order of insertion.
      const oldest = remembered.keys().next().value;
      if (oldest !== undefined) remembered.delete(oldest);
    }
    remembered.set(token, { caller, expiresAt: typeof exp === 'number' ? exp : Number.POSITIVE_INFINITY });
  }

  return { verify, forget: () => remembered.clear() };
}

async function verifySignature(token: string, keys: TokenKeys | undefined) {
  if (keys === undefined) throw new CredentialsRefused('no_secret');
  if (token === '') throw new CredentialsRefused('empty');
  const parts = token.split('.');
  if (parts.length !== 3) throw new CredentialsRefused('wrong_parts', String(parts.length));
  const { payload } = await verifyByAny(token, candidates(token, keys));
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
    return { claims: readClaims(text), text };
  } catch (error) {
    // What was signed is no UTF-8, no JSON, or no object.
    throw new CredentialsRefused('claims_not_an_object', undefined, error);
  }
}

/** A set may hold several keys that fit; one that verifies is enough. */
async function verifyByAny(token: string, keys: readonly (Uint8Array | JWK)[]): Promise<CompactVerifyResult> {
  let failure: unknown;
  for (const key of keys) {
    try {
      return await compactVerify(token, key);
    } catch (error) {
      failure = error;
    }
  }
  throw new CredentialsRefused('bad_signature', undefined, failure);
}

/**
 * The keys that may have signed the token. The algorithm decides which kind of key is tried, never the other way round:
 * a public key is not an HS256 secret (CVE-2015-9235).
 */
function candidates(token: string, keys: TokenKeys): readonly (Uint8Array | JWK)[] {
  const { alg, kid } = headerOf(token);
  const kind = typeof alg === 'string' && Object.hasOwn(kinds, alg) ? kinds[alg] : undefined;
  if (!kind) throw new CredentialsRefused('bad_algorithm', String(alg ?? ''));
  const fitting = keys.jwks.keys.filter(
    (key) =>
      key.kty === kind.kty &&
      (kind.crv === undefined || key.crv === kind.crv) &&
      (key.alg === undefined || key.alg === alg) &&
      (kid === undefined || key.kid === undefined || key.kid === kid) &&
      key.use !== 'enc',
  );
  const all = alg === 'HS256' && keys.secret !== undefined ? [keys.secret, ...fitting] : fitting;
  if (all.length === 0) throw new CredentialsRefused('no_suitable_key', String(alg));
  return all;
}

/** Source: RFC 7518 section 3.1, RFC 8037 section 3.1; PostgREST 14 verifies the same ones. */
const kinds: Readonly<Record<string, { readonly kty: string; readonly crv?: string }>> = {
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

/** @throws CredentialsRefused for a header that is no JSON object in base64. */
function headerOf(token: string): { readonly alg?: unknown; readonly kid?: unknown } {
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString());
  } catch (error) {
    throw new CredentialsRefused('bad_signature', undefined, error);
  }
  if (typeof header !== 'object' || header === null) throw new CredentialsRefused('bad_signature');
  return header;
}

function readClaims(text: string): Readonly<Record<string, unknown>> {
  const claims: unknown = JSON.parse(text);
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims))
    throw new TypeError('the claims are no object');
  // Sound: JSON.parse gave an object that is no array.
  return claims as Readonly<Record<string, unknown>>;
}

/** Source: PostgREST 14 src/PostgREST/Auth/Jwt.hs `checkForErrors`; RFC 7519 section 4.1. */
function checkTimes(claims: Readonly<Record<string, unknown>>, nowSeconds: number): void {
  const { exp, nbf, iat } = claims;
  if (exp !== undefined && exp !== null) {
    if (typeof exp !== 'number') throw new CredentialsRefused('exp_not_a_number');
    if (nowSeconds - skewSeconds > exp) throw new CredentialsRefused('expired');
  }
  if (nbf !== undefined && nbf !== null) {
    if (typeof nbf !== 'number') throw new CredentialsRefused('nbf_not_a_number');
    if (nowSeconds + skewSeconds < nbf) throw new CredentialsRefused('not_yet_valid');
  }
  if (iat !== undefined && iat !== null) {
    if (typeof iat !== 'number') throw new CredentialsRefused('iat_not_a_number');
    if (nowSeconds + skewSeconds < iat) throw new CredentialsRefused('issued_in_future');
  }
}

function checkAudience(claims: Readonly<Record<string, unknown>>, audience: string | undefined): void {
  const { aud } = claims;
  if (aud === undefined || aud === null) return;
  const given = Array.isArray(aud) ? aud : [aud];
  if (!given.every((one) => typeof one === 'string')) throw new CredentialsRefused('aud_not_text');
  if (audience === undefined || given.length === 0) return;
  if (!given.includes(audience)) throw new CredentialsRefused('not_in_audience');
}

/** The public half of a JWK: what may be shown at `/.well-known/jwks.json`. */
export function publicJwk(jwk: JWK): JWK {
  const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, k: _k, ...rest } = jwk;
  return { ...rest, key_ops: ['verify'] };
}
