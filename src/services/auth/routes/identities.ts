// In charge of: GET /user/identities/authorize and DELETE /user/identities/:identity_id: a user's ways to sign in, one more or one less.
// Source: supabase/auth internal/api/identity.go `LinkIdentity`, `DeleteIdentity`.
import { audienceOf, firstAudience, isUuid, requireUser, type SignedIn } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { forbidden, notFound } from '../errors.ts';
import { json } from '../go-json.ts';
import { refuseWithoutFactor } from '../mfa/who.ts';
import { beginSignIn } from '../oauth/begin.ts';
import { unlinkIdentity } from '../oauth/link.ts';
import { found } from '../redirect-answer.ts';
import { queryOf } from '../request.ts';
import { inTransaction } from '../transaction.ts';

/** @throws Fault 404 manual_linking_disabled */
async function requireLinker(visit: Visit): Promise<SignedIn> {
  const signedIn = await requireUser(visit);
  if (!visit.config.enableManualLinking)
    throw notFound('manual_linking_disabled', 'Manual linking is disabled');
  // An identity that goes can take the address along, and one that comes brings one: what PUT /user asks aal2 for.
  refuseWithoutFactor(signedIn);
  return signedIn;
}

export async function authorizeLinking(visit: Visit): Promise<Answer> {
  const { user } = await requireLinker(visit);
  const { url } = await beginSignIn(visit, user);
  // The client asks with its token in a header, which a browser does not send along when it goes somewhere.
  return queryOf(visit, 'skip_http_redirect') === 'true' ? json(200, { url }) : found(url);
}

export async function deleteIdentity(visit: Visit): Promise<Answer> {
  const { user, claims } = await requireLinker(visit);
  const id = visit.params.identity_id ?? '';
  if (!isUuid(id)) throw notFound('validation_failed', 'identity_id must be an UUID');
  const audience = firstAudience(claims);
  if (audience === '' || audience !== audienceOf(visit, claims))
    throw forbidden('unexpected_audience', "Token audience doesn't match request audience");
  await inTransaction(visit.auth.mailDb, (tx) => unlinkIdentity(tx, visit, user.id, id));
  return json(200, {});
}
