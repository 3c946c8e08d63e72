// In charge of: another mail address for a user: at once where nobody has to confirm it, otherwise after the mails to the new one and,
// with double_confirm_changes, to the old one. Source: supabase/auth internal/api/mail.go `sendEmailChange`, verify.go `emailChangeVerify`.
import type { Visit } from './context.ts';
import { merged } from './go-json.ts';
import { findIdentity, insertIdentity, ownIdentityData, providerFacts, providersOf } from './identities.ts';
import { makeOtp, tokenHashOf, withFlowPrefix } from './mail/links.ts';
import { clearTokens, storeToken } from './one-time-tokens.ts';
import { redirectOf } from './redirect.ts';
import { refuseTooSoon } from './send.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';
import { updateUser } from './users.ts';

/** @throws Fault 429 over_email_send_rate_limit */
export async function changeEmail(
  tx: Tx,
  visit: Visit,
  user: User,
  email: string,
  isPkce: boolean,
): Promise<User> {
  // Somebody who had no name takes one, which is as signing up. Everybody else confirms.
  if (user.is_anonymous && !visit.config.enableConfirmations) return takeEmail(tx, visit, user, email);
  return askBoth(tx, visit, user, email, isPkce);
}

/** Mails to the new address and, where that is wanted, to the old one. */
export async function askBoth(
  tx: Tx,
  visit: Visit,
  user: User,
  email: string,
  isPkce: boolean,
): Promise<User> {
  const { auth, config } = visit;
  await refuseTooSoon(tx, visit, user.id, 'email_change_sent_at');
  const key = await auth.codeKey();
  const nowMs = auth.now();
  const otpNew = makeOtp(config.emailOtpLength);
  const otpCurrent = makeOtp(config.emailOtpLength);
  const hashNew = withFlowPrefix(tokenHashOf(key, email, otpNew), isPkce);
  const asksCurrent = config.doubleConfirmChanges && user.email !== '';
  const hashCurrent = asksCurrent ? withFlowPrefix(tokenHashOf(key, user.email, otpCurrent), isPkce) : '';
  const changed = await updateUser(
    tx,
    user.id,
    {
      email_change_token_new: hashNew,
      email_change_token_current: hashCurrent,
      email_change: email,
      email_change_sent_at: new Date(nowMs).toISOString(),
      email_change_confirm_status: 0,
    },
    nowMs,
  );
  const common = { userId: user.id };
  await storeToken(tx, { ...common, kind: 'email_change_token_new', hash: hashNew, relatesTo: email }, nowMs);
  const mail = { user: changed, redirectTo: redirectOf(visit) };
  if (asksCurrent) {
    const kind = 'email_change_token_current';
    await storeToken(tx, { ...common, kind, hash: hashCurrent, relatesTo: user.email }, nowMs);
    await auth.mailer.send(tx, visit, {
      ...mail,
      kind: 'email_change_current',
      to: user.email,
      otp: otpCurrent,
      tokenHash: hashCurrent,
    });
  }
  await auth.mailer.send(tx, visit, {
    ...mail,
    kind: 'email_change_new',
    to: email,
    otp: otpNew,
    tokenHash: hashNew,
    current: asksCurrent ? { otp: otpCurrent, tokenHash: hashCurrent } : undefined,
  });
  return changed;
}

/** The address is the user's from now on. */
export async function takeEmail(tx: Tx, { auth }: Visit, user: User, email: string): Promise<User> {
  const nowMs = auth.now();
  const identity = await findIdentity(tx, user.id, 'email');
  const data = ownIdentityData({ sub: user.id, email, emailVerified: true });
  if (identity === undefined) await insertIdentity(tx, user.id, 'email', data, nowMs);
  else
    await tx.query(
      'update auth.identities set identity_data = identity_data || $2::jsonb, updated_at = now() where id = $1',
      [identity.id, JSON.stringify({ email, email_verified: true })],
    );
  await clearTokens(tx, user.id);
  return updateUser(
    tx,
    user.id,
    {
      email,
      email_change: '',
      email_change_token_current: '',
      email_change_token_new: '',
      email_change_confirm_status: 0,
      email_confirmed_at: user.email_confirmed_at ?? new Date(nowMs).toISOString(),
      is_anonymous: false,
      raw_user_meta_data: merged(user.raw_user_meta_data, { email_verified: true }),
      raw_app_meta_data: merged(user.raw_app_meta_data, providerFacts(await providersOf(tx, user.id))),
    },
    nowMs,
  );
}
