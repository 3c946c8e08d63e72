// In charge of: how a session logs in as any role that may, for work that must have that role's rights and no others behind them.
import type { ClientConfig } from 'pg';
import type { LoginRole } from '../db.ts';
import { loginRoles, type PostgresServer } from './server.ts';

/** Since 16 the map of `peer` can say "every role". Source: PostgreSQL 16 release notes, "pg_ident.conf". */
export const anyRoleSince = 16;

/**
 * What `pg` needs to log in as `role`; undefined where there is no way in for it here. A server of our own knows this program's user, and who may
 * log in is the role's own attribute. Of an external one we have the password of the URL's own user, and of the roles that we made.
 */
export function jobLogin(
  server: Pick<PostgresServer, 'engine' | 'login' | 'directLogin' | 'major'>,
  role: string,
  database: string,
): ClientConfig | undefined {
  const login = (name: LoginRole) => server.directLogin(name, database) ?? server.login(name, database);
  const known = loginRoles.find((name) => name === role);
  if (server.engine === 'external') {
    const own = login('supabase_admin');
    // A pooler's user has the project's name behind a dot.
    if (own.user === role || own.user?.startsWith(`${role}.`) === true) return own;
    // By that name the URL's own user is meant, who is somebody else.
    if (known === undefined || known === 'supabase_admin') return undefined;
    const config = login(known);
    return config.password === undefined ? undefined : config;
  }
  if (known !== undefined) return login(known);
  const config = login('postgres');
  // Where passwords are asked for (Windows), nobody has told us theirs.
  if (config.password !== undefined || (server.engine !== 'pglite' && server.major < anyRoleSince))
    return undefined;
  return { ...config, user: role };
}
