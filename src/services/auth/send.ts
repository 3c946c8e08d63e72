// In charge of: mails with a code: the code's hash in the user's row and in the table of codes, the mail with whoever sends it, in one transaction.
// Source: supabase/auth internal/api/mail.go `sendConfirmation`, `sendInvite`, `sendPasswordRecovery`, `sendMagicLink`, `sendReauthenticationOtp`.
import { Fault } from '../../base/errors.ts';
import type { Visit } from './context.ts';
import type { ErrorCode } from './errors.ts';
import { makeOtp, tokenHashOf, withFlowPrefix } from './mail/links.ts';
import type { MailKind } from './mailer.ts';
import { storeToken, type TokenKind } from './one-time-tokens.ts';
import { redirectOf } from './redirect.ts';
import type { Tx } from './transaction.ts';
import { timeMs, type User } from './user.ts';
import { type UserChanges, updateUser } from './users.ts';

type CodeMail = Exclude<MailKind, 'email_change_current' | 'email_change_new'>;

/** Where each keeps its code, and when it was sent last; a magic link is a recovery with other words. */
const places: Readonly<
  Record<
    CodeMail,
    {
      readonly token: 'confirmation_token' | 'recovery_token' | 'reauthentication_token';
      readonly sentAt: 'confirmation_sent_at' | 'recovery_sent_at' | 'reauthentication_sent_at';
    }
  >
> = {
  confirmation: { token: 'confirmation_token', sentAt: 'confirmation_sent_at' },
  invite: { token: 'confirmation_token', sentAt: 'confirmation_sent_at' },
  recovery: { token: 'recovery_token', sentAt: 'recovery_sent_at' },
  magic_link: { token: 'recovery_token', sentAt: 'recovery_sent_at' },
  reauthentication: { token: 'reauthentication_token', sentAt: 'reauthentication_sent_at' },
};

/** Sends one to the user's address. @throws Fault 429 over_email_send_rate_limit within the time that a second mail has to wait */
export async function sendCode(
  tx: Tx,
  visit: Visit,
  user: User,
  kind: CodeMail,
  isPkce = false,
): Promise<User> {
  const { auth, config } = visit;
  if (kind !== 'invite') await refuseTooSoon(tx, visit, user.id, places[kind].sentAt);
  const otp = makeOtp(config.emailOtpLength);
  const tokenHash = withFlowPrefix(tokenHashOf(await auth.codeKey(), user.email, otp), isPkce);
  const changed = await keepCode(tx, visit, user, kind, tokenHash);
  await auth.mailer.send(tx, visit, {
    kind,
    to: user.email,
    user: changed,
    otp,
    tokenHash,
    redirectTo: redirectOf(visit),
  });
  return changed;
}

/** Keeps the hash of a code for the user's address, whoever sends it. */
export async function keepCode(
  tx: Tx,
  { auth }: Visit,
  user: User,
  kind: CodeMail,
  tokenHash: string,
): Promise<User> {
  const nowMs = auth.now();
  const at = new Date(nowMs).toISOString();
  const { token, sentAt } = places[kind];
  const changes: UserChanges = {
    [token]: tokenHash,
    [sentAt]: at,
    ...(kind === 'invite' && { invited_at: at }),
  };
  const changed = await updateUser(tx, user.id, changes, nowMs);
  const stored = { userId: user.id, kind: token satisfies TokenKind, hash: tokenHash, relatesTo: user.email };
  await storeToken(tx, stored, nowMs);
  return changed;
}

/** Of many at once one goes out: the others wait for the user's row, and find that its moment is taken. */
export async function refuseTooSoon(
  tx: Tx,
  { auth, config }: Visit,
  userId: string,
  column: 'confirmation_sent_at' | 'recovery_sent_at' | 'reauthentication_sent_at' | 'email_change_sent_at',
): Promise<void> {
  const { rows } = await tx.query<{ readonly at: string | null }>(
    `select ${column} as at from auth.users where id = $1 for no key update`,
    [userId],
  );
  const sentAt = rows[0]?.at ?? null;
  if (sentAt === null) return;
  const leftMs = timeMs(sentAt) + config.emailMaxFrequencySeconds * 1000 - auth.now();
  if (leftMs > 0) throw new TooSoon(leftMs);
}

/** 429 over_email_send_rate_limit. Source: supabase/auth internal/api/mail.go `generateFrequencyLimitErrorMessage`. */
export class TooSoon extends Fault {
  constructor(leftMs: number) {
    super({
      status: 429,
      code: 'over_email_send_rate_limit' satisfies ErrorCode,
      message: `For security purposes, you can only request this after ${Math.floor(leftMs / 1000)} seconds.`,
    });
  }
}
