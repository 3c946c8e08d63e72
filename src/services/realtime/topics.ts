// In charge of: who hears a topic on this process. What goes to all of them is put into bytes once for each version of the protocol.
import type { Broadcast, Frame, Wire } from './wire/frames.ts';
import { websocketFrame } from './wire/websocket-frame.ts';

/** A topic's name says whether it is private: two topics of one name do not hear each other. */
export interface TopicName {
  /** `room`, without what stands before it on the wire. */
  readonly topic: string;
  readonly isPrivate: boolean;
}

/** A channel that has joined. */
export interface Member {
  readonly wire: Wire;
  /** A WebSocket frame, as it is. */
  send(frame: Buffer, messageId: string | undefined): void;
  /** Whether it may hear this; counts it as heard. */
  hears(kind: 'broadcast' | 'presence', messageId: string | undefined): boolean;
}

export interface Topics {
  join(name: TopicName, member: Member): void;
  leave(name: TopicName, member: Member): void;
  /** To all on this process but `from`. How many got it. */
  broadcast(
    name: TopicName,
    message: Broadcast,
    options?: { readonly from?: Member; readonly messageId?: string },
  ): number;
  /** The same for what presence says; by the topic's key. */
  presence(key: string, diff: string): void;
  /** Whether somebody on this process hears it. */
  has(key: string): boolean;
  /** How many on this process do. */
  count(key: string): number;
  size(): number;
}

export const wireTopic = ({ topic }: Pick<TopicName, 'topic'>) => `realtime:${topic}`;

export const topicKey = ({ topic, isPrivate }: TopicName) => `${isPrivate ? 'private' : 'public'}:${topic}`;

export function openTopics(): Topics {
  const topics = new Map<string, Set<Member>>();

  function send(
    key: string,
    kind: 'broadcast' | 'presence',
    encode: (wire: Wire) => Frame | undefined,
    from: Member | undefined,
    messageId: string | undefined,
  ): number {
    let sent = 0;
    const encoded = new Map<Wire, Buffer | undefined>();
    for (const member of topics.get(key) ?? []) {
      if (member === from) continue;
      const { wire } = member;
      if (!encoded.has(wire)) {
        const frame = encode(wire);
        encoded.set(wire, frame === undefined ? undefined : websocketFrame(frame));
      }
      const frame = encoded.get(wire);
      if (frame === undefined || !member.hears(kind, messageId)) continue;
      member.send(frame, messageId);
      sent += 1;
    }
    return sent;
  }

  return {
    join(name, member) {
      const key = topicKey(name);
      const members = topics.get(key) ?? new Set();
      topics.set(key, members.add(member));
    },
    leave(name, member) {
      const key = topicKey(name);
      const members = topics.get(key);
      if (members?.delete(member) && members.size === 0) topics.delete(key);
    },
    broadcast(name, message, { from, messageId } = {}) {
      const topic = wireTopic(name);
      return send(topicKey(name), 'broadcast', (wire) => wire.userBroadcast(topic, message), from, messageId);
    },
    presence(key, diff) {
      const topic = wireTopic({ topic: key.slice(key.indexOf(':') + 1) });
      send(key, 'presence', (wire) => wire.broadcast(topic, 'presence_diff', diff), undefined, undefined);
    },
    has: (key) => topics.has(key),
    count: (key) => topics.get(key)?.size ?? 0,
    size: () => topics.size,
  };
}
