// In charge of: tokens as the auth service will sign them, for people of a test's project.
import { importJWK, SignJWT } from 'jose';
import {
  developmentJwtSecret,
  developmentSigningKey,
} from '../../src/engine/identity/development-secrets.ts';

export interface TokenFacts {
  readonly algorithm?: 'HS256' | 'ES256';
  readonly secret?: string;
  readonly role?: string;
  readonly expiresInSeconds?: number;
}

/** A signed-in person's access token. */
export async function personToken(
  subject: string,
  {
    algorithm = 'HS256',
    secret = developmentJwtSecret,
    role = 'authenticated',
    expiresInSeconds = 3600,
  }: TokenFacts = {},
): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const token = new SignJWT({ role, aal: 'aal1', is_anonymous: false })
    .setSubject(subject)
    .setAudience('authenticated')
    .setIssuedAt(nowSeconds - 2 * Math.abs(expiresInSeconds))
    .setExpirationTime(nowSeconds + expiresInSeconds);
  return algorithm === 'HS256'
    ? token.setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(new TextEncoder().encode(secret))
    : token
        .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: developmentSigningKey.kid! })
        .sign(await importJWK({ ...developmentSigningKey, key_ops: ['sign'] }, 'ES256'));
}
