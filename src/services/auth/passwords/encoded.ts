// In charge of: reading a stored password hash. What comes out is all that a worker needs to compare a password with it.
// Source: supabase/auth internal/crypto/password.go (ParseArgon2Hash, ParseFirebaseScryptHash), golang/crypto bcrypt/bcrypt.go (newFromHash).

/** A stored hash, taken apart. Sizes are bytes, `memoryKib` is KiB. */
export type Encoded =
  | {
      readonly kind: 'bcrypt';
      /** In the one spelling that the library reads: `$2a$…`, 60 characters. */
      readonly text: string;
      readonly cost: number;
    }
  | {
      readonly kind: 'argon2';
      readonly variant: 'i' | 'id';
      readonly memoryKib: number;
      readonly passes: number;
      readonly lanes: number;
      readonly salt: Uint8Array;
      readonly digest: Uint8Array;
    }
  | {
      readonly kind: 'fbscrypt';
      /** N, a power of two. */
      readonly n: number;
      readonly r: number;
      readonly p: number;
      /** The user's salt and the project's separator, one after the other. */
      readonly salt: Uint8Array;
      readonly signerKey: Uint8Array;
      readonly digest: Uint8Array;
    };

/** A stored hash that cannot be read or would cost too much. Its message says why and never holds the hash. */
export class UnreadableHash extends Error {
  override readonly name = 'UnreadableHash';
  /** What its prefix says that it is; whatever has no other prefix counts as bcrypt, as upstream. */
  readonly algorithm: Encoded['kind'];

  constructor(algorithm: Encoded['kind'], reason: string) {
    super(`The ${algorithm} hash ${reason}.`);
    this.algorithm = algorithm;
  }
}

/** The cost of new hashes. Source: golang/crypto bcrypt.DefaultCost, which upstream uses. */
export const bcryptCost = 10;

/**
 * Takes a stored hash apart: bcrypt (`$2$`, `$2a$`, `$2b$`, `$2x$`, `$2y$`), `$argon2i$`, `$argon2id$`, `$fbscrypt$`. Pure.
 * The same for a hash that is imported and for one that is compared: nothing can be imported that nobody could sign in with.
 * @throws UnreadableHash
 */
export function parseEncoded(encoded: string): Encoded {
  const kind = encoded.startsWith('$argon2')
    ? 'argon2'
    : encoded.startsWith('$fbscrypt')
      ? 'fbscrypt'
      : 'bcrypt';
  if (encoded.length > maxLength) throw new UnreadableHash(kind, `has more than ${maxLength} characters`);
  return parsers[kind](encoded);
}

/**
 * Whether a hash should be made anew when its password is known: bcrypt above the usual cost, or at the lowest one.
 * Argon2 and scrypt stay as they are. Source: supabase/auth internal/models/user.go, Authenticate.
 */
export function needsRehash(encoded: Encoded): boolean {
  return encoded.kind === 'bcrypt' && (encoded.cost > bcryptCost || encoded.cost === lowestCost);
}

function parseBcrypt(encoded: string): Encoded {
  const refuse = (reason: string) => new UnreadableHash('bcrypt', reason);
  if (encoded.length < 59) throw refuse('is too short');
  // What follows the digest is not looked at, as upstream.
  const parts = /^\$2([abxy]?)\$(\d\d)\$([./A-Za-z0-9]{21})([./A-Za-z0-9])([./A-Za-z0-9]{31})/.exec(encoded);
  if (parts === null) throw refuse('is not of the form $2a$10$…');
  const [, , digits = '', salt = '', lastOfSalt = '', digest = ''] = parts;
  const cost = Number(digits);
  if (cost < lowestCost) throw refuse(`has the cost ${cost}; ${lowestCost} is the lowest`);
  if (cost > highestCost)
    throw refuse(`has the cost ${cost}; more than ${highestCost} is not worked through`);
  // 16 bytes end within the 22nd character. Some programs left its unused bits set; Go ignores them, the library does not.
  const end = alphabet[alphabet.indexOf(lastOfSalt) & 0b110000] ?? '.';
  // The letter tells nothing apart here: Go computes all the same way, and so does the library.
  return { kind: 'bcrypt', cost, text: `$2a$${digits}$${salt}${end}${digest}` };
}

function parseArgon2(encoded: string): Encoded {
  const refuse = (reason: string) => new UnreadableHash('argon2', reason);
  const fields = argon2Form.exec(encoded)?.groups;
  if (fields === undefined) throw refuse('is not of the form $argon2id$v=19$m=…,t=…,p=…$salt$digest');
  if (fields.alg !== 'argon2i' && fields.alg !== 'argon2id') throw refuse('is neither argon2i nor argon2id');
  if (fields.v !== '19') throw refuse('is not of version 19');
  if (fields.data !== undefined) throw refuse('has the parameter data');
  if (fields.keyid !== undefined) throw refuse('has the parameter keyid');
  const lanes = within(fields.p, 1, 16) ?? fail(refuse('has a parameter p that is not from 1 to 16'));
  // Eight blocks a lane: below that Go rounds up, and every other implementation refuses to make such a hash.
  const memoryKib =
    within(fields.m, 8 * lanes, maxMemoryKib) ??
    fail(refuse(`has a parameter m that is not from ${8 * lanes} to ${maxMemoryKib}`));
  const passes = within(fields.t, 1, 20) ?? fail(refuse('has a parameter t that is not from 1 to 20'));
  const salt = decodeBase64(fields.salt ?? '', 'raw') ?? fail(refuse('has a salt that is not Base64'));
  if (salt.length < 8) throw refuse('has a salt of less than 8 bytes');
  const digest = decodeBase64(fields.digest ?? '', 'raw') ?? fail(refuse('has a digest that is not Base64'));
  if (digest.length < 4) throw refuse('has a digest of less than 4 bytes');
  return {
    kind: 'argon2',
    variant: fields.alg === 'argon2i' ? 'i' : 'id',
    memoryKib,
    passes,
    lanes,
    salt,
    digest,
  };
}

function parseFirebaseScrypt(encoded: string): Encoded {
  const refuse = (reason: string) => new UnreadableHash('fbscrypt', reason);
  const fields = fbscryptForm.exec(encoded)?.groups;
  if (fields === undefined)
    throw refuse('is not of the form $fbscrypt$v=1,n=…,r=…,p=…,ss=…,sk=…$salt$digest');
  if (fields.v !== '1') throw refuse('is not of version 1');
  const power = within(fields.n, 1, 30) ?? fail(refuse('has a parameter n that is not from 1 to 30'));
  const r = within(fields.r, 1, maxScryptWork) ?? fail(refuse('has a parameter r that is zero or too large'));
  const p = within(fields.p, 1, 255) ?? fail(refuse('has a parameter p that is not from 1 to 255'));
  const n = 2 ** power;
  if (n * r * p > maxScryptWork) throw refuse('would take more memory or time than is given to one');
  const part = (text: string | undefined, name: string) =>
    decodeBase64(text ?? '', 'padded') ?? fail(refuse(`has a ${name} that is not Base64`));
  const digest = part(fields.digest, 'digest');
  const salt = part(fields.salt, 'salt');
  const signerKey = part(fields.sk, 'signer key');
  const separator = part(fields.ss, 'salt separator');
  return { kind: 'fbscrypt', n, r, p, salt: Uint8Array.from([...salt, ...separator]), signerKey, digest };
}

function within(text: string | undefined, min: number, max: number): number | undefined {
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

/** Go's RawStdEncoding and StdEncoding: no foreign character, padding never or always. */
function decodeBase64(text: string, form: 'raw' | 'padded'): Uint8Array | undefined {
  const isWhole =
    form === 'raw'
      ? /^[A-Za-z0-9+/]*$/.test(text) && text.length % 4 !== 1
      : /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0;
  // Bytes of their own: a Buffer's may lie in Node's pool, all of which would be copied to the worker.
  return isWhole ? Uint8Array.from(Buffer.from(text, 'base64')) : undefined;
}

function fail(error: Error): never {
  throw error;
}

const parsers = { bcrypt: parseBcrypt, argon2: parseArgon2, fbscrypt: parseFirebaseScrypt };

const lowestCost = 4;
/** Each step doubles: 16 is some four seconds. Upstream works through 31, which is more than a day for one sign-in. */
const highestCost = 16;
/** 1 GiB. Source: supabase/auth internal/crypto/password.go. */
const maxMemoryKib = 1024 * 1024;
/** N × r × p; 128 bytes each are 1 GiB at most. Firebase's own (14, 8, 1) is a 64th of it. Upstream has no bound. */
const maxScryptWork = 2 ** 23;
/** Far more than any hash has; a digest has no length of its own. */
const maxLength = 4096;

const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const argon2Form =
  /^\$(?<alg>argon2(?:d|i|id))\$v=(?<v>16|19)\$m=(?<m>[0-9]+),t=(?<t>[0-9]+),p=(?<p>[0-9]+)(?:,keyid=(?<keyid>[^,$]+))?(?:,data=(?<data>[^$]+))?\$(?<salt>[^$]*)\$(?<digest>.*)$/;
const fbscryptForm =
  /^\$fbscrypt\$v=(?<v>[0-9]+),n=(?<n>[0-9]+),r=(?<r>[0-9]+),p=(?<p>[0-9]+)(?:,ss=(?<ss>[^,]+))?(?:,sk=(?<sk>[^$]+))?\$(?<salt>[^$]+)\$(?<digest>.+)$/;
