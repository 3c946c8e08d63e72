// In charge of: a challenge that can be answered, and what follows when it was answered well: it is used up, the factor counts, the session is aal2.
// Source: supabase/auth internal/api/mfa.go `validateChallenge`, and what its `verify…Factor` have in common.
import { record } from '../audit.ts';
import type { SignedIn } from '../authenticate.ts';
import type { Visit } from '../context.ts';
import { forbidden, unprocessable } from '../errors.ts';
import type { Issued } from '../issue.ts';
import { orFailure } from '../new-user.ts';
import { tell } from '../notice.ts';
import { type Tx, withTables } from '../transaction.ts';
import { hasVerifiedFactor, timeMs } from '../user.ts';
import { findUserById } from '../users.ts';
import {
  busy,
  type Challenge,
  deleteChallenge,
  deleteUnverifiedFactors,
  findChallenge,
  lockRow,
  type StoredFactor,
  setVerified,
  takeChallenge,
  untilFree,
} from './factors.ts';
import { lockOwn, methodOfFactor, raiseSession } from './raise.ts';
import { isAal2 } from './who.ts';

const mismatch = () =>
  unprocessable('mfa_ip_address_mismatch', 'Challenge and verify IP addresses mismatch.');

/** The challenge, if it can be answered now and from here. One that was answered already is told as one from another address, as upstream. */
export async function openChallenge(
  { auth, config, request }: Visit,
  factor: StoredFactor,
  id: string,
): Promise<Challenge> {
  return withTables(auth.db, async (tx) => {
    const challenge = await orFailure('Database error finding Challenge', () =>
      findChallenge(tx, id, factor.id, request.address),
    );
    if (challenge === undefined)
      throw unprocessable('mfa_factor_not_found', 'MFA factor with the provided challenge ID not found');
    if (challenge.verified_at !== null || !challenge.same_address) throw mismatch();
    if (auth.now() > timeMs(challenge.created_at) + config.mfaChallengeSeconds * 1000) {
      await orFailure('Database error deleting challenge', () => deleteChallenge(tx, challenge.id));
      throw unprocessable(
        'mfa_challenge_expired',
        `MFA challenge ${challenge.id} has expired, verify against another challenge or create a new challenge.`,
      );
    }
    return challenge;
  });
}

/** `more` is what the kind of factor keeps of it, with challenge, factor and session locked. */
export async function accept(
  visit: Visit,
  { user, session }: SignedIn,
  factor: StoredFactor,
  challenge: Challenge,
  more: (tx: Tx) => Promise<void> = async () => {},
): Promise<Issued> {
  const { auth, request } = visit;
  return untilFree(visit, async (tx) => {
    if (!(await lockRow(tx, 'mfa_factors', factor.id))) {
      // Whoever has the lock takes the challenge, or lets go of both.
      const still = await findChallenge(tx, challenge.id, factor.id, request.address);
      if (still === undefined || still.verified_at !== null) throw mismatch();
      return busy;
    }
    const locked = await lockOwn(tx, session);
    if (locked === busy) return busy;
    const nowMs = auth.now();
    if (!(await takeChallenge(tx, challenge.id, nowMs))) throw mismatch();
    const current = await findUserById(tx, user.id);
    if (current === undefined) throw forbidden('user_not_found', 'User from sub claim in JWT does not exist');
    const isNew = !current.factors.some(({ id, status }) => id === factor.id && status === 'verified');
    // Else a factor that somebody with the password prepared before the user had one of their own would be a way around it.
    if (isNew && hasVerifiedFactor(current) && !isAal2(locked))
      throw forbidden('insufficient_aal', 'AAL2 required to enroll a new factor');
    const traits = { factor_id: factor.id, challenge_id: challenge.id, factor_type: factor.factor_type };
    await record(tx, visit, user, 'verification_attempted', traits, request.address);
    await more(tx);
    if (isNew) await setVerified(tx, factor.id, nowMs);
    await deleteUnverifiedFactors(tx, user.id, factor.factor_type);
    const issued = await raiseSession(tx, visit, locked, methodOfFactor[factor.factor_type], factor.id);
    if (isNew)
      await tell(tx, visit, issued.user, {
        name: 'mfa_factor_enrolled_notification',
        factorType: factor.factor_type,
      });
    return issued;
  });
}
