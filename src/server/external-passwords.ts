// In charge of: how the roles log in on a server that we do not run. Derived, so that every process over the same database agrees.
import { hkdfSync } from 'node:crypto';
import type { LoginRole } from '../engine/db/db.ts';

/**
 * The password of each role that Millrace makes on an external server: from `MILLRACE_MASTER_KEY`, else from the password in
 * DATABASE_URL. Undefined when there is neither: the server then has to trust the connection by other means.
 * Source: RFC 5869.
 */
export function externalPasswords(
  databaseUrl: string,
  masterKey: string | undefined,
): (role: LoginRole) => string | undefined {
  const material = masterKey || passwordIn(databaseUrl);
  if (material === '') return () => undefined;
  return (role) =>
    Buffer.from(hkdfSync('sha256', material, 'millrace', `database role ${role}`, passwordBytes)).toString(
      'base64url',
    );
}

const passwordBytes = 24;

/** The password of a URL; empty when it has none or does not parse (what is wrong with it is said when it is used). */
function passwordIn(url: string): string {
  try {
    return decodeURIComponent(new URL(url).password);
  } catch {
    return '';
  }
}
