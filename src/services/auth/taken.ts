// In charge of: an address or a number that somebody else gets in the same moment: told as if they had had it before. Upstream, which looks first and
// writes then, answers 500. Source: supabase/auth internal/api/errors.go `DuplicateEmailMsg`, `DuplicatePhoneMsg`.
import type { Fault } from '../../base/errors.ts';
import { unprocessable } from './errors.ts';
import { hasLostRace, reasonOf } from './transaction.ts';

export const emailTaken = () =>
  unprocessable('email_exists', 'A user with this email address has already been registered');
export const phoneTaken = () =>
  unprocessable('phone_exists', 'A user with this phone number has already been registered');

/** `phone`: what is said of a number. @throws Fault 422 email_exists, phone_exists, and what `work` throws for any other reason */
export async function orTaken<T>(work: () => Promise<T>, phone: () => Fault = phoneTaken): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw takenBy(error, phone) ?? error;
  }
}

/** A table of the project's, to which a trigger writes, has names of its own: what it says is told as it is. */
function takenBy(error: unknown, phone: () => Fault): Fault | undefined {
  if (!hasLostRace(error)) return undefined;
  const { schema, constraint } = reasonOf(error) as {
    readonly schema?: string;
    readonly constraint?: string;
  };
  if (schema !== 'auth') return undefined;
  if (constraint === 'users_email_partial_key') return emailTaken();
  return constraint === 'users_phone_key' ? phone() : undefined;
}
