// In charge of: the digest that a client says its bytes have. Source: tus 1.0.x, "Checksum", which @tus/server leaves out.
import { createHash, type Hash } from 'node:crypto';
import { tusRefusal } from './refusal.ts';

export const checksumAlgorithms = ['md5', 'sha1', 'sha256'] as const;

export interface Checksum {
  readonly hash: Hash;
  /** @throws 460 once all bytes are in `hash` */
  check(): void;
}

/** Of the header `Upload-Checksum`: `sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=`. @throws 400 */
export function parseChecksum(header: string | undefined): Checksum | undefined {
  if (header === undefined) return undefined;
  const [algorithm, digest, ...more] = header.split(' ');
  if (algorithm === undefined || digest === undefined || digest === '' || more.length > 0)
    throw tusRefusal(400, 'Invalid upload-checksum\n');
  if (!checksumAlgorithms.some((known) => known === algorithm))
    throw tusRefusal(400, `Unsupported checksum algorithm: ${algorithm}\n`);
  const hash = createHash(algorithm);
  return {
    hash,
    check() {
      if (hash.digest('base64') !== digest) throw tusRefusal(460, 'Checksum Mismatch\n');
    },
  };
}
