// In charge of: passwords as Postgres keeps them, so that no statement and no log ever holds one in the clear.
import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/**
 * A password as `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, in base64. Clients normalise a password by
 * RFC 4013 (SASLprep) before they use it; NFKC is its part that matters for letters.
 * Source: PostgreSQL "pg_authid", RFC 5802 section 3.
 */
export function scramVerifier(password: string): Promise<string> {
  return verifierOf(password, randomBytes(16), iterations);
}

/** Whether `verifier`, as Postgres keeps it in `pg_authid`, is that of `password`. */
export async function isPasswordOf(verifier: string, password: string): Promise<boolean> {
  const parts = /^SCRAM-SHA-256\$(\d+):([^$]+)\$/.exec(verifier);
  if (!parts) return false;
  return (await verifierOf(password, Buffer.from(parts[2]!, 'base64'), Number(parts[1]))) === verifier;
}

async function verifierOf(password: string, salt: Buffer, rounds: number): Promise<string> {
  const salted = await derive(password.normalize('NFKC'), salt, rounds, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${rounds}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

const derive = promisify(pbkdf2);
/** Postgres's own default, `scram_iterations`. */
const iterations = 4096;
