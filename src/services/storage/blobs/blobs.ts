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
  /** The MD5 is not wanted, and is empty: somebody else has it, of what the bytes stand for. */
  readonly undigested?: boolean;
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
  /** Keeps all of `body` under a new name; it is durable when this resolves. @throws TooManyBytes; NoRoom; what `body` fails with */
  write(id: string, body: Readable, options: WriteOptions): Promise<Written>;
  /** The bytes, or those of a range. @throws BlobMissing before the first byte */
  read(id: string, range?: ByteRange): Promise<Readable>;
  /** Undefined: there is none. */
  find(id: string): Promise<BlobFacts | undefined>;
  /** The same bytes under a new name. @throws BlobMissing */
  copy(from: string, to: string): Promise<void>;
  /** The bytes of several, one behind the other, under a new name. They stay. Nobody wants the digest of all: an ETag is made of those of the parts. @throws BlobMissing */
  join(parts: readonly string[], to: string, signal?: AbortSignal): Promise<Pick<Written, 'sizeBytes'>>;
  /** Those that are not there are as good as removed. */
  remove(ids: readonly string[]): Promise<void>;
  /** All of them, by their ids in the order of their bytes: two lists of any length are compared side by side. */
  list(signal: AbortSignal): AsyncIterable<BlobFacts>;
  /** Removes what writes have left that were cut off, once nothing was added to it for so long; how many they were. */
  removeUnfinished(stillForSeconds: number): Promise<number>;
  close(): Promise<void>;
}

export class BlobMissing extends Error {
  override readonly name = 'BlobMissing';

  constructor(id: string, cause?: unknown) {
    super(`there is no blob "${id}"`, { cause });
  }
}

/** The bytes are there, and are not those that were written. */
export class BlobDamaged extends Error {
  override readonly name = 'BlobDamaged';

  constructor(id: string, what: string) {
    super(`the blob "${id}" is damaged: ${what}`);
  }
}

export class TooManyBytes extends Error {
  override readonly name = 'TooManyBytes';

  constructor(maxBytes: number) {
    super(`more than ${maxBytes} bytes came`);
  }
}

/** The place where bytes are kept is full. Nothing of what came is left there. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';

  constructor(cause: unknown) {
    super('there is no room left where files are kept', { cause });
  }
}

/** The place where bytes are kept cannot be reached, or does not answer as it should. */
export class BlobsUnavailable extends Error {
  override readonly name = 'BlobsUnavailable';
  /** `refused`: it answers, and does not let us; `away`: it does not answer, or has too much to do. */
  readonly reason: 'refused' | 'away';

  constructor(reason: BlobsUnavailable['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** How an id of ours is written: it is a file's name, and a key in a bucket. */
export const blobIdPattern = /^[0-9a-z][0-9a-z-]{7,99}$/;

/** How Postgres's collation "C", disks and stores of objects order names. */
export function inByteOrder(one: string, other: string): number {
  return one === other ? 0 : Buffer.compare(Buffer.from(one), Buffer.from(other));
}
