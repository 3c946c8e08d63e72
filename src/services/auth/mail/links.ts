// In charge of: the codes, hashes and links that go out by mail. Links begin with the auth API's URL of the settings; no request has a say in them.
import { createHmac, randomInt } from 'node:crypto';
import { queryEscape } from './template-functions.ts';

/** What a link says that it confirms; `/verify` reads it back. Source: supabase/auth internal/mailer/mailer.go. */
export type LinkType = 'signup' | 'invite' | 'recovery' | 'magiclink' | 'email_change';

export interface LinkFacts {
  /** Where the auth API is reached: `https://api.example.com/auth/v1`. From the settings, never from `Host` (CWE-640, password reset poisoning). */
  readonly authUrl: string;
  readonly type: LinkType;
  /** With its prefix where the flow has one. */
  readonly tokenHash: string;
  /** Judged by the allow list already; empty: none was asked for and there is no site URL. */
  readonly redirectTo: string;
}

/**
 * The link that confirms. Source: supabase/auth internal/mailer/templatemailer/templatemailer.go, `getPath`; supabase/cli
 * apps/cli-go/internal/start/start.go, GOTRUE_MAILER_URLPATHS_….
 */
export function confirmationUrl({ authUrl, type, tokenHash, redirectTo }: LinkFacts): string {
  const query = `token=${queryEscape(tokenHash)}&type=${queryEscape(type)}&redirect_to=${redirectValue(redirectTo)}`;
  return `${authUrl}/verify?${query}`;
}

/**
 * As it is where a query holds it as it is; whoever has escaped it already finds it once unescaped, as upstream. Upstream looks for
 * `&`, `=` and `#` only, so that a `+` in it comes back as a space.
 */
function redirectValue(redirectTo: string): string {
  return /^[\w\-.~:/?@!$'()*,;%[\]]*$/.test(redirectTo) ? redirectTo : queryEscape(redirectTo);
}

/** A code of decimal digits, each value as likely as another. `digits` is `[auth.email].otp_length`, 6 to 10. */
export function makeOtp(digits: number): string {
  return String(randomInt(10 ** digits)).padStart(digits, '0');
}

/**
 * What is kept of a code, and what stands in links as `token_hash`: it cannot be used for another address, and nobody without the key computes
 * it. As long as upstream's, which has no key. Source: supabase/auth internal/crypto/crypto.go, `GenerateTokenHash`.
 */
export function tokenHashOf(key: Buffer, emailOrPhone: string, otp: string): string {
  return createHmac('sha224', key)
    .update(emailOrPhone + otp)
    .digest('hex');
}

/** The hash of a flow that ends with a code for the client that began it. Source: supabase/auth internal/api/pkce.go. */
export function withFlowPrefix(tokenHash: string, isPkce: boolean): string {
  return isPkce ? `${pkcePrefix}${tokenHash}` : tokenHash;
}

export const pkcePrefix = 'pkce_';
