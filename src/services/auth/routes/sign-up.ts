// In charge of: POST /signup. By address or number with a password, or without a name. Source: supabase/auth internal/api/{signup,anonymous}.go.
import { randomUUID } from 'node:crypto';
import { record } from '../audit.ts';
import { audienceOf } from '../authenticate.ts';
import { sendConfirmation } from '../confirmation.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, unprocessable } from '../errors.ts';
import { type JsonObject, json, merged } from '../go-json.ts';
import { findIdentity, insertIdentity, ownIdentityData, providerFacts, providersOf } from '../identities.ts';
import { issuedJson, signIn } from '../issue.ts';
import { createUser } from '../new-user.ts';
import { checkPassword } from '../password.ts';
import { type Params, readParams } from '../request.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import { isConfirmed, isPhoneConfirmed, type User } from '../user.ts';
import { userJson } from '../user-json.ts';
import { findUserByPhone, findUserWithEmail, reload, updateUser } from '../users.ts';
import { validEmail, validPhone } from '../validate.ts';

const shape = {
  email: 'text',
  phone: 'text',
  password: 'text',
  data: 'object',
  channel: 'text',
  code_challenge: 'text',
  code_challenge_method: 'text',
} as const;
type SignUp = Params<typeof shape>;

/** By what somebody signs up: an address or a number, in its one form. */
interface Handle {
  readonly provider: 'email' | 'phone';
  readonly email: string;
  readonly phone: string;
}

export async function signUp(visit: Visit): Promise<Answer> {
  const params = await readParams(visit.request, shape);
  if (params.email === '' && params.phone === '') return signUpAnonymously(visit, params);
  const { config, auth } = visit;
  refuseWhenClosed(visit);
  await checkParams(visit, params);
  const handle = handleOf(visit, params);
  const aud = audienceOf(visit);
  const data = params.data ?? {};
  const known = await withTables(auth.db, (tx) => findByHandle(tx, handle, aud));
  // Also for one who is there already, so that the time does not tell.
  const encryptedPassword = await auth.hasher.hash(params.password, visit.request.cancellation);
  const isAutomatic =
    handle.provider === 'email' ? !config.enableConfirmations : !config.enablePhoneConfirmations;
  const outcome = await inTransaction(auth.db, async (tx) => {
    if (known && isConfirmedBy(known, handle)) {
      await record(tx, visit, known, 'user_repeated_signup', { provider: handle.provider });
      return { kind: 'known' as const, user: known };
    }
    const user =
      known ??
      (await createUser(tx, visit, {
        id: randomUUID(),
        aud,
        role: config.defaultRole,
        email: handle.email,
        phone: handle.phone,
        encryptedPassword,
        appMetaData: providerFacts([handle.provider]),
        userMetaData: data,
        isAnonymous: false,
      }));
    const complete = await withIdentity(tx, visit, user, handle, data);
    if (!isAutomatic) {
      await record(tx, visit, complete, 'user_confirmation_requested', { provider: handle.provider });
      return { kind: 'unconfirmed' as const, user: await sendConfirmation(tx, visit, complete, params) };
    }
    await record(tx, visit, complete, 'user_signedup', { provider: handle.provider });
    return { kind: 'confirmed' as const, user: await confirm(tx, visit, complete, handle) };
  });
  if (outcome.kind === 'known') return answerKnown(visit, outcome.user, handle, aud, data);
  if (outcome.kind === 'unconfirmed') {
    const { user } = outcome;
    // An invited user's data is not for whoever knows the address.
    const shown = user.invited_at === null ? user : { ...user, raw_user_meta_data: {}, identities: [] };
    return json(200, userJson(shown));
  }
  const issued = await inTransaction(auth.db, async (tx) => {
    await record(tx, visit, outcome.user, 'login', { provider: handle.provider });
    return signIn(tx, visit, outcome.user, 'password');
  });
  return json(200, issuedJson(issued, auth.now()), visit.headersOut);
}

function refuseWhenClosed({ config }: Visit): void {
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
  if (params.phone !== '' && params.code_challenge !== '')
    throw badRequest('validation_failed', 'PKCE not supported for phone signups');
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

const isConfirmedBy = (user: User, { provider }: Handle) =>
  provider === 'email' ? isConfirmed(user) : isPhoneConfirmed(user);

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
  if (provider === 'phone')
    return updateUser(tx, user.id, { confirmation_token: '', phone_confirmed_at: at }, nowMs);
  const raw_user_meta_data = merged(user.raw_user_meta_data, { email_verified: true });
  return updateUser(
    tx,
    user.id,
    { confirmation_token: '', email_confirmed_at: at, raw_user_meta_data },
    nowMs,
  );
}

/** Where an address has to be confirmed, the answer is that of a new user, so that it does not tell who is one. Source: `sanitizeUser`. */
function answerKnown(
  visit: Visit,
  user: User,
  { provider, email, phone }: Handle,
  aud: string,
  data: JsonObject,
): Answer {
  const { config, auth } = visit;
  if (!config.enableConfirmations || !config.enablePhoneConfirmations)
    throw unprocessable('user_already_exists', 'User already registered');
  const at = new Date(auth.now()).toISOString();
  return json(
    200,
    userJson({
      ...user,
      id: randomUUID(),
      aud,
      role: '',
      email,
      phone,
      email_change: '',
      created_at: at,
      updated_at: at,
      confirmation_sent_at: at,
      last_sign_in_at: null,
      confirmed_at: null,
      email_change_sent_at: null,
      email_confirmed_at: null,
      phone_confirmed_at: null,
      identities: [],
      raw_user_meta_data: data,
      raw_app_meta_data: providerFacts([provider]),
    }),
  );
}

/** Source: internal/api/anonymous.go. */
async function signUpAnonymously(visit: Visit, params: SignUp): Promise<Answer> {
  const { config, auth } = visit;
  if (!config.enableAnonymous)
    throw unprocessable('anonymous_provider_disabled', 'Anonymous sign-ins are disabled');
  refuseWhenClosed(visit);
  const issued = await inTransaction(auth.db, async (tx) => {
    const user = await createUser(tx, visit, {
      id: randomUUID(),
      aud: audienceOf(visit),
      role: config.defaultRole,
      email: '',
      phone: '',
      encryptedPassword: '',
      appMetaData: {},
      userMetaData: params.data ?? {},
      isAnonymous: true,
    });
    return signIn(tx, visit, await reload(tx, user.id), 'anonymous');
  });
  return json(200, issuedJson(issued, auth.now()), visit.headersOut);
}
