// In charge of: JSON Web Tokens. Verified once per token, remembered until they end.
import { type CompactVerifyResult, compactVerify, type JSONWebKeySet, type JWK } from 'jose';
import type { Clock } from '../../base/time.ts';
import type { Caller } from './caller.ts';
import type { Issuer, Issuers } from './issuers.ts';
import { CredentialsRefused } from './refused.ts';
import { openTokenMemory, type Remembered } from './token-memory.ts';
import { algorithms, issuerNamedIn, parseTokenText, readClaims, type TokenText } from './token-text.ts';

export type { JSONWebKeySet, JWK };

export interface TokenKeys {
  /** The HS256 secret; undefined when only asymmetric keys are accepted. */
  readonly secret: Uint8Array | undefined;
  /** Public keys for RS…, ES… and EdDSA, and secrets for HS… (`kty` oct). */
  readonly jwks: JSONWebKeySet;
  /** Whether what these have verified stays so. Asked for at each use of a remembered token; unset: until everything is forgotten. */
  readonly stillCount?: () => boolean;
  /** Looks whether there is a key of this name by now, made by another process; undefined when that is known already. */
  readonly lookAgain?: (kid: string) => Promise<void> | undefined;
}

export interface TokenRules {
  /** The role of a token without a role claim; undefined refuses it. */
  readonly anonymousRole: string | undefined;
  /** Accepted audiences; undefined accepts any. */
  readonly audience: string | undefined;
  /** Where the role stands in the claims. */
  readonly roleOf: (claims: Readonly<Record<string, unknown>>) => string | undefined;
  /** Whether a token of our own is for somebody else to read, and opens nothing here: an id_token. Not asked about those of other issuers. */
  readonly isForOthers?: (claims: Readonly<Record<string, unknown>>) => boolean;
  /** How many verified tokens are remembered; 0: none. Unset: 10,000. Their bytes are bounded as well. */
  readonly maxRemembered?: number;
}

export interface Tokens {
  /**
   * The caller of a token that was verified before and still counts; undefined when it has to be verified, or refused, by `verify`.
   * No promise: this is what a request pays.
   */
  verifyNow(token: string): Caller | undefined;
  /** @throws CredentialsRefused, whatever the text is; DatabaseUnavailable when nobody can say which keys count. */
  verify(token: string): Promise<Caller>;
  /** Forgets what was verified: keys or rules have changed. */
  forget(): void;
}

/** Clocks of two machines differ. Source: PostgREST 14 src/PostgREST/Auth/Jwt.hs `allowedSkewSeconds`. */
const skewSeconds = 30;
const maxRememberedDefault = 10_000;
const maxRememberedBytes = 32 * 1024 * 1024;

/**
 * `keys` and `rules` are asked for at each fresh token, so that both may change while the program runs.
 * Without keys every token is refused: there is nothing to verify it by. A token that names one of `issuers` is verified by that
 * issuer's keys and no others, and theirs verify no other token.
 */
export function openTokens(
  keys: () => TokenKeys | undefined,
  rules: () => TokenRules,
  now: Clock,
  issuers?: Issuers,
): Tokens {
  const memory = openTokenMemory(maxRememberedBytes);
  // Counts up when everything is forgotten: what was under way then was verified by the old keys, and is not kept.
  let epoch = 0;

  const isOver = ({ expiresAt }: Remembered) => expiresAt < Math.floor(now() / 1000) - skewSeconds;

  /** What is remembered and still verified; what issuers' new keys have overtaken is dropped. */
  function findVerified(token: string): Remembered | undefined {
    const known = memory.find(token);
    if (known?.stillCounts === undefined || known.stillCounts()) return known;
    memory.drop(token);
    return undefined;
  }

  function verifyNow(token: string): Caller | undefined {
    const known = findVerified(token);
    return known === undefined || isOver(known) ? undefined : known.caller;
  }

  async function verify(token: string): Promise<Caller> {
    const known = findVerified(token);
    if (known !== undefined) {
      // It stays: an application that goes on sending it pays no signature again.
      if (isOver(known)) throw new CredentialsRefused('expired');
      return known.caller;
    }
    const verifiedIn = epoch;
    // Before anything is read of the token. Source: PostgREST 14 src/PostgREST/Auth/JwtCache.hs `decode`.
    if (issuers === undefined && keys() === undefined) throw new CredentialsRefused('no_secret');
    const text = parseTokenText(token);
    const issuer = issuers?.find(issuerNamedIn(text));
    const { payload, by } =
      issuer === undefined
        ? await verifyByOwn(token, text)
        : await verifyBy(token, text, await issuer.keysFor(text.kid), issuer);
    const signed = readClaims(payload);
    checkTimes(signed.claims, Math.floor(now() / 1000));
    const current = rules();
    checkAudience(signed.claims, current.audience, issuer);
    // Source: RFC 8725 section 3.12, RFC 9068 section 5: one kind of token is not taken for another.
    if (issuer === undefined && current.isForOthers?.(signed.claims))
      throw new CredentialsRefused('not_in_audience');
    const own = callerOf(signed, current);
    const caller: Caller = issuer === undefined ? own : { ...own, isForeign: true };
    if (epoch === verifiedIn) {
      const { exp } = signed.claims;
      const expiresAt = typeof exp === 'number' ? exp : Number.POSITIVE_INFINITY;
      const max = current.maxRemembered ?? maxRememberedDefault;
      memory.keep(token, { caller, expiresAt, stillCounts: by.stillCount }, max);
    }
    return caller;
  }

  /** A key that another process made a moment ago is looked for before a token that names it is refused. */
  async function verifyByOwn(token: string, text: TokenText): Promise<Verified> {
    const own = keys();
    if (own === undefined) throw new CredentialsRefused('no_secret');
    try {
      return await verifyBy(token, text, own, undefined);
    } catch (error) {
      const { kid } = text;
      const isKnown = kid === undefined || own.jwks.keys.some((key) => key.kid === kid);
      const looked = isKnown ? undefined : own.lookAgain?.(kid);
      if (looked === undefined) throw error;
      await looked;
      const newer = keys();
      if (newer === undefined || newer === own) throw error;
      return verifyBy(token, text, newer, undefined);
    }
  }

  return {
    verifyNow,
    verify,
    forget() {
      epoch++;
      memory.clear();
    },
  };
}

interface Verified {
  readonly payload: Uint8Array;
  /** The keys of which one has verified it. */
  readonly by: TokenKeys;
}

async function verifyBy(
  token: string,
  text: TokenText,
  by: TokenKeys,
  issuer: Issuer | undefined,
): Promise<Verified> {
  const { payload } = await verifyByAny(token, text, candidates(text, by, issuer));
  return { payload, by };
}

function callerOf({ claims, text }: ReturnType<typeof readClaims>, rules: TokenRules): Caller {
  let role: string | undefined;
  let withRole: string;
  try {
    role = rules.roleOf(claims) ?? rules.anonymousRole;
    withRole = claims.role === role ? text : putRole(claims, text, role ?? '');
  } catch (error) {
    // Nested deeper than the stack is high: JSON.parse has no such bound, JSON.stringify has.
    throw new CredentialsRefused('claims_not_an_object', undefined, error);
  }
  if (role === undefined) throw new CredentialsRefused('missing');
  // Postgres holds no text with this character, so that no role is named so.
  if (role.includes('\0')) throw new CredentialsRefused('claims_not_an_object');
  const subject = typeof claims.sub === 'string' ? claims.sub : undefined;
  return { role, claims: withRole, subject, by: 'token' };
}

/** The claims as they were signed, with the role put in. Reading and writing them again would round numbers; only another value of `role` makes that necessary. */
function putRole(claims: Readonly<Record<string, unknown>>, text: string, role: string): string {
  if (Object.hasOwn(claims, 'role')) return JSON.stringify({ ...claims, role });
  const comma = Object.keys(claims).length === 0 ? '' : ',';
  return `${text.slice(0, text.lastIndexOf('}'))}${comma}"role":${JSON.stringify(role)}}`;
}

/** A set may hold several keys that fit; one that verifies is enough. */
async function verifyByAny(
  token: string,
  { alg }: TokenText,
  keys: readonly (Uint8Array | JWK)[],
): Promise<CompactVerifyResult> {
  let failure: unknown;
  for (const key of keys) {
    try {
      return await compactVerify(token, key, { algorithms: [alg] });
    } catch (error) {
      failure = error;
    }
  }
  throw new CredentialsRefused('bad_signature', undefined, failure);
}

/**
 * The keys that may have signed the token. The algorithm decides which kind of key is tried, never the other way round: a public
 * key is not an HS256 secret (CVE-2015-9235). A `kid` chooses among the keys of a set by comparison and does nothing else; `jku`,
 * `jwk`, `x5u` and `x5c` are not looked at. A key without a `kid` is not the one that a `kid` names.
 * Source: PostgREST 14 docs/references/auth.rst "kid verification"; jose-jwt 0.9.6 Jose/Jwk.hs `canDecodeJws`.
 */
function candidates(
  { alg, kid }: TokenText,
  keys: TokenKeys,
  issuer: Issuer | undefined,
): readonly (Uint8Array | JWK)[] {
  // Sound: parseTokenText lets no other algorithm through.
  const kind = algorithms[alg]!;
  const fitting = keys.jwks.keys.filter(
    (key) =>
      key.kty === kind.kty &&
      (kind.crv === undefined || key.crv === kind.crv) &&
      (key.alg === undefined || key.alg === alg) &&
      (kid === undefined || key.kid === kid) &&
      key.use !== 'enc',
  );
  // A plain secret has no name, and hosted projects sign HS256 with a kid: it is tried for any. Source: supabase/auth internal/api/auth.go `parseJWTClaims`.
  const all = alg === 'HS256' && keys.secret !== undefined ? [keys.secret, ...fitting] : fitting;
  // Several keys and no kid: an issuer has to say which. Source: OpenID Connect Core 1.0 section 10.1.
  if (all.length === 0 || (issuer !== undefined && all.length > 1 && kid === undefined))
    throw new CredentialsRefused('no_suitable_key', alg);
  return all;
}

/** Source: PostgREST 14 src/PostgREST/Auth/Jwt.hs `checkForErrors`; RFC 7519 section 4.1. */
function checkTimes(claims: Readonly<Record<string, unknown>>, nowSeconds: number): void {
  const { exp, nbf, iat } = claims;
  if (exp !== undefined && exp !== null) {
    if (typeof exp !== 'number') throw new CredentialsRefused('exp_not_a_number');
    // A number that is no time (1e999) is none at which a token ends: upstream takes it for 1970.
    if (nowSeconds - skewSeconds > exp || !isTime(exp)) throw new CredentialsRefused('expired');
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

/** Within 64 bits. Source: PostgREST 14 src/PostgREST/Auth/Jwt.hs `sciToInt`. */
const isTime = (seconds: number) => Math.abs(seconds) < 2 ** 63;

function checkAudience(
  claims: Readonly<Record<string, unknown>>,
  audience: string | undefined,
  issuer: Issuer | undefined,
): void {
  const { aud } = claims;
  const given = aud === undefined || aud === null ? [] : Array.isArray(aud) ? aud : [aud];
  if (!given.every((one) => typeof one === 'string')) throw new CredentialsRefused('aud_not_text');
  if (audience !== undefined && given.length > 0 && !given.includes(audience))
    throw new CredentialsRefused('not_in_audience');
  // An issuer that signs for many projects with one set of keys: the token has to be for this one.
  if (issuer?.audience !== undefined && !given.includes(issuer.audience))
    throw new CredentialsRefused('not_in_audience');
}

/** The public half of a JWK: what may be shown at `/.well-known/jwks.json`. What is not known to be public stays behind. */
export function publicJwk(jwk: JWK): JWK {
  const shown = Object.entries(jwk).filter(([name]) => publicMembers.has(name));
  // Sound: a part of a JWK.
  return { ...(Object.fromEntries(shown) as JWK), key_ops: ['verify'] };
}

/** Source: RFC 7517 section 4; RFC 7518 sections 6.2.1 and 6.3.1; RFC 8037 section 2. */
const publicMembers: ReadonlySet<string> = new Set([
  'kty',
  'use',
  'alg',
  'kid',
  'crv',
  'x',
  'y',
  'n',
  'e',
  'ext',
]);
