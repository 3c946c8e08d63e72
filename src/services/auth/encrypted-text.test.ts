// In charge of: columns that a GoTrue has encrypted: read by its keys, for the row that they stand in, or refused by name.
import { createCipheriv, hkdfSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encryptedTextSettings, readText, TextUnreadable } from './encrypted-text.ts';

const row = '0123abcd-4567-489a-8bcd-ef0123456789';
const [spring, autumn] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)].map((key) =>
  key.toString('base64url'),
) as [string, string];

/** Source: supabase/auth internal/crypto/crypto.go `NewEncryptedString`. */
function encrypted(text: string, keyId = 'spring', key = spring): string {
  const nonce = Buffer.alloc(12, 3);
  const own = Buffer.from(hkdfSync('sha256', Buffer.from(key, 'base64url'), Buffer.alloc(32), row, 32));
  const cipher = createCipheriv('aes-256-gcm', own, nonce);
  const data = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  return JSON.stringify({
    key_id: keyId,
    alg: 'aes-gcm-hkdf',
    data: data.toString('base64'),
    nonce: nonce.toString('base64'),
  });
}

describe('readText', () => {
  it('reads what is encrypted by the key that it names, and leaves what is plain', () => {
    expect(readText({ autumn, spring }, row, encrypted('a hash'))).toBe('a hash');
    for (const plain of [
      '',
      '$2a$10$x',
      '{',
      '{}',
      '{"key_id":"spring"}',
      encrypted('x').replace('hkdf', 'x'),
    ])
      expect(readText({ spring }, row, plain)).toBe(plain);
  });

  it.each([
    ['a key that is not here', encrypted('a hash', 'winter'), row, '"winter" is not in'],
    ['another key of that name', encrypted('a hash', 'spring', autumn), row, '"spring" has encrypted'],
    ['another row', encrypted('a hash'), row.replace('0', '1'), '"spring" has encrypted'],
    ['a name that every object has', encrypted('a hash', 'constructor'), row, '"constructor" is not in'],
  ])('refuses %s, and says nothing that is secret', (_, stored, id, words) => {
    const read = () => readText({ spring }, id, stored);
    expect(read).toThrow(TextUnreadable);
    expect(read).toThrow(words);
    expect(read).not.toThrow(spring);
  });
});

describe('the keys', () => {
  const { parse } = encryptedTextSettings.decryptionKeys;
  it('come as GoTrue reads them, or as a table', () => {
    expect(parse(`spring:${spring}, autumn:${autumn}`)).toEqual({ spring, autumn });
    expect(parse({ spring, autumn })).toEqual({ spring, autumn });
    expect(parse('')).toEqual({});
  });

  it.each([
    'spring',
    'spring:short',
    `:${spring}`,
    `spring:${spring}:more`,
    { spring: 7 },
    { spring: `${spring}=` },
    [spring],
    null,
    7,
  ])('are none: %j', (raw) => {
    expect(parse(raw)).toBeUndefined();
  });
});
