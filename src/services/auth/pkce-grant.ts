// In charge of: the code of a PKCE sign-in for a session, for whoever has its verifier. Source: supabase/auth internal/api/token.go `PKCE`.
import { record } from './audit.ts';
import type { Answer, Visit } from './context.ts';
import { badRequest, notFound, unprocessable } from './errors.ts';
import { findFlowState, fitsVerifier, flowStateSeconds, takeFlowState } from './flow-state.ts';
import { json } from './go-json.ts';
import { issuedJson, signIn } from './issue.ts';
import { readParams } from './request.ts';
import { sessionEndOf } from './saml/flow-rows.ts';
import { inTransaction, withTables } from './transaction.ts';
import { timeMs } from './user.ts';
import { findUserById } from './users.ts';

const noFlow = () => notFound('flow_state_not_found', 'invalid flow state, no valid flow state found');

export async function byPkce(visit: Visit): Promise<Answer> {
  const { auth, request } = visit;
  const { auth_code: code, code_verifier: verifier } = await readParams(request, 'PKCEGrantParams', {
    auth_code: 'text',
    code_verifier: 'text',
  });
  if (code === '' || verifier === '')
    throw badRequest(
      'validation_failed',
      'invalid request: both auth code and code verifier should be non-empty',
    );
  const flow = await withTables(auth.db, (tx) => findFlowState(tx, code));
  if (flow?.user_id == null) throw noFlow();
  const userId = flow.user_id;
  const isFromLink = flow.authentication_method === 'magiclink' && flow.auth_code_issued_at !== null;
  const sinceMs = timeMs((isFromLink && flow.auth_code_issued_at) || flow.created_at);
  if (auth.now() > sinceMs + flowStateSeconds * 1000)
    throw unprocessable('flow_state_expired', 'invalid flow state, flow state has expired');
  if (!fitsVerifier(flow, verifier))
    throw badRequest('bad_code_verifier', 'code challenge does not match previously saved code verifier');
  const issued = await inTransaction(auth.patientDb, async (tx) => {
    // Before anything else, so that of many with one code one wins.
    if (!(await takeFlowState(tx, flow.id))) throw noFlow();
    const user = await findUserById(tx, userId);
    if (user === undefined) throw noFlow();
    await record(tx, visit, user, 'login', { provider_type: flow.provider_type });
    return signIn(tx, visit, user, flow.authentication_method, { notAfter: sessionEndOf(flow) });
  });
  const provider = {
    provider_token: flow.provider_access_token || undefined,
    provider_refresh_token: flow.provider_refresh_token || undefined,
  };
  return json(200, { ...issuedJson(issued, auth.now()), ...provider }, visit.headersOut);
}
