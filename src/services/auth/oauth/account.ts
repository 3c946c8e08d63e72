// In charge of: the account of somebody whom a provider vouches for: made, linked or found again, and whether they may come in.
// Used by every way to sign in that another party decides about: OAuth, id_token, SAML, Web3.
// Source: supabase/auth internal/api/external.go `createAccountFromExternalIdentity`, internal/api/hooks.go `triggerBeforeUserCreatedExternal`.
import { randomUUID } from 'node:crypto';
import type { Fault } from '../../../base/errors.ts';
import { record } from '../audit.ts';
import { audienceOf } from '../authenticate.ts';
import type { Visit } from '../context.ts';
import { endAccess } from '../end-access.ts';
import { failed, forbidden, unprocessable } from '../errors.ts';
import { type JsonObject, merged } from '../go-json.ts';
import { beforeUserCreated } from '../hooks/new-user.ts';
import { findIdentity, insertIdentity, providerFacts, providersOf } from '../identities.ts';
import { createUser } from '../new-user.ts';
import { clearTokens } from '../one-time-tokens.ts';
import { sendCode } from '../send.ts';
import { type Tx, withTables } from '../transaction.ts';
import { type Identity, isBanned, isConfirmed, type User } from '../user.ts';
import { type NewUser, updateUser } from '../users.ts';
import { type Candidate, type Decision, decideLinking } from './linking.ts';
import type { UserData } from './provider.ts';

/**
 * `refused`: what was written stays (a mail is on its way), and the refusal is thrown once the transaction is through.
 */
export type Account =
  | { readonly kind: 'user'; readonly user: User; readonly isNew: boolean }
  | { readonly kind: 'refused'; readonly refusal: Fault };

export const signupDisabled = () => unprocessable('signup_disabled', 'Signups not allowed for this instance');

/**
 * The project may say no before there is a user, and before the transaction that makes one. Nothing where there is an account already.
 * @throws Fault 422 signup_disabled, and what the hook `before_user_created` says
 */
export async function askBeforeCreating(visit: Visit, data: UserData, provider: string): Promise<void> {
  if (!visit.auth.hooks.isEnabled('before_user_created')) return;
  const user = await newUserOf(visit, data, provider);
  if (user) await beforeUserCreated(visit, user);
}

/** Whom this sign-in would make; undefined: nobody, because there is an account already. @throws Fault 422 signup_disabled */
export async function newUserOf(
  visit: Visit,
  data: UserData,
  provider: string,
): Promise<NewUser | undefined> {
  const decision = await withTables(visit.auth.db, (tx) => decideLinking(tx, visit, data, provider));
  if (decision.kind !== 'create') return undefined;
  if (!visit.config.enableSignup) throw signupDisabled();
  return newUser(visit, data, provider, decision);
}

function newUser(
  visit: Visit,
  { metadata }: UserData,
  provider: string,
  { candidate, isSsoUser }: Extract<Decision, { readonly kind: 'create' }>,
): NewUser {
  return {
    id: randomUUID(),
    aud: audienceOf(visit),
    role: visit.config.defaultRole,
    email: candidate.email,
    phone: '',
    encryptedPassword: '',
    appMetaData: { provider, providers: [provider] },
    userMetaData: metadata,
    isAnonymous: false,
    isSsoUser,
  };
}

/**
 * Within the caller's transaction. `provider` is what identities are stored under: `google`, `sso:<id>`, `web3`.
 * @throws Fault 422 signup_disabled, 403 user_banned, 500 unexpected_failure
 */
export async function accountOf(
  tx: Tx,
  visit: Visit,
  data: UserData,
  provider: string,
  emailOptional: boolean,
): Promise<Account> {
  const decision = await decideLinking(tx, visit, data, provider);
  if (decision.kind === 'several')
    throw failed(
      `Multiple accounts with the same email address in the same linking domain detected: ${decision.domain}`,
    );
  const { user, identity } = await joined(tx, visit, data, provider, decision);
  if (isBanned(user, visit.auth.now())) throw forbidden('user_banned', 'User is banned');
  const { candidate } = decision;
  const hasEmail = provider !== 'web3' && !(emailOptional && candidate.email === '');
  const isNew = decision.kind === 'create';
  if (hasEmail && !isConfirmed(user)) {
    const clean = await keepOnly(tx, visit, user, identity);
    if (!candidate.verified && visit.config.enableConfirmations)
      return askToConfirm(tx, visit, clean, provider, candidate);
    if (decision.kind === 'exists') await endAccess(tx, user);
    await record(tx, visit, clean, 'user_signedup', { provider });
    return { kind: 'user', user: await confirmAddress(tx, visit, clean), isNew };
  }
  await record(tx, visit, user, 'login', { provider });
  return { kind: 'user', user, isNew };
}

async function joined(
  tx: Tx,
  visit: Visit,
  data: UserData,
  provider: string,
  decision: Exclude<Decision, { readonly kind: 'several' }>,
): Promise<{ readonly user: User; readonly identity: Identity }> {
  // The address in lower case everywhere but in a new user's own facts, as upstream.
  const metadata = lowered(data.metadata);
  switch (decision.kind) {
    case 'link': {
      if (!isConfirmed(decision.user)) await endAccess(tx, decision.user);
      const identity = await addIdentity(tx, visit, decision.user, provider, metadata);
      const user = await withFacts(tx, visit, decision.user, metadata);
      await recordIdentity(tx, visit, user, 'identity_linked', identity);
      return { user, identity };
    }
    case 'create': {
      if (!visit.config.enableSignup) throw signupDisabled();
      const user = await createUser(tx, visit, newUser(visit, data, provider, decision));
      return { user, identity: await addIdentity(tx, visit, user, provider, metadata) };
    }
    case 'exists': {
      await tx.query('update auth.identities set identity_data = $2, updated_at = $3 where id = $1', [
        decision.identity.id,
        JSON.stringify(metadata),
        new Date(visit.auth.now()).toISOString(),
      ]);
      return { user: await withFacts(tx, visit, decision.user, metadata), identity: decision.identity };
    }
  }
}

/** @throws Fault 500 unexpected_failure when the provider does not say who it is */
export async function addIdentity(
  tx: Tx,
  { auth }: Visit,
  user: User,
  provider: string,
  data: JsonObject,
): Promise<Identity> {
  const { sub } = data;
  if (typeof sub !== 'string' || sub === '') throw failed('error missing provider id');
  await insertIdentity(tx, user.id, provider, data, auth.now());
  const identity = await findIdentity(tx, sub, provider);
  if (identity === undefined) throw failed('Error creating identity');
  return identity;
}

export async function recordIdentity(
  tx: Tx,
  visit: Visit,
  user: User,
  action: 'identity_linked' | 'identity_unlinked',
  { id, provider, provider_id }: Identity,
): Promise<void> {
  const traits = { identity_id: id, provider, provider_id };
  await record(tx, visit, user, action, traits, visit.request.address);
}

/** What the provider says over what is known, and the list of providers as it is now. */
async function withFacts(tx: Tx, { auth }: Visit, user: User, metadata: JsonObject): Promise<User> {
  const changes = {
    raw_user_meta_data: merged(user.raw_user_meta_data, metadata),
    raw_app_meta_data: merged(user.raw_app_meta_data, providerFacts(await providersOf(tx, user.id))),
  };
  return updateUser(tx, user.id, changes, auth.now());
}

/** The list of providers in `app_metadata` as it is now. */
export async function withProviders(tx: Tx, visit: Visit, user: User): Promise<User> {
  return withFacts(tx, visit, user, {});
}

/**
 * Whatever somebody has registered with an address that they did not confirm goes, password and identities: it may have been put there
 * to wait for the address's owner (pre-account takeover, CWE-287). Source: internal/models/user.go `RemoveUnconfirmedIdentities`.
 */
export async function keepOnly(tx: Tx, visit: Visit, user: User, identity: Identity): Promise<User> {
  await tx.query('delete from auth.identities where user_id = $1 and id <> $2', [user.id, identity.id]);
  const { rows } = await tx.query<Pick<Identity, 'identity_data'>>(
    'select identity_data from auth.identities where id = $1',
    [identity.id],
  );
  const clean = await updateUser(
    tx,
    user.id,
    { encrypted_password: null, raw_user_meta_data: rows[0]?.identity_data ?? {} },
    visit.auth.now(),
  );
  return withProviders(tx, visit, clean);
}

/** Source: internal/models/user.go `Confirm`. */
export async function confirmAddress(tx: Tx, { auth }: Visit, user: User): Promise<User> {
  await clearTokens(tx, user.id);
  const changes = {
    confirmation_token: '',
    email_confirmed_at: new Date(auth.now()).toISOString(),
    raw_user_meta_data: merged(user.raw_user_meta_data, { email_verified: true }),
  };
  return updateUser(tx, user.id, changes, auth.now());
}

async function askToConfirm(
  tx: Tx,
  visit: Visit,
  user: User,
  provider: string,
  { email }: Candidate,
): Promise<Account> {
  if (email !== '') await sendCode(tx, visit, user, 'confirmation');
  const next =
    email === ''
      ? `Verify the email with ${provider} in order to sign in`
      : `A confirmation email has been sent to your ${provider} email`;
  const message = `Unverified email with ${provider}. ${next}`;
  return { kind: 'refused', refusal: unprocessable('provider_email_needs_verification', message) };
}

export function lowered(data: JsonObject): JsonObject {
  return typeof data.email === 'string' ? { ...data, email: data.email.toLowerCase() } : data;
}
