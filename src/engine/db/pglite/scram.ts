// In charge of: the server's half of SCRAM-SHA-256, for logins by password over TCP. The engine has no login of its own.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** What `pg_authid.rolpassword` holds. */
interface Verifier {
  readonly iterations: number;
  readonly salt: string;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export type ScramStep =
  | { readonly kind: 'continue'; readonly text: string }
  | { readonly kind: 'done'; readonly text: string }
  | { readonly kind: 'refused' };

/**
 * One login. `verifier` is the role's, undefined when there is none: then the whole exchange is gone through all the same, so that
 * nobody learns which roles there are.
 * Source: RFC 5802 and RFC 7677; PostgreSQL src/backend/libpq/auth-scram.c (mock authentication).
 */
export class ScramLogin {
  readonly #verifier: Verifier;
  readonly #isMock: boolean;
  #clientFirst = '';
  #serverFirst = '';
  #nonce = '';

  constructor(stored: string | undefined, user: string, mockKey: Buffer) {
    const parsed = stored === undefined ? undefined : parseVerifier(stored);
    this.#isMock = parsed === undefined;
    this.#verifier = parsed ?? mockVerifier(user, mockKey);
  }

  /** `n,,n=,r=<nonce>` → `r=…,s=…,i=…` */
  first(text: string): ScramStep {
    // No channel binding: there is no TLS here. `y` means that the client could, and thinks that we cannot.
    const head = /^[ny],([^,]*),/.exec(text);
    if (head === null || head[1] !== '') return refused;
    const bare = text.slice(head[0].length);
    const nonce = /^n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+)/.exec(bare)?.[1];
    if (nonce === undefined) return refused;
    this.#gs2 = head[0];
    this.#clientFirst = bare;
    this.#nonce = nonce + randomBytes(18).toString('base64');
    this.#serverFirst = `r=${this.#nonce},s=${this.#verifier.salt},i=${this.#verifier.iterations}`;
    return { kind: 'continue', text: this.#serverFirst };
  }

  /** `c=…,r=…,p=…` → `v=…` */
  final(text: string): ScramStep {
    const parts = /^(c=([^,]*),r=([^,]*)),p=([A-Za-z0-9+/=]+)$/.exec(text);
    if (parts === null) return refused;
    const [, withoutProof = '', binding = '', nonce = '', proofText = ''] = parts;
    if (nonce !== this.#nonce || Buffer.from(binding, 'base64').toString() !== this.#gs2) return refused;
    const authMessage = `${this.#clientFirst},${this.#serverFirst},${withoutProof}`;
    const signature = hmac(this.#verifier.storedKey, authMessage);
    const proof = Buffer.from(proofText, 'base64');
    if (proof.length !== signature.length) return refused;
    const clientKey = Buffer.from(proof.map((byte, at) => byte ^ signature[at]!));
    const fits = timingSafeEqual(createHash('sha256').update(clientKey).digest(), this.#verifier.storedKey);
    if (!fits || this.#isMock) return refused;
    return { kind: 'done', text: `v=${hmac(this.#verifier.serverKey, authMessage).toString('base64')}` };
  }

  #gs2 = '';
}

const refused: ScramStep = { kind: 'refused' };
const mockIterations = 4096;
const keyBytes = 32;

/** `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`; undefined for anything else. */
function parseVerifier(stored: string): Verifier | undefined {
  const parts = /^SCRAM-SHA-256\$(\d{1,9}):([^$]+)\$([^:]+):(.+)$/.exec(stored);
  if (parts === null) return undefined;
  const storedKey = Buffer.from(parts[3]!, 'base64');
  const serverKey = Buffer.from(parts[4]!, 'base64');
  if (storedKey.length !== keyBytes || serverKey.length !== keyBytes) return undefined;
  return { iterations: Number(parts[1]), salt: parts[2]!, storedKey, serverKey };
}

/** The same for the same name each time, as a real one is. */
function mockVerifier(user: string, key: Buffer): Verifier {
  const salt = hmac(key, user).subarray(0, 16).toString('base64');
  return {
    iterations: mockIterations,
    salt,
    storedKey: randomBytes(keyBytes),
    serverKey: randomBytes(keyBytes),
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
