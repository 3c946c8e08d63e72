// In charge of: the keys of other issuers, whose tokens are taken here too (Auth0, Firebase, …). Fetched, kept, and fetched again
// when they are old or a token names one that is not known.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import type { Egress } from '../egress/egress.ts';
import { parseIssuerKeys } from './issuer-keys.ts';
import { CredentialsRefused } from './refused.ts';
import type { JWK, TokenKeys } from './tokens.ts';

export interface ConfiguredIssuer {
  /** `auth0`: for the log and the refusal. */
  readonly name: string;
  /** The `iss` claim of its tokens; its keys are found from there by OpenID Connect Discovery. */
  readonly url: string;
  /** What the `aud` claim has to hold, where one set of keys signs for many projects. */
  readonly audience?: string;
}

export interface IssuerKeys extends TokenKeys {
  /** Whether these are still the issuer's keys. Asked for at each use of what they verified; starts a refetch when they are old. */
  readonly stillCount: () => boolean;
}

export interface Issuer {
  readonly audience: string | undefined;
  /**
   * The keys to verify a token by. Waits for a fetch only when there are none, or when none has this `kid`; the latter at most once in
   * `cooldownMs`, whatever is asked for.
   * @throws CredentialsRefused `issuer_unavailable`
   */
  keysFor(kid: string | undefined): Promise<IssuerKeys>;
}

export interface Issuers {
  /** By the `iss` claim. A slash at the end makes no difference: Auth0 writes one, and its configuration has none. */
  find(iss: string | undefined): Issuer | undefined;
  /** Starts the first fetches, so that the first token need not wait. Failures are observed; nothing is thrown. */
  warm(): void;
}

export interface IssuersOptions {
  readonly configured: readonly ConfiguredIssuer[];
  /** How old keys get before they are fetched again, and how long the last good ones count while that fails. */
  readonly lifetimes: () => { readonly freshSeconds: number; readonly keptSeconds: number };
  readonly egress: Pick<Egress, 'fetch'>;
  readonly observe: Observe;
  readonly now: Clock;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

/** Between two fetches for keys that are not known: who invents a `kid` causes two fetches a minute, not one a token. */
const cooldownMs = 30_000;
/** After a failure; doubled for each further one up to `cooldownMs`. */
const firstRetryMs = 1_000;
/** Where the keys are is asked again after that. */
const discoveryMs = 60 * 60 * 1000;
/** For each of the two requests. Source: supabase/cli apps/cli-go/pkg/config/config.go `ResolveJWKS` gives both together 10 s. */
const timeoutMs = 5_000;
const maxDocumentBytes = 64 * 1024;
const maxKeySetBytes = 256 * 1024;

export function openIssuers(options: IssuersOptions): Issuers {
  const issuers = new Map(
    options.configured.map((configured) => [withoutSlash(configured.url), openIssuer(configured, options)]),
  );
  return {
    find: (iss) => (iss === undefined ? undefined : issuers.get(withoutSlash(iss))),
    warm: () => issuers.forEach((issuer) => void issuer.refresh()),
  };
}

interface Loaded {
  readonly keys: readonly JWK[];
  readonly text: string;
  loadedAtMs: number;
}

function openIssuer(
  { name, url, audience }: ConfiguredIssuer,
  { lifetimes, egress, observe, now, signal }: IssuersOptions,
): Issuer & { refresh(): Promise<void> } {
  let loaded: Loaded | undefined;
  let found: { readonly url: string; readonly atMs: number } | undefined;
  let underWay: Promise<void> | undefined;
  let failures = 0;
  let nextAtMs = Number.NEGATIVE_INFINITY;

  const ageMs = ({ loadedAtMs }: Loaded) => now() - loadedAtMs;
  const isKept = (keys: Loaded) => ageMs(keys) <= lifetimes().keptSeconds * 1000;
  const refreshWhenOld = (keys: Loaded) => {
    if (ageMs(keys) > lifetimes().freshSeconds * 1000 && now() >= nextAtMs) void refresh();
  };

  /** One at a time; never rejects. */
  function refresh(): Promise<void> {
    underWay ??= load().finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  async function load(): Promise<void> {
    try {
      const keys = await fetchKeys();
      const text = JSON.stringify(keys);
      const isNew = text !== loaded?.text;
      // A new value only when the keys are new: what was verified by the same ones goes on counting.
      if (loaded === undefined || isNew) loaded = { keys, text, loadedAtMs: now() };
      else loaded.loadedAtMs = now();
      if (isNew || failures > 0)
        observe({ kind: 'issuer.keys', issuer: name, url, keys: keys.length, failures });
      failures = 0;
      nextAtMs = now() + cooldownMs;
    } catch (error) {
      failures++;
      nextAtMs = now() + Math.min(cooldownMs, firstRetryMs * 2 ** (failures - 1));
      found = undefined;
      // At shutdown nobody waits for it.
      if (signal?.aborted) return;
      const keptUntil = loaded && new Date(loaded.loadedAtMs + lifetimes().keptSeconds * 1000).toISOString();
      observe({
        kind: 'issuer.failed',
        level: 'warn',
        issuer: name,
        url,
        failures,
        message: `The keys of the issuer "${name}" cannot be fetched: ${errorMessage(error)} ${
          keptUntil === undefined
            ? 'There are none yet, and its tokens are refused.'
            : `Those that are known count until ${keptUntil}.`
        }`,
        keptUntil,
      });
    }
  }

  async function fetchKeys(): Promise<readonly JWK[]> {
    if (found === undefined || now() - found.atMs > discoveryMs)
      found = { url: await discover(), atMs: now() };
    const keys = parseIssuerKeys(await fetchJson(found.url, maxKeySetBytes));
    if (typeof keys === 'string') throw new Error(`"${found.url}" ${keys}`);
    return keys;
  }

  /** Source: OpenID Connect Discovery 1.0 section 4; supabase/cli apps/cli-go/pkg/config/config.go `ResolveJWKS`. */
  async function discover(): Promise<string> {
    const document = `${withoutSlash(url)}/.well-known/openid-configuration`;
    const value = await fetchJson(document, maxDocumentBytes);
    const uri =
      typeof value === 'object' && value !== null && 'jwks_uri' in value ? value.jwks_uri : undefined;
    if (typeof uri !== 'string' || !URL.canParse(uri)) throw new Error(`"${document}" names no jwks_uri.`);
    if (new URL(url).protocol === 'https:' && new URL(uri).protocol !== 'https:')
      throw new Error(`"${document}" names a jwks_uri that is not https.`);
    return uri;
  }

  async function fetchJson(from: string, maxResponseBytes: number): Promise<unknown> {
    const response = await egress.fetch(from, {
      headers: { accept: 'application/json' },
      timeoutMs,
      maxResponseBytes,
      ...(signal && { signal }),
    });
    if (response.status !== 200) throw new Error(`"${from}" answered ${response.status}.`);
    try {
      return JSON.parse(response.body.toString());
    } catch (error) {
      throw new Error(`"${from}" answered with what is no JSON.`, { cause: error });
    }
  }

  function given(keys: Loaded): IssuerKeys {
    return {
      secret: undefined,
      jwks: { keys: [...keys.keys] },
      stillCount() {
        if (loaded !== keys || !isKept(keys)) return false;
        refreshWhenOld(keys);
        return true;
      },
    };
  }

  async function keysFor(kid: string | undefined): Promise<IssuerKeys> {
    const known = loaded;
    if (known !== undefined && isKept(known)) {
      if (kid === undefined || known.keys.some((key) => key.kid === kid)) {
        refreshWhenOld(known);
        return given(known);
      }
      if (underWay === undefined && now() < nextAtMs) return givenWithout(known);
    } else if (underWay === undefined && now() < nextAtMs) {
      throw new CredentialsRefused('issuer_unavailable', name);
    }
    await refresh();
    if (loaded === undefined || !isKept(loaded)) throw new CredentialsRefused('issuer_unavailable', name);
    return loaded.keys.some((key) => key.kid === kid) ? given(loaded) : givenWithout(loaded);
  }

  /** None has the `kid`. While the issuer is away nobody knows whether it is a new one: the token is neither good nor bad. */
  function givenWithout(keys: Loaded): IssuerKeys {
    if (failures > 0) throw new CredentialsRefused('issuer_unavailable', name);
    return given(keys);
  }

  return { audience, keysFor, refresh };
}

function withoutSlash(url: string): string {
  return url.endsWith('/') ? url.slice(0, -1) : url;
}
