// In charge of: a broadcast to all who hear a topic, on whatever process they are.
import { createHash, randomBytes } from 'node:crypto';
import type { Observe } from '../../base/observe.ts';
import type { Fanout } from '../../engine/db/fanout.ts';
import type { Limits } from './limits.ts';
import { openRelay } from './relay.ts';
import type { Member, TopicName, Topics } from './topics.ts';
import type { Broadcast } from './wire/frames.ts';

export interface Speaker {
  /** To all but `from`; on this process before it returns. What it costs is counted as that client's doing, on every process. */
  say(name: TopicName, message: Broadcast, client: string, from?: Member): void;
  close(): Promise<void>;
}

const channel = 'realtime.broadcast';

/** @param fanout undefined: there is no other process */
export function openSpeaker(
  topics: Topics,
  {
    fanout,
    processId,
    limits,
    observe,
  }: {
    readonly fanout: Fanout | undefined;
    readonly processId: string;
    readonly limits: Pick<Limits, 'events'>;
    readonly observe: Observe;
  },
): Speaker {
  const relay = fanout && openRelay({ fanout, observe }, channel, processId);
  const stop = fanout?.subscribe(channel, (payload) => {
    const { by, items } = payload as { by: string; items: string };
    if (by === processId) return;
    for (const said of JSON.parse(items) as readonly Said[]) {
      const client = `${by} ${said.client ?? ''}`;
      // The process that it is connected to shuts it down when it is over there as well.
      if (!limits.events.isOverFor(client))
        limits.events.countFor(client, topics.broadcast(said.name, toBroadcast(said)));
    }
  });
  // What others are told of a client says nothing of who or where it is.
  const salt = randomBytes(16);
  const disguised = (client: string) =>
    createHash('sha256').update(salt).update(client).digest('base64url').slice(0, 16);
  return {
    say(name, message, client, from) {
      const heard = topics.broadcast(name, message, from === undefined ? {} : { from });
      limits.events.countFor(client, heard);
      relay?.pass({ name, client: disguised(client), ...toText(message) }, sizeOf(message));
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
  readonly client?: string;
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
