// In charge of: where the bytes are, as the rest of the service sees it. A blob is written once under a name of ours and never changed: what a
// client calls its file never reaches a path. Which blob is whose is in the database, so that overwriting is one row's change.
import type { Readable } from 'node:stream';

export interface Written {
  readonly sizeBytes: number;
  /** In hexadecimal: what S3 calls the ETag of an object that came in one piece. */
  readonly md5: string;
}

export interface WriteOptions {
  /** One byte more is refused, and nothing is kept. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface BlobFacts {
  readonly id: string;
  readonly sizeBytes: number;
  readonly writtenAt: Date;
}

/** From the first to the last byte, both included. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

export interface Blobs {
  /** Keeps all of `body` under a new name; it is durable when this resolves. @throws TooManyBytes; what `body` fails with */
  write(id: string, body: Readable, options: WriteOptions): Promise<Written>;
  /** The bytes, or those of a range. @throws BlobMissing before the first byte */
  read(id: string, range?: ByteRange): Promise<Readable>;
  /** Undefined: there is none. */
  find(id: string): Promise<BlobFacts | undefined>;
  /** The same bytes under a new name. @throws BlobMissing */
  copy(from: string, to: string): Promise<void>;
  /** The bytes of several, one behind the other, under a new name. They stay. @throws BlobMissing */
  join(parts: readonly string[], to: string, signal?: AbortSignal): Promise<Written>;
  /** Those that are not there are as good as removed. */
  remove(ids: readonly string[]): Promise<void>;
  /** All of them, in no order. */
  list(signal: AbortSignal): AsyncIterable<BlobFacts>;
  close(): Promise<void>;
}

export class BlobMissing extends Error {
  override readonly name = 'BlobMissing';

  constructor(id: string, cause?: unknown) {
    super(`there is no blob "${id}"`, { cause });
  }
}

export class TooManyBytes extends Error {
  override readonly name = 'TooManyBytes';

  constructor(maxBytes: number) {
    super(`more than ${maxBytes} bytes came`);
  }
}
