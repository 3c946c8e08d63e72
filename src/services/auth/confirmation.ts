// In charge of: the mail that asks whether an address is its owner's: its token in the tables, the mail with whoever sends it.
// Source: supabase/auth internal/api/mail.go `sendConfirmation`.
import type { Visit } from './context.ts';
import { authFault } from './errors.ts';
import { makeOtp, tokenHashOf, withFlowPrefix } from './mail/links.ts';
import { storeToken } from './one-time-tokens.ts';
import type { Tx } from './transaction.ts';
import { timeMs, type User } from './user.ts';
import { updateUser } from './users.ts';

/** @throws Fault 429 over_email_send_rate_limit within the time that a second mail has to wait */
export async function sendConfirmation(
  tx: Tx,
  visit: Visit,
  user: User,
  { code_challenge }: { readonly code_challenge: string },
): Promise<User> {
  const { auth, config } = visit;
  refuseTooSoon(visit, user.confirmation_sent_at);
  const nowMs = auth.now();
  const otp = makeOtp(config.emailOtpLength);
  const token = withFlowPrefix(tokenHashOf(user.email, otp), code_challenge !== '');
  const changes = { confirmation_token: token, confirmation_sent_at: new Date(nowMs).toISOString() };
  const changed = await updateUser(tx, user.id, changes, nowMs);
  await storeToken(
    tx,
    { userId: user.id, kind: 'confirmation_token', hash: token, relatesTo: user.email },
    nowMs,
  );
  const mail = { kind: 'confirmation' as const, to: user.email, user: changed, otp, tokenHash: token };
  await auth.mailer.send(tx, { ...mail, redirectTo: config.siteUrl });
  return changed;
}

export function refuseTooSoon({ auth, config }: Visit, sentAt: string | null): void {
  if (sentAt === null) return;
  const leftMs = timeMs(sentAt) + config.emailMaxFrequencySeconds * 1000 - auth.now();
  if (leftMs <= 0) return;
  const seconds = Math.floor(leftMs / 1000);
  throw authFault(
    429,
    'over_email_send_rate_limit',
    `For security purposes, you can only request this after ${seconds} seconds.`,
  );
}
