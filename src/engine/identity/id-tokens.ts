// In charge of: id_tokens of the providers that people sign in with: where a provider's keys are, kept within bounds, and tokens verified by them.
// Source: OpenID Connect Core 1.0 section 3.1.3.7, Discovery 1.0 section 4; supabase/auth internal/api/provider/oidc_cache.go,
// internal/utilities/oidc_discovery.go; coreos/go-oidc v3 oidc/verify.go, oidc/jwks.go.
import { createHash, timingSafeEqual } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { compactVerify } from 'jose';
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import type { Egress } from '../egress/egress.ts';
import { parseIssuerKeys } from './issuer-keys.ts';
import { algorithms, parseTokenText, readClaims, type TokenText } from './token-text.ts';
import type { JWK } from './tokens.ts';

/** What a provider publishes of itself. */
export interface Discovery {
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  /** Empty: it has none. */
  readonly userinfoEndpoint: string;
  readonly jwksUri: string;
  /** The algorithms that its id_tokens may have. */
  readonly algorithms: readonly string[];
  /** The whole document. */
  readonly all: Readonly<Record<string, unknown>>;
}

export interface IdToken {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly alg: string;
}

export interface IdTokens {
  /**
   * What an issuer publishes, asked for once an hour. `anyIssuer`: the document may name another one (Apple has two names).
   * @throws Error when it cannot be had, or is another's
   */
  discover(issuer: string, how?: { readonly url?: string; readonly anyIssuer?: boolean }): Promise<Discovery>;
  /**
   * Verified by the provider's own keys, in time, and issued by it. Whom it is for the caller judges.
   * @throws Error, whatever the text is
   */
  verify(token: string, by: Discovery, how?: { readonly anyIssuer?: boolean }): Promise<IdToken>;
  /** The next sign-in asks the issuer again. */
  forget(issuer: string): void;
}

export interface IdTokensOptions {
  readonly egress: Pick<Egress, 'fetch'>;
  readonly observe: Observe;
  readonly now: Clock;
  readonly signal: AbortSignal;
}

/** Source: supabase/auth internal/conf/configuration.go `OIDCProviderCacheTTL`. */
const freshMs = 60 * 60 * 1000;
/** How long the last good answer counts while the provider is away. */
const keptMs = 24 * 60 * 60 * 1000;
/** Between two fetches of keys for a `kid` that is not known: who invents one causes two fetches a minute. */
const cooldownMs = 30_000;
const maxProviders = 200;
const timeoutMs = 10_000;
const maxDocumentBytes = 256 * 1024;
/** Clocks differ. Source: coreos/go-oidc v3 oidc/verify.go gives `nbf` that long, and `exp` nothing. */
const leewaySeconds = 300;

export function openIdTokens({ egress, observe, now, signal }: IdTokensOptions): IdTokens {
  const documents = openKept<Discovery>(now);
  const keySets = openKept<readonly JWK[]>(now);

  async function fetchObject(url: string): Promise<Readonly<Record<string, unknown>>> {
    const response = await egress.fetch(url, {
      headers: { accept: 'application/json' },
      timeoutMs,
      maxResponseBytes: maxDocumentBytes,
      signal,
    });
    if (response.status !== 200)
      throw new Error(`${url} returned ${response.status} ${STATUS_CODES[response.status] ?? ''}`.trim());
    const value: unknown = JSON.parse(response.body.toString());
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Error(`${url} answered with what is no JSON object`);
    // Sound: an object that is no array.
    return value as Readonly<Record<string, unknown>>;
  }

  const observeFailure = (url: string) => (error: unknown) =>
    observe({ kind: 'id_tokens.failed', level: 'warn', url, message: errorMessage(error) });

  return {
    async discover(issuer, { url, anyIssuer = false } = {}) {
      const from = url || `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
      const load = async () => {
        const document = await fetchObject(from).catch((error: unknown) => {
          throw new Error(`oidc: discovery request to ${from} failed: ${errorMessage(error)}`, {
            cause: error,
          });
        });
        return discoveryOf(document, from, anyIssuer ? undefined : issuer);
      };
      return documents.find(`${issuer} ${from}`, freshMs, load, observeFailure(from));
    },
    async verify(token, by, { anyIssuer = false } = {}) {
      const text = parseTokenText(token);
      if (!by.algorithms.includes(text.alg))
        throw new Error(`id token signed with unsupported "${text.alg}"`);
      const load = async () => {
        const keys = parseIssuerKeys(await fetchObject(by.jwksUri));
        if (typeof keys === 'string') throw new Error(`"${by.jwksUri}" ${keys}`);
        return keys;
      };
      const keysWithin = (ageMs: number) => keySets.find(by.jwksUri, ageMs, load, observeFailure(by.jwksUri));
      let candidates = fitting(await keysWithin(freshMs), text);
      // A key that the provider has made since.
      if (candidates.length === 0) candidates = fitting(await keysWithin(cooldownMs), text);
      const { claims } = readClaims(await verifyByAny(token, text.alg, candidates));
      checkIssuer(claims, by.issuer, anyIssuer);
      checkTimes(claims, now() / 1000);
      return { claims, alg: text.alg };
    },
    forget(issuer) {
      documents.drop((key) => key.startsWith(`${issuer} `));
    },
  };
}

/** Whether an access token is the one that an id_token came with. Source: OpenID Connect Core 1.0 section 3.1.3.6. */
export function fitsAccessToken({ claims, alg }: IdToken, accessToken: string): boolean {
  const size = alg.endsWith('256') ? 'sha256' : alg.endsWith('384') ? 'sha384' : 'sha512';
  const digest = createHash(size).update(accessToken).digest();
  const expected = Buffer.from(digest.subarray(0, digest.length / 2).toString('base64url'));
  const given = Buffer.from(String(claims.at_hash));
  return given.length === expected.length && timingSafeEqual(given, expected);
}

interface Kept<T> {
  readonly value: T;
  readonly atMs: number;
}

/** Values that are fetched: each by one request at a time, the last good one while that fails, the longest unused one let go. */
function openKept<T>(now: Clock) {
  const kept = new Map<string, Kept<T>>();
  const underWay = new Map<string, Promise<T>>();

  async function load(key: string, fetch: () => Promise<T>): Promise<T> {
    const value = await fetch();
    kept.delete(key);
    kept.set(key, { value, atMs: now() });
    const [oldest] = kept.keys();
    if (kept.size > maxProviders && oldest !== undefined) kept.delete(oldest);
    return value;
  }

  return {
    async find(
      key: string,
      maxAgeMs: number,
      fetch: () => Promise<T>,
      failed: (error: unknown) => void,
    ): Promise<T> {
      const known = kept.get(key);
      if (known !== undefined && now() - known.atMs < maxAgeMs) return known.value;
      const loading = underWay.get(key) ?? load(key, fetch).finally(() => underWay.delete(key));
      underWay.set(key, loading);
      try {
        return await loading;
      } catch (error) {
        failed(error);
        if (known !== undefined && now() - known.atMs < keptMs) return known.value;
        throw error;
      }
    },
    drop(isOne: (key: string) => boolean): void {
      for (const key of [...kept.keys()].filter(isOne)) kept.delete(key);
    },
  };
}

function discoveryOf(
  document: Readonly<Record<string, unknown>>,
  from: string,
  expected: string | undefined,
): Discovery {
  const textOf = (name: string) => {
    const value = document[name];
    return typeof value === 'string' ? value : '';
  };
  const issuer = textOf('issuer');
  if (expected !== undefined && issuer !== expected)
    throw new Error(
      `oidc: issuer mismatch, expected ${JSON.stringify(expected)} got ${JSON.stringify(issuer)}`,
    );
  const jwksUri = textOf('jwks_uri');
  // Keys that come over plain http are anybody's.
  if (from.startsWith('https:') && jwksUri !== '' && !jwksUri.startsWith('https:'))
    throw new Error(`oidc: "${from}" names a jwks_uri that is not https`);
  const listed = document.id_token_signing_alg_values_supported;
  const known = Array.isArray(listed) ? listed.filter((alg): alg is string => isPublicAlgorithm(alg)) : [];
  return {
    issuer,
    authorizationEndpoint: textOf('authorization_endpoint'),
    tokenEndpoint: textOf('token_endpoint'),
    userinfoEndpoint: textOf('userinfo_endpoint'),
    jwksUri,
    // Source: OpenID Connect Core 1.0 section 15.1: RS256 is what everybody has.
    algorithms: known.length === 0 ? ['RS256'] : known,
    all: document,
  };
}

/** Never HS…: what is published would be the secret (CVE-2015-9235). */
function isPublicAlgorithm(alg: unknown): boolean {
  return typeof alg === 'string' && Object.hasOwn(algorithms, alg) && algorithms[alg]?.kty !== 'oct';
}

/** The algorithm decides which kind of key is tried; a `kid` chooses by comparison and does nothing else. */
function fitting(keys: readonly JWK[], { alg, kid }: TokenText): readonly JWK[] {
  const kind = algorithms[alg];
  return keys.filter(
    (key) =>
      kind !== undefined &&
      key.kty === kind.kty &&
      (kind.crv === undefined || key.crv === kind.crv) &&
      (key.alg === undefined || key.alg === alg) &&
      (kid === undefined || key.kid === kid),
  );
}

async function verifyByAny(token: string, alg: string, keys: readonly JWK[]): Promise<Uint8Array> {
  let failure: unknown = new Error('no key of the provider fits the id token');
  for (const key of keys) {
    try {
      return (await compactVerify(token, key, { algorithms: [alg] })).payload;
    } catch (error) {
      failure = error;
    }
  }
  throw new Error('failed to verify id token signature', { cause: failure });
}

function checkIssuer({ iss }: Readonly<Record<string, unknown>>, expected: string, anyIssuer: boolean): void {
  // Google has written its name without a scheme. Source: coreos/go-oidc v3 oidc/verify.go.
  const isGoogle = expected === 'https://accounts.google.com' && iss === 'accounts.google.com';
  if (anyIssuer || iss === expected || isGoogle) return;
  throw new Error(`id token issued by a different provider, expected ${JSON.stringify(expected)}`);
}

function checkTimes({ exp, nbf, iat }: Readonly<Record<string, unknown>>, nowSeconds: number): void {
  if (typeof exp !== 'number' || exp < nowSeconds) throw new Error('token is expired');
  for (const [name, at] of Object.entries({ nbf, iat })) {
    if (at === undefined || at === null) continue;
    if (typeof at !== 'number') throw new Error(`"${name}" is not a number`);
    // Upstream looks at nbf alone: a token of tomorrow is not issued yet either.
    if (nowSeconds + leewaySeconds < at)
      throw new Error(`token is not valid yet: "${name}" is in the future`);
  }
}
