// In charge of: how the bytes of an encrypted blob look. Pure: bytes in, bytes out.
// A key of its own for each blob, derived from the bucket's key, a random salt and the blob's id; then chunks under AES-256-GCM, whose nonces say which
// chunk each is and whether it is the last: one that is altered, cut off, in another place or from another blob does not open.
// Source: the construction "AES-GCM-HKDF streaming AEAD", developers.google.com/tink/streaming-aead; Hoang et al., "Online Authenticated-Encryption and
// its Nonce-Reuse Misuse-Resistance" (2015), STREAM; RFC 5869 (HKDF); NIST SP 800-38D (GCM).
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { ByteRange } from './blobs.ts';

/** What a range costs at the most beside its own bytes, twice: the rest of its first and of its last chunk. */
export const chunkBytes = 64 * 1024;
const tagBytes = 16;
/** A chunk as it is kept. */
export const sealedChunkBytes = chunkBytes + tagBytes;

/** Says which format it is; another one gets other words. */
const magic = Buffer.from('MRE1');
const saltBytes = 32;
const prefixBytes = 7;
export const headerBytes = magic.length + saltBytes + prefixBytes;

const algorithm = 'aes-256-gcm';
/** Chunks are numbered in four bytes: 256 TiB. */
const maxChunks = 2 ** 32;

export interface ChunkCipher {
  seal(index: number, isLast: boolean, chunk: Uint8Array): Buffer;
  /** Undefined: these bytes were never sealed so. */
  open(index: number, isLast: boolean, sealed: Uint8Array): Buffer | undefined;
}

/** What a new blob begins with. */
export function newHeader(): Buffer {
  return Buffer.concat([magic, randomBytes(saltBytes + prefixBytes)]);
}

/** Undefined: no encrypted blob begins so. @param id is part of what the key is made of: the bytes of one blob under the name of another do not open */
export function cipherOf(bucketKey: Uint8Array, id: string, header: Uint8Array): ChunkCipher | undefined {
  if (header.length !== headerBytes || !magic.equals(header.subarray(0, magic.length))) return undefined;
  const salt = header.subarray(magic.length, magic.length + saltBytes);
  const prefix = header.subarray(magic.length + saltBytes);
  const key = Buffer.from(hkdfSync('sha256', bucketKey, salt, `millrace blob ${id}`, 32));

  function nonceOf(index: number, isLast: boolean): Buffer {
    if (index >= maxChunks) throw new RangeError(`a blob has no more than ${maxChunks} chunks`);
    const nonce = Buffer.alloc(prefixBytes + 5);
    nonce.set(prefix);
    nonce.writeUInt32BE(index, prefixBytes);
    nonce[prefixBytes + 4] = isLast ? 1 : 0;
    return nonce;
  }

  return {
    seal(index, isLast, chunk) {
      const cipher = createCipheriv(algorithm, key, nonceOf(index, isLast), { authTagLength: tagBytes });
      return Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
    },
    open(index, isLast, sealed) {
      const end = sealed.length - tagBytes;
      if (end < 0) return undefined;
      const decipher = createDecipheriv(algorithm, key, nonceOf(index, isLast), { authTagLength: tagBytes });
      decipher.setAuthTag(sealed.subarray(end));
      const chunk = decipher.update(sealed.subarray(0, end));
      try {
        decipher.final();
      } catch {
        return undefined;
      }
      return chunk;
    },
  };
}

/** How many bytes are kept for so many; an empty blob has one empty chunk. */
export function sealedSizeOf(plainBytes: number): number {
  return headerBytes + plainBytes + Math.max(1, Math.ceil(plainBytes / chunkBytes)) * tagBytes;
}

/** And back; -1 where no encrypted blob is of that size. */
export function plainSizeOf(sealedBytes: number): number {
  const kept = sealedBytes - headerBytes;
  const plainBytes = kept - Math.max(1, Math.ceil(kept / sealedChunkBytes)) * tagBytes;
  return sealedSizeOf(plainBytes) === sealedBytes ? plainBytes : -1;
}

/** The chunks that hold a range, from the first to the last, and which of their bytes are wanted. */
export function chunksOf({ from, to }: ByteRange) {
  const first = Math.floor(from / chunkBytes);
  const last = Math.floor(to / chunkBytes);
  return { first, last, skipBytes: from - first * chunkBytes, wantedBytes: to - from + 1 };
}

/** Where a chunk begins among the bytes that are kept. */
export const placeOf = (index: number): number => headerBytes + index * sealedChunkBytes;
