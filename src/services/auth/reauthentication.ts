// In charge of: the code that a user who signed in long ago gives before they change their password.
// Source: supabase/auth internal/api/reauthenticate.go `verifyReauthentication`.
import { timingSafeEqual } from 'node:crypto';
import type { Visit } from './context.ts';
import { forbidden, unprocessable } from './errors.ts';
import { tokenHashOf } from './mail/links.ts';
import { clearTokens } from './one-time-tokens.ts';
import { inTransaction } from './transaction.ts';
import { timeMs, type User } from './user.ts';

const notValid = () => unprocessable('reauthentication_not_valid', 'Nonce has expired or is invalid');

/** Good once. @throws Fault 422 reauthentication_not_valid */
export async function verifyReauthentication(visit: Visit, user: User, nonce: string): Promise<void> {
  const { auth, config } = visit;
  // Every try, before it is looked at: whoever has a session, and not the mail box, has six digits to guess.
  await auth.limits.countFailure(`reauthentication ${user.id}`);
  const sentAt = user.reauthentication_sent_at;
  if (user.reauthentication_token === '' || sentAt === null) throw notValid();
  const isByPhone = user.email === '';
  if (isByPhone && auth.sms.checksCodes(visit)) {
    // The provider knows whether it has been used.
    if (await auth.sms.isRight(visit, user.phone, nonce)) return;
    throw forbidden('otp_expired', 'Token has expired or is invalid');
  }
  const expirySeconds = isByPhone ? config.smsOtpExpirySeconds : config.emailOtpExpirySeconds;
  const isOver = auth.now() > timeMs(sentAt) + expirySeconds * 1000;
  const expected = Buffer.from(user.reauthentication_token);
  const given = Buffer.from(tokenHashOf(await auth.codeKey(), user.email || user.phone, nonce));
  if (isOver || expected.length !== given.length || !timingSafeEqual(expected, given)) throw notValid();
  await inTransaction(auth.db, async (tx) => {
    // Of many at once, one finds it still there.
    const { rowCount } = await tx.query(
      `update auth.users set reauthentication_token = '', updated_at = now() where id = $1 and reauthentication_token = $2`,
      [user.id, user.reauthentication_token],
    );
    if (rowCount !== 1) throw notValid();
    await clearTokens(tx, user.id);
  });
}
