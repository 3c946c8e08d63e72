// In charge of: that the program's roles can log in on a server that we do not run, also after the password in DATABASE_URL has changed.
import type { ClientBase } from 'pg';
import { errorCode, OperatorError } from '../base/errors.ts';
import { withClient } from '../engine/db/client.ts';
import type { LoginRole } from '../engine/db/db.ts';
import { ident } from '../engine/db/ident.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { scramVerifier } from '../engine/db/shape/password.ts';

/** Those that the program logs in as, beside the URL's own user. */
const logins: readonly LoginRole[] = [
  'authenticator',
  'millrace_admin',
  'supabase_auth_admin',
  'supabase_storage_admin',
  'supabase_realtime_admin',
];

/** invalid_password, invalid_authorization_specification; 08P01 is how PgBouncer says either. */
const refusedCodes: ReadonlySet<string> = new Set(['28P01', '28000', '08P01']);

/**
 * Tries each role, and gives those that Millrace made here the password that it derives now. A role of somebody else's is left as it is.
 * `client` is a session of the URL's own user.
 * @throws OperatorError when a role of somebody else's cannot be used.
 */
export async function settleLogins(
  server: Pick<PostgresServer, 'login'>,
  client: ClientBase,
  ownRoles: readonly string[],
  passwordOf: (role: LoginRole) => string | undefined,
): Promise<void> {
  const refused = await Promise.all(logins.map(async (role) => ((await logsIn(server, role)) ? [] : [role])));
  for (const role of refused.flat()) {
    const password = passwordOf(role);
    if (password === undefined || !ownRoles.includes(role)) {
      throw new OperatorError(
        `The role "${role}" on the server of DATABASE_URL does not take the password that Millrace derives from ${password === undefined ? 'nothing: there is no MILLRACE_MASTER_KEY, and no password in the URL' : 'MILLRACE_MASTER_KEY, or else from the password in the URL'}.`,
        ownRoles.includes(role)
          ? 'Set MILLRACE_MASTER_KEY.'
          : 'Another project has made it, in another database of that server: give both the same MILLRACE_MASTER_KEY, or each a server of its own.',
      );
    }
    // A verifier holds no quotes, and the password itself is never in a statement.
    await client.query(`alter role ${ident(role)} password '${await scramVerifier(password)}'`);
  }
}

async function logsIn(server: Pick<PostgresServer, 'login'>, role: LoginRole): Promise<boolean> {
  try {
    await withClient(server.login(role), async () => {});
    return true;
  } catch (error) {
    if (refusedCodes.has(errorCode(error) ?? '')) return false;
    throw error;
  }
}
