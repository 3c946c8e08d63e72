// In charge of: whose account a sign-in by a provider belongs to: one that has this identity, one with the same verified address, or a new one.
// Source: supabase/auth internal/models/linking.go `DetermineAccountLinking`, `GetAccountLinkingDomain`.
import { audienceOf } from '../authenticate.ts';
import type { Visit } from '../context.ts';
import { findIdentity } from '../identities.ts';
import type { Tx } from '../transaction.ts';
import { type Identity, nilId, type User } from '../user.ts';
import { findUserById, findUserWithEmail } from '../users.ts';
import type { UserData } from './provider.ts';

export interface Candidate {
  /** In lower case; empty: none, or one that somebody else has. */
  readonly email: string;
  readonly verified: boolean;
}

export type Decision =
  | {
      readonly kind: 'exists';
      readonly user: User;
      readonly identity: Identity;
      readonly candidate: Candidate;
    }
  | { readonly kind: 'link'; readonly user: User; readonly candidate: Candidate }
  | { readonly kind: 'create'; readonly isSsoUser: boolean; readonly candidate: Candidate }
  /** Several users have the address, which nobody here can decide about. */
  | { readonly kind: 'several'; readonly domain: string };

/** Identities link to each other within one; every single sign-on is a domain of its own. */
const domainOf = (provider: string) => (provider.startsWith('sso:') ? provider : 'default');

export async function decideLinking(
  tx: Tx,
  visit: Visit,
  { emails, metadata }: UserData,
  provider: string,
): Promise<Decision> {
  const isAutomatic = !visit.config.enableConfirmations;
  const verified = emails
    .filter((one) => one.verified || isAutomatic)
    .map(({ email }) => email.toLowerCase());
  const primary = emails.findLast((one) => one.primary);
  const candidate: Candidate = {
    email: primary?.email.toLowerCase() ?? '',
    verified: primary?.verified ?? false,
  };
  const domain = domainOf(provider);
  const isSsoUser = domain !== 'default';

  const identity = await findIdentity(tx, metadata.sub, provider);
  const known = identity && (await findUserById(tx, identity.user_id));
  if (identity && known)
    return { kind: 'exists', user: known, identity, candidate: candidateOf(known, emails, candidate) };

  if (verified.length === 0) {
    // What nobody has verified links to nothing; and an address that somebody has does not become another user's.
    const owner = await findUserWithEmail(tx, candidate.email, audienceOf(visit));
    return { kind: 'create', isSsoUser, candidate: owner ? { ...candidate, email: '' } : candidate };
  }

  const owners = await ownersOf(tx, verified, domain);
  if (owners.length > 1) return { kind: 'several', domain };
  const users = owners.length > 0 ? owners : isSsoUser ? [] : await usersWith(tx, verified);
  if (users.length > 1) return { kind: 'several', domain };
  const user = users[0] === undefined ? undefined : await findUserById(tx, users[0]);
  return user ? { kind: 'link', user, candidate } : { kind: 'create', isSsoUser, candidate };
}

/**
 * The user's address may be another by now, or none: the provider has verified it when it is among those that it names. Upstream takes any
 * verified address of the provider's for that of the user (CWE-287).
 */
function candidateOf(known: User, emails: UserData['emails'], primary: Candidate): Candidate {
  const verified =
    known.email === ''
      ? primary.verified
      : emails.some((one) => one.verified && one.email.toLowerCase() === known.email.toLowerCase());
  return { email: known.email, verified };
}

/** Whose identities in the domain have one of the addresses. */
async function ownersOf(tx: Tx, emails: readonly string[], domain: string): Promise<readonly string[]> {
  const { rows } = await tx.query<{ readonly user_id: string }>(
    `select distinct user_id from auth.identities where email = any($1)
       and case when provider like 'sso:%' then provider else 'default' end = $2`,
    [emails, domain],
  );
  return rows.map(({ user_id }) => user_id);
}

async function usersWith(tx: Tx, emails: readonly string[]): Promise<readonly string[]> {
  const { rows } = await tx.query<{ readonly id: string }>(
    `select id from auth.users where instance_id = '${nilId}' and email = any($1) and is_sso_user = false`,
    [emails],
  );
  return rows.map(({ id }) => id);
}
