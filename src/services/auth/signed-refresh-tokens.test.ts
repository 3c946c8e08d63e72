// In charge of: refresh tokens of the second kind, byte by byte, and texts that are none.
import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isSignedBy, makeSessionKey, makeSignedToken, parseSignedToken } from './signed-refresh-tokens.ts';

const sessionId = '0123abcd-4567-489a-8bcd-ef0123456789';
const id = Buffer.from(sessionId.replaceAll('-', ''), 'hex');
const key = Buffer.alloc(32, 7);

/** Source: supabase/auth internal/crypto/refresh_tokens.go `Encode`. */
function built(parts: readonly Buffer[], signature = signatureOf(parts)): string {
  const whole = Buffer.concat([...parts, signature]);
  return Buffer.concat([whole, createHash('sha256').update(whole).digest().subarray(0, 4)]).toString(
    'base64url',
  );
}
function signatureOf(parts: readonly Buffer[]): Buffer {
  return createHmac('sha256', key).update(Buffer.concat(parts)).digest().subarray(0, 16);
}
const bytes = (...values: number[]) => Buffer.from(values);

describe('a signed refresh token', () => {
  it.each([
    [0n, [0]],
    [1n, [1]],
    [127n, [0x7f]],
    [128n, [0x80, 1]],
    [300n, [0xac, 2]],
    [2n ** 63n - 1n, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ])(
    'holds the version, the session, the counter %s as a varint, a signature and a checksum',
    (counter, varint) => {
      const token = built([bytes(0), id, bytes(...varint)]);
      expect(makeSignedToken(sessionId, counter, key)).toBe(token);
      const parsed = parseSignedToken(token);
      expect(parsed).toMatchObject({ sessionId, counter });
      expect(parsed && isSignedBy(parsed, key)).toBe(true);
      expect(parsed && isSignedBy(parsed, Buffer.alloc(32, 8))).toBe(false);
    },
  );

  it('is signed over the session and the counter', () => {
    const signature = signatureOf([bytes(0), id, bytes(1)]);
    const other = Buffer.alloc(16, 1);
    for (const parts of [
      [bytes(0), id, bytes(2)],
      [bytes(0), other, bytes(1)],
    ]) {
      const parsed = parseSignedToken(built(parts, signature));
      expect(parsed && isSignedBy(parsed, key)).toBe(false);
    }
  });

  it.each([
    ['nothing', ''],
    ['no base64url', `${makeSignedToken(sessionId, 1n, key).slice(0, -1)}=`],
    ['of another version', built([bytes(1), id, bytes(1)])],
    ['without a counter', built([bytes(0), id])],
    ['with a counter that does not end', built([bytes(0), id, bytes(0x80)])],
    ['with something behind the counter', built([bytes(0), id, bytes(1, 1)])],
    ['with a counter that is too long', built([bytes(0), id, Buffer.alloc(11, 0x80)])],
    ['cut', makeSignedToken(sessionId, 1n, key).slice(0, -2)],
    ['with another checksum', `${makeSignedToken(sessionId, 1n, key).slice(0, -4)}AAAA`],
    ['endless', 'A'.repeat(100_000)],
  ])('is none: %s', (_, text) => {
    expect(parseSignedToken(text)).toBeUndefined();
  });

  it('has a key of 256 bits, of which there are not two', () => {
    const keys = [makeSessionKey(), makeSessionKey()];
    expect(keys.map((text) => Buffer.from(text, 'base64url').length)).toEqual([32, 32]);
    expect(keys[0]).not.toBe(keys[1]);
  });
});
