// In charge of: GET and POST /verify: a link or a code from a mail for a session. Source: supabase/auth internal/api/verify.go.
import { Fault } from '../../../base/errors.ts';
import { audienceOf } from '../authenticate.ts';
import { confirmEmailChange, confirmRecovery, confirmSignUp, firstHashFor } from '../confirmed.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, forbidden, unprocessable } from '../errors.ts';
import { issueAuthCode } from '../flow-state.ts';
import { json } from '../go-json.ts';
import { issuedJson, signIn } from '../issue.ts';
import { pkcePrefix, tokenHashOf } from '../mail/links.ts';
import { redirectOf } from '../redirect.ts';
import { errorFacts, seeOther, withCode, withError, withMessage, withTokens } from '../redirect-answer.ts';
import { type Params, queryOf, readParams } from '../request.ts';
import type { AuthenticationMethod } from '../sessions.ts';
import { confirmPhone, confirmPhoneChange } from '../sms/confirmed.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import type { User } from '../user.ts';
import { findUserById } from '../users.ts';
import { plainPhone, validEmail, validPhone } from '../validate.ts';
import { type Verified, verifyCode, verifyHash } from '../verify-token.ts';

const halfway = 'Confirmation link accepted. Please proceed to confirm link sent to the other email';

const shape = {
  type: 'text',
  token: 'text',
  token_hash: 'text',
  email: 'text',
  phone: 'text',
  redirect_to: 'text',
} as const;

export async function verifyPost(visit: Visit): Promise<Answer> {
  const params = await readParams(visit.request, 'VerifyParams', shape);
  const find = await finderOf(visit, params);
  const { auth } = visit;
  // Every try, before it is looked at: of many at once no more than these can be lucky.
  // A number can be written in many ways, and all of them are one account.
  if (params.token_hash === '')
    await auth.limits.countFailure(`code:${params.email || plainPhone(params.phone)}`);
  const issued = await confirmWith(visit, find.hash, find.verify, (tx, user) =>
    signIn(tx, visit, user, 'otp'),
  );
  if (issued === undefined) return json(200, { code: '200', msg: halfway });
  return json(200, issuedJson(issued, auth.now()), visit.headersOut);
}

interface Finder {
  readonly hash: string;
  readonly verify: (tx: Tx) => Promise<Verified>;
}

async function finderOf(visit: Visit, params: Params<typeof shape>): Promise<Finder> {
  const { type, token, token_hash: hash, email, phone } = params;
  if (type === '') throw badRequest('validation_failed', 'Verify requires a verification type');
  if ((token === '') === (hash === ''))
    throw badRequest('validation_failed', 'Verify requires either a token or a token hash');
  if (hash !== '') {
    if (email !== '' || phone !== '' || params.redirect_to !== '')
      throw badRequest('validation_failed', 'Only the token_hash and type should be provided');
    return { hash, verify: (tx) => verifyHash(tx, visit, type, hash) };
  }
  const aud = audienceOf(visit);
  if (phone !== '' && email === '') {
    const number = validPhone(phone);
    const found = tokenHashOf(await visit.auth.codeKey(), number, token);
    return {
      hash: found,
      verify: (tx) =>
        verifyCode(tx, visit, { type, email: '', phone: number, code: token, hash: found, aud }),
    };
  }
  if (email === '' || phone !== '')
    throw badRequest(
      'validation_failed',
      'Only an email address or phone number should be provided on verify',
    );
  const address = addressOf(email);
  const found = tokenHashOf(await visit.auth.codeKey(), address, token);
  return {
    hash: found,
    verify: (tx) => verifyCode(tx, visit, { type, email: address, phone: '', code: token, hash: found, aud }),
  };
}

function addressOf(email: string): string {
  try {
    return validEmail(email);
  } catch {
    throw unprocessable('validation_failed', 'Invalid email format');
  }
}

/** The link of a mail. Whatever happens, the browser goes on to the application, which is told in the address. */
export async function verifyGet(visit: Visit): Promise<Answer> {
  const type = queryOf(visit, 'type');
  const hash = queryOf(visit, 'token');
  const redirectTo = redirectOf(visit);
  if (type === '') throw badRequest('validation_failed', 'Verify requires a verification type');
  if (hash === '') throw badRequest('validation_failed', 'Verify requires a token or a token hash');
  const isPkce = hash.startsWith(pkcePrefix);
  const method = isPkce ? methodOf(type) : undefined;
  try {
    const verify = (tx: Tx) => verifyHash(tx, visit, type, hash);
    const done = await confirmWith(visit, hash, verify, async (tx, user) =>
      method === undefined
        ? { issued: await signIn(tx, visit, user, 'otp') }
        : { code: await codeFor(tx, visit, user, method) },
    );
    if (done === undefined) return seeOther(withMessage(redirectTo, halfway, isPkce));
    return seeOther(
      'code' in done
        ? withCode(redirectTo, done.code)
        : withTokens(redirectTo, done.issued, visit.auth.now(), { type }),
    );
  } catch (error) {
    if (!(error instanceof Fault) || error.status >= 500) throw error;
    return seeOther(withError(redirectTo, errorFacts(error), isPkce));
  }
}

async function codeFor(tx: Tx, { auth }: Visit, user: User, method: AuthenticationMethod): Promise<string> {
  const code = await issueAuthCode(tx, user.id, method, auth.now());
  if (code === undefined)
    throw badRequest(
      'flow_state_not_found',
      'No associated flow state found. 422: No valid flow state found for user.',
    );
  return code;
}

/** Source: supabase/auth internal/models/factor.go `ParseAuthenticationMethod`. */
function methodOf(type: string): AuthenticationMethod {
  if (type.endsWith('signup')) return 'email/signup';
  if (type === 'recovery' || type === 'invite' || type === 'magiclink' || type === 'email_change')
    return type;
  throw badRequest('validation_failed', 'Unsupported verification type');
}

/** Finds whose code it is, does what it confirms, and then what the caller wants. Undefined: another address has still to confirm. */
async function confirmWith<T>(
  visit: Visit,
  hash: string,
  verify: (tx: Tx) => Promise<Verified>,
  then: (tx: Tx, user: User) => Promise<T>,
): Promise<T | undefined> {
  const { auth } = visit;
  // An invited user gets a password, whose hash nobody waits for with a row locked.
  const { user: before, ask } = await withTables(auth.db, async (tx) => {
    const { user, ask } = await verify(tx);
    return { ask, user: await findUserById(tx, user.id) };
  });
  // Asked with no connection held. The code is good once; its provider sees to that.
  if (ask !== undefined && !(await auth.sms.isRight(visit, ask.phone, ask.code)))
    throw forbidden('otp_expired', 'Token has expired or is invalid');
  const firstHash = before && (await firstHashFor(visit, before));
  return inTransaction(auth.patientDb, async (tx) => {
    const { user, type } = await verify(tx);
    const confirmed = await confirm(tx, visit, user, type, hash, firstHash);
    return confirmed && then(tx, confirmed);
  });
}

async function confirm(
  tx: Tx,
  visit: Visit,
  user: User,
  type: Verified['type'],
  hash: string,
  firstHash: string | undefined,
): Promise<User | undefined> {
  switch (type) {
    case 'signup':
    case 'invite':
      return confirmSignUp(tx, visit, user, firstHash);
    case 'recovery':
    case 'magiclink':
      return confirmRecovery(tx, visit, user);
    case 'email_change':
      return confirmEmailChange(tx, visit, user, hash);
    case 'sms':
      return confirmPhone(tx, visit, user);
    case 'phone_change':
      return confirmPhoneChange(tx, visit, user, user.phone_change);
  }
}
