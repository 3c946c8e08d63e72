// In charge of: what the two versions of the protocol look like on the wire.
import { describe, expect, it } from 'vitest';
import { MalformedMessage, type UserBroadcast, type Wire } from './frames.ts';
import { version1 } from './version-1.ts';
import { version2 } from './version-2.ts';
import { websocketFrame } from './websocket-frame.ts';

const text = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const channel = { joinRef: '1', topic: 'realtime:room' };
const greeting: UserBroadcast = { event: 'hi', encoding: 'json', body: Buffer.from('{"a":1}') };
const bytes: UserBroadcast = {
  event: 'é',
  encoding: 'binary',
  body: Buffer.from([0, 255]),
  meta: '{"id":"x"}',
};

describe('version 1.0.0', () => {
  it('reads objects', () => {
    const said = {
      topic: 'realtime:room',
      event: 'phx_join',
      payload: { config: {} },
      ref: '2',
      join_ref: '1',
    };
    expect(version1.decode(text(said), false)).toEqual({
      joinRef: '1',
      ref: '2',
      topic: 'realtime:room',
      event: 'phx_join',
      payload: { kind: 'json', value: { config: {} } },
    });
  });

  it('writes objects, and says a broadcast that came in parts as one', () => {
    const written = [
      version1.reply({ ...channel, ref: '2' }, 'ok', '{"x":1}'),
      version1.push(channel, 'system', '{"y":2}'),
      version1.close(channel, 'phx_close'),
      version1.broadcast(channel.topic, 'presence_diff', '{}'),
      version1.userBroadcast(channel.topic, { kind: 'user', ...greeting, meta: '{"id":"x"}' }),
      version1.userBroadcast(channel.topic, { kind: 'whole', json: '{"event":"e"}' }),
    ].map((frame) => JSON.parse(String(frame)) as unknown);
    const { topic } = channel;
    expect(written).toEqual([
      { topic, event: 'phx_reply', ref: '2', payload: { status: 'ok', response: { x: 1 } } },
      { topic, event: 'system', ref: null, payload: { y: 2 } },
      { topic, event: 'phx_close', ref: '1', payload: {} },
      { topic, event: 'presence_diff', ref: null, payload: {} },
      {
        topic,
        event: 'broadcast',
        ref: null,
        payload: { type: 'broadcast', event: 'hi', payload: { a: 1 }, meta: { id: 'x' } },
      },
      { topic, event: 'broadcast', ref: null, payload: { event: 'e' } },
    ]);
  });

  it('has no word for bytes', () => {
    expect(version1.userBroadcast('t', { kind: 'user', ...bytes })).toBeUndefined();
  });
});

describe('version 2.0.0', () => {
  it('reads arrays, with numbers for references, too', () => {
    expect(version2.decode(text([null, 7, 'phoenix', 'heartbeat', {}]), false)).toEqual({
      joinRef: null,
      ref: '7',
      topic: 'phoenix',
      event: 'heartbeat',
      payload: { kind: 'json', value: {} },
    });
  });

  it('reads a broadcast whose head is lengths', () => {
    const head = Buffer.from([3, 1, 1, 13, 2, 0, 1]);
    expect(version2.decode(Buffer.concat([head, text('12realtime:roomhi{"a":1}')]), true)).toEqual({
      joinRef: '1',
      ref: '2',
      topic: 'realtime:room',
      event: 'broadcast',
      payload: { kind: 'broadcast', broadcast: greeting },
    });
  });

  it('writes arrays', () => {
    const written = [
      version2.reply({ ...channel, ref: '2' }, 'error', '{"reason":"no"}'),
      version2.push(channel, 'system', '{}'),
      version2.close(channel, 'phx_error'),
      version2.broadcast(channel.topic, 'presence_diff', '{}'),
      version2.userBroadcast(channel.topic, { kind: 'whole', json: '{"event":"e"}' }),
    ].map((frame) => JSON.parse(String(frame)) as unknown);
    const { topic } = channel;
    expect(written).toEqual([
      ['1', '2', topic, 'phx_reply', { status: 'error', response: { reason: 'no' } }],
      ['1', null, topic, 'system', {}],
      ['1', '1', topic, 'phx_error', {}],
      [null, null, topic, 'presence_diff', {}],
      [null, null, topic, 'broadcast', { event: 'e' }],
    ]);
  });

  it('writes a broadcast with a head of lengths, counted in bytes', () => {
    const frame = version2.userBroadcast('t', { kind: 'user', ...bytes });
    expect(frame).toEqual(
      Buffer.concat([Buffer.from([4, 1, 2, 10, 0]), text('té{"id":"x"}'), Buffer.from([0, 255])]),
    );
  });

  it('says a name that is longer than its length can be in text, where there are no bytes to say', () => {
    const event = 'e'.repeat(256);
    expect(version2.userBroadcast('t', { kind: 'user', ...greeting, event })).toBe(
      `[null,null,"t","broadcast",{"event":"${event}","payload":{"a":1},"type":"broadcast"}]`,
    );
    expect(version2.userBroadcast('t', { kind: 'user', ...bytes, event })).toBeUndefined();
  });

  it('takes a reference that is no integer', () => {
    expect(version2.decode(text('[1,1.0,"t","e",{}]'), false)).toMatchObject({ joinRef: '1', ref: '1.0' });
  });
});

describe('what is none of its messages', () => {
  const refused = (wire: Wire, data: Buffer, isBinary = false) => {
    try {
      wire.decode(data, isBinary);
      return 'read';
    } catch (error) {
      return error instanceof MalformedMessage ? error.message : error;
    }
  };

  it.each<[Wire, Buffer, boolean, RegExp]>([
    [version1, text('['), false, /^it is no JSON: /],
    [version1, text([]), false, /^it is no object$/],
    [version1, text({ topic: 1, event: 'x' }), false, /^its topic is no text$/],
    [version1, text({ topic: 't', event: 'x', ref: {} }), false, /^its ref is neither a text nor null$/],
    [version1, Buffer.from([3]), true, /^version 1.0.0 of the protocol has no binary messages$/],
    [version2, text({}), false, /^it is no array of five$/],
    [version2, text([1, 2, 3, 4]), false, /^it is no array of five$/],
    [version2, text([null, null, 't', null, {}]), false, /^its event is no text$/],
    [version2, Buffer.alloc(0), true, /^its kind is missing$/],
    [version2, Buffer.from([9]), true, /^its kind is 9$/],
    [version2, Buffer.from([3]), true, /^it is shorter than its head says$/],
    [version2, Buffer.from([3, 200, 0, 0, 0, 0, 0]), true, /^it is shorter than its head says$/],
    [version2, Buffer.from([3, 0, 0, 0, 0, 0, 1, 0x7b]), true, /^it is no JSON: /],
  ])('%# is refused with a sentence', (wire, data, isBinary, sentence) => {
    expect(refused(wire, data, isBinary)).toMatch(sentence);
  });
});

describe('a WebSocket frame', () => {
  it.each([
    [0, [0x81, 0]],
    [125, [0x81, 125]],
    [126, [0x81, 126, 0, 126]],
    [65_535, [0x81, 126, 255, 255]],
    [65_536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]],
  ])('of %i bytes has a head of the right length', (length, head) => {
    const frame = websocketFrame('x'.repeat(length));
    expect([...frame.subarray(0, head.length)]).toEqual(head);
    expect(frame.length).toBe(head.length + length);
  });

  it('says whether it is text or bytes', () => {
    expect(websocketFrame(Buffer.from([1]))).toEqual(Buffer.from([0x82, 1, 1]));
  });
});
