// In charge of: a user who is gone for everybody but whoever counts rows: nothing that names them stays. Source: supabase/auth
// internal/models/user.go `SoftDeleteUser`, `SoftDeleteUserIdentities`.
import { createHash } from 'node:crypto';
import type { Visit } from './context.ts';
import { forgetIdleCodes } from './mfa/recovery-codes.ts';
import { clearTokens } from './one-time-tokens.ts';
import { endSessions } from './sessions.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';
import { updateUser } from './users.ts';

const phoneLength = 15;

export async function softDelete(tx: Tx, { auth }: Visit, user: User): Promise<void> {
  const nowMs = auth.now();
  await updateUser(
    tx,
    user.id,
    {
      email: obscured(user.id, user.email),
      phone: obscured(user.id, user.phone).slice(0, phoneLength),
      email_change: obscured(user.id, user.email_change),
      phone_change: obscured(user.id, user.phone_change).slice(0, phoneLength),
      encrypted_password: null,
      confirmation_token: '',
      recovery_token: '',
      email_change_token_current: '',
      email_change_token_new: '',
      phone_change_token: '',
      deleted_at: new Date(nowMs).toISOString(),
      raw_user_meta_data: {},
      raw_app_meta_data: {},
    },
    nowMs,
  );
  await clearTokens(tx, user.id);
  await endSessions(tx, user.id);
  for (const identity of user.identities) {
    await tx.query(`update auth.identities set identity_data = '{}', provider_id = $2 where id = $1`, [
      identity.id,
      obscured(user.id, `${identity.provider}:${identity.provider_id}`),
    ]);
  }
  await tx.query('delete from auth.mfa_factors where user_id = $1', [user.id]);
  await tx.query('delete from auth.webauthn_credentials where user_id = $1', [user.id]);
  await forgetIdleCodes(tx, user.id);
}

/** The same each time for the same user, and nothing that could be read back. */
function obscured(id: string, value: string): string {
  return createHash('sha256')
    .update(id + value)
    .digest('base64url');
}
