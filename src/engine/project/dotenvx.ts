// In charge of: values that dotenvx has encrypted, `encrypted:…`, in config.toml.
import { createDecipheriv, createECDH, ECDH, hkdfSync } from 'node:crypto';
import type { Environment } from './dotenv.ts';

const prefix = 'encrypted:';

export function isEncrypted(value: string): boolean {
  return value.startsWith(prefix);
}

/** The keys in `DOTENV_PRIVATE_KEY` and `DOTENV_PRIVATE_KEY_…`, several with commas between. */
export function privateKeys(environment: Environment): readonly string[] {
  return Object.entries(environment)
    .filter(([name]) => name === 'DOTENV_PRIVATE_KEY' || name.startsWith('DOTENV_PRIVATE_KEY_'))
    .flatMap(([, value]) => (value ?? '').split(','))
    .map((key) => key.trim())
    .filter((key) => /^[0-9a-f]{64}$/i.test(key));
}

/**
 * The text behind it, by the first key that opens it; undefined when none does.
 * ECIES: an ephemeral point on secp256k1, HKDF-SHA256 over both points, AES-256-GCM.
 * Source: supabase/cli apps/cli-go/pkg/config/secret.go; ecies/js src/index.ts.
 */
export function decryptValue(value: string, keys: readonly string[]): string | undefined {
  const bytes = Buffer.from(value.slice(prefix.length), 'base64');
  if (bytes.length < pointBytes + nonceBytes + tagBytes) return undefined;
  const point = bytes.subarray(0, pointBytes);
  const nonce = bytes.subarray(pointBytes, pointBytes + nonceBytes);
  const tag = bytes.subarray(pointBytes + nonceBytes, pointBytes + nonceBytes + tagBytes);
  const sealed = bytes.subarray(pointBytes + nonceBytes + tagBytes);
  for (const key of keys) {
    for (const shared of sharedPoints(key, point)) {
      const secret = hkdfSync('sha256', Buffer.concat([point, shared]), '', '', 32);
      try {
        const cipher = createDecipheriv('aes-256-gcm', Buffer.from(secret), nonce);
        cipher.setAuthTag(tag);
        return Buffer.concat([cipher.update(sealed), cipher.final()]).toString('utf8');
      } catch {
        // Not this one: the tag says so.
      }
    }
  }
  return undefined;
}

/** The point that both sides share. Node gives its x alone; of the two points with it the tag tells the right one. */
function sharedPoints(key: string, point: Buffer): readonly Buffer[] {
  try {
    const own = createECDH('secp256k1');
    own.setPrivateKey(key, 'hex');
    const x = own.computeSecret(point);
    return [2, 3].map((sign) => {
      const compressed = Buffer.concat([Buffer.from([sign]), x]);
      return ECDH.convertKey(compressed, 'secp256k1', undefined, undefined, 'uncompressed') as Buffer;
    });
  } catch {
    return [];
  }
}

const pointBytes = 65;
const nonceBytes = 16;
const tagBytes = 16;
