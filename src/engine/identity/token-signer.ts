// In charge of: signing tokens by the project's one key: a private JWK, or the JWT secret where there is none.
// Source: supabase/auth internal/tokens/service.go `SignJWT`.
import { CompactSign, importJWK, type JWK } from 'jose';

export type SignToken = (claims: Readonly<Record<string, unknown>>) => Promise<string>;

/** The claims are signed in their order. The key is imported once, when it is first needed. */
export function openTokenSigner(signingKey: JWK | undefined, secret: string): SignToken {
  const alg = signingKey?.alg ?? (signingKey ? 'ES256' : 'HS256');
  const kid = signingKey?.kid;
  const header = kid === undefined ? { alg, typ: 'JWT' } : { alg, kid, typ: 'JWT' };
  let imported: Promise<Uint8Array | Awaited<ReturnType<typeof importJWK>>> | undefined;
  return async (claims) => {
    imported ??= signingKey
      ? importJWK(materialOf(signingKey), alg)
      : Promise.resolve(new TextEncoder().encode(secret));
    return new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader(header)
      .sign(await imported);
  };
}

/** Web Crypto takes no private key that says that it is for verifying, too, as those of the Supabase CLI do. */
function materialOf({ use: _, key_ops: __, ext: ___, ...material }: JWK): JWK {
  return material;
}
