// In charge of: the paths that send a mail: POST /recover, /resend, /magiclink, /otp, GET /reauthenticate, POST /invite. Whether an address is
// somebody's is not told by the answer. Source: supabase/auth internal/api/{recover,resend,magic_link,otp,reauthenticate,invite}.go.
import { randomUUID } from 'node:crypto';
import { record } from '../audit.ts';
import { audienceOf, requireAdmin, requireUser } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { askBoth } from '../email-change.ts';
import { badRequest, unprocessable } from '../errors.ts';
import { inEvenTime } from '../even-time.ts';
import { type Challenge, checkChallenge, insertFlowState, isPkce } from '../flow-state.ts';
import { json } from '../go-json.ts';
import { afterUserCreated, beforeUserCreated } from '../hooks/new-user.ts';
import { insertIdentity, ownIdentityData, providerFacts } from '../identities.ts';
import { type MailMoment, orQuiet, withMailMoments } from '../mail-moments.ts';
import { createUser } from '../new-user.ts';
import { generatePassword } from '../passwords/generate.ts';
import { type Params, readParams } from '../request.ts';
import { sendCode } from '../send.ts';
import type { AuthenticationMethod } from '../sessions.ts';
import { register, withoutOthers } from '../sign-up.ts';
import { withPhoneCode } from '../sms/send-code.ts';
import { emailTaken, orTaken } from '../taken.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import { isConfirmed, isPhoneConfirmed, type User } from '../user.ts';
import { userJson } from '../user-json.ts';
import { findUserByEmail, findUserByPhone, type NewUser, reload } from '../users.ts';
import { validEmail, validPhone } from '../validate.ts';
import { phoneOtp, withMessageId } from './phone-otp.ts';

const done = () => json(200, {});

const challenge = { code_challenge: 'text', code_challenge_method: 'text' } as const;

async function begin(
  tx: Tx,
  visit: Visit,
  user: User,
  method: AuthenticationMethod,
  asked: Challenge,
): Promise<void> {
  if (!isPkce(asked)) return;
  await insertFlowState(
    tx,
    { userId: user.id, provider: method, method, challenge: asked },
    visit.auth.now(),
  );
}

export async function recover(visit: Visit): Promise<Answer> {
  const { auth, config, request } = visit;
  if (!config.enableEmail) throw badRequest('email_provider_disabled', 'Email logins are disabled');
  const params = await readParams(request, 'RecoverParams', { email: 'text', ...challenge });
  if (params.email === '') throw badRequest('validation_failed', 'Password recovery requires an email');
  const email = validEmail(params.email);
  checkChallenge(params);
  return asking(visit, email, ['recovery'], async () => {
    const user = await withTables(auth.db, (tx) => findUserByEmail(tx, email, audienceOf(visit)));
    if (user === undefined) return nothingToSend(visit);
    await inTransaction(auth.mailDb, async (tx) => {
      await begin(tx, visit, user, 'recovery', params);
      await record(tx, visit, user, 'user_recovery_requested');
      await sendCode(tx, visit, user, 'recovery', isPkce(params));
    });
    return done();
  });
}

/** Asks for a mail to whoever may or may not have an account: after the same time, and as often, for both. */
function asking(
  visit: Visit,
  email: string,
  moments: readonly MailMoment[],
  work: () => Promise<Answer>,
): Promise<Answer> {
  return inEvenTime(visit, () => withMailMoments(visit, email, moments, () => orQuiet(work, done)));
}

function nothingToSend(visit: Visit): Answer {
  visit.auth.limits.refuseWithoutMail(visit);
  return done();
}

const otpShape = {
  email: 'text',
  phone: 'text',
  create_user: 'flag_on',
  data: 'object',
  channel: 'text',
  ...challenge,
} as const;
type Otp = Params<typeof otpShape>;

const magicLinkShape = { email: 'text', data: 'object', ...challenge } as const;
type MagicLink = Params<typeof magicLinkShape>;

export async function otp(visit: Visit): Promise<Answer> {
  const params = await readParams(visit.request, 'OtpParams', otpShape);
  if (params.email !== '' && params.phone !== '')
    throw badRequest('validation_failed', 'Only an email address or phone number should be provided');
  if (params.email !== '' && params.channel !== '')
    throw badRequest('validation_failed', 'Channel should only be specified with Phone OTP');
  checkChallenge(params);
  if (!params.create_user && !(await isThere(visit, params)))
    throw unprocessable('otp_disabled', 'Signups not allowed for otp');
  if (params.email !== '') return magicLinkFor(visit, params);
  if (params.phone === '') throw badRequest('validation_failed', 'One of email or phone must be set');
  return phoneOtp(visit, params);
}

async function isThere(visit: Visit, { email, phone }: Otp): Promise<boolean> {
  const aud = audienceOf(visit);
  const user = await withTables(visit.auth.db, (tx) =>
    email === '' ? findUserByPhone(tx, validPhone(phone), aud) : findUserByEmail(tx, validEmail(email), aud),
  );
  return user !== undefined;
}

function refuseLinks({ config }: Visit): void {
  if (!config.enableEmail) throw unprocessable('email_provider_disabled', 'Email logins are disabled');
  if (!config.magicLinkEnabled)
    throw unprocessable('email_provider_disabled', 'Login with magic link is disabled');
}

export async function magicLink(visit: Visit): Promise<Answer> {
  refuseLinks(visit);
  const params = await readParams(visit.request, 'MagicLinkParams', magicLinkShape, 'first_value');
  if (params.email === '') throw unprocessable('validation_failed', 'Password recovery requires an email');
  checkChallenge(params);
  return magicLinkFor(visit, { ...params, create_user: true });
}

/** Nobody knows it. Source: internal/api/magic_link.go. */
const temporaryLength = 33;

async function magicLinkFor(visit: Visit, params: MagicLink & Pick<Otp, 'create_user'>): Promise<Answer> {
  const { config } = visit;
  refuseLinks(visit);
  const email = validEmail(params.email);
  // Who has not confirmed yet, or is nobody yet, gets the mail that asks for that.
  const moments: readonly MailMoment[] = config.enableConfirmations
    ? ['confirmation', 'recovery']
    : ['recovery'];
  return asking(visit, email, moments, () => sendLink(visit, params, email));
}

async function sendLink(
  visit: Visit,
  params: MagicLink & Pick<Otp, 'create_user'>,
  email: string,
): Promise<Answer> {
  const { auth, config, request } = visit;
  const find = () => withTables(auth.db, (tx) => findUserByEmail(tx, email, audienceOf(visit)));
  let user = await find();
  if (user === undefined || !isConfirmed(user)) {
    const password = generatePassword(config.requiredCharacters, temporaryLength);
    const { kind } = await register(visit, { ...params, email, phone: '', password, channel: '' });
    // The mail that asks for the confirmation signs in as well.
    if (kind === 'unconfirmed') return done();
    user = await find();
  } else if (params.create_user) {
    // A new one's password was hashed: the same work, so that the time does not tell.
    await auth.hasher.verify(email, undefined, request.cancellation);
  }
  if (user === undefined) return done();
  const known = user;
  await inTransaction(auth.mailDb, async (tx) => {
    await begin(tx, visit, known, 'magiclink', params);
    await record(tx, visit, known, 'user_recovery_requested');
    await sendCode(tx, visit, known, 'magic_link', isPkce(params));
  });
  return done();
}

const resendTypes: ReadonlySet<string> = new Set(['signup', 'email_change', 'sms', 'phone_change']);

export async function resend(visit: Visit): Promise<Answer> {
  const params = await readParams(visit.request, 'ResendConfirmationParams', {
    type: 'text',
    email: 'text',
    phone: 'text',
    ...challenge,
  });
  const handle = resendHandle(visit, params);
  const resending = () => resendTo(visit, params, handle);
  if (handle.email === '') return inEvenTime(visit, resending);
  const moments: readonly MailMoment[] =
    params.type === 'signup' ? ['confirmation'] : params.type === 'email_change' ? ['email_change'] : [];
  return asking(visit, handle.email, moments, resending);
}

async function resendTo(
  visit: Visit,
  params: Challenge & { readonly type: string },
  handle: { readonly email: string; readonly phone: string },
): Promise<Answer> {
  const { auth } = visit;
  const { type } = params;
  const aud = audienceOf(visit);
  const user = await withTables(auth.db, (tx) =>
    handle.email === '' ? findUserByPhone(tx, handle.phone, aud) : findUserByEmail(tx, handle.email, aud),
  );
  const isOver =
    user === undefined ||
    (type === 'signup' && isConfirmed(user)) ||
    (type === 'sms' && isPhoneConfirmed(user)) ||
    (type === 'email_change' && user.email_change === '') ||
    (type === 'phone_change' && user.phone_change === '');
  if (isOver) return handle.email === '' ? done() : nothingToSend(visit);
  if (type === 'sms' || type === 'phone_change')
    return json(200, withMessageId(await resendByPhone(visit, user, type, handle.phone)));
  await inTransaction(auth.mailDb, async (tx) => {
    if (type === 'signup') {
      await record(tx, visit, user, 'user_confirmation_requested');
      await begin(tx, visit, user, 'email/signup', params);
      await sendCode(tx, visit, user, 'confirmation', isPkce(params));
    } else {
      await begin(tx, visit, user, 'email_change', params);
      await askBoth(tx, visit, user, user.email_change, isPkce(params));
    }
  });
  return done();
}

async function resendByPhone(
  visit: Visit,
  user: User,
  kind: 'sms' | 'phone_change',
  asked: string,
): Promise<string> {
  const phone = kind === 'phone_change' ? user.phone_change : asked;
  return withPhoneCode(visit, user, { phone, kind, channel: 'sms' }, async (tx, _, messageId) => {
    if (kind === 'sms') await record(tx, visit, user, 'user_recovery_requested');
    return messageId;
  });
}

function resendHandle(
  { config }: Visit,
  params: Challenge & { readonly type: string; readonly email: string; readonly phone: string },
): { readonly email: string; readonly phone: string } {
  const { type, email, phone } = params;
  if (!resendTypes.has(type))
    throw badRequest(
      'validation_failed',
      'Missing one of these types: signup, email_change, sms, phone_change',
    );
  if (type === 'signup' || type === 'email_change') checkChallenge(params);
  if (email === '' && type === 'signup')
    throw badRequest('validation_failed', 'Type provided requires an email address');
  if (phone === '' && type === 'sms')
    throw badRequest('validation_failed', 'Type provided requires a phone number');
  if (email !== '' && phone !== '')
    throw badRequest('validation_failed', 'Only an email address or phone number should be provided.');
  if (email !== '') {
    if (!config.enableEmail) throw badRequest('email_provider_disabled', 'Email logins are disabled');
    return { email: validEmail(email), phone: '' };
  }
  if (phone === '') throw badRequest('validation_failed', 'Missing email address or phone number');
  if (!config.enablePhone) throw badRequest('phone_provider_disabled', 'Phone logins are disabled');
  return { email: '', phone: validPhone(phone) };
}

export async function reauthenticate(visit: Visit): Promise<Answer> {
  const { user } = await requireUser(visit);
  if (user.email === '' && user.phone === '')
    throw badRequest(
      'validation_failed',
      'Reauthentication requires the user to have an email or a phone number',
    );
  if (user.email === '') return reauthenticateByPhone(visit, user);
  if (!isConfirmed(user)) throw unprocessable('email_not_confirmed', 'Please verify your email first.');
  await inTransaction(visit.auth.mailDb, async (tx) => {
    await record(tx, visit, user, 'user_reauthenticate_requested');
    await sendCode(tx, visit, user, 'reauthentication');
  });
  return done();
}

async function reauthenticateByPhone(visit: Visit, user: User): Promise<Answer> {
  if (!isPhoneConfirmed(user)) throw unprocessable('phone_not_confirmed', 'Please verify your phone first.');
  const code = { phone: user.phone, kind: 'reauthentication', channel: 'sms' } as const;
  const messageId = await withPhoneCode(visit, user, code, async (tx, _, id) => {
    await record(tx, visit, user, 'user_reauthenticate_requested');
    return id;
  });
  return json(200, withMessageId(messageId));
}

export async function invite(visit: Visit): Promise<Answer> {
  const actor = await requireAdmin(visit);
  const { auth, request } = visit;
  const params = await readParams(request, 'InviteParams', { email: 'text', data: 'object' });
  const email = validEmail(params.email);
  const aud = audienceOf(visit, { role: actor.email });
  const known = await withTables(auth.db, (tx) => findUserByEmail(tx, email, aud));
  if (known && isConfirmed(known)) throw emailTaken();
  const newUser = invitedUser(visit, { email, aud, data: params.data ?? {} });
  if (known === undefined) await beforeUserCreated(visit, newUser);
  const invited = await orTaken(() =>
    inTransaction(auth.mailDb, async (tx) => {
      const user = known ? await withoutOthers(tx, visit, known) : await insertInvited(tx, visit, newUser);
      await record(tx, visit, actor, 'user_invited', { user_id: user.id, user_email: user.email });
      return sendCode(tx, visit, user, 'invite');
    }),
  );
  if (known === undefined) await afterUserCreated(visit, invited);
  return json(200, userJson(invited));
}

/** A user whose address somebody else has given, without a password. */
export function invitedUser(
  { config }: Visit,
  facts: {
    readonly email: string;
    readonly aud: string;
    readonly data: Readonly<Record<string, unknown>>;
    readonly passwordHash?: string | undefined;
  },
): NewUser {
  return {
    id: randomUUID(),
    aud: facts.aud,
    role: config.defaultRole,
    email: facts.email,
    phone: '',
    encryptedPassword: facts.passwordHash ?? '',
    appMetaData: providerFacts(['email']),
    userMetaData: facts.data,
    isAnonymous: false,
  };
}

export async function insertInvited(tx: Tx, visit: Visit, user: NewUser): Promise<User> {
  const { id, email } = user;
  await createUser(tx, visit, user);
  await insertIdentity(tx, id, 'email', ownIdentityData({ sub: id, email }), visit.auth.now());
  return reload(tx, id);
}
