// In charge of: that the password of role postgres is the one that the settings say, also on data that was made with another.
import type { ClientBase } from 'pg';
import { isPasswordOf, scramVerifier } from '../engine/db/shape/password.ts';
import type { Prepared } from './prepare.ts';

/**
 * Sets the password when one is configured: data from the time of development would else go on taking the public one in production.
 * Without one, a password that a person has set is theirs, and the sentence says that the printed URL does not have it.
 */
export async function settlePassword(
  client: ClientBase,
  { secrets, serverSettings }: Pick<Prepared, 'secrets' | 'serverSettings'>,
): Promise<string | undefined> {
  const { rows } = await client.query<{ rolpassword: string | null }>(
    "select rolpassword from pg_catalog.pg_authid where rolname = 'postgres'",
  );
  const { databasePassword } = secrets;
  if (await isPasswordOf(rows[0]?.rolpassword ?? '', databasePassword)) return undefined;
  if (serverSettings.now().databasePassword === '') {
    return 'The password of role postgres was changed and MILLRACE_DB_PASSWORD is not set: the database URL that is printed does not log in.';
  }
  // A verifier holds no quotes, and the password itself is never in a statement.
  await client.query(`alter role postgres password '${await scramVerifier(databasePassword)}'`);
  return undefined;
}
