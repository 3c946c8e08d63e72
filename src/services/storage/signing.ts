// In charge of: links that open one file for a while. A token says which, for what, and until when; it is signed by the project's key.
// Source: supabase/storage src/storage/object.ts `signObjectUrl`, `verifyObjectSignature`; src/internal/auth/jwt.ts.
import { CredentialsRefused } from '../../engine/identity/refused.ts';
import type { Storage } from './context.ts';
import { invalidJwt, invalidSignature } from './errors.ts';
import { refusedWords } from './refused-words.ts';

export type LinkScope = 'download' | 'upload';

export interface LinkClaims {
  /** `bucket/folder/cat.png` */
  readonly url: string;
  readonly exp: number;
  /** Of an image: what is made of it. */
  readonly transformations?: string;
  readonly format?: string;
  /** Of an upload. */
  readonly owner?: string;
  readonly upsert?: boolean;
}

type Signer = Pick<Storage, 'sign' | 'now'>;

export function signLink(
  { sign, now }: Signer,
  scope: LinkScope,
  claims: Omit<LinkClaims, 'exp'>,
  expiresInSeconds: number,
): Promise<string> {
  const iat = Math.floor(now() / 1000);
  // Scope and path last: nothing that came with a request may say them.
  const { url, ...rest } = claims;
  return sign({ ...rest, url, scope, iat, exp: iat + expiresInSeconds });
}

/** @throws InvalidJWT where it does not hold; InvalidSignature where it is for something else */
export async function verifyLink(
  { identity, now }: Pick<Storage, 'identity' | 'now'>,
  token: string,
  scope: LinkScope,
  path: string,
): Promise<LinkClaims> {
  const claims = await claimsOf(identity, token);
  // Somebody else's tokens name who made them, and nobody else opens files here.
  if (claims.iss !== undefined || !isFor(claims, scope))
    throw invalidSignature(`Token is not scoped for ${scope}`);
  const { url, exp } = claims;
  if (typeof url !== 'string' || url !== path || typeof exp !== 'number') throw invalidSignature();
  // To the second: the tokens of people are given some time for clocks that differ.
  if (exp * 1000 <= now()) throw invalidJwt('"exp" claim timestamp check failed');
  // Sound: signed by us, with these members.
  return claims as unknown as LinkClaims;
}

async function claimsOf(
  identity: Storage['identity'],
  token: string,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    const { claims, by } = await identity.callerOf(`Bearer ${token}`, undefined, 'storage');
    if (by !== 'token') throw invalidSignature();
    // Sound: a caller's claims are a JSON object.
    return JSON.parse(claims) as Readonly<Record<string, unknown>>;
  } catch (error) {
    if (error instanceof CredentialsRefused) throw invalidJwt(refusedWords(error), error);
    throw error;
  }
}

/** Links from before scopes were written into them say it by what else they hold. */
function isFor({ scope, upsert, url }: Readonly<Record<string, unknown>>, wanted: LinkScope): boolean {
  if (scope !== undefined) return scope === wanted;
  return typeof url === 'string' && (upsert === undefined) === (wanted === 'download');
}
