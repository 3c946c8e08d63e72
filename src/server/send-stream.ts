// In charge of: a body that comes piece by piece, on Node's response: as many bytes as were said, or the connection ends.
import type { ServerResponse } from 'node:http';
import { finished, pipeline } from 'node:stream/promises';
import { FileBytes } from '../base/file-bytes.ts';
import type { BodyStream } from '../engine/service/http.ts';

/**
 * Resolves when all of it is with the system. Fewer or more bytes than were said end the connection: the next answer on it would begin somewhere else (CWE-444).
 * @throws what the stream fails with; when the client goes away before the end
 */
export function sendStream({ stream, sizeBytes }: BodyStream, outgoing: ServerResponse): Promise<void> {
  if (sizeBytes === undefined) return pipeline(stream, outgoing);
  const left = countDown(sizeBytes);
  if (stream instanceof FileBytes) return sendFile(stream, left, outgoing);
  const over = pipeline(stream, outgoing);
  const breakOff = (error: Error | undefined) => {
    if (error === undefined) return;
    outgoing.destroy(error);
    stream.destroy(error);
  };
  // Before those of the pipeline, which then write to nobody. A stream between the two would cost a fifth of the rate.
  stream.prependListener('data', (chunk: Buffer) => breakOff(left.take(chunk.length)));
  stream.prependListener('end', () => breakOff(left.end()));
  return over;
}

async function sendFile(file: FileBytes, left: CountDown, outgoing: ServerResponse): Promise<void> {
  const over = finished(outgoing);
  // What is waited for last; it is told below.
  over.catch(() => {});
  /** Node forgets the chunks of a connection that closes while others are before them, without a word. */
  let onClose: () => void = () => {};
  outgoing.once('close', () => onClose());
  const write = (chunk: Buffer) =>
    new Promise<void>((resolve, reject) => {
      onClose = () => reject(clientIsGone());
      const error = left.take(chunk.length);
      if (error !== undefined) reject(error);
      else if (outgoing.destroyed) onClose();
      else outgoing.write(chunk, (failed) => (failed ? reject(clientIsGone(failed)) : resolve()));
    });
  try {
    await file.lendTo(write);
    const error = left.end();
    if (error !== undefined) throw error;
  } catch (error) {
    outgoing.destroy(error as Error);
    throw error;
  }
  outgoing.end();
  await over;
}

/** As `pipeline` says it: nobody's fault. */
const clientIsGone = (cause?: Error) =>
  Object.assign(new Error('the client went away before its answer was out', { cause }), {
    code: 'ERR_STREAM_PREMATURE_CLOSE',
  });

interface CountDown {
  /** An error when that is more than was said. */
  take(bytes: number): Error | undefined;
  /** An error when that was less than was said. */
  end(): Error | undefined;
}

function countDown(sizeBytes: number): CountDown {
  let leftBytes = sizeBytes;
  return {
    take(bytes) {
      leftBytes -= bytes;
      return leftBytes < 0
        ? new Error(`a body is longer than the ${sizeBytes} bytes that were said`)
        : undefined;
    },
    end: () => (leftBytes > 0 ? new Error(`a body lacks ${leftBytes} of ${sizeBytes} bytes`) : undefined),
  };
}
