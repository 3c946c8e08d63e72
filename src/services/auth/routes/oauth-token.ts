// In charge of: POST /oauth/token, a code or a refresh token for tokens, and POST /oauth/revoke, an addition by RFC 7009.
// Source: supabase/auth internal/api/oauthserver/handlers.go `OAuthToken`.
import { CredentialsRefused } from '../../../engine/identity/refused.ts';
import { record } from '../audit.ts';
import { isUuid } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { OAuthRefused } from '../errors.ts';
import { type JsonObject, json } from '../go-json.ts';
import { type Issued, signIn } from '../issue.ts';
import {
  type Authorization,
  deleteAuthorization,
  findByCode,
  isExpired,
  lockAuthorization,
  verifierComplaint,
} from '../oauth-server/authorizations.ts';
import { type AuthenticatedClient, authenticateClient } from '../oauth-server/client-auth.ts';
import { grantTypesOf } from '../oauth-server/clients.ts';
import { makeIdToken } from '../oauth-server/profile.ts';
import { parseScopes } from '../oauth-server/scopes.ts';
import { refresh, sessionOfRefreshToken } from '../refresh.ts';
import { endSession, findSession } from '../sessions.ts';
import { inTransaction, withTables } from '../transaction.ts';
import { isBanned } from '../user.ts';
import { findUserById } from '../users.ts';
import { requireOAuthServer } from './oauth-clients.ts';

export async function oauthToken(visit: Visit): Promise<Answer> {
  requireOAuthServer(visit);
  const asked = await authenticateClient(visit);
  const { grant_type: type } = asked.params;
  if (type === '') throw new OAuthRefused('invalid_request', 'grant_type is required');
  if (!grantTypesOf(asked.client).includes(type))
    throw new OAuthRefused('unsupported_grant_type', `Client is not allowed to use grant type: ${type}`);
  return type === 'authorization_code' ? byCode(visit, asked) : byRefreshToken(visit, asked);
}

const invalidGrant = (description: string) => new OAuthRefused('invalid_grant', description);

async function byCode(visit: Visit, { client, params }: AuthenticatedClient): Promise<Answer> {
  const { auth } = visit;
  if (params.code === '')
    throw new OAuthRefused('invalid_request', 'code is required for authorization_code grant');
  const authorization = await withTables(auth.db, (tx) => findByCode(tx, params.code));
  if (authorization === undefined) throw invalidGrant('Invalid authorization code');
  const complaint = codeComplaint(visit, authorization, { client, params });
  if (complaint !== undefined) throw invalidGrant(complaint);
  const { user_id: userId, scope } = authorization;
  if (userId === null) throw invalidGrant('Authorization code has no associated user');
  const user = await withTables(auth.db, (tx) => findUserById(tx, userId));
  if (user === undefined) throw invalidGrant('User not found for authorization code');
  if (isBanned(user, auth.now())) throw new OAuthRefused('access_denied', 'User is banned');
  const { issued, idToken } = await inTransaction(auth.patientDb, async (tx) => {
    // Before anything else, so that of many with one code one wins. It may have been withdrawn meanwhile.
    const taken = await lockAuthorization(tx, authorization.authorization_id);
    if (taken?.status !== 'approved') throw invalidGrant('Invalid authorization code');
    await deleteAuthorization(tx, taken);
    await record(tx, visit, user, 'login', { provider_type: method, client_id: client.id });
    const issued = await signIn(tx, visit, user, method, {
      application: { clientId: client.id, scopes: scope },
    });
    const hasIdToken = parseScopes(scope).includes('openid');
    return { issued, idToken: hasIdToken ? await makeIdToken(visit, issued.user, taken) : undefined };
  });
  return json(200, tokensJson(visit, issued, idToken), [...visit.headersOut, ...uncached]);
}

const method = 'oauth_provider/authorization_code';

function codeComplaint(
  { auth }: Visit,
  authorization: Authorization,
  { client, params }: AuthenticatedClient,
): string | undefined {
  if (isExpired(authorization, auth.now())) return 'Authorization code has expired';
  if (authorization.client_id !== client.id) return 'Authorization code was not issued for this client';
  if (params.resource !== '' && params.resource !== (authorization.resource ?? ''))
    return 'Authorization code resource does not match the resource parameter';
  if (params.redirect_uri !== '' && params.redirect_uri !== authorization.redirect_uri)
    return 'Invalid redirect_uri';
  const complaint = verifierComplaint(authorization, params.code_verifier);
  return complaint && `PKCE verification failed: ${complaint}`;
}

async function byRefreshToken(visit: Visit, { client, params }: AuthenticatedClient): Promise<Answer> {
  const { refresh_token: token } = params;
  if (token === '')
    throw new OAuthRefused('invalid_request', 'refresh_token is required for refresh_token grant');
  const issued = await refresh(visit, token, client.id);
  return json(200, tokensJson(visit, issued), [...visit.headersOut, ...uncached]);
}

/** By name, as Go writes a map; nothing of the user, who is asked about at userinfo. */
function tokensJson({ auth }: Visit, issued: Issued, idToken?: string): JsonObject {
  return {
    access_token: issued.accessToken,
    expires_in: issued.expiresAt - Math.floor(auth.now() / 1000),
    id_token: idToken,
    refresh_token: issued.refreshToken,
    token_type: 'bearer',
  };
}

/** Source: RFC 6749 section 5.1 demands it; upstream leaves it out. */
const uncached = [['cache-control', 'no-store']] as const;

/**
 * Ends the session that a token belongs to, when it is one of the application that asks: its refresh token is worth nothing from then on, and its
 * access token opens nothing of the auth API. Whatever else the text may be, the answer is the same (RFC 7009 section 2.2), and tells nothing.
 */
export async function revokeToken(visit: Visit): Promise<Answer> {
  requireOAuthServer(visit);
  const { client, params } = await authenticateClient(visit);
  if (params.token === '') throw new OAuthRefused('invalid_request', 'token is required');
  const sessionId = await sessionOfToken(visit, params.token);
  if (sessionId !== undefined)
    await inTransaction(visit.auth.db, async (tx) => {
      const session = await findSession(tx, sessionId);
      if (session?.oauth_client_id !== client.id) return;
      const user = await findUserById(tx, session.user_id);
      if (user === undefined) return;
      await record(tx, visit, user, 'token_revoked', { oauth_client_id: client.id, action: 'revoke_token' });
      await endSession(tx, session.id);
    });
  return { status: 200, headers: uncached, body: null };
}

async function sessionOfToken(visit: Visit, token: string): Promise<string | undefined> {
  const kept = await withTables(visit.auth.db, (tx) => sessionOfRefreshToken(tx, visit, token));
  if (kept !== undefined) return kept;
  try {
    const { claims, by } = await visit.auth.identity.callerOf(`Bearer ${token}`, undefined, 'auth');
    // Sound: the gateway's own reading of a JSON object.
    const { session_id: id } = JSON.parse(claims) as JsonObject;
    return by === 'token' && typeof id === 'string' && isUuid(id) ? id : undefined;
  } catch (error) {
    if (error instanceof CredentialsRefused) return undefined;
    throw error;
  }
}
