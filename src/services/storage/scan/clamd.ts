// In charge of: showing one file to clamd: its command INSTREAM on a connection of its own.
// Source: clamd(8) of ClamAV 1.4, "INSTREAM"; `z` before a command: it and its answer end with NUL.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { ClamdAddress } from './clamd-address.ts';

export type Verdict = { readonly kind: 'clean' } | { readonly kind: 'infected'; readonly name: string };

/** Clamd gave no verdict. */
export class NoVerdict extends Error {
  override readonly name = 'NoVerdict';
  /** `away`: it cannot be reached, or breaks off; `late`: it takes too long; `large`: it takes no file so large; `failed`: it says that it could not. */
  readonly reason: 'away' | 'late' | 'large' | 'failed';

  constructor(reason: NoVerdict['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** An answer is a line; a longer one is none. */
const maxAnswerBytes = 4096;
const connectMs = 5_000;

/** The operator who names it vouches for it: it may be anywhere. @throws NoVerdict; what `body` fails with */
export async function scanBytes(address: ClamdAddress, body: Readable, timeoutMs: number): Promise<Verdict> {
  const socket = connect(address);
  const givingUp = setTimeout(
    () => socket.destroy(new NoVerdict('away', 'clamd did not take the connection in time')),
    Math.min(connectMs, timeoutMs),
  );
  socket.once('connect', () => clearTimeout(givingUp));
  const timer = setTimeout(
    () => socket.destroy(new NoVerdict('late', `clamd took longer than ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  const answered = answerOf(socket);
  // Where it answers before all is sent, nobody else hears that the rest could not be.
  answered.catch(() => {});
  try {
    const sent = send(socket, body, answered);
    sent.catch(() => {});
    // It answers early to what is too large; and whatever breaks off the sending that is ours is told as it is.
    return parseAnswer(await Promise.race([answered, sent.then(() => answered)]));
  } finally {
    clearTimeout(givingUp);
    clearTimeout(timer);
    socket.destroy();
    body.destroy();
  }
}

async function send(socket: Socket, body: Readable, answered: Promise<string>): Promise<void> {
  await put(socket, Buffer.from('zINSTREAM\0'), answered);
  for await (const chunk of body as AsyncIterable<Buffer>) {
    // A chunk of no bytes would be the end.
    if (chunk.length === 0) continue;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(chunk.length);
    socket.write(length);
    await put(socket, chunk, answered);
  }
  await put(socket, Buffer.alloc(4), answered);
}

async function put(socket: Socket, bytes: Buffer, answered: Promise<string>): Promise<void> {
  if (!socket.write(bytes)) await Promise.race([once(socket, 'drain'), answered]);
}

function answerOf(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => {
      text += piece;
      const end = text.indexOf('\0');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > maxAnswerBytes)
        socket.destroy(new NoVerdict('failed', 'clamd answered with more than a line'));
    });
    socket.on('error', (error) =>
      reject(
        error instanceof NoVerdict
          ? error
          : new NoVerdict('away', `clamd cannot be reached: ${error.message}`, error),
      ),
    );
    socket.on('close', () => reject(new NoVerdict('away', 'clamd closed the connection without a verdict')));
  });
}

/** `stream: OK`, `stream: Eicar-Signature FOUND`, `INSTREAM size limit exceeded. ERROR` */
function parseAnswer(text: string): Verdict {
  const [, name] = /^stream: (.+) FOUND$/.exec(text) ?? [];
  if (name !== undefined) return { kind: 'infected', name };
  if (text === 'stream: OK') return { kind: 'clean' };
  const reason = text.startsWith('INSTREAM size limit exceeded') ? 'large' : 'failed';
  throw new NoVerdict(reason, `clamd says: ${text}`);
}
