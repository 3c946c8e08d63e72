// In charge of: what ACME keeps in the state folder: the account's key, the certificate, challenges under way, and how often it failed.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../base/errors.ts';
import { writePrivately } from '../../base/private-file.ts';
import { type Certificate, readCertificate } from './certificate.ts';

/** How the last orders went. Kept in a file, so that a program that crashes and starts again does not hammer the authority. */
export interface Attempts {
  /** What was asked for; another question starts anew. */
  readonly of: string;
  readonly failures: number;
  readonly nextAtMs: number;
}

export interface AcmeStore {
  /** Chain and key in one file, so that both change in one rename. */
  readonly certificatePath: string;
  readonly attemptsPath: string;
  hasCertificate(): Promise<boolean>;
  /** Undefined when there is none, or none that can be used. */
  certificate(): Promise<Certificate | undefined>;
  keepCertificate(certPem: string, keyPem: string): Promise<void>;
  /** PEM; made by `make` the first time. */
  accountKey(make: () => Promise<string>): Promise<string>;
  attempts(): Promise<Attempts | undefined>;
  keepAttempts(attempts: Attempts | undefined): Promise<void>;
  putChallenge(token: string, answer: string): Promise<void>;
  removeChallenge(token: string): Promise<void>;
  /** What a killed process has left. Only who leads asks for it: nobody else has an order under way in this folder. */
  removeAllChallenges(): Promise<void>;
  challengeResponse(path: string): string | undefined;
}

/** Source: RFC 8555, 8.3: the path, and a token's alphabet, base64url. */
const challengePath = /^\/\.well-known\/acme-challenge\/([A-Za-z0-9_-]{1,128})(?:\?|$)/;

/** One folder for each authority: an account is known to one, and a test's certificate is not taken for a real one. */
export async function openAcmeStore(folder: string, directoryUrl: string): Promise<AcmeStore> {
  const digest = createHash('sha256').update(directoryUrl).digest('hex').slice(0, 8);
  const own = join(folder, `acme-${new URL(directoryUrl).hostname.replace(/[^a-z0-9.-]/gi, '_')}-${digest}`);
  const challenges = join(own, 'challenges');
  await mkdir(challenges, { recursive: true, mode: 0o700 });
  const certificatePath = join(own, 'certificate.pem');
  const accountPath = join(own, 'account.pem');
  const attemptsPath = join(own, 'attempts.json');
  return {
    certificatePath,
    attemptsPath,
    async hasCertificate() {
      return (await readIfThere(certificatePath)) !== undefined;
    },
    certificate: () =>
      readCertificate({ cert: certificatePath, key: certificatePath }).catch(() => undefined),
    keepCertificate: (certPem, keyPem) => writePrivately(certificatePath, keyPem + certPem),
    async accountKey(make) {
      const kept = await readIfThere(accountPath);
      if (kept !== undefined) return kept;
      const made = await make();
      await writePrivately(accountPath, made);
      return made;
    },
    async attempts() {
      const text = await readIfThere(attemptsPath);
      return text === undefined ? undefined : parseAttempts(text);
    },
    keepAttempts: (attempts) =>
      attempts === undefined
        ? rm(attemptsPath, { force: true })
        : writePrivately(attemptsPath, JSON.stringify(attempts)),
    putChallenge: async (token, answer) => writePrivately(join(challenges, safeToken(token)), answer),
    removeChallenge: async (token) => rm(join(challenges, safeToken(token)), { force: true }),
    async removeAllChallenges() {
      for (const name of await readdir(challenges)) await rm(join(challenges, name), { force: true });
    },
    challengeResponse(path) {
      // From the file, not from memory: of several processes on a machine one orders, and another may have port 80.
      const token = challengePath.exec(path)?.[1];
      if (token === undefined) return undefined;
      try {
        return readFileSync(join(challenges, token), 'utf8');
      } catch {
        return undefined;
      }
    },
  };
}

/** The authority chooses the token, and it becomes a file's name. */
function safeToken(token: string): string {
  if (!challengePath.test(`/.well-known/acme-challenge/${token}`) || token.includes('?'))
    throw new Error(`the certificate authority sent the challenge token "${token.slice(0, 200)}"`);
  return token;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function parseAttempts(text: string): Attempts | undefined {
  try {
    const { of, failures, nextAtMs } = JSON.parse(text) as Partial<Attempts>;
    return typeof of === 'string' && Number.isInteger(failures) && Number.isFinite(nextAtMs)
      ? { of, failures: failures!, nextAtMs: nextAtMs! }
      : undefined;
  } catch {
    return undefined;
  }
}
