// In charge of: /factors: a user's second factors, enrolled, challenged, verified and given up. Source: supabase/auth internal/api/mfa.go.
import { record } from '../audit.ts';
import type { Answer, Visit } from '../context.ts';
import { failed, unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { challenge } from '../mfa/challenge.ts';
import { enroll } from '../mfa/enroll.ts';
import { deleteFactor } from '../mfa/factors.ts';
import { lowerSessions } from '../mfa/raise.ts';
import { verify } from '../mfa/verify.ts';
import { factorOfPath, isAal2, requireNamedUser } from '../mfa/who.ts';
import { tell } from '../notice.ts';
import { inTransaction } from '../transaction.ts';

export async function enrollFactor(visit: Visit): Promise<Answer> {
  return enroll(visit, await requireNamedUser(visit));
}

export async function challengeFactor(visit: Visit): Promise<Answer> {
  const signedIn = await requireNamedUser(visit);
  const factor = await factorOfPath(visit, signedIn.user.id);
  return challenge(visit, signedIn, factor);
}

export async function verifyFactor(visit: Visit): Promise<Answer> {
  const signedIn = await requireNamedUser(visit);
  const factor = await factorOfPath(visit, signedIn.user.id);
  return verify(visit, signedIn, factor);
}

/** @throws Fault 422 insufficient_aal */
export async function unenrollFactor(visit: Visit): Promise<Answer> {
  const { user, session } = await requireNamedUser(visit);
  const factor = await factorOfPath(visit, user.id);
  if (session === undefined) throw failed('A valid session and factor are required to unenroll a factor');
  if (factor.status === 'verified' && !isAal2(session))
    throw unprocessable('insufficient_aal', 'AAL2 required to unenroll verified factor');
  const { auth, request } = visit;
  await inTransaction(auth.mailDb, async (tx) => {
    await deleteFactor(tx, factor.id);
    const traits = { factor_id: factor.id, factor_status: factor.status, session_id: session.id };
    await record(tx, visit, user, 'factor_unenrolled', traits, request.address);
    await lowerSessions(tx, factor);
    await tell(tx, visit, user, {
      name: 'mfa_factor_unenrolled_notification',
      factorType: factor.factor_type,
    });
  });
  return json(200, { id: factor.id });
}
