// In charge of: POST /logout: ends this session, all others, or all. Source: supabase/auth internal/api/logout.go.
import { record } from '../audit.ts';
import { requireUserOrApplication } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest } from '../errors.ts';
import { orFailure } from '../new-user.ts';
import { queryOf } from '../request.ts';
import { endOtherSessions, endSession, endSessions } from '../sessions.ts';
import { inTransaction } from '../transaction.ts';

export async function logout(visit: Visit): Promise<Answer> {
  const { user, session } = await requireUserOrApplication(visit);
  const scope = queryOf(visit, 'scope') || 'global';
  if (scope !== 'global' && scope !== 'local' && scope !== 'others')
    throw badRequest('validation_failed', `Unsupported logout scope ${JSON.stringify(scope)}`);
  await orFailure('Error logging out user', () =>
    inTransaction(visit.auth.db, async (tx) => {
      await record(tx, visit, user, 'logout');
      // An application gives back what it got, and nothing of the user's.
      if (session?.oauth_client_id != null) await endSession(tx, session.id);
      else if (session === undefined || scope === 'global') await endSessions(tx, user.id);
      else if (scope === 'local') await endSession(tx, session.id);
      else await endOtherSessions(tx, session.id, user.id);
    }),
  );
  return { status: 204, headers: [], body: null };
}
