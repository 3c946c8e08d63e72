// In charge of: registering somebody by an address or a number: the user, their identity, and the confirmation where one is wanted.
// Source: supabase/auth internal/api/signup.go `Signup`.
import { randomUUID } from 'node:crypto';
import { record } from './audit.ts';
import { audienceOf } from './authenticate.ts';
import type { Visit } from './context.ts';
import { forgetPassword } from './end-access.ts';
import { badRequest, unprocessable } from './errors.ts';
import { checkChallenge, insertFlowState, isPkce } from './flow-state.ts';
import { type JsonObject, merged } from './go-json.ts';
import { afterUserCreated, beforeUserCreated } from './hooks/new-user.ts';
import { findIdentity, insertIdentity, ownIdentityData, providerFacts, providersOf } from './identities.ts';
import { type MailMoment, orQuiet, withMailMoments } from './mail-moments.ts';
import { createUser } from './new-user.ts';
import { clearTokens } from './one-time-tokens.ts';
import { checkPassword, hashOf } from './password.ts';
import type { Params } from './request.ts';
import { sendCode } from './send.ts';
import { channelOf } from './sms/channel.ts';
import { withPhoneCode } from './sms/send-code.ts';
import { inTransaction, onceMoreAfterRace, type Tx, withTables } from './transaction.ts';
import { isConfirmed, isPhoneConfirmed, type User } from './user.ts';
import { findUserByPhone, findUserWithEmail, type NewUser, updateUser } from './users.ts';
import { validEmail, validPhone } from './validate.ts';

export const signUpShape = {
  email: 'text',
  phone: 'text',
  password: 'text',
  data: 'object',
  channel: 'text',
  code_challenge: 'text',
  code_challenge_method: 'text',
} as const;
export type SignUp = Params<typeof signUpShape>;

/** By what somebody signs up: an address or a number, in its one form. */
export interface Handle {
  readonly provider: 'email' | 'phone';
  readonly email: string;
  readonly phone: string;
}

export interface Registered {
  /** `known`: there is somebody with this address or number already, who has confirmed it. */
  readonly kind: 'known' | 'unconfirmed' | 'confirmed';
  readonly user: User;
  readonly handle: Handle;
}

/**
 * Of many at once with one address one makes the user; to the others they are known then, as a moment later. `moments`: which mails are asked
 * for by that, where addresses are confirmed.
 * @throws Fault, WeakPassword
 */
export async function register(
  visit: Visit,
  params: SignUp,
  moments: readonly MailMoment[] = [],
): Promise<Registered> {
  refuseWhenClosed(visit);
  await checkParams(visit, params);
  const handle = handleOf(visit, params);
  const asked = handle.provider === 'email' && visit.config.enableConfirmations ? moments : [];
  return withMailMoments(visit, handle.email, asked, () =>
    onceMoreAfterRace(() => registerOnce(visit, params, handle)),
  );
}

async function registerOnce(visit: Visit, params: SignUp, handle: Handle): Promise<Registered> {
  const { config, auth } = visit;
  const aud = audienceOf(visit);
  const data = params.data ?? {};
  const known = await withTables(auth.db, (tx) => findByHandle(tx, handle, aud));
  const waiting = known && isWaitingFor(known, handle) ? known : undefined;
  // One hash for everybody, so that the time does not tell: of who waits already, it is compared.
  const isSame =
    waiting &&
    (await auth.hasher.verify(params.password, hashOf(visit, waiting), visit.request.cancellation)).ok;
  const encryptedPassword = waiting
    ? ''
    : await auth.hasher.hash(params.password, visit.request.cancellation);
  const isAutomatic =
    handle.provider === 'email' ? !config.enableConfirmations : !config.enablePhoneConfirmations;
  const newUser: NewUser = {
    id: randomUUID(),
    aud,
    role: config.defaultRole,
    email: handle.email,
    phone: handle.phone,
    encryptedPassword,
    appMetaData: providerFacts([handle.provider]),
    userMetaData: data,
    isAnonymous: false,
  };
  if (known === undefined) await beforeUserCreated(visit, newUser);
  const written = await inTransaction(auth.mailDb, async (tx): Promise<Registered> => {
    if (known && waiting === undefined) {
      if (!isAutomatic && handle.provider === 'email') auth.limits.refuseWithoutMail(visit);
      await record(tx, visit, known, 'user_repeated_signup', { provider: handle.provider });
      return { kind: 'known', user: known, handle };
    }
    // Of two who sign up with one address and two passwords, nobody knows which is the owner: whoever confirms it gets in by that, and
    // neither password does (pre-account takeover, CWE-287). Upstream keeps the first one.
    if (waiting && !isSame && !isAutomatic) await forgetPassword(tx, waiting);
    const user = waiting ?? (await createUser(tx, visit, newUser));
    const complete = await withIdentity(tx, visit, user, handle, data);
    // A text message goes out once this is written: nobody waits for a provider with a transaction open.
    if (!isAutomatic && handle.provider === 'phone') return { kind: 'unconfirmed', user: complete, handle };
    if (!isAutomatic) {
      await record(tx, visit, complete, 'user_confirmation_requested', { provider: handle.provider });
      // What was taken away stays so, also where the mail that went out last is the one that will be answered.
      const asked = await orQuiet(
        () => askToConfirm(tx, visit, complete, handle, params),
        () => complete,
      );
      return { kind: 'unconfirmed', user: asked, handle };
    }
    const traits = handle.provider === 'phone' ? { channel: channelOf(visit, params.channel) } : {};
    await record(tx, visit, complete, 'user_signedup', { provider: handle.provider, ...traits });
    return { kind: 'confirmed', user: await confirm(tx, visit, complete, handle), handle };
  });
  const registered =
    written.kind === 'unconfirmed' && handle.provider === 'phone'
      ? { ...written, user: await askByPhone(visit, written.user, params, known === undefined) }
      : written;
  // Upstream leaves out those who are confirmed at once, and tells of one who asks again before they have confirmed.
  if (known === undefined) await afterUserCreated(visit, registered.user);
  return registered;
}

async function askByPhone(visit: Visit, user: User, params: SignUp, isNew: boolean): Promise<User> {
  const channel = channelOf(visit, params.channel);
  try {
    return await withPhoneCode(
      visit,
      user,
      { phone: user.phone, kind: 'sms', channel },
      async (tx, changed) => {
        await record(tx, visit, changed, 'user_confirmation_requested', { provider: 'phone' });
        return changed;
      },
    );
  } catch (error) {
    if (isNew) await forget(visit, user);
    throw error;
  }
}

/** Somebody whose code could not be sent is nobody, unless another request has sent one since. */
async function forget({ auth }: Visit, { id }: User): Promise<void> {
  try {
    await withTables(auth.db, (tx) =>
      tx.query(
        'delete from auth.users where id = $1 and phone_confirmed_at is null and confirmation_sent_at is null',
        [id],
      ),
    );
  } catch (error) {
    // A table of the project's may hold on to the row; the next sign-up with the number goes on from it.
    auth.observe({ kind: 'auth.sign_up_kept', level: 'warn', error });
  }
}

async function askToConfirm(
  tx: Tx,
  visit: Visit,
  user: User,
  { provider }: Handle,
  params: SignUp,
): Promise<User> {
  const asked = await sendCode(tx, visit, user, 'confirmation', isPkce(params));
  if (isPkce(params)) {
    const facts = { userId: user.id, provider, method: 'email/signup' as const, challenge: params };
    await insertFlowState(tx, facts, visit.auth.now());
  }
  return asked;
}

export function refuseWhenClosed({ config }: Visit): void {
  if (!config.enableSignup) throw unprocessable('signup_disabled', 'Signups not allowed for this instance');
}

async function checkParams(visit: Visit, params: SignUp): Promise<void> {
  if (params.password === '') throw badRequest('validation_failed', 'Signup requires a valid password');
  await checkPassword(visit, params.password);
  if (params.email !== '' && params.phone !== '')
    throw badRequest(
      'validation_failed',
      'Only an email address or phone number should be provided on signup.',
    );
  if (params.email === '' && params.phone !== '') channelOf(visit, params.channel);
  if (params.phone !== '' && params.code_challenge !== '')
    throw badRequest('validation_failed', 'PKCE not supported for phone signups');
  checkChallenge(params);
}

function handleOf({ config }: Visit, { email, phone }: SignUp): Handle {
  if (email !== '') {
    if (!config.enableEmail) throw badRequest('email_provider_disabled', 'Email signups are disabled');
    return { provider: 'email', email: validEmail(email), phone: '' };
  }
  if (!config.enablePhone) throw badRequest('phone_provider_disabled', 'Phone signups are disabled');
  return { provider: 'phone', email: '', phone: validPhone(phone) };
}

async function findByHandle(
  tx: Tx,
  { provider, email, phone }: Handle,
  aud: string,
): Promise<User | undefined> {
  return provider === 'email' ? findUserWithEmail(tx, email, aud) : findUserByPhone(tx, phone, aud);
}

/** Whether it is this address or number that is still to be confirmed. By an identity, somebody else may have the address as well. */
function isWaitingFor(user: User, { provider, email, phone }: Handle): boolean {
  if (provider === 'phone') return !isPhoneConfirmed(user) && user.phone === phone;
  return !isConfirmed(user) && user.email.toLowerCase() === email.toLowerCase();
}

/**
 * An account that an administrator asks somebody to confirm. Whoever registered with the address already may be somebody else than its owner, so
 * that password and identities go, unless the account is good already, by a number. Upstream leaves them (pre-account takeover, CWE-287).
 */
export async function withoutOthers(tx: Tx, visit: Visit, user: User): Promise<User> {
  if (!(await forgetPassword(tx, user))) return user;
  return withIdentity(tx, visit, user, { provider: 'email', email: user.email, phone: '' }, {});
}

/**
 * The identity of the address itself. An unconfirmed user is nobody's yet: whatever else somebody put into it is taken away.
 * Source: internal/models/user.go `RemoveUnconfirmedIdentities`.
 */
async function withIdentity(
  tx: Tx,
  visit: Visit,
  user: User,
  handle: Handle,
  data: JsonObject,
): Promise<User> {
  const { provider } = handle;
  if (await findIdentity(tx, user.id, provider)) return user;
  const nowMs = visit.auth.now();
  // An address only: upstream puts no number into it here. Source: internal/api/signup.go `Signup`.
  const identityData = { ...data, ...ownIdentityData({ sub: user.id, email: user.email }) };
  await insertIdentity(tx, user.id, provider, identityData, nowMs);
  for (const other of user.identities)
    await tx.query('delete from auth.identities where id = $1', [other.id]);
  const changes = {
    raw_user_meta_data: identityData,
    raw_app_meta_data: merged(user.raw_app_meta_data, providerFacts(await providersOf(tx, user.id))),
  };
  return updateUser(tx, user.id, changes, nowMs);
}

async function confirm(tx: Tx, visit: Visit, user: User, { provider }: Handle): Promise<User> {
  const nowMs = visit.auth.now();
  const at = new Date(nowMs).toISOString();
  if (provider === 'phone') {
    await clearTokens(tx, user.id);
    return updateUser(tx, user.id, { confirmation_token: '', phone_confirmed_at: at }, nowMs);
  }
  const raw_user_meta_data = merged(user.raw_user_meta_data, { email_verified: true });
  return updateUser(
    tx,
    user.id,
    { confirmation_token: '', email_confirmed_at: at, raw_user_meta_data },
    nowMs,
  );
}
