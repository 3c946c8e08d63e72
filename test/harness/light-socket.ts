// In charge of: a WebSocket client that costs a load generator next to nothing, and that a test can let say anything, also what no client would.
// Source: RFC 6455.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Ended {
  /** Of the close frame; undefined: the connection was cut without one. */
  readonly code: number | undefined;
  readonly reason: string;
}

export interface LightSocket {
  readonly tcp: Socket;
  /** One frame with all of it. The mask is zero, which is as good as any other. */
  send(payload: string | Buffer, opcode?: number): void;
  /** Bytes as they are. */
  write(bytes: Buffer): void;
  /** Says good-bye and cuts. */
  close(): void;
  readonly ended: Promise<Ended>;
}

/** The server did not want to shake hands. */
export class NotUpgraded extends Error {
  override readonly name = 'NotUpgraded';
  readonly status: number;
  readonly answer: string;

  constructor(answer: string) {
    super(`no WebSocket: ${answer.slice(0, 200)}`);
    this.status = Number(answer.split(' ', 2)[1]);
    this.answer = answer;
  }
}

/** @param onMessage gets each frame's payload, in a buffer that is reused. */
export function openLightSocket(
  url: string,
  onMessage: (payload: Buffer, opcode: number) => void,
  headers: Readonly<Record<string, string>> = {},
): Promise<LightSocket> {
  const { hostname, port, pathname, search, host } = new URL(url);
  return new Promise((resolve, reject) => {
    const tcp = connect({ host: hostname, port: Number(port), noDelay: true });
    let rest: Buffer = Buffer.alloc(0);
    let isOpen = false;
    let closeFrame: Ended | undefined;
    const { promise: ended, resolve: end } = Promise.withResolvers<Ended>();

    const self: LightSocket = {
      tcp,
      send: (payload, opcode = typeof payload === 'string' ? opcodes.text : opcodes.binary) =>
        self.write(clientFrame(typeof payload === 'string' ? Buffer.from(payload) : payload, { opcode })),
      write: (bytes) => void (tcp.writable && tcp.write(bytes)),
      close() {
        self.send(Buffer.from([0x03, 0xe8]), opcodes.close);
        tcp.end();
      },
      ended,
    };

    function shakeHands(): boolean {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return false;
      if (!rest.subarray(0, end).toString('latin1').startsWith('HTTP/1.1 101 ')) return false;
      rest = rest.subarray(end + 4);
      isOpen = true;
      resolve(self);
      return true;
    }

    function heard(payload: Buffer, opcode: number): void {
      if (opcode === opcodes.ping) self.send(payload, opcodes.pong);
      else if (opcode === opcodes.close)
        closeFrame = {
          code: payload.length < 2 ? undefined : payload.readUInt16BE(0),
          reason: payload.toString('utf8', 2),
        };
      else onMessage(payload, opcode);
    }

    tcp.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      if (!isOpen && !shakeHands()) return;
      rest = takeFrames(rest, heard);
    });
    tcp.on('error', () => {});
    tcp.on('close', () => {
      if (!isOpen) reject(new NotUpgraded(rest.toString('latin1')));
      end(closeFrame ?? { code: undefined, reason: '' });
    });
    const lines = Object.entries({
      host,
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    tcp.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`);
  });
}

/** Calls `heard` for each whole frame; gives what is behind the last one. A server's frames have no mask. */
function takeFrames(bytes: Buffer, heard: (payload: Buffer, opcode: number) => void): Buffer {
  let at = 0;
  while (bytes.length - at >= 2) {
    const short = bytes[at + 1]! & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length - at < head) break;
    const length =
      short === 126
        ? bytes.readUInt16BE(at + 2)
        : short === 127
          ? Number(bytes.readBigUInt64BE(at + 2))
          : short;
    if (bytes.length - at < head + length) break;
    heard(bytes.subarray(at + head, at + head + length), bytes[at]! & 0x0f);
    at += head + length;
  }
  return bytes.subarray(at);
}

export interface FrameFacts {
  readonly opcode?: number;
  readonly isFinal?: boolean;
  readonly isMasked?: boolean;
  /** The three bits that extensions may use. */
  readonly reserved?: number;
  /** What the frame says of its length, where that is not true. */
  readonly saysLength?: number;
}

export function clientFrame(
  payload: Buffer,
  {
    opcode = opcodes.text,
    isFinal = true,
    isMasked = true,
    reserved = 0,
    saysLength = payload.length,
  }: FrameFacts = {},
): Buffer {
  const size = saysLength > 0xffff ? 8 : saysLength > 125 ? 2 : 0;
  const head = Buffer.alloc(2 + size + (isMasked ? 4 : 0));
  head[0] = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = (isMasked ? 0x80 : 0) | (size === 8 ? 127 : size === 2 ? 126 : saysLength);
  if (size === 8) head.writeBigUInt64BE(BigInt(saysLength), 2);
  if (size === 2) head.writeUInt16BE(saysLength, 2);
  return Buffer.concat([head, payload]);
}
