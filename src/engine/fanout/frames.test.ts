// In charge of: showing what a broker can do to what it carries: lose, hold back and repeat it, which is noticed; and nothing else.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openIncoming, openOutgoing } from './frames.ts';

const key = randomBytes(32);
const whole = 1024 * 1024;
const text = ({ message, ...rest }: { message?: Buffer; missed: number; refused?: string }) => ({
  ...rest,
  ...(message === undefined ? {} : { message: message.toString() }),
});

describe('a message between processes', () => {
  it('comes as it was sent, whole or in pieces, and shows nothing of itself on the way', () => {
    const [out, into] = [openOutgoing(key), openIncoming(key)];
    for (const [message, maxFrameBytes, frames] of [
      ['short', whole, 1],
      ['', whole, 1],
      ['in pieces '.repeat(50), 142, 5],
    ] as const) {
      const sealed = out.seal('a', Buffer.from(message), maxFrameBytes);
      expect(sealed).toHaveLength(frames);
      for (const frame of sealed) {
        expect(frame.length).toBeLessThanOrEqual(maxFrameBytes);
        expect(frame.includes('short') || frame.includes('in pieces')).toBe(false);
      }
      const opened = sealed.map((frame) => text(into.open('a', frame)));
      expect(opened.slice(0, -1)).toEqual(opened.slice(0, -1).map(() => ({ missed: 0 })));
      expect(opened.at(-1)).toEqual({ missed: 0, message });
    }
  });

  it('is missed by the one behind it: lost on the way, or never sent', () => {
    const [out, into] = [openOutgoing(key), openIncoming(key)];
    const frames = [1, 2, 3, 4].flatMap((n) => out.seal('a', Buffer.from(`${n}`), whole));
    expect(text(into.open('a', frames[0]!))).toEqual({ missed: 0, message: '1' });
    expect(text(into.open('a', frames[3]!))).toEqual({ missed: 2, message: '4' });
    out.skip('a');
    const [next] = out.seal('a', Buffer.from('6'), whole);
    expect(text(into.open('a', next!))).toEqual({ missed: 1, message: '6' });
    // Numbers are of a process and a subject: who hears only one of them misses nothing.
    const [other] = out.seal('b', Buffer.from('first'), whole);
    expect(text(into.open('b', other!))).toEqual({ missed: 0, message: 'first' });
  });

  it('of which a piece is missing does not come, and those behind it do', () => {
    const [out, into] = [openOutgoing(key), openIncoming(key)];
    const sealed = out.seal('a', Buffer.from('in pieces '.repeat(50)), 142);
    const behind = out.seal('a', Buffer.from('behind'), whole);
    const opened = [...sealed.toSpliced(2, 1), ...behind].map((frame) => text(into.open('a', frame)));
    expect(opened.map(({ message }) => message).filter((message) => message !== undefined)).toEqual([
      'behind',
    ]);
    expect(opened.reduce((sum, { missed }) => sum + missed, 0)).toBe(5);
  });

  it('that comes again, under another subject, changed, or from somebody with another key is refused', () => {
    const [out, into] = [openOutgoing(key), openIncoming(key)];
    const [frame] = out.seal('a', Buffer.from('told'), whole);
    expect(text(into.open('b', frame!))).toEqual({ missed: 0, refused: 'foreign' });
    const [stranger] = openOutgoing(randomBytes(32)).seal('a', Buffer.from('told'), whole);
    expect(text(into.open('a', stranger!))).toEqual({ missed: 0, refused: 'foreign' });
    for (let at = 0; at < frame!.length; at += 1) {
      const changed = Buffer.from(frame!);
      changed[at]! ^= 1;
      expect(into.open('a', changed).refused).toBe('foreign');
    }
    expect(text(into.open('a', frame!))).toEqual({ missed: 0, message: 'told' });
    expect(text(into.open('a', frame!))).toEqual({ missed: 0, refused: 'repeated' });
  });

  it('is nothing that any bytes are', () => {
    const into = openIncoming(key);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(into.open('a', bytes)).toEqual({ missed: 0, refused: 'foreign' });
        expect(into.open('a', Uint8Array.of(1, ...bytes))).toEqual({ missed: 0, refused: 'foreign' });
      }),
    );
  });

  it('is bounded, also where its sender has our key: one never ends, and a thousand are begun', () => {
    const into = openIncoming(key);
    const piece = 256 * 1024;
    const endless = openOutgoing(key).seal('a', Buffer.alloc(18 * 1024 * 1024), piece);
    expect(endless.map((frame) => into.open('a', frame)).some(({ message }) => message)).toBe(false);
    const begun = Array.from({ length: 6 }, () =>
      openOutgoing(key).seal('a', Buffer.alloc(15 * 1024 * 1024), piece),
    );
    for (const frames of begun) for (const frame of frames.slice(0, -1)) into.open('a', frame);
    // Those that were begun last are kept, and end.
    expect(begun.map((frames) => into.open('a', frames.at(-1)!).message?.length)).toEqual([
      undefined,
      undefined,
      ...Array(4).fill(15 * 1024 * 1024),
    ]);
  });
});
