// In charge of: whose a code or a link is, and whether it still counts. The user's row is locked: of many who come with one code, one is served.
// Source: supabase/auth internal/api/verify.go `verifyTokenHash`, `verifyUserAndToken`.
import { timingSafeEqual } from 'node:crypto';
import type { Visit } from './context.ts';
import { badRequest, forbidden } from './errors.ts';
import { pkcePrefix } from './mail/links.ts';
import type { TokenKind } from './one-time-tokens.ts';
import { testOtpOf } from './sms/sms.ts';
import type { Tx } from './transaction.ts';
import { isBanned, timeMs, type User } from './user.ts';
import { findUserByEmail, findUserById, findUserByPhone } from './users.ts';

export type VerifyType =
  | 'signup'
  | 'invite'
  | 'recovery'
  | 'magiclink'
  | 'email_change'
  | 'email'
  | 'sms'
  | 'phone_change';

export interface Verified {
  readonly user: User;
  /** `email` is either of two. */
  readonly type: Exclude<VerifyType, 'email'>;
  /** The number and the code about which their provider has to be asked, who made the code. */
  readonly ask?: { readonly phone: string; readonly code: string };
}

const linkInvalid = (cause?: unknown) =>
  forbidden('otp_expired', 'Email link is invalid or has expired', cause);
const codeInvalid = () => forbidden('otp_expired', 'Token has expired or is invalid');

const kindsOf: Readonly<Partial<Record<VerifyType, readonly TokenKind[]>>> = {
  email: ['confirmation_token', 'recovery_token'],
  signup: ['confirmation_token'],
  invite: ['confirmation_token'],
  recovery: ['recovery_token'],
  magiclink: ['recovery_token'],
  email_change: ['email_change_token_current', 'email_change_token_new'],
};

/** By the hash that a link carries. @throws Fault 400 validation_failed, 403 otp_expired, user_banned */
export async function verifyHash(tx: Tx, visit: Visit, type: string, hash: string): Promise<Verified> {
  const kinds = Object.hasOwn(kindsOf, type) ? kindsOf[type as VerifyType] : undefined;
  if (kinds === undefined) throw badRequest('validation_failed', 'Invalid email verification type');
  const owner = await ownerOf(tx, hash, kinds);
  if (owner === undefined) throw linkInvalid();
  await tx.query('select from auth.users where id = $1 for update', [owner.userId]);
  // Once more, now that nobody else can be at it.
  const still = await ownerOf(tx, hash, kinds);
  const user = still && (await findUserById(tx, still.userId));
  if (still === undefined || user === undefined) throw linkInvalid();
  refuseBanned(visit, user);
  const found = type === 'email' ? (still.kind === 'recovery_token' ? 'magiclink' : 'signup') : type;
  if (!isFresh(visit, sentAtOf(user, found), found)) throw linkInvalid();
  // Sound: one of the keys of `kindsOf`, and `email` has become another.
  return { user, type: found as Verified['type'] };
}

/** By an address or a number and the code that was sent there; `hash` is of both. @throws Fault 403 otp_expired, user_banned */
export async function verifyCode(
  tx: Tx,
  visit: Visit,
  facts: {
    readonly type: string;
    readonly email: string;
    readonly phone: string;
    readonly code: string;
    readonly hash: string;
    readonly aud: string;
  },
): Promise<Verified> {
  const { type, phone, code, hash } = facts;
  const found = await findOwner(tx, visit, facts);
  if (found === undefined) throw codeInvalid();
  await tx.query('select from auth.users where id = $1 for update', [found.id]);
  const user = await findUserById(tx, found.id);
  if (user === undefined) throw codeInvalid();
  refuseBanned(visit, user);
  const fits = (expected: string) =>
    expected !== '' && (expected === hash || expected === `${pkcePrefix}${hash}`);
  const isGood = (as: Verified['type'], expected: string) =>
    fits(expected) && isFresh(visit, sentAtOf(user, as), as);
  if (type === 'email') {
    if (isGood('signup', user.confirmation_token)) return { user, type: 'signup' };
    if (isGood('magiclink', user.recovery_token)) return { user, type: 'magiclink' };
    throw codeInvalid();
  }
  if (type === 'sms' || type === 'phone_change') {
    // Also when nothing was sent, and as often as somebody likes: it is for tests.
    if (isSame(testOtpOf(visit, phone), code)) return { user, type };
    if (visit.auth.sms.checksCodes(visit)) return { user, type, ask: { phone, code } };
  }
  const expected = Object.hasOwn(columnsOf, type) ? columnsOf[type as Verified['type']](user) : undefined;
  if (expected === undefined) throw codeInvalid();
  // Sound: one of the keys of `columnsOf`.
  const known = type as Verified['type'];
  if (!expected.some((one) => isGood(known, one))) throw codeInvalid();
  return { user, type: known };
}

const columnsOf: Readonly<Record<Verified['type'], (user: User) => readonly string[]>> = {
  signup: (user) => [user.confirmation_token],
  invite: (user) => [user.confirmation_token],
  recovery: (user) => [user.recovery_token],
  magiclink: (user) => [user.recovery_token],
  email_change: (user) => [user.email_change_token_current, user.email_change_token_new],
  sms: (user) => [user.confirmation_token],
  phone_change: (user) => [user.phone_change_token],
};

function sentAtOf(user: User, type: string): string | null {
  if (type === 'recovery' || type === 'magiclink') return user.recovery_sent_at;
  if (type === 'email_change') return user.email_change_sent_at;
  if (type === 'phone_change') return user.phone_change_sent_at;
  return user.confirmation_sent_at;
}

/** Whether what was sent then still counts. */
export function isFresh({ auth, config }: Visit, sentAt: string | null, type: string): boolean {
  const byPhone = type === 'sms' || type === 'phone_change';
  const seconds = byPhone ? config.smsOtpExpirySeconds : config.emailOtpExpirySeconds;
  return sentAt !== null && auth.now() <= timeMs(sentAt) + seconds * 1000;
}

function isSame(expected: string | undefined, given: string): boolean {
  if (expected === undefined) return false;
  const [one, other] = [Buffer.from(expected), Buffer.from(given)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function refuseBanned({ auth }: Visit, user: User): void {
  if (isBanned(user, auth.now())) throw forbidden('user_banned', 'User is banned');
}

async function ownerOf(
  tx: Tx,
  hash: string,
  kinds: readonly TokenKind[],
): Promise<{ readonly userId: string; readonly kind: TokenKind } | undefined> {
  const { rows } = await tx.query<{ readonly user_id: string; readonly token_type: TokenKind }>(
    'select user_id, token_type from auth.one_time_tokens where token_hash = $1 and token_type::text = any($2)',
    [hash, kinds],
  );
  const row = rows[0];
  return row && { userId: row.user_id, kind: row.token_type };
}

async function findOwner(
  tx: Tx,
  visit: Visit,
  facts: {
    readonly type: string;
    readonly email: string;
    readonly phone: string;
    readonly hash: string;
    readonly aud: string;
  },
): Promise<{ readonly id: string } | undefined> {
  const { type, email, phone, hash, aud } = facts;
  if (type === 'sms') return findUserByPhone(tx, phone, aud);
  if (type === 'phone_change') {
    // Several may wait for one number. Ours is who has this code; a provider's code does not say whose it is, so that it is nobody's.
    const { rows } = await tx.query<{ readonly id: string }>(
      `select id from auth.users where phone_change = $1 and aud = $2 and is_sso_user = false
       order by phone_change_token = $3 desc, phone_change_sent_at desc limit 2`,
      [phone, aud, hash],
    );
    return rows.length > 1 && visit.auth.sms.checksCodes(visit) ? undefined : rows[0];
  }
  if (type !== 'email_change') return findUserByEmail(tx, email, aud);
  for (const candidate of [hash, `${pkcePrefix}${hash}`]) {
    const owner = await ownerOf(tx, candidate, ['email_change_token_current', 'email_change_token_new']);
    const user = owner && (await findUserById(tx, owner.userId));
    if (user?.aud === aud) return user;
  }
  return undefined;
}
