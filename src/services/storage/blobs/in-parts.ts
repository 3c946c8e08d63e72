// In charge of: a body of unknown length as parts, for stores that want to know each part's: one on its way while the next one fills.
import { Readable } from 'node:stream';
import { type Blobs, BlobsUnavailable, type WriteOptions, type Written } from './blobs.ts';
import { countedBytes } from './counted.ts';

export interface PartTarget<P> {
  /** All of it, when it is no more than one part. */
  whole(bytes: Buffer, signal: AbortSignal): Promise<void>;
  begin(signal: AbortSignal): Promise<PartSink<P>>;
}

export interface PartSink<P> {
  /** @param number from 1 */
  part(number: number, bytes: Buffer, signal: AbortSignal): Promise<P>;
  finish(parts: readonly P[], signal: AbortSignal): Promise<void>;
  /** Nothing of it is kept. */
  abort(): Promise<void>;
}

/** @throws TooManyBytes; what `body` and the target fail with */
export async function writeInParts<P>(
  body: Readable,
  options: WriteOptions,
  partBytes: number,
  target: PartTarget<P>,
): Promise<Written> {
  const { signal } = options;
  const ending = new AbortController();
  const whole = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]);
  // Nothing tells any more of what broke off before somebody read it.
  if (body.destroyed && !body.readableEnded) throw brokenOff(body.errored);
  const counted = countedBytes(options);
  body.once('error', (error) => counted.stream.destroy(error));
  body.once('close', () => {
    if (!body.readableEnded && !counted.stream.writableEnded) counted.stream.destroy(brokenOff(body.errored));
  });
  body.pipe(counted.stream);
  let sink: PartSink<P> | undefined;
  let last: Promise<P> | undefined;
  const parts: P[] = [];
  try {
    const pieces = partsOf(counted.stream, partBytes);
    let held = await pieces.next();
    const first = held.done ? Buffer.alloc(0) : held.value;
    held = await pieces.next();
    if (held.done) {
      await target.whole(first, whole);
      return counted.written();
    }
    sink = await target.begin(whole);
    last = sink.part(1, first, whole);
    for (let number = 2; !held.done; number++) {
      const bytes = held.value;
      parts.push(await last);
      last = sink.part(number, bytes, whole);
      // It fails while the next part fills: that is read when its turn comes.
      last.catch(() => {});
      held = await pieces.next();
    }
    parts.push(await last);
    await sink.finish(parts, whole);
    return counted.written();
  } catch (error) {
    ending.abort();
    await last?.catch(() => {});
    await sink?.abort().catch(() => {});
    throw error;
  } finally {
    counted.stream.destroy();
    body.destroy();
  }
}

const brokenOff = (cause: Error | null) =>
  cause ?? Object.assign(new Error('the body broke off'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });

async function* partsOf(stream: Readable, partBytes: number): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let rest = chunk;
    while (sizeBytes + rest.length >= partBytes) {
      const room = partBytes - sizeBytes;
      yield Buffer.concat([...chunks, rest.subarray(0, room)], partBytes);
      rest = rest.subarray(room);
      [chunks, sizeBytes] = [[], 0];
    }
    if (rest.length === 0) continue;
    chunks.push(rest);
    sizeBytes += rest.length;
  }
  if (sizeBytes > 0) yield Buffer.concat(chunks, sizeBytes);
}

/** The bytes of several blobs, one behind the other. */
async function* bytesOf(blobs: Pick<Blobs, 'read'>, parts: readonly string[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield* (await blobs.read(part)) as AsyncIterable<Buffer>;
}

/** For stores that join nothing by themselves: the bytes have to come by. */
export async function joinByBytes(
  blobs: Pick<Blobs, 'read' | 'write'>,
  parts: readonly string[],
  to: string,
  signal?: AbortSignal,
): Promise<Pick<Written, 'sizeBytes'>> {
  const { sizeBytes } = await blobs.write(to, Readable.from(bytesOf(blobs, parts), { objectMode: false }), {
    maxBytes: Number.POSITIVE_INFINITY,
    undigested: true,
    ...(signal && { signal }),
  });
  return { sizeBytes };
}

export interface Slots {
  /** @throws BlobsUnavailable when none comes free in time */
  run<T>(work: () => Promise<T>): Promise<T>;
}

const slotWaitMs = 30_000;

/** Bodies that are held in memory part by part at once: `max` times three parts at the most. */
export function openSlots(max: number): Slots {
  let free = max;
  const waiting: (() => void)[] = [];

  async function take(): Promise<void> {
    if (free > 0) {
      free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(go), 1);
        reject(new BlobsUnavailable('away', `${max} files are on their way to the store already`));
      }, slotWaitMs);
      const go = () => {
        clearTimeout(timer);
        resolve();
      };
      waiting.push(go);
    });
  }

  return {
    async run(work) {
      await take();
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free += 1;
        else next();
      }
    },
  };
}
