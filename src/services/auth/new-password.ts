// In charge of: a password in the place of another, and what ends with that: whatever was sent to the user, and the other sessions.
// Source: supabase/auth internal/models/user.go `UpdatePassword`.
import type { Visit } from './context.ts';
import { clearTokens } from './one-time-tokens.ts';
import { endOtherSessions, endSessions } from './sessions.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';
import { updateUser } from './users.ts';

/** `keepSession` stays signed in; without one the user is signed out everywhere. `hash` null: no password. */
export async function storePassword(
  tx: Tx,
  { auth }: Visit,
  user: User,
  hash: string | null,
  keepSession: string | undefined,
): Promise<User> {
  const changed = await updateUser(
    tx,
    user.id,
    {
      encrypted_password: hash,
      confirmation_token: '',
      confirmation_sent_at: null,
      recovery_token: '',
      recovery_sent_at: null,
      email_change_token_current: '',
      email_change_token_new: '',
      email_change_sent_at: null,
      phone_change_token: '',
      phone_change_sent_at: null,
      reauthentication_token: '',
      reauthentication_sent_at: null,
    },
    auth.now(),
  );
  await clearTokens(tx, user.id);
  if (keepSession === undefined) await endSessions(tx, user.id);
  else await endOtherSessions(tx, keepSession, user.id);
  return changed;
}
