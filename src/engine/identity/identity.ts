// In charge of: who a request's credentials make it. Keys of both kinds, tokens, or nothing.
import type { JSONWebKeySet } from 'jose';
import type { Clock } from '../../base/time.ts';
import type { Caller, CallerKey } from './caller.ts';
import type { IssuedKeys } from './issued-keys.ts';
import type { Issuers } from './issuers.ts';
import { isIssuedKey } from './key-text.ts';
import { type ApiKeys, isOpaqueKey, openProjectKeys } from './keys.ts';
import { CredentialsRefused } from './refused.ts';
import { openTokens, type TokenKeys, type TokenRules } from './tokens.ts';

export interface Identity {
  /**
   * Who the request is. `authorization` and `apikey` are the headers' values, undefined when absent; `service` is the name
   * of the one that is asked, `address` the client's, for the keys that are narrowed to some. A key is known without waiting.
   * @throws CredentialsRefused; DatabaseUnavailable for a key of our own that nobody could confirm for long
   */
  callerOf(
    authorization: string | undefined,
    apikey: string | undefined,
    service?: string,
    address?: string,
  ): Caller | Promise<Caller>;
  /** The public keys, for `/.well-known/jwks.json`. */
  jwks(): JSONWebKeySet;
  /** Forgets the tokens that were verified: keys or rules have changed. */
  forget(): void;
}

export interface IdentityOptions {
  /** Undefined: there are none, only tokens, and the header `apikey` means nothing. */
  readonly keys: ApiKeys | undefined;
  /** The keys that were made here; undefined: there are none. */
  readonly issued?: Pick<IssuedKeys, 'callerOf'> | undefined;
  /** Others whose tokens are taken; undefined: the project's own alone. */
  readonly issuers?: Issuers | undefined;
  /** Undefined: nothing verifies a token, so that each is refused. */
  readonly tokenKeys: () => TokenKeys | undefined;
  readonly rules: () => TokenRules;
  /** Whether a request without credentials is anonymous; otherwise it is refused. */
  readonly anonymousWithoutKey: () => boolean;
  readonly now: Clock;
}

export function openIdentity(options: IdentityOptions): Identity {
  const tokens = openTokens(options.tokenKeys, options.rules, options.now, options.issuers);
  /** Without waiting for one that was seen before. */
  const verify = (token: string) => tokens.verifyNow(token) ?? tokens.verify(token);
  const secretCaller = keyCaller('service_role');
  const projectKeyOf = options.keys && openProjectKeys(options.keys);
  let publishable: Caller | undefined;

  function anonymous(by: 'key' | 'nothing'): Caller {
    const role = options.rules().anonymousRole;
    if (role === undefined) throw new CredentialsRefused('missing');
    if (by === 'nothing') return { ...keyCaller(role), by };
    // The role is a live setting.
    if (publishable?.role !== role) publishable = keyCaller(role);
    return publishable;
  }

  function callerOfKey(key: string, service: string, address: string | undefined): Caller {
    if (options.issued !== undefined && isIssuedKey(key))
      return options.issued.callerOf(key, service, address);
    const kind = projectKeyOf?.(key);
    if (kind === 'secret') return secretCaller;
    if (kind === 'publishable') return anonymous('key');
    throw new CredentialsRefused('unknown_key');
  }

  /**
   * A token in `Authorization` comes first; a key in its place is what supabase-js sends when nobody is signed in, and
   * the `apikey` header decides then. A legacy key is a token, wherever it stands.
   * Source: supabase/cli apps/cli-go/internal/start/start.go `BearerToken`.
   */
  function callerOf(
    authorization: string | undefined,
    apikey: string | undefined,
    service = '',
    address?: string,
  ): Caller | Promise<Caller> {
    const bearer = authorization === undefined ? undefined : bearerOf(authorization);
    if (options.keys === undefined) return bearer === undefined ? anonymous('nothing') : verify(bearer);
    if (bearer !== undefined && !isOpaqueKey(bearer)) {
      if (apikey === undefined || !isOpaqueKey(apikey)) return verify(bearer);
      // A key of ours that is wrong is refused even beside a good token: it is a mistake that would show up later otherwise.
      const { key } = callerOfKey(apikey, service, address);
      const caller = verify(bearer);
      return key === undefined ? caller : withKey(caller, key);
    }
    const key = apikey ?? bearer;
    if (key === undefined || key === '') {
      if (!options.anonymousWithoutKey()) throw new CredentialsRefused('missing');
      return anonymous('nothing');
    }
    return isOpaqueKey(key) ? callerOfKey(key, service, address) : verify(key);
  }

  return {
    callerOf,
    jwks: () => ({ keys: (options.tokenKeys()?.jwks.keys ?? []).filter(({ kty }) => kty !== 'oct') }),
    forget: tokens.forget,
  };
}

/** What a key is narrowed to holds for whoever signs in through it. */
function withKey(caller: Caller | Promise<Caller>, key: CallerKey): Caller | Promise<Caller> {
  const narrowed = (known: Caller): Caller => ({ ...known, key });
  return caller instanceof Promise ? caller.then(narrowed) : narrowed(caller);
}

function keyCaller(role: string): Caller {
  return { role, claims: JSON.stringify({ role }), subject: undefined, by: 'key' };
}

/** The token of `Bearer …`, in any case of the word; undefined for another scheme. Source: PostgREST 14 src/PostgREST/Auth.hs, RFC 6750 section 2.1. */
export function bearerOf(authorization: string): string | undefined {
  return (
    /^bearer(?: +(.*))?$/i.exec(authorization)?.[1]?.trim() ??
    (/^bearer *$/i.test(authorization) ? '' : undefined)
  );
}
