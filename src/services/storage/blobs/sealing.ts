// In charge of: blobs that are encrypted, over any store. A blob's id says whether it is, and by which key; one that is not passes through untouched.
import { once } from 'node:events';
import { pipeline, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Observe } from '../../../base/observe.ts';
import { BlobDamaged, type BlobFacts, type Blobs, type ByteRange } from './blobs.ts';
import { countedBytes } from './counted.ts';
import { joinByBytes } from './in-parts.ts';
import {
  type ChunkCipher,
  chunksOf,
  cipherOf,
  headerBytes,
  newHeader,
  placeOf,
  plainSizeOf,
  sealedSizeOf,
} from './sealed-format.ts';
import { keyIdIn } from './sealed-id.ts';
import { openingStream, sealingStream } from './sealed-streams.ts';

export interface SealingOptions {
  /** A bucket's key. @throws BucketKeyMissing */
  readonly keyOf: (keyId: string) => Promise<Buffer>;
  readonly observe: Observe;
}

const unbounded = { maxBytes: Number.POSITIVE_INFINITY };

export function sealing(inner: Blobs, { keyOf, observe }: SealingOptions): Blobs {
  const isSealed = (id: string) => keyIdIn(id) !== undefined;
  const plainFacts = (facts: BlobFacts): BlobFacts =>
    isSealed(facts.id) ? { ...facts, sizeBytes: plainSizeOf(facts.sizeBytes) } : facts;

  async function readSealed(id: string, keyId: string, range: ByteRange | undefined): Promise<Readable> {
    const key = await keyOf(keyId);
    const wanted = range && chunksOf(range);
    const first = wanted?.first ?? 0;
    const [header, source] = await readKept(inner, id, wanted);
    let isTold = false;
    const damaged = (what: string) => {
      const error = new BlobDamaged(id, what);
      if (!isTold) observe({ kind: 'storage.blob_damaged', level: 'error', id, what });
      isTold = true;
      return error;
    };
    const ofHeader = (bytes: Buffer): ChunkCipher | undefined => cipherOf(key, id, bytes);
    if (header !== undefined && ofHeader(header) === undefined) {
      source.destroy();
      throw damaged('it does not begin as an encrypted one does');
    }
    const opened = openingStream({
      cipherOf: ofHeader,
      header,
      first,
      last: wanted?.last,
      skipBytes: wanted?.skipBytes ?? 0,
      wantedBytes: wanted?.wantedBytes,
      damaged,
    });
    // Whoever reads hears of what fails.
    pipeline(source, opened, () => {});
    // The first chunk is looked at before anything is said: what is damaged there gets an answer of its own.
    await once(opened, 'readable');
    return opened;
  }

  const blobs: Blobs = {
    ...inner,
    async write(id, body, options) {
      const keyId = keyIdIn(id);
      if (keyId === undefined) return inner.write(id, body, options);
      const { maxBytes: most, undigested } = options;
      const counted = countedBytes({ maxBytes: most, ...(undigested && { undigested }) });
      const header = newHeader();
      const cipher = cipherOf(await keyOf(keyId), id, header)!;
      const sealed = sealingStream(header, cipher);
      pipeline(body, counted.stream, sealed, () => {});
      try {
        const maxBytes = sealedSizeOf(most);
        await inner.write(id, sealed, { ...options, maxBytes, undigested: true });
      } finally {
        // Where it was refused unread, whatever waits to be read ends with it.
        sealed.destroy();
      }
      return counted.written();
    },
    async read(id, range) {
      const keyId = keyIdIn(id);
      return keyId === undefined ? inner.read(id, range) : readSealed(id, keyId, range);
    },
    async find(id) {
      const found = await inner.find(id);
      return found && plainFacts(found);
    },
    async copy(from, to) {
      // An encrypted blob is nothing under another name.
      if (isSealed(from) || isSealed(to)) await blobs.write(to, await blobs.read(from), unbounded);
      else await inner.copy(from, to);
    },
    async join(parts, to, signal) {
      if (isSealed(to) || parts.some(isSealed)) return joinByBytes(blobs, parts, to, signal);
      return inner.join(parts, to, signal);
    },
    async *list(signal) {
      for await (const facts of inner.list(signal)) yield plainFacts(facts);
    },
  };
  return blobs;
}

/** What is kept of the chunks, and a byte more; with the header apart where it does not stand right before them. */
async function readKept(
  inner: Blobs,
  id: string,
  wanted: { readonly first: number; readonly last: number } | undefined,
): Promise<readonly [header: Buffer | undefined, source: Readable]> {
  if (wanted === undefined) return [undefined, await inner.read(id)];
  const to = placeOf(wanted.last + 1);
  if (wanted.first === 0) return [undefined, await inner.read(id, { from: 0, to })];
  const header = await buffer(await inner.read(id, { from: 0, to: headerBytes - 1 }));
  return [header, await inner.read(id, { from: placeOf(wanted.first), to })];
}
