// In charge of: JSON Web Tokens. Verified once per token, remembered until they end.
import { compactVerify, createLocalJWKSet, errors, type JSONWebKeySet, type JWK } from 'jose';
import type { Clock } from '../../base/time.ts';
import type { Caller } from './caller.ts';
import { CredentialsRefused } from './refused.ts';

export type { JSONWebKeySet, JWK };

export interface TokenKeys {
  /** The HS256 secret; undefined when only asymmetric keys are accepted. */
  readonly secret: Uint8Array | undefined;
  /** Public keys for ES256, RS256 and EdDSA. */
  readonly jwks: JSONWebKeySet;
}

export interface TokenRules {
  /** The role of a token without a role claim; undefined refuses it. */
  readonly anonymousRole: string | undefined;
  /** Accepted audiences; undefined accepts any. */
  readonly audience: string | undefined;
  /** Where the role stands in the claims. */
  readonly roleOf: (claims: Readonly<Record<string, unknown>>) => string | undefined;
}

export interface Tokens {
  /** @throws CredentialsRefused */
  verify(token: string): Promise<Caller>;
  /** Forgets what was verified: keys or rules have changed. */
  forget(): void;
}

/** Clocks of two machines differ. Source: PostgREST 14 src/PostgREST/Auth/Jwt.hs `allowedSkewSeconds`. */
const skewSeconds = 30;
const maxRemembered = 10_000;
const asymmetric = ['ES256', 'RS256', 'EdDSA', 'Ed25519'];

interface Remembered {
  readonly caller: Caller;
  /** Seconds since 1970; Infinity without an exp claim. */
  readonly expiresAt: number;
}

/** `keys` and `rules` are asked for at each fresh token, so that both may change while the program runs. */
export function openTokens(keys: () => TokenKeys, rules: () => TokenRules, now: Clock): Tokens {
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
    if (remembered.size >= maxRemembered) {
      // The oldest goes: a Map keeps its keys in order of insertion.
      const oldest = remembered.keys().next().value;
      if (oldest !== undefined) remembered.delete(oldest);
    }
    remembered.set(token, {
      caller,
      expiresAt: typeof claims.exp === 'number' ? claims.exp : Number.POSITIVE_INFINITY,
    });
    return caller;
  }

  return { verify, forget: () => remembered.clear() };
}

async function verifySignature(token: string, keys: TokenKeys) {
  if (token === '') throw new CredentialsRefused('empty');
  const parts = token.split('.');
  if (parts.length !== 3) throw new CredentialsRefused('wrong_parts', String(parts.length));
  try {
    const { payload } = await compactVerify(
      token,
      // The algorithm decides which kind of key is tried, never the other way round: an ES256 public key is not an HS256 secret (CVE-2015-9235).
      (header, jws) => {
        if (header.alg === 'HS256') {
          if (keys.secret === undefined) throw new CredentialsRefused('no_suitable_key', 'HS256');
          return keys.secret;
        }
        return createLocalJWKSet(keys.jwks)(header, jws);
      },
      { algorithms: keys.secret === undefined ? asymmetric : ['HS256', ...asymmetric] },
    );
    const text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
    return { claims: readClaims(text), text };
  } catch (error) {
    throw refusalOf(error, token);
  }
}

function readClaims(text: string): Readonly<Record<string, unknown>> {
  const claims: unknown = JSON.parse(text);
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims))
    throw new CredentialsRefused('claims_not_an_object');
  // Sound: JSON.parse gave an object that is no array.
  return claims as Readonly<Record<string, unknown>>;
}

function refusalOf(error: unknown, token: string): CredentialsRefused {
  if (error instanceof CredentialsRefused) return error;
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return new CredentialsRefused('bad_signature', undefined, error);
  if (error instanceof errors.JOSEAlgNotAllowed)
    return new CredentialsRefused('bad_algorithm', algorithmOf(token), error);
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return new CredentialsRefused('no_suitable_key', algorithmOf(token), error);
  }
  if (error instanceof SyntaxError || error instanceof TypeError)
    return new CredentialsRefused('claims_not_an_object', undefined, error);
  return new CredentialsRefused('bad_signature', undefined, error);
}

function algorithmOf(token: string): string {
  try {
    const header: unknown = JSON.parse(
      Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString(),
    );
    return typeof header === 'object' && header !== null && 'alg' in header ? String(header.alg) : '';
  } catch {
    return '';
  }
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
