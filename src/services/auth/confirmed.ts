// In charge of: what a confirmed code changes. Source: supabase/auth internal/api/verify.go `signupVerify`, `recoverVerify`, `emailChangeVerify`.
import { record } from './audit.ts';
import type { Visit } from './context.ts';
import { takeEmail } from './email-change.ts';
import { endAccess } from './end-access.ts';
import { merged } from './go-json.ts';
import {
  findIdentity,
  insertIdentity,
  ownIdentityData,
  providerFacts,
  providersOf,
  updateIdentityData,
} from './identities.ts';
import { storePassword } from './new-password.ts';
import { tell } from './notice.ts';
import { clearTokens } from './one-time-tokens.ts';
import { generatePassword } from './passwords/generate.ts';
import { emailTaken } from './taken.ts';
import type { Tx } from './transaction.ts';
import { hasPassword, isConfirmed, isPhoneConfirmed, type User } from './user.ts';
import { findUserWithEmail, updateUser } from './users.ts';

/** Nobody knows it: the application asks an invited user for one of their own. */
const unknownLength = 64;

export async function confirmSignUp(
  tx: Tx,
  visit: Visit,
  user: User,
  firstHash: string | undefined,
): Promise<User> {
  const owned = isConfirmed(user) ? user : await handOver(tx, visit, user);
  const invited =
    firstHash === undefined ? owned : await storePassword(tx, visit, owned, firstHash, undefined);
  await record(tx, visit, invited, 'user_signedup', { provider: 'email' });
  for (const identity of user.identities) {
    if (identity.email !== null && identity.email !== '' && identity.email === user.email)
      await updateIdentityData(tx, identity, { email_verified: true });
  }
  return confirmEmail(tx, visit, invited);
}

/**
 * An account that nobody had confirmed, before it is the address's owner's: what would still open it goes. Its password is the one of the
 * sign-up that is being confirmed (`register` sees to that), unless it was good already, with a number. Upstream leaves everything.
 */
async function handOver(tx: Tx, { auth }: Visit, user: User): Promise<User> {
  await endAccess(tx, user);
  await tx.query(
    `delete from auth.identities where user_id = $1 and provider <> 'email' and (provider = 'phone' or email is distinct from lower($2))`,
    [user.id, user.email],
  );
  return updateUser(tx, user.id, isPhoneConfirmed(user) ? { encrypted_password: null } : {}, auth.now());
}

/** The same for who says not to know the password: that goes as well, with every other way to sign in. */
async function handOverAll(tx: Tx, visit: Visit, user: User): Promise<User> {
  const nowMs = visit.auth.now();
  await handOver(tx, visit, user);
  await tx.query(`delete from auth.identities where user_id = $1 and provider <> 'email'`, [user.id]);
  if ((await findIdentity(tx, user.id, 'email')) === undefined)
    await insertIdentity(tx, user.id, 'email', ownIdentityData({ sub: user.id, email: user.email }), nowMs);
  return updateUser(tx, user.id, { encrypted_password: null }, nowMs);
}

/** The hash of a first password for an invited user who has none; made before the transaction, because it takes its time. */
export async function firstHashFor({ auth, request }: Visit, user: User): Promise<string | undefined> {
  if (hasPassword(user) || user.invited_at === null) return undefined;
  return auth.hasher.hash(generatePassword([], unknownLength), request.cancellation);
}

/** A link for a forgotten password, and a magic link, prove the address as well. */
export async function confirmRecovery(tx: Tx, visit: Visit, user: User): Promise<User> {
  const { auth } = visit;
  if (!isConfirmed(user)) {
    await record(tx, visit, user, 'user_signedup', { provider: 'email' });
    return confirmEmail(tx, visit, await handOverAll(tx, visit, user), { recovery_token: '' });
  }
  await record(tx, visit, user, 'login');
  await clearTokens(tx, user.id);
  return updateUser(tx, user.id, { recovery_token: '' }, auth.now());
}

async function confirmEmail(
  tx: Tx,
  { auth }: Visit,
  user: User,
  more: { readonly recovery_token?: string } = {},
): Promise<User> {
  await clearTokens(tx, user.id);
  return updateUser(
    tx,
    user.id,
    {
      ...more,
      confirmation_token: '',
      email_confirmed_at: new Date(auth.now()).toISOString(),
      raw_user_meta_data: merged(user.raw_user_meta_data, { email_verified: true }),
      raw_app_meta_data: merged(user.raw_app_meta_data, providerFacts(await providersOf(tx, user.id))),
    },
    auth.now(),
  );
}

/** Undefined: one of the two addresses has confirmed, and the other has still to. */
export async function confirmEmailChange(
  tx: Tx,
  visit: Visit,
  user: User,
  hash: string,
): Promise<User | undefined> {
  const { config, auth } = visit;
  const wantsBoth = config.enableConfirmations && config.doubleConfirmChanges && user.email !== '';
  if (wantsBoth && user.email_change_confirm_status === 0) {
    const isOf = (token: string) => token !== '' && (token === hash || token === `pkce_${hash}`);
    const kind = isOf(user.email_change_token_current)
      ? 'email_change_token_current'
      : 'email_change_token_new';
    await tx.query('delete from auth.one_time_tokens where user_id = $1 and token_type = $2', [
      user.id,
      kind,
    ]);
    await updateUser(tx, user.id, { email_change_confirm_status: 1, [kind]: '' }, auth.now());
    return undefined;
  }
  // Since the mails went out somebody else has got it. Upstream answers 500.
  if (await findUserWithEmail(tx, user.email_change, user.aud, user.id)) throw emailTaken();
  await record(tx, visit, user, 'user_modified');
  const changed = await takeEmail(tx, visit, user, user.email_change);
  if (changed.email !== user.email)
    await tell(tx, visit, changed, { name: 'email_changed_notification', oldEmail: user.email });
  return changed;
}
