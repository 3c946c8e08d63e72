// In charge of: how one secret is wrapped by a master key. Pure: bytes in, bytes out.
// Source: NIST SP 800-38D (AES-GCM) section 8.2.2; RFC 5869 (HKDF).
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** What secrets are kept for. Each has a key of its own: what was wrapped for one cannot be taken for another's. */
export type SecretPurpose =
  | 'check'
  | 'signing key'
  | 'provider'
  | 'mail'
  | 'sms'
  | 'bucket key'
  | 'access key'
  | 'vault'
  | 'hook'
  | 'code';

export interface Wrap {
  /** Sixteen hexadecimal digits that name the master key and tell nothing else about it. */
  readonly keyId: string;
  seal(purpose: SecretPurpose, id: string, value: Uint8Array): Buffer;
  /** @throws SecretUnreadable for what another key wrapped, for another row's secret and for changed bytes. */
  unwrap(purpose: SecretPurpose, id: string, sealed: Uint8Array): Buffer;
}

export class SecretUnreadable extends Error {
  override readonly name = 'SecretUnreadable';
  /** `other key`: none of the master keys that are given wrapped it; `damaged`: one did, and the bytes, or the row that they stand in, have changed. */
  readonly reason: 'other key' | 'damaged';

  constructor(reason: SecretUnreadable['reason'], purpose: SecretPurpose, id: string, cause?: unknown) {
    super(
      reason === 'other key'
        ? `The secret "${id}" (${purpose}) is wrapped by a master key that is not given.`
        : `The secret "${id}" (${purpose}) was damaged or changed: it is not what was wrapped for this row.`,
      cause === undefined ? undefined : { cause },
    );
    this.reason = reason;
  }
}

// The layout: version, key id, nonce, what is wrapped, tag.
const version = 1;
const keyIdBytes = 8;
const headerBytes = 1 + keyIdBytes;
const nonceBytes = 12;
const tagBytes = 16;
const algorithm = 'aes-256-gcm';

export function openWrap(masterKey: string): Wrap {
  const keys = new Map<SecretPurpose, Buffer>();
  const derive = (info: string, bytes: number) =>
    Buffer.from(hkdfSync('sha256', masterKey, 'millrace', info, bytes));
  const keyOf = (purpose: SecretPurpose): Buffer => {
    const known = keys.get(purpose) ?? derive(`secret ${purpose}`, 32);
    keys.set(purpose, known);
    return known;
  };
  const header = Buffer.concat([Buffer.of(version), derive('master key id', keyIdBytes)]);
  const keyId = header.subarray(1).toString('hex');

  return {
    keyId,
    seal(purpose, id, value) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, keyOf(purpose), nonce, { authTagLength: tagBytes });
      cipher.setAAD(rowOf(header, purpose, id));
      return Buffer.concat([header, nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
    },
    unwrap(purpose, id, sealed) {
      if (keyIdOf(sealed) !== keyId) throw new SecretUnreadable('other key', purpose, id);
      try {
        const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
        const nonce = bytes.subarray(headerBytes, headerBytes + nonceBytes);
        const decipher = createDecipheriv(algorithm, keyOf(purpose), nonce, { authTagLength: tagBytes });
        decipher.setAAD(rowOf(bytes.subarray(0, headerBytes), purpose, id));
        decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes));
        return Buffer.concat([
          decipher.update(bytes.subarray(headerBytes + nonceBytes, bytes.length - tagBytes)),
          decipher.final(),
        ]);
      } catch (error) {
        throw new SecretUnreadable('damaged', purpose, id, error);
      }
    },
  };
}

/** Which master key wrapped it; undefined for what nobody wrapped. */
export function keyIdOf(sealed: Uint8Array): string | undefined {
  if (sealed.length < headerBytes + nonceBytes + tagBytes || sealed[0] !== version) return undefined;
  return Buffer.from(sealed.subarray(1, headerBytes)).toString('hex');
}

/** What belongs to the secret without being secret: moved to another row, it no longer opens. A purpose holds no NUL, so the parts cannot be shifted. */
function rowOf(header: Uint8Array, purpose: SecretPurpose, id: string): Buffer {
  return Buffer.concat([header, Buffer.from(`${purpose}\0${id}`)]);
}
