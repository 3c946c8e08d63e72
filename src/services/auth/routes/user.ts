// In charge of: GET and PUT /user: what a user sees of themselves and may change. Source: supabase/auth internal/api/user.go.
import { record } from '../audit.ts';
import {
  audienceOf,
  firstAudience,
  requireUser,
  requireUserOrApplication,
  type SignedIn,
} from '../authenticate.ts';
import type { Answer, Visit } from '../context.ts';
import { changeEmail } from '../email-change.ts';
import { authFault, badRequest, forbidden, unprocessable } from '../errors.ts';
import { checkChallenge, insertFlowState, isPkce } from '../flow-state.ts';
import { json, merged } from '../go-json.ts';
import { storePassword } from '../new-password.ts';
import { orFailure } from '../new-user.ts';
import { tell } from '../notice.ts';
import { checkPassword, hashOf } from '../password.ts';
import { verifyReauthentication } from '../reauthentication.ts';
import { type Params, readParams } from '../request.ts';
import { isRecovery } from '../sessions.ts';
import { channelOf } from '../sms/channel.ts';
import { confirmPhoneChange } from '../sms/confirmed.ts';
import { type PhoneCode, withPhoneCode } from '../sms/send-code.ts';
import { emailTaken, phoneTaken } from '../taken.ts';
import { inTransaction, type Tx, withTables } from '../transaction.ts';
import { hasPassword, hasVerifiedFactor, timeMs, type User } from '../user.ts';
import { userJson } from '../user-json.ts';
import { findUserByPhone, findUserWithEmail, reload, updateUser } from '../users.ts';
import { validEmail, validPhone } from '../validate.ts';

export async function getUser(visit: Visit): Promise<Answer> {
  const { user, claims } = await requireUserOrApplication(visit);
  const own = firstAudience(claims);
  if (own === '' || own !== audienceOf(visit, claims))
    throw badRequest('validation_failed', "Token audience doesn't match request audience");
  return json(200, userJson(user));
}

const shape = {
  email: 'text',
  password: 'optional_text',
  current_password: 'text',
  nonce: 'text',
  data: 'object',
  app_metadata: 'object',
  phone: 'text',
  channel: 'text',
  code_challenge: 'text',
  code_challenge_method: 'text',
} as const;
type Changes = Params<typeof shape>;

const reauthenticateAfterMs = 24 * 3600 * 1000;

export async function updateOwnUser(visit: Visit): Promise<Answer> {
  const signedIn = await requireUser(visit);
  await visit.auth.limits.takeRequest(visit, 'user');
  const params = checkedForm(visit, await readParams(visit.request, 'UserUpdateParams', shape));
  const { auth, config } = visit;
  const { user, session } = signedIn;
  if (params.password !== undefined) await checkPassword(visit, params.password);
  refuseForbidden(signedIn, params);
  await refuseTaken(visit, user, params);
  const hash = params.password === undefined ? undefined : await newHash(visit, signedIn, params);
  const newPhone = params.phone === user.phone ? '' : params.phone;
  const change = async (tx: Tx, from: User): Promise<User> => {
    let current = from;
    if (hash !== undefined) {
      current = await orFailure('Error during password storage', () =>
        storePassword(tx, visit, current, hash, session?.id),
      );
      await record(tx, visit, current, 'user_updated_password');
      await tell(tx, visit, current, { name: 'password_changed_notification' });
    }
    current = await orFailure('Error updating user', () => withMetadata(tx, visit, current, params));
    if (params.email !== '' && params.email !== user.email)
      current = await askForEmail(tx, visit, current, params);
    if (newPhone !== '' && !config.enablePhoneConfirmations)
      current = await confirmPhoneChange(tx, visit, current, newPhone);
    await record(tx, visit, current, 'user_modified');
    return reload(tx, current.id);
  };
  const changed =
    newPhone === '' || !config.enablePhoneConfirmations
      ? await inTransaction(auth.mailDb, (tx) => change(tx, user))
      : await withPhoneCode(visit, user, changeCode(visit, params), change);
  return json(200, userJson(changed));
}

function checkedForm(visit: Visit, params: Changes): Changes {
  if (params.email !== '') checkChallenge(params);
  const email = params.email === '' ? '' : validEmail(params.email);
  const phone = params.phone === '' ? '' : validPhone(params.phone);
  if (phone !== '') channelOf(visit, params.channel);
  return { ...params, email, phone };
}

/** What this user, in this session, may not change at all. */
function refuseForbidden({ user, session }: SignedIn, params: Changes): void {
  // Upstream's `isAdmin` asks for a group that it has no name for any more: nobody is one. Source: internal/api/helpers.go.
  if (params.app_metadata !== undefined)
    throw forbidden('not_admin', 'Updating app_metadata requires admin privileges');
  const newPassword = params.password !== undefined && params.password !== '';
  const newEmail = params.email !== '' && params.email !== user.email;
  const newPhone = params.phone !== '' && params.phone !== user.phone;
  if (hasVerifiedFactor(user) && session?.aal !== 'aal2' && (newPassword || newEmail || newPhone))
    throw authFault(
      401,
      'insufficient_aal',
      'AAL2 session is required to update email or password when MFA is enabled.',
    );
  if (user.is_anonymous && newPassword && params.email === '' && params.phone === '')
    throw unprocessable(
      'validation_failed',
      'Updating password of an anonymous user without an email or phone is not allowed',
    );
  if (user.is_sso_user && (newPassword || newEmail || newPhone || params.nonce !== ''))
    throw unprocessable(
      'user_sso_managed',
      'Updating email, phone, password of a SSO account only possible via SSO',
    );
}

async function refuseTaken({ auth }: Visit, user: User, params: Changes): Promise<void> {
  const { email, phone } = params;
  await withTables(auth.db, async (tx) => {
    if (email !== '' && email !== user.email && (await findUserWithEmail(tx, email, user.aud, user.id)))
      throw emailTaken();
    if (phone !== '' && phone !== user.phone && (await findUserByPhone(tx, phone, user.aud)))
      throw phoneTaken();
  });
}

/** The hash of the new password, null for none; every question about it has been asked then. */
async function newHash(visit: Visit, { user, session }: SignedIn, params: Changes): Promise<string | null> {
  const { auth, config, request } = visit;
  const { password = '' } = params;
  const isOld = session === undefined || auth.now() > timeMs(session.created_at) + reauthenticateAfterMs;
  if (config.securePasswordChange && isOld) {
    if (params.nonce === '')
      throw badRequest('reauthentication_needed', 'Password update requires reauthentication');
    await verifyReauthentication(visit, user, params.nonce);
  }
  if (password === '') return null;
  if (hasPassword(user)) {
    if (config.requireCurrentPassword && !isRecovery(session)) await checkCurrent(visit, user, params);
    const { ok } = await auth.hasher.verify(password, hashOf(visit, user), request.cancellation);
    if (ok) throw unprocessable('same_password', 'New password should be different from the old password.');
  }
  return auth.hasher.hash(password, request.cancellation);
}

async function checkCurrent(visit: Visit, user: User, params: Changes): Promise<void> {
  const { auth, request } = visit;
  const words = 'Current password required when setting new password.';
  if (params.current_password === '') throw badRequest('current_password_required', words);
  await auth.limits.countFailure(`current password ${user.id}`);
  const { ok } = await auth.hasher.verify(params.current_password, hashOf(visit, user), request.cancellation);
  if (!ok) throw badRequest('current_password_invalid', words);
}

/** It is sent before anything is written. */
function changeCode(visit: Visit, { phone, channel }: Changes): PhoneCode {
  return { phone, kind: 'phone_change', channel: channelOf(visit, channel) };
}

async function askForEmail(tx: Tx, visit: Visit, user: User, params: Changes): Promise<User> {
  const nowMs = visit.auth.now();
  if (isPkce(params)) {
    const facts = { userId: user.id, provider: 'email_change', method: 'email_change' as const };
    await insertFlowState(tx, { ...facts, challenge: params }, nowMs);
  }
  return changeEmail(tx, visit, user, params.email, isPkce(params));
}

async function withMetadata(tx: Tx, { auth }: Visit, user: User, { data }: Changes): Promise<User> {
  if (data === undefined) return user;
  // The table's row, not the one that was read before: two changes at once both stay.
  const { rows } = await tx.query<Pick<User, 'raw_user_meta_data'>>(
    'select raw_user_meta_data from auth.users where id = $1 for update',
    [user.id],
  );
  const raw_user_meta_data = merged(rows[0]?.raw_user_meta_data ?? null, data);
  return updateUser(tx, user.id, { raw_user_meta_data }, auth.now());
}
