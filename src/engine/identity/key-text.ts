// In charge of: what a key of our own looks like, and what is kept of it.
import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** The prefix tells people and secret scanners what they have found; supabase-js sends what does not begin with `sb_` as it is. */
export const keyPrefix = 'millrace_';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const randomLength = 33;
const checksumLength = 6;
const endingLength = 4;
const shape = new RegExp(`^${keyPrefix}[0-9A-Za-z]{${randomLength + checksumLength}}$`);

/**
 * A new key: prefix, 192 random bits in base 62, and their CRC-32 in base 62, by which a scanner knows a key from a word
 * that happens to look like one. Source: "Behind GitHub's new authentication token formats", github.blog, 2021-04-05.
 */
export function newKeyText(): string {
  const body = keyPrefix + base62(BigInt(`0x${randomBytes(24).toString('hex')}`), randomLength);
  return body + checksumOf(body);
}

/** Whether a text is meant as a key of our own. */
export function isIssuedKey(text: string): boolean {
  return text.startsWith(keyPrefix);
}

/** Whether a text can be one at all: length, letters, checksum. */
export function isWellFormed(text: string): boolean {
  return shape.test(text) && checksumOf(text.slice(0, -checksumLength)) === text.slice(-checksumLength);
}

/**
 * What is kept of a key, as hexadecimal digits. A fast hash without salt is enough: slow hashes and salts make it costly to
 * try the few likely values of a password, and of 2^192 equally likely ones nobody can try a noticeable part.
 */
export function digestOf(text: string): string {
  return hash('sha256', text, 'hex');
}

/** The end of a key, by which a person knows it again: letters of the checksum, which leave more than 160 bits to guess. */
export function endingOf(text: string): string {
  return text.slice(-endingLength);
}

function checksumOf(body: string): string {
  return base62(BigInt(crc32(body)), checksumLength);
}

function base62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; rest > 0n; rest /= 62n) text = alphabet[Number(rest % 62n)]! + text;
  return text.padStart(length, '0');
}
