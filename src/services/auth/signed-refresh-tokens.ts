// In charge of: refresh tokens of upstream's second kind: the number of a session and a counter, signed by a key of that session. Nothing is
// stored but key and counter, so that a token is of the past as soon as the counter has moved on.
// Source: supabase/auth internal/crypto/refresh_tokens.go, internal/models/{sessions,refresh_token}.go.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export interface SignedToken {
  readonly sessionId: string;
  readonly counter: bigint;
  /** What the signature is over. */
  readonly signed: Buffer;
  readonly signature: Buffer;
}

const keyBytes = 32;
const idBytes = 16;
/** The first half of an HMAC-SHA-256. */
const signatureBytes = 16;
/** Beginning of a SHA-256, so that what was cut or misread costs no query. */
const checksumBytes = 4;
const maxCounterBytes = 10;
const minBytes = 1 + idBytes + 1 + signatureBytes + checksumBytes;
const version = 0;

/** A new session's key, as the table keeps it. */
export const makeSessionKey = (): string => randomBytes(keyBytes).toString('base64url');

export function makeSignedToken(sessionId: string, counter: bigint, key: Buffer): string {
  const id = Buffer.from(sessionId.replaceAll('-', ''), 'hex');
  const signed = Buffer.concat([Buffer.from([version]), id, counterBytes(counter)]);
  const whole = Buffer.concat([signed, signatureOf(signed, key)]);
  return Buffer.concat([whole, checksumOf(whole)]).toString('base64url');
}

/** Undefined for what no server has ever made. Whose it is, `isSignedBy` says. */
export function parseSignedToken(text: string): SignedToken | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length < minBytes || bytes.length > minBytes - 1 + maxCounterBytes || bytes[0] !== version)
    return undefined;
  const whole = bytes.subarray(0, -checksumBytes);
  if (!checksumOf(whole).equals(bytes.subarray(-checksumBytes))) return undefined;
  const signed = whole.subarray(0, -signatureBytes);
  const counter = readCounter(signed.subarray(1 + idBytes));
  if (counter === undefined) return undefined;
  const hex = signed.subarray(1, 1 + idBytes).toString('hex');
  const sessionId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return { sessionId, counter, signed, signature: whole.subarray(-signatureBytes) };
}

export function isSignedBy({ signed, signature }: SignedToken, key: Buffer): boolean {
  return timingSafeEqual(signatureOf(signed, key), signature);
}

function signatureOf(signed: Buffer, key: Buffer): Buffer {
  return createHmac('sha256', key).update(signed).digest().subarray(0, signatureBytes);
}

function checksumOf(whole: Buffer): Buffer {
  return createHash('sha256').update(whole).digest().subarray(0, checksumBytes);
}

/** Seven bits a byte, the lowest first, the highest bit for "more follows". Source: Go encoding/binary `AppendUvarint`. */
function counterBytes(counter: bigint): Buffer {
  const bytes: number[] = [];
  let rest = counter < 0n ? 0n : counter;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

/** Undefined unless the bytes are one number and nothing else. */
function readCounter(bytes: Buffer): bigint | undefined {
  let counter = 0n;
  for (const [at, byte] of bytes.entries()) {
    counter |= BigInt(byte & 0x7f) << BigInt(7 * at);
    if (byte < 0x80) return at === bytes.length - 1 ? counter : undefined;
  }
  return undefined;
}
