// In charge of: what a user has allowed applications, seen and withdrawn (/user/oauth/grants), and what an application sees of them
// (GET /oauth/userinfo). Source: supabase/auth internal/api/oauthserver/handlers.go.
import { record } from '../audit.ts';
import { isUuid, requireUser, requireUserOrApplication } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, notFound } from '../errors.ts';
import { goTime, json } from '../go-json.ts';
import { clientDetails, findClient } from '../oauth-server/clients.ts';
import { listConsents, revokeConsent } from '../oauth-server/consents.ts';
import { userInfoOf } from '../oauth-server/profile.ts';
import { parseScopes } from '../oauth-server/scopes.ts';
import { queryOf } from '../request.ts';
import { inTransaction, withTables } from '../transaction.ts';
import { requireOAuthServer } from './oauth-clients.ts';

/** Older ones beyond these are not listed. */
const maxListed = 1000;

export async function listGrants(visit: Visit): Promise<Answer> {
  const { user } = await requireUser(visit);
  requireOAuthServer(visit);
  const grants = await withTables(visit.auth.db, async (tx) => {
    const all = [];
    for (const consent of await listConsents(tx, user.id, maxListed)) {
      const client = await findClient(tx, consent.client_id);
      // Deleted meanwhile.
      if (client === undefined) continue;
      all.push({
        client: clientDetails(client),
        scopes: parseScopes(consent.scopes),
        granted_at: goTime(consent.granted_at),
      });
    }
    return all;
  });
  return json(200, grants);
}

export async function revokeGrant(visit: Visit): Promise<Answer> {
  const { user } = await requireUser(visit);
  requireOAuthServer(visit);
  const { auth } = visit;
  const clientId = queryOf(visit, 'client_id');
  if (clientId === '') throw badRequest('validation_failed', 'client_id query parameter is required');
  if (!isUuid(clientId)) throw badRequest('validation_failed', 'invalid client_id format');
  await inTransaction(auth.db, async (tx) => {
    if (!(await revokeConsent(tx, user.id, clientId, auth.now())))
      throw notFound('oauth_consent_not_found', 'No active grant found for this client');
    await record(tx, visit, user, 'token_revoked', {
      oauth_client_id: clientId,
      action: 'revoke_oauth_grant',
    });
  });
  return { status: 204, headers: [], body: null };
}

export async function userInfo(visit: Visit): Promise<Answer> {
  requireOAuthServer(visit);
  const { user, session } = await requireUserOrApplication(visit);
  return json(200, userInfoOf(user, session?.scopes ?? ''));
}
