// In charge of: the checksums by which a client lets its bytes be checked, as they pass.
// Source: Amazon S3 User Guide, "Checking object integrity"; RFC 3720 appendix B.4 (CRC-32C); NVM Express NVM Command Set 1.0, "CRC-64".
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export interface Checksum {
  update(bytes: Buffer): void;
  /** In base64. */
  digest(): string;
}

/** By the name that stands behind `x-amz-checksum-`; undefined: one that is not known here, which is not checked. */
export function openChecksum(name: string): Checksum | undefined {
  switch (name) {
    case 'crc32':
      return crcOf32((bytes, before) => crc32(bytes, before));
    case 'crc32c':
      return crcOf32(crc32c);
    case 'crc64nvme':
      return crc64nvme();
    case 'sha1':
    case 'sha256':
    case 'sha512':
    case 'md5':
      return hashOf(name);
    default:
      return undefined;
  }
}

function hashOf(name: string): Checksum {
  const hash = createHash(name);
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('base64') };
}

function crcOf32(step: (bytes: Buffer, before: number) => number): Checksum {
  let value = 0;
  return {
    update(bytes) {
      value = step(bytes, value);
    },
    digest() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value >>> 0);
      return bytes.toString('base64');
    },
  };
}

let tableOf32c: Uint32Array | undefined;

function crc32c(bytes: Buffer, before: number): number {
  tableOf32c ??= Uint32Array.from({ length: 256 }, (_, at) => {
    let value = at;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    return value;
  });
  const table = tableOf32c;
  let value = ~before;
  for (let at = 0; at < bytes.length; at++) value = table[(value ^ bytes[at]!) & 0xff]! ^ (value >>> 8);
  return ~value >>> 0;
}

interface Table64 {
  readonly high: Uint32Array;
  readonly low: Uint32Array;
}

let tableOf64: Table64 | undefined;

/** In halves of 32 bits: BigInt would make it fifty times slower. */
function crc64nvme(): Checksum {
  tableOf64 ??= makeTable64();
  const table = tableOf64;
  let high = 0xffffffff;
  let low = 0xffffffff;
  return {
    update(bytes) {
      for (let at = 0; at < bytes.length; at++) {
        const entry = (low ^ bytes[at]!) & 0xff;
        low = ((low >>> 8) | (high << 24)) ^ table.low[entry]!;
        high = (high >>> 8) ^ table.high[entry]!;
      }
    },
    digest() {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32BE(~high >>> 0, 0);
      bytes.writeUInt32BE(~low >>> 0, 4);
      return bytes.toString('base64');
    },
  };
}

function makeTable64(): Table64 {
  const polynomial = { high: 0x9a6c9329, low: 0xac4bc9b5 };
  const table = { high: new Uint32Array(256), low: new Uint32Array(256) };
  for (let entry = 0; entry < 256; entry++) {
    let high = 0;
    let low = entry;
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = low & 1;
      low = ((low >>> 1) | (high << 31)) >>> 0;
      high >>>= 1;
      if (isOdd) {
        low ^= polynomial.low;
        high ^= polynomial.high;
      }
    }
    table.high[entry] = high;
    table.low[entry] = low;
  }
  return table;
}
