// In charge of: an account that somebody registered with an address which they never confirmed, on the day on which the address's owner comes.
// Whatever would still open it is of whoever put the address there (pre-account takeover, CWE-287), and ends. Upstream leaves all but
// password and identities.
import { forgetIdleCodes } from './mfa/recovery-codes.ts';
import { endSessions } from './sessions.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';

/** What belongs to a user and lets somebody in, or answers in their place. */
const tables = ['webauthn_credentials', 'mfa_factors', 'oauth_authorizations', 'oauth_consents'] as const;

/** The password of an account that nobody has confirmed, be it by address or number; false: it was good already, and stays. */
export async function forgetPassword(tx: Tx, { id }: Pick<User, 'id'>): Promise<boolean> {
  const { rowCount } = await tx.query(
    'update auth.users set encrypted_password = null where id = $1 and email_confirmed_at is null and phone_confirmed_at is null',
    [id],
  );
  return rowCount === 1;
}

/** Sessions, passkeys, factors, the number, grants of applications, what was begun and not finished. Password and identities are the caller's. */
export async function endAccess(tx: Tx, { id }: User): Promise<void> {
  // Whoever signs in meanwhile waits for this row, or this for them: no session begins that is not ended.
  await tx.query('select from auth.users where id = $1 for update', [id]);
  await endSessions(tx, id);
  for (const table of tables) await tx.query(`delete from auth.${table} where user_id = $1`, [id]);
  await forgetIdleCodes(tx, id);
  // A provider that was asked already would still be linked, and a code that was issued could still be exchanged.
  await tx.query(
    'delete from auth.flow_state where linking_target_id = $1 or (user_id = $1 and auth_code_issued_at is not null)',
    [id],
  );
  await tx.query(
    `update auth.users set phone = null, phone_confirmed_at = null, phone_change = '', phone_change_token = '', email_change = '',
       email_change_token_current = '', email_change_token_new = '', email_change_confirm_status = 0 where id = $1`,
    [id],
  );
}
