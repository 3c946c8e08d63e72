// In charge of: the address at the provider where a sign-in goes on, and what is kept of it until the browser is back.
// Source: supabase/auth internal/api/external.go `GetExternalProviderRedirectURL`; golang.org/x/oauth2 `AuthCodeURL`.
import { createHash } from 'node:crypto';
import type { Headers, Visit } from '../context.ts';
import { badRequest, type ErrorCode, failed, notFound } from '../errors.ts';
import { checkChallenge } from '../flow-state.ts';
import { redirectOf } from '../redirect.ts';
import { queryOf } from '../request.ts';
import { inTransaction, withTables } from '../transaction.ts';
import type { User } from '../user.ts';
import { homeMark, markBrowser } from './browser.ts';
import { findInvited } from './link.ts';
import { type Provider, UnsupportedProvider } from './provider.ts';
import { findProvider } from './providers/find.ts';
import { insertFlow, makeVerifier } from './state.ts';

/**
 * What nobody but this server says to a provider: another `redirect_uri` or `state` would hand the code to somebody else (CWE-601, CWE-352).
 * A `nonce` is the client's to say. Source: supabase/auth internal/api/custom_oauth_admin.go `reservedOAuthParams`.
 */
const reserved: ReadonlySet<string> = new Set([
  'client_id',
  'client_secret',
  'redirect_uri',
  'response_type',
  'state',
  'code_challenge',
  'code_challenge_method',
  'code_verifier',
  homeMark,
]);

/** Where a browser goes on, and what it is given on the way. */
export interface Begun {
  readonly url: string;
  readonly headers: Headers;
}

/** @throws Fault 400 validation_failed, 404 user_not_found for an invitation that is none */
export async function beginSignIn(visit: Visit, linkingTarget?: User): Promise<Begun> {
  const { auth, query } = visit;
  const name = queryOf(visit, 'provider');
  const provider = await supported(visit, name, queryOf(visit, 'scopes'), 'validation_failed');
  // Linking by hand begins with a `fetch` of the client library, which keeps no cookie.
  const browser = linkingTarget === undefined ? markBrowser(visit, provider.redirectUri) : undefined;
  if (browser?.kind === 'elsewhere') return { url: browser.home, headers: [] };
  const inviteToken = queryOf(visit, 'invite_token');
  // The answer tells whether there is such a code, as /verify does.
  if (inviteToken !== '') await auth.limits.takeRequest(visit, 'verify');
  if (inviteToken !== '' && !(await withTables(auth.db, (tx) => findInvited(tx, visit, inviteToken))))
    throw notFound('user_not_found', 'User identified by token not found');
  const redirectTo = redirectOf(visit);
  const challenge = {
    code_challenge: queryOf(visit, 'code_challenge'),
    code_challenge_method: queryOf(visit, 'code_challenge_method'),
  };
  checkChallenge(challenge);
  const verifier = provider.pkce ? makeVerifier() : undefined;
  const flow = {
    provider: provider.name,
    challenge,
    inviteToken,
    redirectTo,
    linkingTargetId: linkingTarget?.id,
    emailOptional: provider.emailOptional,
    verifier,
    mark: browser?.mark,
  };
  const state = await inTransaction(auth.db, (tx) => insertFlow(tx, flow, auth.now()));
  const headers = browser?.headers ?? [];
  if (provider.oauth1 === undefined) return { url: authorizeUrl(provider, state, verifier, query), headers };
  try {
    return { url: await provider.oauth1.begin(state), headers };
  } catch (error) {
    // Upstream sends the browser nowhere (an empty address).
    throw failed('Unable to retrieve request token', error);
  }
}

function authorizeUrl(
  provider: Provider,
  state: string,
  verifier: string | undefined,
  query: URLSearchParams,
): string {
  const url = new URL(provider.authorizeUrl);
  const params = url.searchParams;
  params.set('response_type', 'code');
  params.set('client_id', provider.clientId);
  params.set('redirect_uri', provider.redirectUri);
  if (provider.scope !== '') params.set('scope', provider.scope);
  for (const key of new Set(query.keys())) {
    if (key === 'scopes' || key === 'provider' || reserved.has(key.toLowerCase())) continue;
    // Source: https://workos.com/docs/reference/sso/authorize/get
    params.set(key === 'workos_provider' ? 'provider' : key, query.get(key) ?? '');
  }
  for (const [key, value] of Object.entries(provider.authorizeParams)) params.set(key, value);
  params.set('state', state);
  if (verifier !== undefined) {
    params.set('code_challenge', createHash('sha256').update(verifier).digest('base64url'));
    params.set('code_challenge_method', 'S256');
  }
  params.sort();
  return url.href;
}

/** @throws Fault 400 with the code that the caller's place has for it */
export async function supported(
  visit: Visit,
  name: string,
  scopes: string,
  code: ErrorCode,
): Promise<Provider> {
  try {
    return await findProvider(visit, name, scopes);
  } catch (error) {
    if (!(error instanceof UnsupportedProvider)) throw error;
    throw badRequest(code, `Unsupported provider: ${error.message}`, error);
  }
}
