// In charge of: whether a password is good enough for this project. Source: supabase/auth internal/api/password.go, checkPasswordStrength.
import { Fault } from '../../../base/errors.ts';
import type { PwnedPasswords } from './pwned.ts';

export interface StrengthRules {
  /** Counted in bytes of UTF-8, as upstream. */
  readonly minLength: number;
  /** Of each set at least one character. */
  readonly requiredCharacters: readonly string[];
  /** Undefined: leaked passwords are not looked for. */
  readonly pwned?: PwnedPasswords | undefined;
  /** Whether a password is refused that could not be looked up. */
  readonly pwnedFailClosed?: boolean;
}

export type WeakReason = 'length' | 'characters' | 'pwned';

/** What is wrong with a password; `weak_password` of a sign-in's answer is exactly this. */
export interface Weakness {
  readonly message: string;
  readonly reasons: readonly WeakReason[];
}

/** A password that is refused; its answer holds `weak_password: { reasons }` beside code and message. Source: internal/api/errors.go. */
export class WeakPassword extends Fault {
  readonly reasons: readonly WeakReason[];

  constructor({ message, reasons }: Weakness) {
    super({ status: 422, code: 'weak_password', message });
    this.reasons = reasons;
  }
}

/**
 * What is wrong with a password that may be used all the same: a sign-in says it and goes on. Waits for the leak check, which is bounded.
 * @throws Fault 400 validation_failed beyond 72 bytes; 500 unexpected_failure where the leak check is a must and cannot be made.
 */
export async function findWeakness(password: string, rules: StrengthRules): Promise<Weakness | undefined> {
  const sizeBytes = Buffer.byteLength(password);
  if (sizeBytes > maxLength) {
    throw new Fault({
      status: 400,
      code: 'validation_failed',
      message: `Password cannot be longer than ${maxLength} characters`,
    });
  }
  const reasons: WeakReason[] = [];
  const messages: string[] = [];
  if (sizeBytes < rules.minLength) {
    reasons.push('length');
    messages.push(`Password should be at least ${rules.minLength} characters.`);
  }
  const present = new Set(password);
  const isMissing = (set: string) => set !== '' && ![...set].some((character) => present.has(character));
  if (rules.requiredCharacters.some(isMissing)) {
    reasons.push('characters');
    messages.push(
      `Password should contain at least one character of each: ${rules.requiredCharacters.join(', ')}.`,
    );
  }
  const leak = await rules.pwned?.find(password);
  if (leak === 'found') {
    reasons.push('pwned');
    messages.push('Password is known to be weak and easy to guess, please choose a different one.');
  }
  if (leak === 'unknown' && rules.pwnedFailClosed) {
    throw new Fault({
      status: 500,
      code: 'unexpected_failure',
      message: 'Unable to perform password strength check with HaveIBeenPwned.org.',
    });
  }
  return reasons.length === 0 ? undefined : { message: messages.join(' '), reasons };
}

/**
 * For a password that is to be set.
 * @throws WeakPassword 422 weak_password, and the faults of `findWeakness`.
 */
export async function requireStrength(password: string, rules: StrengthRules): Promise<void> {
  const weakness = await findWeakness(password, rules);
  if (weakness !== undefined) throw new WeakPassword(weakness);
}

/** bcrypt looks at no more bytes. Source: internal/api/password.go, MaxPasswordLength. */
const maxLength = 72;
