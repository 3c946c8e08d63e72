// In charge of: tokens of every kind that a fuzz presents: those that hold and those that do not.
import { createHmac } from 'node:crypto';
import {
  developmentJwtSecret,
  developmentSigningKey,
} from '../../src/engine/identity/development-secrets.ts';
import { personToken } from './tokens.ts';

const person = '11111111-1111-4111-8111-111111111111';

export async function fuzzTokens(): Promise<readonly string[]> {
  const good = await personToken(person);
  const { kty, crv, x, y } = developmentSigningKey;
  const later = Math.floor(Date.now() / 1000) + 3600;
  const claims = { role: 'authenticated', sub: person, exp: later };
  return [
    good,
    good,
    await personToken(person, { algorithm: 'ES256' }),
    await personToken('22222222-2222-4222-8222-222222222222'),
    await personToken('no uuid'),
    await personToken(person, { role: 'service_role' }),
    await personToken(person, { role: 'nobody' }),
    await personToken(person, { role: 'postgres' }),
    await personToken(person, { role: '' }),
    await personToken(person, { expiresInSeconds: -3600 }),
    await personToken(person, { secret: 'another secret with at least 32 characters' }),
    signed({ alg: 'none' }, claims).replace(/[^.]*$/, ''),
    signed({ alg: 'HS512' }, claims),
    // The public key as the secret of an HMAC.
    signed({ alg: 'HS256', kid: developmentSigningKey.kid }, claims, JSON.stringify({ kty, crv, x, y })),
    signed({ alg: 'HS256', kid: "' or 1=1 --", jku: 'http://127.0.0.1/' }, claims),
    signed({ alg: 'HS256', crit: ['exp'] }, claims),
    signed({ alg: 'HS256' }, { ...claims, exp: 'soon' }),
    signed({ alg: 'HS256' }, { ...claims, nbf: later }),
    signed({ alg: 'HS256' }, { ...claims, role: ['a'] }),
    signed({ alg: 'HS256' }, { ...claims, role: undefined }),
    signed({ alg: 'HS256' }, { ...claims, role: 'anon\u0000', deep: { a: [1, '\u0000', '\ud800'] } }),
    signed({ alg: 'HS256' }, [1]),
    signed({ alg: 'HS256' }, { ...claims, filler: 'x'.repeat(20_000) }),
    '..',
    'a.b.c',
    'x'.repeat(5_000),
    `${good}.${good}`,
  ];
}

function signed(header: object, claims: unknown, secret = developmentJwtSecret): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ typ: 'JWT', ...header })}.${part(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
