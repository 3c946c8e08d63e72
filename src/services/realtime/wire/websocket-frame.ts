// In charge of: a message as one WebSocket frame, unmasked as a server's are. Made here, so that what a thousand sockets get is made once.
// Source: RFC 6455 section 5.2.
import type { Frame } from './frames.ts';

const isLast = 0x80;
const opcodes = { text: 1, binary: 2 } as const;

export function websocketFrame(message: Frame): Buffer {
  const isText = typeof message === 'string';
  const length = isText ? Buffer.byteLength(message) : message.length;
  const headBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headBytes + length);
  frame[0] = isLast | (isText ? opcodes.text : opcodes.binary);
  if (headBytes === 2) frame[1] = length;
  else if (headBytes === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  if (isText) frame.write(message, headBytes);
  else message.copy(frame, headBytes);
  return frame;
}
