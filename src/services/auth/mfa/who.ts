// In charge of: who asks about second factors, and about which. Source: supabase/auth internal/api/{api,auth,admin}.go `requireNotAnonymous`,
// `loadFactor`.
import { isUuid, requireUser, type SignedIn } from '../authenticate.ts';
import type { Visit } from '../context.ts';
import { forbidden, notFound } from '../errors.ts';
import { orFailure } from '../new-user.ts';
import type { Session } from '../sessions.ts';
import { withTables } from '../transaction.ts';
import { hasVerifiedFactor } from '../user.ts';
import { findFactor, type StoredFactor } from './factors.ts';

/** @throws Fault 403 no_authorization for who signed in without a name */
export async function requireNamedUser(visit: Visit): Promise<SignedIn> {
  const signedIn = await requireUser(visit);
  if (signedIn.claims.is_anonymous === true)
    throw forbidden('no_authorization', 'Anonymous user not allowed to perform these actions');
  return signedIn;
}

/** The factor that the path names, which is the user's. @throws Fault 404 validation_failed, mfa_factor_not_found */
export async function factorOfPath({ auth, params }: Visit, userId: string): Promise<StoredFactor> {
  const { factor_id: id = '' } = params;
  if (!isUuid(id)) throw notFound('validation_failed', 'factor_id must be an UUID');
  const factor = await orFailure('Database error loading factor', () =>
    withTables(auth.db, (tx) => findFactor(tx, userId, id)),
  );
  if (factor === undefined) throw notFound('mfa_factor_not_found', 'Factor not found');
  return factor;
}

/** Who has a second factor shows it before ways to sign in change. Upstream asks at passkeys alone. @throws Fault 403 insufficient_aal */
export function refuseWithoutFactor({ user, session }: SignedIn): void {
  if (hasVerifiedFactor(user) && !isAal2(session))
    throw forbidden('insufficient_aal', 'AAL2 session is required to change identities when MFA is enabled');
}

export const isAal2 = (session: Session | undefined): boolean => session?.aal === 'aal2';
