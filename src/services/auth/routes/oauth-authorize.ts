// In charge of: an application's question and a user's answer: GET /oauth/authorize, which sends the browser to the site's page for consent, and
// what that page asks: GET /oauth/authorizations/:id and POST …/consent. Source: supabase/auth internal/api/oauthserver/authorize.go.
import { Fault } from '../../../base/errors.ts';
import { DatabaseUnavailable } from '../../../engine/db/db.ts';
import { isUuid, requireUser, type SignedIn } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, notFound } from '../errors.ts';
import { json } from '../go-json.ts';
import {
  type Authorization,
  approve,
  cleanAuthorizations,
  insertAuthorization,
  isExpired,
  lockAuthorization,
  setStatus,
  setUser,
} from '../oauth-server/authorizations.ts';
import { clientDetails, findClient, redirectUrisOf } from '../oauth-server/clients.ts';
import { findConsent, keepConsent } from '../oauth-server/consents.ts';
import { withQuery } from '../oauth-server/redirect-uri.ts';
import { coversScopes, parseScopes, unknownScope } from '../oauth-server/scopes.ts';
import { isAllowed } from '../redirect.ts';
import { queryOf, readParams } from '../request.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import { requireOAuthServer } from './oauth-clients.ts';

const minChallenge = 43;
const maxChallenge = 128;

/** Until the address is known to be the application's, a mistake is told here and nobody is sent anywhere (RFC 9700 section 4.11). */
export async function authorizeClient(visit: Visit): Promise<Answer> {
  requireOAuthServer(visit);
  const { auth, config } = visit;
  const [clientId, redirectUri] = [queryOf(visit, 'client_id'), queryOf(visit, 'redirect_uri')];
  if (clientId === '') throw badRequest('validation_failed', 'client_id is required');
  if (redirectUri === '') throw badRequest('validation_failed', 'redirect_uri is required');
  if (!isUuid(clientId)) throw badRequest('oauth_client_not_found', 'invalid client_id format');
  const client = await withTables(auth.db, (tx) => findClient(tx, clientId));
  if (client === undefined) throw badRequest('oauth_client_not_found', 'invalid client_id');
  // To the letter, ports of this machine included, as upstream: RFC 8252 would let those vary.
  if (!redirectUrisOf(client).includes(redirectUri))
    throw badRequest('validation_failed', 'invalid redirect_uri');
  const back = (facts: Readonly<Record<string, string>>) =>
    found(withQuery(redirectUri, { ...facts, state: queryOf(visit, 'state') }));
  const complaint = requestComplaint(visit);
  if (complaint !== undefined) return back({ error: 'invalid_request', error_description: complaint });
  const serverError = (description: string) =>
    back({ error: 'server_error', error_description: description });
  let name: string;
  try {
    name = await withTables(auth.db, async (tx) => {
      await cleanAuthorizations(tx, auth.now());
      return insertAuthorization(tx, askedOf(visit, clientId, redirectUri), auth.now());
    });
  } catch (error) {
    if (error instanceof DatabaseUnavailable) throw error;
    return serverError('error creating authorization');
  }
  if (config.oauthServerPath === '') return serverError('oauth authorization path not configured');
  return found(`${consentPage(config.siteUrl, config.oauthServerPath)}?authorization_id=${name}`);
}

const scopeOf = (visit: Visit) => queryOf(visit, 'scope') || visit.config.oauthServerScope;

function askedOf(visit: Visit, clientId: string, redirectUri: string) {
  return {
    clientId,
    redirectUri,
    scope: scopeOf(visit),
    state: queryOf(visit, 'state'),
    resource: queryOf(visit, 'resource'),
    codeChallenge: queryOf(visit, 'code_challenge'),
    codeChallengeMethod: queryOf(visit, 'code_challenge_method'),
    nonce: queryOf(visit, 'nonce'),
    ttlSeconds: visit.config.oauthServerTtlSeconds,
  };
}

function requestComplaint(visit: Visit): string | undefined {
  const type = queryOf(visit, 'response_type');
  if (type !== '' && type !== 'code') return 'only response_type=code is supported';
  const scope = scopeOf(visit);
  if (scope === '') return 'scope parameter is required';
  const scopes = parseScopes(scope);
  if (scopes.length === 0) return 'scope parameter cannot be empty';
  const unknown = unknownScope(scopes);
  if (unknown !== undefined) return `unsupported scope: ${unknown}`;
  return (
    resourceComplaint(queryOf(visit, 'resource')) ??
    challengeComplaint(queryOf(visit, 'code_challenge'), queryOf(visit, 'code_challenge_method'))
  );
}

/** Source: RFC 8707 section 2. */
function resourceComplaint(resource: string): string | undefined {
  if (resource === '') return undefined;
  if (/\p{Cc}/u.test(resource)) return 'resource must be a valid URI';
  const [, rest] = /^[a-z][a-z0-9+.-]*:(.*)$/is.exec(resource) ?? [];
  if (rest === undefined) return 'resource must be an absolute URI';
  const [before = '', fragment = ''] = rest.split('#', 2);
  if (fragment !== '') return 'resource must not include a fragment component';
  return /\?./s.test(before) ? 'resource must not include a query component' : undefined;
}

/** OAuth 2.1 has no code without PKCE. */
function challengeComplaint(challenge: string, method: string): string | undefined {
  if (challenge === '' || method === '')
    return 'PKCE flow requires both code_challenge and code_challenge_method';
  if (!/^(?:s256|plain)$/i.test(method)) return "code_challenge_method must be 'S256' or 'plain'";
  const bytes = Buffer.byteLength(challenge);
  return bytes < minChallenge || bytes > maxChallenge
    ? `code_challenge must be between ${minChallenge} and ${maxChallenge} characters`
    : undefined;
}

const consentPage = (siteUrl: string, path: string) =>
  siteUrl.replace(/\/+$/, '') + (path.startsWith('/') ? path : `/${path}`);

const found = (location: string): Answer => ({ status: 302, headers: [['location', location]], body: null });

/** What the page for consent shows; or at once where to send the browser, when the user has said yes to as much before. */
export async function getAuthorization(visit: Visit): Promise<Answer> {
  const { user } = await requireConsentingUser(visit);
  const { auth, params } = visit;
  const outcome = await inTransaction(auth.db, async (tx) => {
    const authorization = await open(tx, visit);
    if (authorization instanceof Fault) return authorization;
    if (authorization.status !== 'pending')
      throw badRequest('validation_failed', 'authorization request cannot be processed');
    if (authorization.user_id !== null) {
      if (authorization.user_id !== user.id) throw gone();
      return { authorization, redirectUrl: undefined };
    }
    await setUser(tx, authorization, user.id);
    const consent = await findConsent(tx, user.id, authorization.client_id);
    const isCovered =
      consent !== undefined && coversScopes(parseScopes(consent.scopes), parseScopes(authorization.scope));
    if (!isCovered) return { authorization, redirectUrl: undefined };
    const code = await approve(tx, authorization, auth.now());
    return { authorization, redirectUrl: withCode(authorization, code) };
  });
  if (outcome instanceof Fault) throw outcome;
  const { authorization, redirectUrl } = outcome;
  if (redirectUrl !== undefined) return json(200, { redirect_url: redirectUrl });
  const client = await withTables(auth.db, (tx) => findClient(tx, authorization.client_id));
  if (client === undefined) throw gone();
  return json(200, {
    authorization_id: params.authorization_id,
    redirect_uri: authorization.redirect_uri,
    client: clientDetails(client),
    user: { id: user.id, email: user.email || undefined },
    scope: authorization.scope,
  });
}

export async function consent(visit: Visit): Promise<Answer> {
  const { user } = await requireConsentingUser(visit);
  const { auth, request } = visit;
  const { action } = await readParams(request, '', { action: 'text' }, 'first_value').catch(
    (error: unknown) => {
      if (error instanceof Fault && error.code === 'bad_json')
        throw badRequest('bad_json', 'invalid JSON body', error);
      throw error;
    },
  );
  if (action !== 'approve' && action !== 'deny')
    throw badRequest('validation_failed', "action must be 'approve' or 'deny'");
  const outcome = await inTransaction(auth.db, async (tx) => {
    const authorization = await open(tx, visit);
    if (authorization instanceof Fault) return authorization;
    if (authorization.status !== 'pending')
      throw badRequest('validation_failed', 'authorization request is no longer pending');
    if (authorization.user_id !== user.id) throw gone();
    if (action === 'deny') {
      await setStatus(tx, authorization, 'denied');
      return withQuery(authorization.redirect_uri, {
        error: 'access_denied',
        error_description: 'User denied the request',
        state: authorization.state ?? '',
      });
    }
    const code = await approve(tx, authorization, auth.now());
    const { client_id: clientId, scope } = authorization;
    await keepConsent(tx, { userId: user.id, clientId, scopes: parseScopes(scope) }, auth.now());
    return withCode(authorization, code);
  });
  if (outcome instanceof Fault) throw outcome;
  return json(200, { redirect_url: outcome });
}

const withCode = ({ redirect_uri, state }: Authorization, code: string) =>
  withQuery(redirect_uri, { code, state: state ?? '' });

const gone = () => notFound('oauth_authorization_not_found', 'authorization not found');

/**
 * The question that the path names, locked. A Fault is to be thrown once what was written is kept.
 * @throws Fault 404 oauth_authorization_not_found, also for one that somebody else is at
 */
async function open(tx: Tx, { auth, params }: Visit): Promise<Authorization | Fault> {
  const authorization = await lockAuthorization(tx, params.authorization_id ?? '');
  if (authorization === undefined) throw gone();
  if (!isExpired(authorization, auth.now())) return authorization;
  if (authorization.status === 'pending') await setStatus(tx, authorization, 'expired');
  return gone();
}

/**
 * A user at a page of the project's own. `requireUser` lets no application's token through: with it one application could say yes to
 * another, or to more for itself, which upstream does not look at (CWE-441).
 */
async function requireConsentingUser(visit: Visit): Promise<SignedIn> {
  requireOAuthServer(visit);
  const signedIn = await requireUser(visit);
  const { origin = '' } = visit.request.headers;
  if (origin !== '' && !isAllowed(visit, origin))
    throw badRequest('validation_failed', 'unauthorized request origin');
  return signedIn;
}
