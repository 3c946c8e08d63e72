// In charge of: passwords as Postgres keeps them, so that no statement and no log ever holds one in the clear.
import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/**
 * A password as `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, in base64. Clients normalise a password by
 * RFC 4013 (SASLprep) before they use it; NFKC is its part that matters for letters.
 * Source: PostgreSQL "pg_authid", RFC 5802 section 3.
 */
export async function scramVerifier(password: string): Promise<string> {
  const salt = randomBytes(16);
  const salted = await derive(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

const derive = promisify(pbkdf2);
/** Postgres's own default, `scram_iterations`. */
const iterations = 4096;
