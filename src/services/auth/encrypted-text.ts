// In charge of: what a GoTrue with `GOTRUE_SECURITY_DB_ENCRYPTION_ENCRYPT` has written: password hashes, secrets and keys that it wrapped one by
// one. They are read by the keys that it had; nothing is written in this form, as our own secrets are wrapped by the master key.
// Source: supabase/auth internal/crypto/crypto.go `EncryptedString`, internal/conf/configuration.go `DatabaseEncryptionConfiguration`.
import { createDecipheriv, hkdfSync } from 'node:crypto';
import { parsed } from '../../base/settings.ts';
import type { JsonObject } from './go-json.ts';

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** Keys by their names, in base64url. */
export type DecryptionKeys = Readonly<Record<string, string>>;

export const encryptedTextSettings = {
  decryptionKeys: parsed<DecryptionKeys>(
    {
      key: 'auth.db_encryption.decryption_keys',
      env: ['GOTRUE_SECURITY_DB_ENCRYPTION_DECRYPTION_KEYS'],
      default: {},
      live: true,
      secret: true,
      sentence:
        'The keys by which a project that comes from elsewhere has its password hashes and secrets encrypted: `name:key`, with commas between them.',
    },
    'a table of keys of 256 bits in base64url by their names, or `name:key` with commas between them',
    parseKeys,
  ),
} as const;

function parseKeys(raw: unknown): DecryptionKeys | undefined {
  const pairs =
    typeof raw === 'string'
      ? raw
          .split(',')
          .filter((pair) => pair.trim() !== '')
          .map((pair) => pair.trim().split(':'))
      : typeof raw === 'object' && raw !== null && !Array.isArray(raw)
        ? Object.entries(raw)
        : undefined;
  const isGood = pairs?.every(
    ([name, key, ...more]) => name !== '' && typeof key === 'string' && more.length === 0 && isKey(key),
  );
  // Sound: checked just now.
  return isGood ? (Object.fromEntries(pairs as [string, string][]) as DecryptionKeys) : undefined;
}

const isKey = (text: string) =>
  /^[A-Za-z0-9_-]+$/.test(text) && Buffer.from(text, 'base64url').length === keyBytes;

/** A key is missing, or another one than it was written by; its message names it and holds nothing that is secret. */
export class TextUnreadable extends Error {
  override readonly name = 'TextUnreadable';
}

/**
 * The text of a column as it was before it was encrypted; what is plain stays as it is. `id` is that of the row it stands in.
 * @throws TextUnreadable
 */
export function readText(keys: DecryptionKeys, id: string, stored: string): string {
  const wrapped = stored.startsWith('{') ? parseWrapped(stored) : undefined;
  if (wrapped === undefined) return stored;
  const key = Object.hasOwn(keys, wrapped.keyId) ? keys[wrapped.keyId] : undefined;
  if (key === undefined)
    throw new TextUnreadable(
      `The key ${JSON.stringify(wrapped.keyId)} is not in auth.db_encryption.decryption_keys, where ${Object.keys(keys).length} are.`,
    );
  // Each row has a key of its own: one that is moved to another row is refused.
  const own = Buffer.from(hkdfSync('sha256', Buffer.from(key, 'base64url'), '', id, keyBytes));
  const decipher = createDecipheriv('aes-256-gcm', own, wrapped.nonce);
  decipher.setAuthTag(wrapped.data.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(wrapped.data.subarray(0, -tagBytes)), decipher.final()]).toString();
  } catch (error) {
    throw new TextUnreadable(
      `What the key ${JSON.stringify(wrapped.keyId)} has encrypted for ${id} cannot be read by the key of that name.`,
      { cause: error },
    );
  }
}

function parseWrapped(
  text: string,
): { readonly keyId: string; readonly data: Buffer; readonly nonce: Buffer } | undefined {
  let value: JsonObject;
  try {
    // Sound: it begins with a brace, and every member is looked at.
    value = JSON.parse(text) as JsonObject;
  } catch {
    return undefined;
  }
  const { key_id: keyId, alg, data, nonce } = value;
  if (alg !== 'aes-gcm-hkdf' || typeof keyId !== 'string' || keyId === '') return undefined;
  if (typeof data !== 'string' || typeof nonce !== 'string') return undefined;
  const bytes = { data: Buffer.from(data, 'base64'), nonce: Buffer.from(nonce, 'base64') };
  return bytes.nonce.length === nonceBytes && bytes.data.length > tagBytes ? { keyId, ...bytes } : undefined;
}
