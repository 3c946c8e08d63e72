// In charge of: a broadcast to all who hear a topic, on whatever process they are.

import type { Observe } from '../../base/observe.ts';
import type { Fanout } from '../../engine/db/fanout.ts';
import { openRelay } from './relay.ts';
import type { Member, TopicName, Topics } from './topics.ts';
import type { Broadcast } from './wire/frames.ts';

export interface Speaker {
  /** To all but `from`; on this process before it returns. */
  say(name: TopicName, message: Broadcast, from?: Member): void;
  close(): Promise<void>;
}

const channel = 'realtime.broadcast';

/** @param fanout undefined: there is no other process */
export function openSpeaker(
  topics: Topics,
  {
    fanout,
    processId,
    observe,
  }: { readonly fanout: Fanout | undefined; readonly processId: string; readonly observe: Observe },
): Speaker {
  const relay = fanout && openRelay({ fanout, observe }, channel, processId);
  const stop = fanout?.subscribe(channel, (payload) => {
    const { by, items } = payload as { by: string; items: string };
    if (by === processId) return;
    for (const said of JSON.parse(items) as readonly Said[]) topics.broadcast(said.name, toBroadcast(said));
  });
  return {
    say(name, message, from) {
      topics.broadcast(name, message, from === undefined ? {} : { from });
      relay?.pass({ name, ...toText(message) }, sizeOf(message));
    },
    async close() {
      stop?.();
      await relay?.close();
    },
  };
}

/** As it goes between processes: bytes as base64. */
interface Said {
  readonly name: TopicName;
  readonly json?: string;
  readonly event?: string;
  readonly encoding?: 'json' | 'binary';
  readonly body?: string;
}

const sizeOf = (message: Broadcast) => (message.kind === 'whole' ? message.json : message.body).length;

const toText = (message: Broadcast) =>
  message.kind === 'whole'
    ? { json: message.json }
    : { event: message.event, encoding: message.encoding, body: message.body.toString('base64') };

function toBroadcast({ json, event = '', encoding = 'json', body = '' }: Said): Broadcast {
  if (json !== undefined) return { kind: 'whole', json };
  return { kind: 'user', event, encoding, body: Buffer.from(body, 'base64') };
}
