// In charge of: telling a user by mail what has changed. Source: supabase/auth internal/api/{user,verify,identity,mfa}.go, their notifications.
import { Fault } from '../../base/errors.ts';
import type { Visit } from './context.ts';
import type { Notice } from './mailer.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';

/** A mail that cannot be sent undoes nothing of what it is about, as upstream. */
export async function tell(tx: Tx, visit: Visit, user: User, notice: Notice): Promise<void> {
  try {
    await visit.auth.mailer.notify(tx, visit, user, notice);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    visit.auth.observe({ kind: 'auth.notice_not_sent', level: 'warn', name: notice.name, error });
  }
}
