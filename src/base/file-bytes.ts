// In charge of: the bytes of a file that is open, as a stream like any other, or lent chunk by chunk out of memory that is used again.
import { read } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';

/** Small enough that a thousand downloads at once fit, big enough that the disk is not asked for each page. */
const chunkBytes = 64 * 1024;

/**
 * From byte `from` to byte `to`, both included, or to the file's end. Closes `handle` when it is over or destroyed.
 *
 * A stream's consumer may keep a chunk, so each has memory of its own, and the collector goes through the whole heap every few hundred of them: half of the
 * processor time of a large download. Whoever only passes the bytes on takes them by `lendTo`, which needs two chunks' memory in all.
 */
export class FileBytes extends Readable {
  readonly #handle: FileHandle;
  readonly #to: number;
  #at: number;
  #reading: Promise<number> | undefined;

  constructor(handle: FileHandle, from = 0, to = Number.POSITIVE_INFINITY) {
    super({ highWaterMark: chunkBytes });
    this.#handle = handle;
    this.#at = from;
    this.#to = to;
  }

  override _read(): void {
    const chunk = Buffer.allocUnsafeSlow(this.#nextBytes(chunkBytes));
    this.#fill(chunk).then(
      (count) => this.push(count === 0 ? null : chunk.subarray(0, count)),
      (error) => this.destroy(error),
    );
  }

  /**
   * Gives each chunk to `take`, in order; its memory is used again once what `take` promised is fulfilled. The next chunk is read meanwhile. Resolves behind the last.
   * @throws what `take` and the file fail with; the stream is destroyed then
   */
  async lendTo(take: (chunk: Buffer) => Promise<void>): Promise<void> {
    try {
      let full: Buffer = Buffer.allocUnsafeSlow(this.#nextBytes(chunkBytes));
      let free: Buffer | undefined;
      let count = await this.#fill(full);
      while (count > 0) {
        free ??= Buffer.allocUnsafeSlow(this.#nextBytes(chunkBytes));
        const next = this.#fill(free);
        // Its failure is told when its turn comes; until then it must not end the program.
        next.catch(() => {});
        await take(full.subarray(0, count));
        count = await next;
        [full, free] = [free, full];
      }
      this.destroy();
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const close = () => this.#handle.close().then(() => done(error), done);
    // A descriptor that is closed while it is read from may be another file's by then.
    (this.#reading ?? Promise.resolve()).then(close, close);
  }

  #nextBytes(most: number): number {
    return Math.max(0, Math.min(most, this.#to - this.#at + 1));
  }

  /** How many bytes have come; 0: that was all. */
  #fill(chunk: Buffer): Promise<number> {
    const bytes = this.#nextBytes(chunk.length);
    if (bytes === 0) return Promise.resolve(0);
    this.#reading = new Promise((resolve, reject) => {
      if (this.destroyed) {
        reject(new Error('the file was let go of while it was read'));
        return;
      }
      // By its descriptor: the handle's own `read` makes three promises of each.
      read(this.#handle.fd, chunk, 0, bytes, this.#at, (error, count) => {
        if (error !== null) reject(error);
        else resolve(count);
      });
    });
    return this.#reading.then((count) => {
      this.#at += count;
      return count;
    });
  }
}
