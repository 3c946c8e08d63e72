// In charge of: one stream as several, one behind the other, each up to a size: no more of it is in memory than the piece that came last.
import type { Readable } from 'node:stream';

export interface Cutter {
  /** Whether there is a byte more; waits until that is known. @throws what the stream fails with */
  hasMore(): Promise<boolean>;
  /** The next bytes, `maxBytes` at most; read to its end before anything else is asked. */
  take(maxBytes: number): AsyncGenerator<Buffer>;
}

export function openCutter(stream: Readable): Cutter {
  const chunks = stream.iterator({ destroyOnReturn: false });
  let left: Buffer | undefined;

  async function hasMore(): Promise<boolean> {
    while (left === undefined || left.length === 0) {
      const { done, value } = await chunks.next();
      if (done) return false;
      left = value as Buffer;
    }
    return true;
  }

  return {
    hasMore,
    async *take(maxBytes) {
      for (let room = maxBytes; room > 0 && (await hasMore()); ) {
        // Sound: `hasMore` has put it there.
        const piece = left!.subarray(0, room);
        left = left!.subarray(piece.length);
        room -= piece.length;
        yield piece;
      }
    },
  };
}
