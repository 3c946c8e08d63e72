// In charge of: a new row in auth.users, on which projects have triggers: what these say becomes the answer.
// Source: supabase/auth internal/api/signup.go `signupNewUser`, internal/utilities/postgres.go.
import { Fault } from '../../base/errors.ts';
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import type { Visit } from './context.ts';
import { failed } from './errors.ts';
import type { Tx } from './transaction.ts';
import type { User } from './user.ts';
import { insertUser, type NewUser } from './users.ts';

/** @throws Fault 500 unexpected_failure with the trigger's error as its cause */
export async function createUser(tx: Tx, visit: Visit, user: NewUser): Promise<User> {
  return orFailure('Database error saving new user', () => insertUser(tx, user, visit.auth.now()));
}

/** What the database refuses is told in the given words; the log gets the reason. */
export async function orFailure<T>(message: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Fault || error instanceof DatabaseUnavailable) throw error;
    throw failed(message, error);
  }
}
