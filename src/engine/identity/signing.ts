// In charge of: one key that signs tokens: made, read from a JWK, its public half as it is published, and the signature itself.
// Source: RFC 7515 section 7.1, RFC 7517 section 4, RFC 7518 section 6; supabase/auth internal/conf/jwk.go, internal/tokens/service.go `SignJWT`.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type JsonWebKey,
  randomBytes,
  randomUUID,
  sign,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';
import { CompactSign, importJWK } from 'jose';
import { type JWK, publicJwk } from './tokens.ts';

/** Those that the hosted service makes, too. Source: supabase/cli apps/cli-go/pkg/api/types.gen.go `CreateSigningKeyBodyAlgorithm`. */
export const signingAlgorithms = ['ES256', 'RS256', 'EdDSA', 'HS256'] as const;
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

export interface SigningKey {
  /** Undefined for the project's JWT secret: upstream names it in no header either. */
  readonly kid: string | undefined;
  readonly algorithm: SigningAlgorithm;
  /** What verifies: the public half, or the secret itself. The same object each time, which is what the import is remembered by. */
  readonly verifying: JWK;
  /** The whole key. Opens everything that it signs for: it is wrapped where it is kept. */
  readonly whole: JWK;
  /** The compact form. The claims stay in their order. */
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>;
}

const generate = promisify(generateKeyPair);
const rsaBits = 2048;
/** As many as the hash has a block. Source: RFC 2104 section 3. */
const secretBytes = 64;
/** HS256 needs a secret as long as its hash. Source: RFC 7518 section 3.2. */
const minSecretBytes = 32;
const minRsaBits = 2048;
const maxRsaBits = 8192;
export const kidShape = /^[0-9a-zA-Z][0-9a-zA-Z._-]{0,99}$/;

/** A new key with a random name, in the form that `supabase gen signing-key` writes. Source: supabase/cli apps/cli-go/internal/gen/signingkeys/signingkeys.go. */
export async function newSigningKey(algorithm: SigningAlgorithm): Promise<SigningKey> {
  const key = parseSigningKey({
    ...(await newMaterial(algorithm)),
    kid: randomUUID(),
    use: 'sig',
    key_ops: ['sign', 'verify'],
    alg: algorithm,
    ext: true,
  });
  if (typeof key === 'string') throw new Error(key);
  return key;
}

async function newMaterial(algorithm: SigningAlgorithm): Promise<JWK> {
  switch (algorithm) {
    case 'ES256':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey.export({ format: 'jwk' }) as JWK;
    case 'RS256':
      return (await generate('rsa', { modulusLength: rsaBits })).privateKey.export({ format: 'jwk' }) as JWK;
    case 'EdDSA':
      return (await generate('ed25519')).privateKey.export({ format: 'jwk' }) as JWK;
    case 'HS256':
      return { kty: 'oct', k: randomBytes(secretBytes).toString('base64url') };
  }
}

/** The key of a private JWK; a sentence when it is none that can sign here. */
export function parseSigningKey(value: unknown, { needsName = true } = {}): SigningKey | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'A signing key is a JWK, which is a JSON object.';
  // Sound: its members are looked at one by one, and by the import.
  const jwk = value as JWK;
  const { kid, alg, use, key_ops: operations } = jwk;
  const algorithm = algorithmOf(jwk);
  if (algorithm === undefined)
    return `A key of type ${JSON.stringify(jwk.kty)}${jwk.crv === undefined ? '' : ` (${JSON.stringify(jwk.crv)})`} signs by none of ${signingAlgorithms.join(', ')}.`;
  if (alg !== undefined && alg !== algorithm)
    return `The key says that it is for "${alg}", but it is one for ${algorithm}.`;
  if (use !== undefined && use !== 'sig') return `The key is for "${use}", not for signatures.`;
  if (operations !== undefined && !operations.includes('sign'))
    return 'The key is not for signing: its "key_ops" lack "sign".';
  if (
    needsName ? typeof kid !== 'string' || !kidShape.test(kid) : kid !== undefined && typeof kid !== 'string'
  )
    return 'The key needs a name in "kid": up to 100 letters, digits, dots, hyphens and underscores.';
  const complaint = materialComplaint(jwk, algorithm);
  return complaint ?? signingKeyOf(jwk, algorithm, kid);
}

/** The project's JWT secret, as the hosted service used to sign and as its legacy API keys are signed. */
export function legacySigningKey(secret: Uint8Array): SigningKey {
  const whole = { kty: 'oct', k: Buffer.from(secret).toString('base64url'), alg: 'HS256' };
  return signingKeyOf(whole, 'HS256', undefined);
}

function signingKeyOf(whole: JWK, algorithm: SigningAlgorithm, kid: string | undefined): SigningKey {
  const verifying =
    whole.kty === 'oct' ? { ...whole, key_ops: ['verify'] } : discoveryJwk({ ...whole, alg: algorithm });
  const { use: _, key_ops: __, ext: ___, ...material } = whole;
  let imported: ReturnType<typeof importJWK> | undefined;
  return {
    kid,
    algorithm,
    verifying,
    whole,
    async sign(claims) {
      imported ??= importJWK(material, algorithm);
      // Go writes the header's members by their names, so `alg`, `kid`, `typ`. Source: golang-jwt/jwt v5 token.go `SigningString`.
      const header = kid === undefined ? { alg: algorithm, typ: 'JWT' } : { alg: algorithm, kid, typ: 'JWT' };
      return new CompactSign(Buffer.from(JSON.stringify(claims)))
        .setProtectedHeader(header)
        .sign(await imported);
    },
  };
}

/**
 * A public key as it stands in `/.well-known/jwks.json`: for signatures, for verifying, its members by their names.
 * Source: supabase/auth internal/conf/jwk.go `decodePublicKey`; lestrrat-go/jwx v2 jwk/*_gen.go `MarshalJSON`.
 */
export function discoveryJwk(jwk: JWK): JWK {
  const shown = { ...publicJwk(jwk), use: 'sig' };
  // Sound: the same members in another order.
  return Object.fromEntries(Object.entries(shown).sort(([a], [b]) => (a < b ? -1 : 1))) as unknown as JWK;
}

/** The claims of an access token in the order in which upstream writes them; what it does not know comes last, by name. */
export function inClaimOrder(claims: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const known = claimOrder.filter((name) => Object.hasOwn(claims, name));
  const others = Object.keys(claims)
    .filter((name) => !claimOrder.includes(name))
    .sort();
  return Object.fromEntries([...known, ...others].map((name) => [name, claims[name]]));
}

/** Source: supabase/auth internal/hooks/v0hooks/v0hooks.go `AccessTokenClaims`; golang-jwt/jwt v5 registered_claims.go. */
const claimOrder: readonly string[] = [
  'iss',
  'sub',
  'aud',
  'exp',
  'nbf',
  'iat',
  'jti',
  'email',
  'phone',
  'app_metadata',
  'user_metadata',
  'role',
  'aal',
  'amr',
  'session_id',
  'is_anonymous',
  'client_id',
  'scope',
];

function algorithmOf({ kty, crv }: JWK): SigningAlgorithm | undefined {
  if (kty === 'EC' && crv === 'P-256') return 'ES256';
  if (kty === 'RSA') return 'RS256';
  if (kty === 'OKP' && crv === 'Ed25519') return 'EdDSA';
  return kty === 'oct' ? 'HS256' : undefined;
}

/** What is wrong with what the key is made of; undefined when it signs and its public half verifies that. */
function materialComplaint(jwk: JWK, algorithm: SigningAlgorithm): string | undefined {
  if (algorithm === 'HS256') {
    const bytes = typeof jwk.k === 'string' ? Buffer.from(jwk.k, 'base64url').length : 0;
    return bytes >= minSecretBytes
      ? undefined
      : `A secret of ${bytes} bytes is too short for HS256; it needs ${minSecretBytes}.`;
  }
  try {
    const whole = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });
    const half = createPublicKey({ key: publicJwk(jwk) as JsonWebKey, format: 'jwk' });
    const bits = whole.asymmetricKeyDetails?.modulusLength;
    if (bits !== undefined && (bits < minRsaBits || bits > maxRsaBits))
      return `An RSA key of ${bits} bits is not taken; it must have ${minRsaBits} to ${maxRsaBits}.`;
    const hash = algorithm === 'EdDSA' ? null : 'sha256';
    if (verify(hash, probe, half, sign(hash, probe, whole))) return undefined;
    return 'The public half of the key does not belong to its private half.';
  } catch {
    return 'The key is not a whole private key of its type.';
  }
}

const probe = Buffer.from('millrace');
