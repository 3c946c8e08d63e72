// In charge of: a text message with a code: the time between two, the code, its sending, and its hash where a mail's would be.
//
// Upstream asks the provider with its transaction open. Here nobody holds a connection while a provider takes its time: the moment of
// sending is claimed in a first transaction, with the user's row locked, so that of many requests at once one sends; the code goes out;
// a second transaction keeps its hash and does the rest. What fails gives the claim back, and leaves nothing, as a rolled back
// transaction would.
// Source: supabase/auth internal/api/phone.go `sendPhoneConfirmation`.
import type { Visit } from '../context.ts';
import { authFault } from '../errors.ts';
import { makeOtp, tokenHashOf } from '../mail/links.ts';
import { loadTemplate } from '../mail/template.ts';
import { storeToken } from '../one-time-tokens.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import { timeMs, type User } from '../user.ts';
import { type UserChanges, updateUser } from '../users.ts';
import type { SmsChannel } from './port.ts';
import { testOtpOf } from './sms.ts';

export type PhoneCodeKind = 'sms' | 'phone_change' | 'reauthentication';

export interface PhoneCode {
  /** Digits alone. */
  readonly phone: string;
  readonly kind: PhoneCodeKind;
  readonly channel: SmsChannel;
}

const places = {
  sms: { token: 'confirmation_token', sentAt: 'confirmation_sent_at' },
  phone_change: { token: 'phone_change_token', sentAt: 'phone_change_sent_at' },
  reauthentication: { token: 'reauthentication_token', sentAt: 'reauthentication_sent_at' },
} as const;

/**
 * Sends a code and then, in the transaction that keeps its hash, does `finish`, which is told the provider's id of the message. Never
 * with a transaction open.
 * @throws Fault 429 over_sms_send_rate_limit, 422 sms_send_failed, and what the hook and `finish` say
 */
export async function withPhoneCode<T>(
  visit: Visit,
  user: User,
  code: PhoneCode,
  finish: (tx: Tx, user: User, messageId: string) => Promise<T>,
): Promise<T> {
  const { auth } = visit;
  const claim = await inTransaction(auth.db, (tx) => claimMoment(tx, visit, user, code.kind));
  try {
    const { otp, messageId } = await deliver(visit, user, code);
    return await inTransaction(auth.mailDb, async (tx) =>
      finish(tx, await keepCode(tx, visit, user, code, otp), messageId),
    );
  } catch (error) {
    await giveBack(visit, user, code.kind, claim);
    throw error;
  }
}

interface Claim {
  readonly before: string | null;
  readonly at: string;
}

async function claimMoment(tx: Tx, visit: Visit, user: User, kind: PhoneCodeKind): Promise<Claim> {
  const { auth } = visit;
  const { sentAt } = places[kind];
  // The name is one of the table above.
  const { rows } = await tx.query<{ readonly before: string | null }>(
    `select ${sentAt} as before from auth.users where id = $1 for update`,
    [user.id],
  );
  const before = rows[0]?.before ?? null;
  // Before the codes of tests, so that they behave as others.
  refuseTooSoon(visit, before);
  const at = new Date(auth.now()).toISOString();
  await updateUser(tx, user.id, { [sentAt]: at }, auth.now());
  return { before, at };
}

/** Source: supabase/auth internal/api/mail.go `generateFrequencyLimitErrorMessage`. @throws Fault 429 over_sms_send_rate_limit */
function refuseTooSoon({ auth, config }: Visit, sentAt: string | null): void {
  if (sentAt === null) return;
  const leftMs = timeMs(sentAt) + config.smsMaxFrequencySeconds * 1000 - auth.now();
  if (leftMs < 0) return;
  throw authFault(
    429,
    'over_sms_send_rate_limit',
    `For security purposes, you can only request this after ${Math.floor(leftMs / 1000)} seconds.`,
  );
}

async function deliver(
  visit: Visit,
  user: User,
  { phone, kind, channel }: PhoneCode,
): Promise<{ readonly otp: string; readonly messageId: string }> {
  const { auth, config } = visit;
  const test = testOtpOf(visit, phone);
  if (test !== undefined) return { otp: test, messageId: 'test-otp' };
  await auth.limits.takeSms(visit);
  const otp = makeOtp(config.smsOtpLength);
  const text = loadTemplate({ name: 'auth.sms.template', text: config.smsTemplate }, 'text').render({
    Code: otp,
  });
  const seen = kind === 'phone_change' ? { ...user, phone_change: phone } : user;
  const messageId = await auth.sms.send(undefined, visit, { user: seen, phone, otp, text, channel, kind });
  return { otp, messageId };
}

async function keepCode(
  tx: Tx,
  { auth }: Visit,
  user: User,
  { phone, kind }: PhoneCode,
  otp: string,
): Promise<User> {
  const nowMs = auth.now();
  const { token, sentAt } = places[kind];
  const hash = tokenHashOf(await auth.codeKey(), phone, otp);
  const changes: UserChanges = {
    [token]: hash,
    [sentAt]: new Date(nowMs).toISOString(),
    ...(kind === 'phone_change' && { phone_change: phone }),
  };
  const changed = await updateUser(tx, user.id, changes, nowMs);
  const relatesTo = kind === 'phone_change' ? phone : user.phone;
  await storeToken(tx, { userId: user.id, kind: token, hash, relatesTo }, nowMs);
  return changed;
}

/** Unless somebody else has claimed it since. */
async function giveBack(
  { auth }: Visit,
  user: User,
  kind: PhoneCodeKind,
  { before, at }: Claim,
): Promise<void> {
  const { sentAt } = places[kind];
  try {
    await withTables(auth.db, (tx) =>
      tx.query(`update auth.users set ${sentAt} = $2 where id = $1 and ${sentAt} = $3`, [
        user.id,
        before,
        at,
      ]),
    );
  } catch (error) {
    // The user waits a moment longer; what is told is why the code did not go out.
    auth.observe({ kind: 'auth.sms_claim_kept', level: 'warn', error });
  }
}
