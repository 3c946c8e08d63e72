// In charge of: what a `jwt-secret` may hold, and that of a private key only the public half is left.
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseTokenSecret } from './token-secret.ts';
import { publicJwk } from './tokens.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const ed = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
const oct = { kty: 'oct', k: 'AAAA' };

describe('a secret', () => {
  it('of 32 bytes or more is one for HS256', () => {
    const secret = bytes('x'.repeat(32));
    expect(parseTokenSecret(secret)).toEqual({ secret, jwks: { keys: [] } });
    expect(parseTokenSecret(bytes('x'.repeat(31)))).toBe(
      'The JWT secret must be at least 32 characters long.',
    );
  });

  it('that is a JWK or a set of them holds keys, and no text to sign with', () => {
    const one = parseTokenSecret(bytes(JSON.stringify(ec)));
    expect(one).toEqual({
      secret: undefined,
      jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: ec.x, y: ec.y, key_ops: ['verify'] }] },
    });
    const set = parseTokenSecret(bytes(JSON.stringify({ keys: [rsa, oct] })));
    expect(set).toEqual({
      secret: undefined,
      jwks: {
        keys: [
          { kty: 'RSA', n: rsa.n, e: rsa.e, key_ops: ['verify'] },
          { ...oct, key_ops: ['verify'] },
        ],
      },
    });
  });

  it.each([
    '[1,2,3,4,5,6,7,8,9,10,11,12,13,14]',
    '{"keys":"none of them, though it is long"}',
    `{"kty":7,"a":"${'x'.repeat(30)}"}`,
  ])('%s is a text, though it is JSON', (text) => {
    expect(parseTokenSecret(bytes(text))).toEqual({ secret: bytes(text), jwks: { keys: [] } });
  });
});

describe('the public half of a key', () => {
  it.each([
    ['RSA', { ...rsa, oth: [{ r: 'secret' }], something: 'new' }, ['e', 'key_ops', 'kty', 'n']],
    ['EC', ec, ['crv', 'key_ops', 'kty', 'x', 'y']],
    ['Ed25519', ed, ['crv', 'key_ops', 'kty', 'x']],
    ['oct', oct, ['key_ops', 'kty']],
  ])('of %s holds what is known to be public, and nothing else', (_, key, members) => {
    // Sound: Node exports JWKs.
    expect(Object.keys(publicJwk(key as never)).sort()).toEqual(members);
  });
});
