// In charge of: the project's four keys, of both kinds, and which of them a text is.
import { hash, timingSafeEqual } from 'node:crypto';
import { SignJWT } from 'jose';
import { legacyKeyExpiresAtSeconds } from './development-secrets.ts';
import { isIssuedKey } from './key-text.ts';

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

/** Whether a text has the form of a key that is no token: the project's own, or one that was made with `millrace keys create`. */
export function isOpaqueKey(text: string): boolean {
  return text.startsWith('sb_publishable_') || text.startsWith('sb_secret_') || isIssuedKey(text);
}

export type ProjectKey = 'publishable' | 'secret';

/**
 * Finds out which of the project's opaque keys a text is. Compared are digests, all of them and to the end: neither the
 * place of the first wrong letter nor the length of the right key shows in the time that it takes (CWE-208).
 */
export function openProjectKeys({
  publishable,
  secret,
}: Pick<ApiKeys, ProjectKey>): (text: string) => ProjectKey | undefined {
  const known = [
    { kind: 'secret', digest: digest(secret) },
    { kind: 'publishable', digest: digest(publishable) },
  ] as const;
  // Only what was right is kept, so at most two. A Map compares texts only when their seeded hashes are equal.
  const recognised = new Map<string, ProjectKey>();
  return (text) => {
    const before = recognised.get(text);
    if (before !== undefined) return before;
    const presented = digest(text);
    let found: ProjectKey | undefined;
    for (const key of known) if (timingSafeEqual(presented, key.digest)) found ??= key.kind;
    if (found !== undefined) recognised.set(text, found);
    return found;
  };
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
