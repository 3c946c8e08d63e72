// In charge of: a session that has shown a second factor: it becomes aal2, with tokens of its own, and what the user has at less ends.
// Source: supabase/auth internal/api/token.go `updateMFASessionAndClaims`, internal/models/sessions.go.
import { makeAccessToken } from '../access-tokens.ts';
import { record } from '../audit.ts';
import type { Visit } from '../context.ts';
import { failed, forbidden } from '../errors.ts';
import type { Issued } from '../issue.ts';
import { insertToken } from '../refresh-tokens.ts';
import { setKey } from '../session-key.ts';
import { type AuthenticationMethod, addMethod, findSession, lockSession, type Session } from '../sessions.ts';
import type { Tx } from '../transaction.ts';
import { reload } from '../users.ts';
import { busy } from './factors.ts';
import { forgetIdleCodes } from './recovery-codes.ts';

/** Takes the lock of the session that asks, before anything is written. */
export async function lockOwn(tx: Tx, session: Session | undefined): Promise<Session | typeof busy> {
  // As upstream: a token without a session can show a factor and gets nothing for it.
  if (session === undefined) throw failed('Cannot read SessionId claim as UUID');
  if (await lockSession(tx, session.id)) return session;
  if (await findSession(tx, session.id)) return busy;
  throw forbidden('session_not_found', 'Session from session_id claim in JWT does not exist');
}

/** `factorId` is undefined for what is no factor: a recovery code. The session is locked already. */
export async function raiseSession(
  tx: Tx,
  visit: Visit,
  session: Session,
  method: AuthenticationMethod,
  factorId: string | undefined,
): Promise<Issued> {
  const { auth } = visit;
  const nowMs = auth.now();
  const user = await reload(tx, session.user_id);
  await addMethod(tx, session.id, method, nowMs);
  await record(tx, visit, user, 'token_revoked');
  // Every refresh token from before is gone, not merely revoked: within the reuse interval, whoever has an old one would be given the new
  // assurance by it. So is the key of signed ones: upstream counts on by two there, which the interval still lets through.
  await tx.query('delete from auth.refresh_tokens where session_id = $1', [session.id]);
  const refreshToken =
    session.refresh_token_hmac_key === null
      ? await insertToken(tx, { userId: user.id, sessionId: session.id, parent: undefined }, nowMs)
      : await setKey(tx, session);
  await tx.query(
    `update auth.sessions set aal = 'aal2', factor_id = coalesce($2, factor_id), updated_at = $3 where id = $1`,
    [session.id, factorId ?? null, new Date(nowMs).toISOString()],
  );
  await tx.query(`delete from auth.sessions where user_id = $1 and aal < 'aal2'`, [user.id]);
  const raised = await findSession(tx, session.id);
  if (raised === undefined) throw new Error(`session ${session.id} is gone`);
  const { token, expiresAt } = await makeAccessToken(tx, visit, user, raised, method);
  return { accessToken: token, expiresAt, refreshToken, user };
}

/** What sessions have by a factor that goes. Source: supabase/auth internal/models/factor.go `DowngradeSessionsToAAL1`. */
export async function lowerSessions(
  tx: Tx,
  factor: { readonly id: string; readonly user_id: string; readonly factor_type: string },
): Promise<void> {
  await tx.query(
    `delete from auth.mfa_amr_claims c using auth.sessions s
     where c.session_id = s.id and s.factor_id = $1 and c.authentication_method = $2`,
    [factor.id, methodOfFactor[factor.factor_type as keyof typeof methodOfFactor]],
  );
  await tx.query(
    `update auth.sessions set aal = 'aal1', factor_id = null where user_id = $1 and factor_id = $2`,
    [factor.user_id, factor.id],
  );
  await forgetIdleCodes(tx, factor.user_id);
}

export const methodOfFactor = { totp: 'totp', phone: 'mfa/phone', webauthn: 'mfa/webauthn' } as const;
