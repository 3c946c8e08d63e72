// In charge of: the project's rules for passwords, as they are at the moment.
import type { Auth, Visit } from './context.ts';
import { readText } from './encrypted-text.ts';
import { findWeakness, requireStrength, type StrengthRules, type Weakness } from './passwords/strength.ts';
import type { User } from './user.ts';

function rulesOf({ pwned }: Auth, config: Visit['config']): StrengthRules {
  return {
    minLength: config.minLength,
    requiredCharacters: config.requiredCharacters,
    pwned: config.hibpEnabled ? pwned : undefined,
    pwnedFailClosed: config.hibpFailClosed,
  };
}

/** For a password that is to be set. @throws WeakPassword; Fault 400 validation_failed for what bcrypt would cut off */
export async function checkPassword({ auth, config }: Visit, password: string): Promise<void> {
  await requireStrength(password, rulesOf(auth, config));
}

/** The hash of the user's password, empty for none. @throws TextUnreadable where upstream has encrypted it by a key that is not known here */
export function hashOf({ config }: Visit, { id, encrypted_password: stored }: User): string {
  return readText(config.decryptionKeys, id, stored);
}

/** A password from before the rules were as they are signs in all the same; the client is told. */
export async function weaknessOf({ auth, config }: Visit, password: string): Promise<Weakness | undefined> {
  try {
    return await findWeakness(password, rulesOf(auth, config));
  } catch {
    // What cannot be looked at is no reason to keep anybody out. Source: supabase/auth internal/api/token.go.
    return undefined;
  }
}
