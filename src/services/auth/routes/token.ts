// In charge of: POST /token: a password or a refresh token for tokens. Source: supabase/auth internal/api/{token,token_refresh}.go.
import { record } from '../audit.ts';
import { audienceOf } from '../authenticate.ts';
import { verifyCaptcha } from '../captcha/captcha.ts';
import type { Answer, Visit } from '../context.ts';
import { badRequest, invalidCredentials, unprocessable } from '../errors.ts';
import { json } from '../go-json.ts';
import { askAboutPassword } from '../hooks/password-attempt.ts';
import { issuedJson, signIn } from '../issue.ts';
import { byIdToken } from '../oauth/id-token-grant.ts';
import { hashOf, weaknessOf } from '../password.ts';
import { byPkce } from '../pkce-grant.ts';
import { refresh } from '../refresh.ts';
import { isPlainLength, isPlainToken } from '../refresh-tokens.ts';
import { queryOf, readParams } from '../request.ts';
import { parseSignedToken } from '../signed-refresh-tokens.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import { hasPassword, isBanned, isConfirmed, isPhoneConfirmed, type User } from '../user.ts';
import { findUserByEmail, findUserByPhone } from '../users.ts';
import { plainPhone } from '../validate.ts';
import { byWeb3 } from '../web3/grant.ts';

export async function token(visit: Visit): Promise<Answer> {
  const name = queryOf(visit, 'grant_type');
  const { refreshDb, patientDb } = visit.auth;
  (name === 'refresh_token' ? refreshDb : patientDb).refuseWhenFull();
  const grant = Object.hasOwn(grants, name) ? grants[name] : undefined;
  // What was asked for by a code or a token was behind a captcha when that was given out.
  const checked = withoutCaptcha.has(name) ? visit : await verifyCaptcha(visit);
  if (grant === undefined) throw badRequest('invalid_credentials', 'unsupported_grant_type');
  await visit.auth.limits.takeRequest(visit, name === 'web3' ? 'web3' : 'token');
  return grant(checked);
}

/** Source: internal/api/middleware.go `isIgnoreCaptchaRoute`. */
const withoutCaptcha: ReadonlySet<string> = new Set(['pkce', 'refresh_token', 'id_token']);

const grants: Readonly<Record<string, (visit: Visit) => Promise<Answer>>> = {
  password: byPassword,
  refresh_token: byRefreshToken,
  web3: byWeb3,
  id_token: byIdToken,
  pkce: byPkce,
};

async function byPassword(visit: Visit): Promise<Answer> {
  const { auth, request } = visit;
  const params = await readParams(request, 'PasswordGrantParams', {
    email: 'text',
    phone: 'text',
    password: 'text',
  });
  const provider = providerOf(visit, params);
  auth.hasher.refuseWhenBusy();
  const aud = audienceOf(visit);
  const user = await withTables(auth.db, (tx) =>
    provider === 'email'
      ? findUserByEmail(tx, params.email, aud)
      : findUserByPhone(tx, plainPhone(params.phone), aud),
  );
  const account = `password:${provider === 'email' ? params.email : plainPhone(params.phone)}`;
  auth.limits.refuseAfterFailures(account);
  // Nobody's password takes as long as somebody's wrong one.
  const verdict = await auth.hasher.verify(
    params.password,
    user && hashOf(visit, user),
    request.cancellation,
  );
  if (user === undefined || !verdict.ok) await auth.limits.countFailure(account);
  if (user === undefined || !hasPassword(user)) throw invalidCredentials();
  if (isBanned(user, auth.now())) throw badRequest('user_banned', 'User is banned');
  await askAboutPassword(visit, user.id, verdict.ok);
  if (!verdict.ok) throw invalidCredentials();
  if (provider === 'email' && !isConfirmed(user))
    throw badRequest('email_not_confirmed', 'Email not confirmed');
  if (provider === 'phone' && !isPhoneConfirmed(user))
    throw badRequest('phone_not_confirmed', 'Phone not confirmed');
  const weak = await weaknessOf(visit, params.password);
  const issued = await inTransaction(auth.patientDb, async (tx) => {
    await refuseWhenChanged(tx, visit, user);
    await record(tx, visit, user, 'login', { provider });
    return signIn(tx, visit, user, 'password');
  });
  return json(200, issuedJson(issued, auth.now(), weak), visit.headersOut);
}

/**
 * To verify a password takes a while, and a hook longer: who changed it meanwhile has ended the sessions that there were, and would not end
 * this one. The row stays locked, so that a change waits for the session and ends it. Upstream looks once, before.
 * @throws Fault 400 invalid_credentials, user_banned
 */
async function refuseWhenChanged(tx: Tx, { auth }: Visit, verified: User): Promise<void> {
  const { rows } = await tx.query<Pick<User, 'encrypted_password' | 'banned_until'>>(
    'select encrypted_password, banned_until from auth.users where id = $1 for no key update',
    [verified.id],
  );
  const user = rows[0];
  if (user?.encrypted_password !== verified.encrypted_password) throw invalidCredentials();
  if (isBanned(user, auth.now())) throw badRequest('user_banned', 'User is banned');
}

function providerOf({ config }: Visit, { email, phone }: { readonly email: string; readonly phone: string }) {
  if (email !== '' && phone !== '')
    throw badRequest(
      'validation_failed',
      'Only an email address or phone number should be provided on login.',
    );
  if (email !== '') {
    if (!config.enableEmail) throw unprocessable('email_provider_disabled', 'Email logins are disabled');
    return 'email';
  }
  if (phone === '') throw badRequest('validation_failed', 'missing email or phone');
  if (!config.enablePhone) throw unprocessable('phone_provider_disabled', 'Phone logins are disabled');
  return 'phone';
}

async function byRefreshToken(visit: Visit): Promise<Answer> {
  const { refresh_token: text } = await readParams(visit.request, 'RefreshTokenGrantParams', {
    refresh_token: 'text',
  });
  if (isPlainLength(text) ? !isPlainToken(text) : parseSignedToken(text) === undefined)
    throw badRequest('validation_failed', 'Refresh token is not valid');
  const issued = await refresh(visit, text);
  return json(200, issuedJson(issued, visit.auth.now()), visit.headersOut);
}
