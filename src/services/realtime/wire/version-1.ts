// In charge of: version 1.0.0 of the protocol: every message is an object.
// Source: Phoenix lib/phoenix/socket/serializers/v1_json_serializer.ex.
import { type ClientMessage, MalformedMessage, type Wire } from './frames.ts';
import { parseMessage, refOf, textOf, wholePayload } from './json-parts.ts';

const message = (topic: string, event: string, payload: string, ref: string | null) =>
  `{"event":${JSON.stringify(event)},"payload":${payload},"ref":${JSON.stringify(ref)},"topic":${JSON.stringify(topic)}}`;

export const version1: Wire = {
  version: '1.0.0',
  decode(data, isBinary): ClientMessage {
    if (isBinary) throw new MalformedMessage('version 1.0.0 of the protocol has no binary messages');
    const value = parseMessage(data);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new MalformedMessage('it is no object');
    const { topic, event, payload, ref, join_ref: joinRef } = value as Record<string, unknown>;
    return {
      joinRef: refOf(joinRef, 'join_ref'),
      ref: refOf(ref, 'ref'),
      topic: textOf(topic, 'topic'),
      event: textOf(event, 'event'),
      payload: { kind: 'json', value: payload ?? {} },
    };
  },
  reply: ({ ref, topic }, status, response) =>
    message(topic, 'phx_reply', `{"status":"${status}","response":${response}}`, ref),
  push: ({ topic }, event, payload) => message(topic, event, payload, null),
  close: ({ joinRef, topic }, event) => message(topic, event, '{}', joinRef),
  broadcast: (topic, event, payload) => message(topic, event, payload, null),
  userBroadcast(topic, sent) {
    if (sent.kind === 'whole') return message(topic, 'broadcast', sent.json, null);
    // Bytes cannot be said in it.
    if (sent.encoding === 'binary') return undefined;
    return message(topic, 'broadcast', wholePayload(sent.event, sent.body.toString('utf8'), sent.meta), null);
  },
};
