// In charge of: the hook that hears of each password that is tried for a user, right or wrong, and may refuse it.
// Source: supabase/auth internal/api/token.go `ResourceOwnerPasswordGrant`.
import type { Visit } from '../context.ts';
import { badRequest } from '../errors.ts';
import { endSessions } from '../sessions.ts';
import { inTransaction } from '../transaction.ts';
import { hookMetadata } from './metadata.ts';

const rejection = 'Further password verification attempts will be rejected.';

/** @throws Fault 400 invalid_credentials in the hook's words, and what the hook throws */
export async function askAboutPassword(visit: Visit, userId: string, valid: boolean): Promise<void> {
  const { hooks, db } = visit.auth;
  if (!hooks.isEnabled('password_verification_attempt')) return;
  const answer = await hooks.run('password_verification_attempt', {
    metadata: hookMetadata(visit, 'password_verification_attempt'),
    user_id: userId,
    valid,
  });
  if (answer.decision !== 'reject') return;
  if (answer.should_logout_user === true) await inTransaction(db, (tx) => endSessions(tx, userId));
  const { message } = answer;
  throw badRequest(
    'invalid_credentials',
    typeof message === 'string' && message !== '' ? message : rejection,
  );
}
