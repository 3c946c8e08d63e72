// In charge of: bytes on their way into an encrypted blob and out of it, a chunk at a time.
import { Transform } from 'node:stream';
import { type ChunkCipher, chunkBytes, headerBytes, sealedChunkBytes } from './sealed-format.ts';

/** As many chunks may wait for whoever reads. */
const heldBytes = 4 * chunkBytes;

/** `header` and the chunks. A full one is held back until it is known whether it is the last. */
export function sealingStream(header: Buffer, cipher: ChunkCipher): Transform {
  const held = Buffer.alloc(chunkBytes);
  let heldLength = 0;
  let index = 0;
  let isBegun = false;
  const begin = (stream: Transform) => {
    if (!isBegun) stream.push(header);
    isBegun = true;
  };
  return new Transform({
    readableHighWaterMark: heldBytes,
    transform(bytes: Buffer, _encoding, done) {
      begin(this);
      for (let at = 0; at < bytes.length; ) {
        if (heldLength === chunkBytes) {
          this.push(cipher.seal(index++, false, held));
          heldLength = 0;
        }
        const count = bytes.copy(held, heldLength, at);
        heldLength += count;
        at += count;
      }
      done();
    },
    flush(done) {
      begin(this);
      done(null, cipher.seal(index, true, held.subarray(0, heldLength)));
    },
  });
}

export interface Opening {
  /** With the header, when that comes first; undefined: it is what `cipher` is for. */
  readonly cipherOf: (header: Buffer) => ChunkCipher | undefined;
  readonly header: Buffer | undefined;
  /** Of the first chunk that comes. */
  readonly first: number;
  /** Of the last one that is wanted; behind it one byte comes, unless it is the blob's last. Undefined: all. */
  readonly last: number | undefined;
  readonly skipBytes: number;
  readonly wantedBytes: number | undefined;
  /** What to fail with when the bytes are not what was sealed. */
  readonly damaged: (what: string) => Error;
}

/** The plain bytes. Each chunk comes out once it is known to be right. */
export function openingStream(opening: Opening): Transform {
  const { last, damaged } = opening;
  let cipher = opening.header && opening.cipherOf(opening.header);
  let pieces: Buffer[] = [];
  let length = 0;
  let index = opening.first;
  let skip = opening.skipBytes;
  let wanted = opening.wantedBytes ?? Number.POSITIVE_INFINITY;
  let isOver = false;

  function take(count: number): Buffer {
    const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length);
    pieces = count < whole.length ? [whole.subarray(count)] : [];
    length -= count;
    return whole.subarray(0, count);
  }

  function openOne(stream: Transform, sealed: Buffer, isLast: boolean): void {
    const chunk = cipher?.open(index, isLast, sealed);
    if (chunk === undefined) throw damaged(`chunk ${index} is not what was written`);
    const bytes = chunk.subarray(skip, skip + wanted);
    skip = 0;
    wanted -= bytes.length;
    if (bytes.length > 0) stream.push(bytes);
    isOver = isLast || index === last;
    index += 1;
  }

  function begin(): void {
    if (cipher !== undefined || length < headerBytes) return;
    cipher = opening.cipherOf(take(headerBytes));
    if (cipher === undefined) throw damaged('it does not begin as an encrypted one does');
  }

  return new Transform({
    readableHighWaterMark: heldBytes,
    transform(bytes: Buffer, _encoding, done) {
      try {
        pieces.push(bytes);
        length += bytes.length;
        begin();
        // One byte more shows that it is not the last one.
        while (cipher !== undefined && !isOver && length > sealedChunkBytes)
          openOne(this, take(sealedChunkBytes), false);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    flush(done) {
      try {
        if (cipher === undefined) throw damaged('it is shorter than its beginning');
        if (!isOver) openOne(this, take(length), true);
        // A range that ends behind the blob's end was asked for by a row that says more than there is.
        if (wanted > 0 && opening.wantedBytes !== undefined) throw damaged('it is shorter than it was');
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
