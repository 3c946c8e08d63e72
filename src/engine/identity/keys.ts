// In charge of: the project's own keys, of both kinds, and who a key makes you.
import { SignJWT } from 'jose';
import { legacyKeyExpiresAtSeconds } from './development-secrets.ts';

/** The four keys that a Supabase project has. */
export interface ApiKeys {
  readonly publishable: string;
  readonly secret: string;
  /** Legacy keys: tokens that end in 2032. */
  readonly anon: string;
  readonly serviceRole: string;
}

/**
 * A legacy key, letter for letter as the Supabase CLI makes it from the same secret (order of the claims included).
 * Source: supabase/cli apps/cli-go/pkg/config/apikeys.go `generateJWT`.
 */
export function signLegacyKey(role: 'anon' | 'service_role', secret: string): Promise<string> {
  return new SignJWT({ iss: 'supabase-demo', role, exp: legacyKeyExpiresAtSeconds })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(secret));
}

/** Whether a text has the form of a key of the new kind. */
export function isOpaqueKey(text: string): boolean {
  return text.startsWith('sb_publishable_') || text.startsWith('sb_secret_');
}
