// In charge of: POST /signup. By address or number with a password, or without a name. Source: supabase/auth internal/api/{signup,anonymous}.go.
import { randomUUID } from 'node:crypto';
import { record } from '../audit.ts';
import { audienceOf } from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { afterUserCreated, beforeUserCreated, unmade } from '../hooks/new-user.ts';
import { providerFacts } from '../identities.ts';
import { issuedJson, signIn } from '../issue.ts';
import { createUser } from '../new-user.ts';
import { readParams } from '../request.ts';
import { type Registered, refuseWhenClosed, register, type SignUp, signUpShape } from '../sign-up.ts';
import { inTransaction } from '../transaction.ts';
import { userJson } from '../user-json.ts';

export async function signUp(visit: Visit): Promise<Answer> {
  const params = await readParams(visit.request, 'SignupParams', signUpShape);
  if (params.email === '' && params.phone === '') return signUpAnonymously(visit, params);
  const { auth } = visit;
  await auth.limits.takeRequest(visit, 'sign_up');
  const registered = await register(visit, params, ['confirmation']);
  const { kind, user, handle } = registered;
  if (kind === 'known') return answerKnown(visit, registered, params);
  if (kind === 'unconfirmed') {
    // An invited user's data is not for whoever knows the address.
    const shown = user.invited_at === null ? user : { ...user, raw_user_meta_data: {}, identities: [] };
    return json(200, userJson(shown));
  }
  const issued = await inTransaction(auth.patientDb, async (tx) => {
    await record(tx, visit, user, 'login', { provider: handle.provider });
    return signIn(tx, visit, user, 'password');
  });
  return json(200, issuedJson(issued, auth.now()), visit.headersOut);
}

/**
 * Where an address has to be confirmed, the answer is that of a new user, so that it does not tell who is one. Nothing in it is of whoever has
 * the address: upstream takes their row, and forgets to take out factors, a new number, a ban. Source: `sanitizeUser`.
 */
function answerKnown(visit: Visit, { handle }: Registered, { data }: SignUp): Answer {
  const { config, auth } = visit;
  const { provider, email, phone } = handle;
  const isAutomatic = provider === 'email' ? !config.enableConfirmations : !config.enablePhoneConfirmations;
  if (isAutomatic) throw unprocessable('user_already_exists', 'User already registered');
  const at = new Date(auth.now()).toISOString();
  const nobody = unmade({
    id: randomUUID(),
    aud: audienceOf(visit),
    role: '',
    email,
    phone,
    encryptedPassword: '',
    appMetaData: providerFacts([provider]),
    userMetaData: data ?? {},
    isAnonymous: false,
  });
  return json(200, userJson({ ...nobody, created_at: at, updated_at: at, confirmation_sent_at: at }));
}

/** Source: internal/api/anonymous.go. */
async function signUpAnonymously(visit: Visit, params: SignUp): Promise<Answer> {
  const { config, auth } = visit;
  if (!config.enableAnonymous)
    throw unprocessable('anonymous_provider_disabled', 'Anonymous sign-ins are disabled');
  await auth.limits.takeRequest(visit, 'anonymous');
  refuseWhenClosed(visit);
  const newUser = {
    id: randomUUID(),
    aud: audienceOf(visit),
    role: config.defaultRole,
    email: '',
    phone: '',
    encryptedPassword: '',
    appMetaData: {},
    userMetaData: params.data ?? {},
    isAnonymous: true,
  };
  await beforeUserCreated(visit, newUser);
  const issued = await inTransaction(auth.patientDb, async (tx) => {
    const user = await createUser(tx, visit, newUser);
    return signIn(tx, visit, user, 'anonymous');
  });
  await afterUserCreated(visit, issued.user);
  return json(200, issuedJson(issued, auth.now()), visit.headersOut);
}
