// In charge of: the signature by which a hook knows that it was the project that asked.
// Source: Standard Webhooks 1.0.0 "Signature scheme"; supabase/auth internal/hooks/hookshttp/hookshttp.go `generateSignatures`.
import { createHmac } from 'node:crypto';

const prefix = 'v1,whsec_';

/** One for each secret, as the header holds them: `v1,<base64>, v1,<base64>`. */
export function signaturesOf(
  secrets: readonly string[],
  id: string,
  timestampSeconds: number,
  body: string,
): string {
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(prefix.length), 'base64');
      const mac = createHmac('sha256', key).update(`${id}.${timestampSeconds}.${body}`).digest('base64');
      return `v1,${mac}`;
    })
    .join(', ');
}
