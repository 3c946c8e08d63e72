// In charge of: bytes on their way to a blob: counted, bounded and digested as they pass.
import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';
import { TooManyBytes, type WriteOptions, type Written } from './blobs.ts';

export interface Counted {
  readonly stream: Transform;
  /** Once the stream has ended. */
  written(): Written;
}

export function countedBytes({ maxBytes, undigested }: WriteOptions): Counted {
  // MD5 because that is what an ETag is to every client of S3; nothing is trusted to it.
  const digest = undigested ? undefined : createHash('md5');
  let sizeBytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) {
        done(new TooManyBytes(maxBytes));
        return;
      }
      digest?.update(chunk);
      done(null, chunk);
    },
  });
  return { stream, written: () => ({ sizeBytes, md5: digest?.digest('hex') ?? '' }) };
}
