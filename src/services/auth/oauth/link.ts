// In charge of: more ways to sign in for a user who is there: linked by hand, taken with an invitation, taken away again.
// Source: supabase/auth internal/api/identity.go, internal/api/external.go `processInvite`, internal/models/user.go `UpdateUserEmailFromIdentities`.
import type { Fault } from '../../../base/errors.ts';
import { record } from '../audit.ts';
import type { Visit } from '../context.ts';
import { askBoth } from '../email-change.ts';
import { endAccess } from '../end-access.ts';
import { badRequest, forbidden, notFound, unprocessable } from '../errors.ts';
import { merged } from '../go-json.ts';
import { findIdentity } from '../identities.ts';
import { tell } from '../notice.ts';
import { clearTokens } from '../one-time-tokens.ts';
import type { Tx } from '../transaction.ts';
import { type Identity, isBanned, isConfirmed, type User } from '../user.ts';
import { findUserByEmail, findUserById, reload, updateUser } from '../users.ts';
import { isFresh } from '../verify-token.ts';
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

/** @throws Fault 422 identity_already_exists, user_not_found, 400 email_exists, 403 user_banned */
export async function linkIdentity(
  tx: Tx,
  visit: Visit,
  { id }: User,
  data: UserData,
  provider: string,
): Promise<Account> {
  // Whoever asked for it went to the provider first: what they may do is what they may do now. Upstream does not look again.
  await tx.query('select from auth.users where id = $1 for update', [id]);
  const target = await findUserById(tx, id);
  if (target === undefined) throw unprocessable('user_not_found', 'Linking target user not found');
  if (isBanned(target, visit.auth.now())) throw forbidden('user_banned', 'User is banned');
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
  if (target.email === '' && data.metadata.email_verified !== true) {
    const refusal = await askForAddress(tx, visit, target, emailOf(identity), provider);
    if (refusal !== undefined) return { kind: 'refused', refusal };
  } else if (target.email === '') {
    const promoted = await withEmailOfIdentities(tx, visit, target);
    if (promoted.kind !== 'user' || promoted.user.email === '') throw emailExists();
    user = await confirmAddress(tx, visit, promoted.user);
    if (user.is_anonymous) user = await updateUser(tx, user.id, { is_anonymous: false }, visit.auth.now());
  }
  user = await withProviders(tx, visit, user);
  await tell(tx, visit, user, { name: 'identity_linked_notification', provider });
  return { kind: 'user', user, isNew: false };
}

const emailExists = () =>
  badRequest('email_exists', 'A user with this email address has already been registered');

/**
 * An address that the provider has not verified is the user's once a mail to it was answered, as one that they type in. Upstream puts it
 * into the user's row at once, where it waits for its owner (CWE-287). Undefined: there is none.
 * @throws Fault 400 email_exists, 429 over_email_send_rate_limit
 */
async function askForAddress(
  tx: Tx,
  visit: Visit,
  target: User,
  email: string,
  provider: string,
): Promise<Fault | undefined> {
  if (email === '') return undefined;
  if (await findUserByEmail(tx, email, target.aud)) throw emailExists();
  await askBoth(tx, visit, await withProviders(tx, visit, target), email, false);
  const message = `Unverified email with ${provider}. A confirmation email has been sent to your ${provider} email`;
  return unprocessable('email_not_confirmed', message);
}

/** Whom an invitation belongs to, while it is good. Upstream takes any code that confirms an address, however old. */
export async function findInvited(tx: Tx, visit: Visit, token: string): Promise<User | undefined> {
  const { rows } = await tx.query<{ readonly user_id: string }>(
    `select user_id from auth.one_time_tokens where token_hash = $1 and token_type = 'confirmation_token'`,
    [token],
  );
  const user = rows[0] && (await findUserById(tx, rows[0].user_id));
  if (user === undefined || user.invited_at === null || isConfirmed(user)) return undefined;
  return isFresh(visit, user.confirmation_sent_at, 'invite') ? user : undefined;
}

/** @throws Fault 404 invite_not_found, 400 validation_failed, 403 user_banned */
export async function acceptInvite(
  tx: Tx,
  visit: Visit,
  token: string,
  data: UserData,
  provider: string,
): Promise<Account> {
  const found = await findInvited(tx, visit, token);
  if (found) await tx.query('select from auth.users where id = $1 for update', [found.id]);
  // Once more, now that nobody else can be at it.
  const user = found && (await findInvited(tx, visit, token));
  if (user === undefined) throw notFound('invite_not_found', 'Invite not found');
  if (isBanned(user, visit.auth.now())) throw forbidden('user_banned', 'User is banned');
  if (!data.emails.some(({ email }) => email.toLowerCase() === user.email.toLowerCase()))
    throw badRequest('validation_failed', 'Invited email does not match emails from external provider');
  const identity = await addIdentity(tx, visit, user, provider, data.metadata);
  const changes = { raw_user_meta_data: merged(user.raw_user_meta_data, lowered(data.metadata)) };
  const changed = await updateUser(tx, user.id, changes, visit.auth.now());
  await record(tx, visit, changed, 'invite_accepted', { provider });
  const clean = await keepOnly(tx, visit, changed, identity);
  await endAccess(tx, user);
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
      ? await withoutPhone(tx, visit, user)
      : await withEmailOfIdentities(tx, visit, user);
  if (changed.kind !== 'user')
    throw unprocessable('email_conflict_identity_not_deletable', notDeletable[changed.kind]);
  await withProviders(tx, visit, changed.user);
  // To the address as it was: the user may have got that of another identity just now.
  const { provider } = identity;
  await tell(tx, visit, user, { name: 'identity_unlinked_notification', provider, to: user.email });
}

const notDeletable = {
  taken: 'Unable to unlink identity due to email conflict',
  unverified: 'Unable to unlink identity: no other identity has a verified email',
} as const;

type Readdressed =
  | { readonly kind: 'user'; readonly user: User }
  | { readonly kind: keyof typeof notDeletable };

async function withoutPhone(tx: Tx, { auth }: Visit, { id }: User): Promise<Readdressed> {
  return {
    kind: 'user',
    user: await updateUser(tx, id, { phone: '', phone_confirmed_at: null }, auth.now()),
  };
}

/**
 * The user's address as one of their identities has it, when it is verified there; none, when one has none. An address that nobody has
 * verified does not become a user's: upstream puts it there, unconfirmed, to wait for its owner (CWE-287).
 */
async function withEmailOfIdentities(tx: Tx, visit: Visit, user: User): Promise<Readdressed> {
  const { identities } = await reload(tx, user.id);
  if (user.email !== '' && identities.some((one) => emailOf(one) === user.email))
    return { kind: 'user', user };
  const good = identities.filter((one) => emailOf(one) === '' || isProven(visit, one));
  for (const identity of [...good].sort((a, b) => rankOf(a) - rankOf(b))) {
    const email = emailOf(identity);
    if (email !== '' && (await findUserByEmail(tx, email, user.aud))) continue;
    return { kind: 'user', user: await promote(tx, visit, user, email) };
  }
  return { kind: good.length < identities.length ? 'unverified' : 'taken' };
}

const emailOf = ({ email }: Identity) => email ?? '';
const isVerified = ({ identity_data }: Identity) => identity_data?.email_verified === true;
const isProven = ({ config }: Visit, one: Identity) => isVerified(one) || !config.enableConfirmations;
/** Verified addresses first, then others, then none; identities come in the order of their time. */
const rankOf = (one: Identity) => (emailOf(one) === '' ? 2 : isVerified(one) ? 0 : 1);

/** What was sent to the address before counts for nothing any more. Source: internal/models/user.go `ClearAllPendingTokens`. */
async function promote(tx: Tx, { auth }: Visit, user: User, email: string): Promise<User> {
  await clearTokens(tx, user.id);
  const raw_user_meta_data = merged(user.raw_user_meta_data, { email_verified: false });
  const unaddressed = email === '' ? { email_confirmed_at: null, raw_user_meta_data } : {};
  return updateUser(tx, user.id, { email, ...nothingPending, ...unaddressed }, auth.now());
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
