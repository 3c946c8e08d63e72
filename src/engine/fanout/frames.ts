// In charge of: what is said between processes as bytes that a broker may carry: sealed, so that it can neither read nor make them; numbered, so that
// what is lost is noticed; and cut to what the broker takes. No I/O.
// Source: NIST SP 800-38D (AES-GCM) section 8.2.1, whose numbers are used once for each key; RFC 5869 (HKDF).
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

export interface Outgoing {
  /** The next message under a subject, as frames that go out in this order. */
  seal(subject: string, message: Uint8Array, maxFrameBytes: number): readonly Buffer[];
  /** A message that cannot be sent: who hears the next one learns that one is missing. */
  skip(subject: string): void;
}

export interface Incoming {
  /** Never throws, whatever the bytes are. */
  open(subject: string, frame: Uint8Array): Opened;
}

export interface Opened {
  /** Unset: not all of it is there yet, or never will be. */
  readonly message?: Buffer;
  /** Frames of the same process that were before this one, and did not come, or came in vain. */
  readonly missed: number;
  /** `foreign`: no process with our key sealed it for this subject, or it was changed; `repeated`: it was there before. */
  readonly refused?: 'foreign' | 'repeated';
}

// The layout: version, sender, number, flags, what is sealed, tag. A sender is one start of a process; each subject of it has a key and numbers of its own.
const version = 1;
const senderBytes = 16;
const numberAt = 1 + senderBytes;
const flagsAt = numberAt + 8;
const headerBytes = flagsAt + 1;
const tagBytes = 16;
const overheadBytes = headerBytes + tagBytes;
const isFirst = 1;
const isLast = 2;
const algorithm = 'aes-256-gcm';
/** A broker that takes less than this is none. */
export const minFrameBytes = overheadBytes + 64;

/** One message, put together. */
export const maxMessageBytes = 16 * 1024 * 1024;
/** Of all processes together, what waits for its rest. Beyond it the oldest is given up. */
const maxPartialBytes = 64 * 1024 * 1024;
/** Of whom the last number is known; each start of a process takes a few of them. Beyond it the oldest are forgotten. */
const maxStreams = 4_000;

export function openOutgoing(key: Uint8Array): Outgoing {
  const sender = randomBytes(senderBytes);
  const streams = new Map<string, { readonly key: Buffer; number: bigint }>();

  function streamOf(subject: string) {
    const known = streams.get(subject) ?? { key: streamKey(key, sender, subject), number: 0n };
    streams.set(subject, known);
    return known;
  }

  return {
    seal(subject, message, maxFrameBytes) {
      const stream = streamOf(subject);
      const pieceBytes = maxFrameBytes - overheadBytes;
      const frames: Buffer[] = [];
      for (let at = 0; at === 0 || at < message.length; at += pieceBytes) {
        const piece = message.subarray(at, at + pieceBytes);
        const flags = (at === 0 ? isFirst : 0) | (at + pieceBytes >= message.length ? isLast : 0);
        stream.number += 1n;
        const header = Buffer.allocUnsafe(headerBytes);
        header[0] = version;
        sender.copy(header, 1);
        header.writeBigUInt64BE(stream.number, numberAt);
        header[flagsAt] = flags;
        const cipher = createCipheriv(algorithm, stream.key, nonceOf(stream.number)).setAAD(header);
        frames.push(Buffer.concat([header, cipher.update(piece), cipher.final(), cipher.getAuthTag()]));
      }
      return frames;
    },
    skip(subject) {
      streamOf(subject).number += 1n;
    },
  };
}

interface Stream {
  readonly key: Buffer;
  number: bigint;
  pieces: Buffer[];
  bytes: number;
}

export function openIncoming(key: Uint8Array): Incoming {
  /** The one that was heard first is the first. */
  const streams = new Map<string, Stream>();
  let partialBytes = 0;

  function letGo(stream: Stream): number {
    const count = stream.pieces.length;
    partialBytes -= stream.bytes;
    stream.pieces = [];
    stream.bytes = 0;
    return count;
  }

  function remember(name: string, stream: Stream): void {
    streams.set(name, stream);
    for (const [oldest, old] of streams) {
      if (streams.size <= maxStreams) break;
      letGo(old);
      streams.delete(oldest);
    }
  }

  /** Puts a piece to those before it; gives how many frames came in vain by that. */
  function keep(stream: Stream, piece: Buffer): number {
    stream.pieces.push(piece);
    stream.bytes += piece.length;
    partialBytes += piece.length;
    if (stream.bytes > maxMessageBytes) return letGo(stream);
    for (const old of streams.values()) {
      if (partialBytes <= maxPartialBytes) break;
      if (old !== stream) letGo(old);
    }
    return 0;
  }

  return {
    open(subject, bytes) {
      const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (frame.length < overheadBytes || frame[0] !== version) return foreign;
      const sender = frame.subarray(1, numberAt);
      const name = `${sender.toString('latin1')}${subject}`;
      const known = streams.get(name);
      const number = frame.readBigUInt64BE(numberAt);
      if (known !== undefined && number <= known.number) return repeated;
      const keyOfStream = known?.key ?? streamKey(key, sender, subject);
      const piece = unseal(frame, keyOfStream, number);
      // Nothing of a stranger is remembered.
      if (piece === undefined) return foreign;
      // Of one that is heard for the first time nothing is missing.
      const stream = known ?? { key: keyOfStream, number: number - 1n, pieces: [], bytes: 0 };
      if (known === undefined) remember(name, stream);
      const flags = frame[flagsAt]!;
      let missed = Number(number - stream.number - 1n);
      stream.number = number;
      // Whatever was begun lacks its end.
      if (missed > 0 || (flags & isFirst) !== 0) missed += letGo(stream);
      if ((flags & isFirst) === 0 && stream.pieces.length === 0) return { missed: missed + 1 };
      missed += keep(stream, piece);
      if ((flags & isLast) === 0 || stream.pieces.length === 0) return { missed };
      const message = stream.pieces.length === 1 ? piece : Buffer.concat(stream.pieces);
      letGo(stream);
      return { message, missed };
    },
  };
}

const foreign: Opened = { missed: 0, refused: 'foreign' };
const repeated: Opened = { missed: 0, refused: 'repeated' };

function unseal(frame: Buffer, key: Buffer, number: bigint): Buffer | undefined {
  try {
    const decipher = createDecipheriv(algorithm, key, nonceOf(number), { authTagLength: tagBytes })
      .setAAD(frame.subarray(0, headerBytes))
      .setAuthTag(frame.subarray(frame.length - tagBytes));
    const piece = decipher.update(frame.subarray(headerBytes, frame.length - tagBytes));
    decipher.final();
    return piece;
  } catch {
    // GCM says no more than that it is not what was sealed.
    return undefined;
  }
}

function nonceOf(number: bigint): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(number, 4);
  return nonce;
}

/** A frame under another subject, or in another's name, cannot be opened. */
function streamKey(key: Uint8Array, sender: Uint8Array, subject: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, sender, `millrace fanout ${subject}`, 32));
}
