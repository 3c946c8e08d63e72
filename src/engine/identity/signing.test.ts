// In charge of: one signing key: what it makes, what of it is shown, and which are refused.
import { decodeProtectedHeader } from 'jose';
import { describe, expect, it } from 'vitest';
import { developmentSigningKey } from './development-secrets.ts';
import {
  discoveryJwk,
  inClaimOrder,
  legacySigningKey,
  newSigningKey,
  parseSigningKey,
  signingAlgorithms,
} from './signing.ts';
import { openTokens, type TokenKeys } from './tokens.ts';

const rules = {
  anonymousRole: undefined,
  audience: undefined,
  roleOf: ({ role }: { role?: unknown }) => String(role),
};
const verify = (token: string, keys: TokenKeys) =>
  openTokens(
    () => keys,
    () => rules,
    Date.now,
  ).verify(token);

describe('a new key', () => {
  it.each(signingAlgorithms)(
    'for %s signs what its verifying half verifies, and nothing else does',
    async (algorithm) => {
      const key = await newSigningKey(algorithm);
      const token = await key.sign({ role: 'authenticated', sub: 'ada' });
      expect(decodeProtectedHeader(token)).toEqual({ alg: algorithm, kid: key.kid, typ: 'JWT' });
      const keys = { secret: undefined, jwks: { keys: [key.verifying] } };
      expect(await verify(token, keys)).toMatchObject({ role: 'authenticated', subject: 'ada' });
      const other = await newSigningKey(algorithm);
      const others = { secret: undefined, jwks: { keys: [{ ...other.verifying, kid: key.kid! }] } };
      await expect(verify(token, others)).rejects.toMatchObject({ reason: 'bad_signature' });
    },
  );

  it('writes header and claims as upstream does: the header by names, the claims in their order', async () => {
    const key = parseSigningKey(developmentSigningKey);
    if (typeof key === 'string') throw new Error(key);
    const [header, payload] = (await key.sign({ iss: 'x', sub: 'y', aud: 'authenticated' })).split('.');
    expect(Buffer.from(header!, 'base64url').toString()).toBe(
      '{"alg":"ES256","kid":"b81269f1-21d8-4f2e-b719-c2240a840d90","typ":"JWT"}',
    );
    expect(Buffer.from(payload!, 'base64url').toString()).toBe('{"iss":"x","sub":"y","aud":"authenticated"}');
  });

  it('is published without anything that signs', async () => {
    for (const algorithm of ['ES256', 'RS256', 'EdDSA'] as const) {
      const { verifying, whole } = await newSigningKey(algorithm);
      const secret = Object.entries(whole).filter(([name]) =>
        ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(name),
      );
      expect(secret.length).toBeGreaterThan(0);
      for (const [, value] of secret) expect(JSON.stringify(verifying)).not.toContain(value);
    }
    expect(JSON.stringify(discoveryJwk(developmentSigningKey))).toBe(
      '{"alg":"ES256","crv":"P-256","ext":true,"key_ops":["verify"],"kid":"b81269f1-21d8-4f2e-b719-c2240a840d90","kty":"EC","use":"sig","x":"M5Sjqn5zwC9Kl1zVfUUGvv9boQjCGd45G8sdopBExB4","y":"P6IXMvA2WYXSHSOMTBH2jsw_9rrzGy89FjPf6oOsIxQ"}',
    );
  });
});

describe('the JWT secret', () => {
  it('signs HS256 without a name', async () => {
    const secret = Buffer.from('a-secret-that-nobody-may-read-0123456789');
    const token = await legacySigningKey(secret).sign({ role: 'anon' });
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'JWT' });
    expect(await verify(token, { secret, jwks: { keys: [] } })).toMatchObject({ role: 'anon' });
  });
});

describe('a key from elsewhere', async () => {
  const { d: _, ...withoutPrivateHalf } = developmentSigningKey;
  const rsa = (await newSigningKey('RS256')).whole;
  it.each<[string, unknown, RegExp]>([
    ['no object', 'x', /which is a JSON object/],
    ['nothing', null, /which is a JSON object/],
    ['an unknown type', { kty: 'XX', kid: 'a' }, /type "XX" signs by none of/],
    ['another curve', { ...developmentSigningKey, crv: 'P-384' }, /\("P-384"\) signs by none of/],
    ['another algorithm', { ...developmentSigningKey, alg: 'HS256' }, /for "HS256", but it is one for ES256/],
    ['RSA with PSS', { ...rsa, alg: 'PS256' }, /for "PS256", but it is one for RS256/],
    ['a key for encryption', { ...developmentSigningKey, use: 'enc' }, /for "enc", not for signatures/],
    ['one that only verifies', { ...developmentSigningKey, key_ops: ['verify'] }, /lack "sign"/],
    ['no name', { ...developmentSigningKey, kid: undefined }, /needs a name/],
    ['a name that is a path', { ...developmentSigningKey, kid: '../../etc/passwd' }, /needs a name/],
    ['a public key', withoutPrivateHalf, /not a whole private key/],
    [
      'a public half of another',
      { ...developmentSigningKey, ...publicOf((await newSigningKey('ES256')).whole) },
      /not (a whole|belong)|does not belong/,
    ],
    ['a short secret', { kty: 'oct', kid: 'a', k: 'c2hvcnQ' }, /5 bytes is too short/],
    ['no secret', { kty: 'oct', kid: 'a' }, /0 bytes is too short/],
  ])('that is %s is refused', (_name, jwk, sentence) => {
    expect(parseSigningKey(jwk)).toMatch(sentence);
  });

  it('is taken as `supabase gen signing-key` writes it, and without what can be told from it', () => {
    expect(parseSigningKey(developmentSigningKey)).toMatchObject({
      kid: developmentSigningKey.kid,
      algorithm: 'ES256',
    });
    const { kty, kid, crv, x, y, d } = developmentSigningKey;
    expect(parseSigningKey({ kty, kid, crv, x, y, d })).toMatchObject({ algorithm: 'ES256' });
  });
});

function publicOf({ x, y }: { x?: string; y?: string }) {
  return { x, y };
}

it('claims are put in upstream’s order, others behind by name', () => {
  const claims = {
    zeta: 1,
    role: 'authenticated',
    alpha: 2,
    aud: 'authenticated',
    is_anonymous: false,
    sub: 'ada',
    exp: 3,
    iss: 'x',
  };
  expect(Object.keys(inClaimOrder(claims))).toEqual([
    'iss',
    'sub',
    'aud',
    'exp',
    'role',
    'is_anonymous',
    'alpha',
    'zeta',
  ]);
});
