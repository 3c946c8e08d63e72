// In charge of: version 2.0.0 of the protocol: messages are arrays, and broadcasts may be bytes with a head of lengths.
// Source: supabase/realtime lib/realtime_web/socket/v2_serializer.ex; @supabase/realtime-js src/lib/serializer.ts.
import {
  type ClientMessage,
  type ClientPayload,
  type Frame,
  MalformedMessage,
  type UserBroadcast,
  type Wire,
} from './frames.ts';
import { parseMessage, refOf, textOf, wholePayload } from './json-parts.ts';

const kinds = { push: 0, userBroadcastPush: 3, userBroadcast: 4 } as const;
const encodings = { binary: 0, json: 1 } as const;
/** What a length of one byte can say. */
const maxPartBytes = 255;

const array = (joinRef: string | null, ref: string | null, topic: string, event: string, payload: string) =>
  `[${JSON.stringify(joinRef)},${JSON.stringify(ref)},${JSON.stringify(topic)},${JSON.stringify(event)},${payload}]`;

export const version2: Wire = {
  version: '2.0.0',
  decode: (data, isBinary) => (isBinary ? decodeBinary(data) : decodeText(data)),
  reply: ({ joinRef, ref, topic }, status, response) =>
    array(joinRef, ref, topic, 'phx_reply', `{"status":"${status}","response":${response}}`),
  push: ({ joinRef, topic }, event, payload) => array(joinRef, null, topic, event, payload),
  close: ({ joinRef, topic }, event) => array(joinRef, joinRef, topic, event, '{}'),
  broadcast: (topic, event, payload) => array(null, null, topic, event, payload),
  userBroadcast: (topic, sent) =>
    sent.kind === 'whole' ? array(null, null, topic, 'broadcast', sent.json) : userBroadcast(topic, sent),
};

function decodeText(data: Buffer): ClientMessage {
  const value = parseMessage(data);
  if (!Array.isArray(value) || value.length < 5) throw new MalformedMessage('it is no array of five');
  const [joinRef, ref, topic, event, payload] = value as unknown[];
  return {
    joinRef: refOf(joinRef, 'join_ref'),
    ref: refOf(ref, 'ref'),
    topic: textOf(topic, 'topic'),
    event: textOf(event, 'event'),
    payload: { kind: 'json', value: payload },
  };
}

function decodeBinary(data: Buffer): ClientMessage {
  switch (data[0]) {
    case kinds.userBroadcastPush: {
      const { parts, rest } = split(data, 5, 7);
      const [joinRef, ref, topic, event] = parts as [string, string, string, string, string];
      const encoding = data[6] === encodings.binary ? 'binary' : 'json';
      if (encoding === 'json') parseMessage(rest);
      const broadcast = { event, encoding, body: rest } as const;
      return message(joinRef, ref, topic, 'broadcast', { kind: 'broadcast', broadcast });
    }
    case kinds.push: {
      const { parts, rest } = split(data, 4, 5);
      const [joinRef, ref, topic, event] = parts as [string, string, string, string];
      const broadcast = { event, encoding: 'binary', body: rest } as const;
      return message(joinRef, ref, topic, event, { kind: 'broadcast', broadcast });
    }
    default:
      throw new MalformedMessage(`its kind is ${data[0] ?? 'missing'}`);
  }
}

const message = (
  joinRef: string,
  ref: string,
  topic: string,
  event: string,
  payload: ClientPayload,
): ClientMessage => ({ joinRef: joinRef || null, ref: ref || null, topic, event, payload });

/** The parts whose lengths stand behind the kind, and what is behind them. @param headBytes where the first part begins */
function split(data: Buffer, count: number, headBytes: number) {
  const parts: string[] = [];
  let at = headBytes;
  for (let n = 1; n <= count; n += 1) {
    const length = data[n] ?? 0;
    if (at + length > data.length) throw new MalformedMessage('it is shorter than its head says');
    parts.push(data.toString('utf8', at, at + length));
    at += length;
  }
  // A copy: the rest of the buffer it came in should not live as long as this.
  return { parts, rest: Buffer.from(data.subarray(at)) };
}

/** A name that is longer than its length can say is for text; undefined: bytes are not. */
function userBroadcast(topic: string, { event, encoding, body, meta }: UserBroadcast): Frame | undefined {
  const names = [Buffer.from(topic), Buffer.from(event), Buffer.from(meta ?? '')];
  if (names.some(({ length }) => length > maxPartBytes))
    return encoding === 'json'
      ? array(null, null, topic, 'broadcast', wholePayload(event, body.toString('utf8'), meta))
      : undefined;
  const [topicBytes, eventBytes, metaBytes] = names.map(({ length }) => length) as [number, number, number];
  const head = Buffer.from([kinds.userBroadcast, topicBytes, eventBytes, metaBytes, encodings[encoding]]);
  return Buffer.concat([head, ...names, body]);
}
