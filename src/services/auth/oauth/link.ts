// In charge of: more ways to sign in for a user who is there: linked by hand, taken with an invitation, taken away again.
// Source: supabase/auth internal/api/identity.go, internal/api/external.go `processInvite`, internal/models/user.go `UpdateUserEmailFromIdentities`.
import { record } from '../audit.ts';
import type { Visit } from '../context.ts';
import { badRequest, notFound, unprocessable } from '../errors.ts';
import { merged } from '../go-json.ts';
import { findIdentity } from '../identities.ts';
import { tell } from '../notice.ts';
import { clearTokens } from '../one-time-tokens.ts';
import { sendCode } from '../send.ts';
import type { Tx } from '../transaction.ts';
import type { Identity, User } from '../user.ts';
import { findUserByEmail, findUserById, reload, updateUser } from '../users.ts';
import {
  type Account,
  addIdentity,
  confirmAddress,
  keepOnly,
  lowered,
  recordIdentity,
  withProviders,
} from './account.ts';
import type { UserData } from './provider.ts';

/** @throws Fault 422 identity_already_exists, 400 email_exists */
export async function linkIdentity(
  tx: Tx,
  visit: Visit,
  target: User,
  data: UserData,
  provider: string,
): Promise<Account> {
  const known = await findIdentity(tx, data.metadata.sub, provider);
  if (known)
    throw unprocessable(
      'identity_already_exists',
      known.user_id === target.id
        ? 'Identity is already linked'
        : 'Identity is already linked to another user',
    );
  const identity = await addIdentity(tx, visit, target, provider, data.metadata);
  await recordIdentity(tx, visit, target, 'identity_linked', identity);
  let user = target;
  if (target.email === '') {
    const promoted = await withEmailOfIdentities(tx, visit, target);
    if (promoted === undefined)
      throw badRequest('email_exists', 'A user with this email address has already been registered');
    user = promoted;
    if (data.metadata.email_verified !== true) {
      await sendCode(tx, visit, user, 'confirmation');
      const message = `Unverified email with ${provider}. A confirmation email has been sent to your ${provider} email`;
      return { kind: 'refused', refusal: unprocessable('email_not_confirmed', message) };
    }
    user = await confirmAddress(tx, visit, user);
    if (user.is_anonymous) user = await updateUser(tx, user.id, { is_anonymous: false }, visit.auth.now());
  }
  user = await withProviders(tx, visit, user);
  await tell(tx, visit, user, { name: 'identity_linked_notification', provider });
  return { kind: 'user', user, isNew: false };
}

/** Whom an invitation's code belongs to. */
export async function findInvited(tx: Tx, token: string): Promise<User | undefined> {
  const { rows } = await tx.query<{ readonly user_id: string }>(
    `select user_id from auth.one_time_tokens where token_hash = $1 and token_type = 'confirmation_token'`,
    [token],
  );
  return rows[0] && findUserById(tx, rows[0].user_id);
}

/** @throws Fault 404 invite_not_found, 400 validation_failed */
export async function acceptInvite(
  tx: Tx,
  visit: Visit,
  token: string,
  data: UserData,
  provider: string,
): Promise<Account> {
  const user = await findInvited(tx, token);
  if (user === undefined) throw notFound('invite_not_found', 'Invite not found');
  if (!data.emails.some(({ email }) => email === user.email))
    throw badRequest('validation_failed', 'Invited email does not match emails from external provider');
  const identity = await addIdentity(tx, visit, user, provider, data.metadata);
  const changes = { raw_user_meta_data: merged(user.raw_user_meta_data, lowered(data.metadata)) };
  const changed = await updateUser(tx, user.id, changes, visit.auth.now());
  await record(tx, visit, changed, 'invite_accepted', { provider });
  const clean = await keepOnly(tx, visit, changed, identity);
  return { kind: 'user', user: await confirmAddress(tx, visit, clean), isNew: false };
}

/**
 * Within a transaction that holds the user's row, so that two requests at once cannot take both of two identities.
 * @throws Fault 422 single_identity_not_deletable, identity_not_found, email_conflict_identity_not_deletable
 */
export async function unlinkIdentity(
  tx: Tx,
  visit: Visit,
  userId: string,
  identityId: string,
): Promise<void> {
  await tx.query('select from auth.users where id = $1 for update', [userId]);
  const user = await reload(tx, userId);
  if (user.identities.length <= 1)
    throw unprocessable(
      'single_identity_not_deletable',
      'User must have at least 1 identity after unlinking',
    );
  const identity = user.identities.find(({ id }) => id === identityId.toLowerCase());
  if (identity === undefined) throw unprocessable('identity_not_found', "Identity doesn't exist");
  await recordIdentity(tx, visit, user, 'identity_unlinked', identity);
  await tx.query('delete from auth.identities where id = $1', [identity.id]);
  const changed =
    identity.provider === 'phone'
      ? await updateUser(tx, user.id, { phone: '', phone_confirmed_at: null }, visit.auth.now())
      : await withEmailOfIdentities(tx, visit, user);
  if (changed === undefined)
    throw unprocessable(
      'email_conflict_identity_not_deletable',
      'Unable to unlink identity due to email conflict',
    );
  await withProviders(tx, visit, changed);
  // To the address as it was: the user may have got that of another identity just now.
  const { provider } = identity;
  await tell(tx, visit, user, { name: 'identity_unlinked_notification', provider, to: user.email });
}

/** The user's address as one of their identities has it. Undefined: somebody else has every one of them. */
async function withEmailOfIdentities(tx: Tx, visit: Visit, user: User): Promise<User | undefined> {
  const { identities } = await reload(tx, user.id);
  if (identities.some((one) => emailOf(one) === user.email)) return user;
  for (const identity of [...identities].sort((a, b) => rankOf(a) - rankOf(b))) {
    if (await findUserByEmail(tx, emailOf(identity), user.aud)) continue;
    return promote(tx, visit, user, identity);
  }
  return undefined;
}

const emailOf = ({ email }: Identity) => email ?? '';
const isVerified = ({ identity_data }: Identity) => identity_data?.email_verified === true;
/** Verified addresses first, then others, then none; identities come in the order of their time. */
const rankOf = (one: Identity) => (emailOf(one) === '' ? 2 : isVerified(one) ? 0 : 1);

/** What was sent to the address before counts for nothing any more. Source: internal/models/user.go `ClearAllPendingTokens`. */
async function promote(tx: Tx, visit: Visit, user: User, identity: Identity): Promise<User> {
  await clearTokens(tx, user.id);
  const email = emailOf(identity);
  const isProven = email !== '' && (isVerified(identity) || !visit.config.enableConfirmations);
  return updateUser(
    tx,
    user.id,
    {
      email,
      ...nothingPending,
      ...(!isProven && {
        email_confirmed_at: null,
        raw_user_meta_data: merged(user.raw_user_meta_data, { email_verified: false }),
      }),
    },
    visit.auth.now(),
  );
}

const nothingPending = {
  confirmation_token: '',
  confirmation_sent_at: null,
  recovery_token: '',
  recovery_sent_at: null,
  email_change: '',
  email_change_token_current: '',
  email_change_token_new: '',
  email_change_sent_at: null,
  email_change_confirm_status: 0,
  phone_change: '',
  phone_change_token: '',
  phone_change_sent_at: null,
  reauthentication_token: '',
  reauthentication_sent_at: null,
} as const;
