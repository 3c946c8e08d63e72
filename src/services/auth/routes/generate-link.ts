// In charge of: POST /admin/generate_link: the link that a mail would carry, for whoever sends mails themselves.
// Source: supabase/auth internal/api/mail.go `adminGenerateLink`, internal/mailer/templatemailer/templatemailer.go `GetEmailActionLink`.
import { type Actor, record } from '../audit.ts';
import { audienceOf, requireAdmin } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, notFound } from '../errors.ts';
import { json, merged } from '../go-json.ts';
import { afterUserCreated, beforeUserCreated } from '../hooks/new-user.ts';
import { confirmationUrl, type LinkType, makeOtp, tokenHashOf } from '../mail/links.ts';
import { storeToken } from '../one-time-tokens.ts';
import { checkPassword } from '../password.ts';
import { generatePassword } from '../passwords/generate.ts';
import { isAllowed, redirectOf } from '../redirect.ts';
import { type Params, readParams } from '../request.ts';
import { keepCode } from '../send.ts';
import { withoutOthers } from '../sign-up.ts';
import { emailTaken, orTaken } from '../taken.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import { isConfirmed, type User } from '../user.ts';
import { userJson } from '../user-json.ts';
import { findUserByEmail, findUserWithEmail, type NewUser, updateUser } from '../users.ts';
import { validEmail } from '../validate.ts';
import { insertInvited, invitedUser } from './mails.ts';

const shape = {
  type: 'text',
  email: 'text',
  new_email: 'text',
  password: 'text',
  data: 'object',
  redirect_to: 'text',
} as const;
type Asked = Params<typeof shape>;

const unknownLength = 64;

export async function generateLink(visit: Visit): Promise<Answer> {
  const actor = await requireAdmin(visit);
  const { auth, config, request } = visit;
  const params = await readParams(request, 'GenerateLinkParams', shape);
  const email = validEmail(params.email);
  const redirectTo = isAllowed(visit, params.redirect_to) ? params.redirect_to : redirectOf(visit);
  const aud = audienceOf(visit, { role: actor.email });
  const user = await withTables(auth.db, (tx) => findUserByEmail(tx, email, aud));
  const type = typeFor(params.type, user);
  const isGiven = user === undefined || params.password !== '';
  const hash = type === 'signup' && isGiven ? await hashFor(visit, params) : undefined;
  const otp = makeOtp(config.emailOtpLength);
  const tokenHash = tokenHashOf(await auth.codeKey(), email, otp);
  const newUser = invitedUser(visit, { email, aud, data: params.data ?? {}, passwordHash: hash });
  if (user === undefined) await beforeUserCreated(visit, newUser);
  const made = await orTaken(() =>
    inTransaction(auth.db, (tx) =>
      keep(tx, visit, actor, { type, user, newUser, hash, otp, tokenHash, params }),
    ),
  );
  if (user === undefined) await afterUserCreated(visit, made.user);
  const linkType: LinkType =
    type === 'email_change_current' || type === 'email_change_new' ? 'email_change' : type;
  return json(200, {
    ...userJson(made.user),
    action_link: confirmationUrl({
      authUrl: auth.url(),
      type: linkType,
      tokenHash: made.tokenHash,
      redirectTo,
    }),
    email_otp: otp,
    hashed_token: tokenHash,
    verification_type: type,
    redirect_to: redirectTo,
  });
}

type GeneratedType =
  | 'signup'
  | 'invite'
  | 'magiclink'
  | 'recovery'
  | 'email_change_current'
  | 'email_change_new';
const types: ReadonlySet<string> = new Set<GeneratedType>([
  'signup',
  'invite',
  'magiclink',
  'recovery',
  'email_change_current',
  'email_change_new',
]);

function typeFor(asked: string, user: User | undefined): GeneratedType {
  if (!types.has(asked))
    throw badRequest('validation_failed', `Invalid email action link type requested: ${asked}`);
  // Sound: one of the set.
  const type = asked as GeneratedType;
  if (user !== undefined || type === 'signup' || type === 'invite') return type;
  // Who does not exist yet signs up by it.
  if (type === 'magiclink') return 'signup';
  throw notFound('user_not_found', 'User with this email not found');
}

async function hashFor(visit: Visit, { type, password }: Asked): Promise<string> {
  const { auth, request } = visit;
  const chosen = type === 'magiclink' ? generatePassword([], unknownLength) : password;
  if (chosen === '') throw badRequest('validation_failed', 'Signup requires a valid password');
  await checkPassword(visit, chosen);
  return auth.hasher.hash(chosen, request.cancellation);
}

interface Facts {
  readonly type: GeneratedType;
  readonly user: User | undefined;
  readonly otp: string;
  /** Of the code for the address that was asked about. */
  readonly tokenHash: string;
  readonly params: Asked;
  /** Of the password that the administrator gives to somebody who is to sign up. */
  readonly hash: string | undefined;
  /** The one to be made, where there is none. */
  readonly newUser: NewUser;
}

async function keep(
  tx: Tx,
  visit: Visit,
  actor: Actor,
  facts: Facts,
): Promise<{ readonly user: User; readonly tokenHash: string }> {
  const { type, user, tokenHash } = facts;
  if (type === 'signup' || type === 'invite') {
    const owner = await unconfirmed(tx, visit, facts);
    if (type === 'invite')
      await record(tx, visit, actor, 'user_invited', { user_id: owner.id, user_email: owner.email });
    const kind = type === 'invite' ? 'invite' : 'confirmation';
    return { user: await keepCode(tx, visit, owner, kind, tokenHash), tokenHash };
  }
  if (user === undefined) throw notFound('user_not_found', 'User with this email not found');
  if (type === 'magiclink' || type === 'recovery') {
    await record(tx, visit, user, 'user_recovery_requested');
    return { user: await keepCode(tx, visit, user, 'recovery', tokenHash), tokenHash };
  }
  return keepEmailChange(tx, visit, user, facts);
}

async function unconfirmed(tx: Tx, visit: Visit, facts: Facts): Promise<User> {
  const { type, user, newUser, params, hash } = facts;
  if (user === undefined) return insertInvited(tx, visit, newUser);
  if (isConfirmed(user)) throw emailTaken();
  const owned = await withoutOthers(tx, visit, user);
  if (hash !== undefined) await updateUser(tx, user.id, { encrypted_password: hash }, visit.auth.now());
  if (type === 'invite' || params.data === undefined) return owned;
  const raw_user_meta_data = merged(owned.raw_user_meta_data, params.data);
  return updateUser(tx, user.id, { raw_user_meta_data }, visit.auth.now());
}

async function keepEmailChange(
  tx: Tx,
  visit: Visit,
  user: User,
  { type, otp, params }: Facts,
): Promise<{ readonly user: User; readonly tokenHash: string }> {
  const { auth, config } = visit;
  if (!config.doubleConfirmChanges && type === 'email_change_current')
    throw badRequest('validation_failed', 'Enable secure email change to generate link for current email');
  const email = validEmail(params.new_email);
  if (await findUserWithEmail(tx, email, user.aud, user.id)) throw emailTaken();
  const kind = type === 'email_change_current' ? 'email_change_token_current' : 'email_change_token_new';
  const relatesTo = type === 'email_change_current' ? user.email : email;
  const tokenHash = tokenHashOf(await auth.codeKey(), relatesTo, otp);
  const nowMs = auth.now();
  const changed = await updateUser(
    tx,
    user.id,
    {
      email_change: email,
      email_change_sent_at: new Date(nowMs).toISOString(),
      email_change_confirm_status: 0,
      [kind]: tokenHash,
    },
    nowMs,
  );
  await storeToken(tx, { userId: user.id, kind, hash: tokenHash, relatesTo }, nowMs);
  return { user: changed, tokenHash };
}
