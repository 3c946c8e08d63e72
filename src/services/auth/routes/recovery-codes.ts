// In charge of: /factors/recovery-codes: made, counted and used in place of a second factor. An addition: upstream has none. docs/mfa.md
import { record } from '../audit.ts';
import type { SignedIn } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, forbidden, unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { issuedJson } from '../issue.ts';
import { busy, lockRow, untilFree } from '../mfa/factors.ts';
import { lockOwn, raiseSession } from '../mfa/raise.ts';
import { codesPerUser, countCodes, deleteCode, lockCode, replaceCodes } from '../mfa/recovery-codes.ts';
import { isAal2, requireNamedUser } from '../mfa/who.ts';
import { readParams } from '../request.ts';
import { withTables } from '../transaction.ts';
import { hasVerifiedFactor } from '../user.ts';

/** `GET /factors/recovery-codes`: how many are left. */
export async function countRecoveryCodes(visit: Visit): Promise<Answer> {
  const { user } = await requireNamedUser(visit);
  return json(200, { remaining: await withTables(visit.auth.db, (tx) => countCodes(tx, user.id)) });
}

/** `POST /factors/recovery-codes`: new ones in place of the old. @throws Fault 403 insufficient_aal, 422 mfa_factor_not_found */
export async function makeRecoveryCodes(visit: Visit): Promise<Answer> {
  const signedIn = await requireHolder(visit);
  const { auth, request } = visit;
  const { user, session } = signedIn;
  if (!isAal2(session)) throw forbidden('insufficient_aal', 'AAL2 required to make recovery codes');
  const codes = await untilFree(visit, async (tx) => {
    if (!(await lockRow(tx, 'users', user.id))) return busy;
    await record(tx, visit, user, 'factor_updated', { recovery_codes: codesPerUser }, request.address);
    return replaceCodes(tx, user.id, auth.now());
  });
  return json(200, { codes });
}

/** `POST /factors/recovery-codes/verify`: the session becomes aal2, as by a factor. @throws Fault 422 mfa_verification_failed */
export async function verifyRecoveryCode(visit: Visit): Promise<Answer> {
  const { user, session } = await requireHolder(visit);
  const { auth, request } = visit;
  const { code } = await readParams(request, 'RecoveryCodeParams', { code: 'text' });
  if (code === '') throw badRequest('validation_failed', 'Code needs to be non-empty');
  const account = `recovery codes ${user.id}`;
  auth.limits.refuseAfterFailures(account);
  const issued = await untilFree(visit, async (tx) => {
    if (!(await lockCode(tx, user.id, code))) return undefined;
    const locked = await lockOwn(tx, session);
    if (locked === busy) return busy;
    await deleteCode(tx, user.id, code);
    await record(
      tx,
      visit,
      user,
      'verification_attempted',
      { factor_type: 'recovery_code' },
      request.address,
    );
    return raiseSession(tx, visit, locked, 'mfa/recovery_code', undefined);
  });
  if (issued === undefined) {
    await auth.limits.countFailure(account);
    throw unprocessable('mfa_verification_failed', 'Invalid recovery code entered');
  }
  return json(200, issuedJson(issued, auth.now()));
}

async function requireHolder(visit: Visit): Promise<SignedIn> {
  const signedIn = await requireNamedUser(visit);
  if (!hasVerifiedFactor(signedIn.user))
    throw unprocessable('mfa_factor_not_found', 'Recovery codes are for users with a verified factor');
  return signedIn;
}
