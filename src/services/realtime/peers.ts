// In charge of: which other processes of this backend there are, and what each says of itself with every heartbeat. Over the fan-out; a process
// that shares its database with nobody has no peers and sends nothing.
import { randomUUID } from 'node:crypto';
import { errorMessage } from '../../base/errors.ts';
import { parseExactly } from '../../base/exact-json.ts';
import type { Observe } from '../../base/observe.ts';
import { type Clock, delay } from '../../base/time.ts';
import type { Fanout } from '../../engine/db/fanout.ts';

export interface Peers {
  /** This process's own name, another at each start. */
  readonly self: string;
  /** What the others said last. */
  all(): readonly PeerFacts[];
  /** To all others. Rejects when it could not be written down; what hears nothing of it finds out by the next heartbeat. */
  send(message: unknown): Promise<void>;
  listen(listener: PeerListener): void;
  /** Begins: `say` is asked for each heartbeat. */
  start(say: () => PeerFacts): void;
  /** Says good-bye, so that nobody waits for the time after which a silent process counts as gone. */
  close(): Promise<void>;
}

export interface PeerFacts {
  /** Clients with a channel. */
  readonly users: number;
  /** How far its presences are. */
  readonly clock: number;
}

export interface PeerListener {
  onMessage(from: string, message: unknown): void;
  /** With every heartbeat of another process. */
  onHeartbeat(from: string, facts: PeerFacts): void;
  /** It said good-bye, or nothing for so many heartbeats. */
  onGone(from: string): void;
}

export interface PeerTimes {
  readonly heartbeatMs: number;
  readonly goneAfterBeats: number;
}

const channel = 'realtime.peers';
/** A process that is killed says nothing: after 15 to 20 seconds the others let go of what it had. */
export const peerTimes: PeerTimes = { heartbeatMs: 5_000, goneAfterBeats: 3 };
/** More processes than this are not one backend any more; what they say is left out, and said once. */
const maxPeers = 1_000;
/** No stop waits longer for what carries the good-bye. */
const byeWithinMs = 2_000;
/** Several that missed something ask at the same time. */
const gatherMs = 50;

interface Peer {
  facts: PeerFacts;
  /** How many of our own heartbeats have come back since it was heard last. */
  silentBeats: number;
}

export function openPeers(
  {
    fanout,
    sharesDatabase,
    now,
    observe,
  }: { fanout: Fanout; sharesDatabase: boolean; now: Clock; observe: Observe },
  { heartbeatMs, goneAfterBeats }: PeerTimes = peerTimes,
): Peers {
  const self = randomUUID();
  const peers = new Map<string, Peer>();
  let listener: PeerListener | undefined;
  let facts: () => PeerFacts = () => ({ users: 0, clock: 0 });
  let unsubscribe = () => {};
  // Others count as silent only by heartbeats of our own that come back: while the database is away nobody is heard, and nobody is gone.
  let echoAt = Number.NEGATIVE_INFINITY;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let hasSaidTooMany = false;
  let soon: NodeJS.Timeout | undefined;
  let isAsking = false;

  const publish = (message: WireMessage) =>
    sharesDatabase ? fanout.publish(channel, { from: self, ...message }) : Promise.resolve();

  function hear(payload: unknown): void {
    const message = parseMessage(payload);
    if (message === undefined || closed) return;
    if (message.from === self) {
      if (message.kind === 'heartbeat') echoed();
      return;
    }
    const { from } = message;
    if (message.kind === 'hello') {
      beatSoon(false);
      return;
    }
    if (message.kind === 'bye') {
      gone(from);
      return;
    }
    const peer = peers.get(from);
    if (message.kind === 'message') {
      // Behind a good-bye, or before a first heartbeat: nobody would ever end what it brings; the next heartbeat says what is missing.
      if (peer === undefined) return;
      peer.silentBeats = 0;
      listener?.onMessage(from, parseExactly(message.text));
      return;
    }
    if (peer === undefined && peers.size >= maxPeers) {
      if (!hasSaidTooMany) observe({ kind: 'realtime.too_many_processes', level: 'error', count: maxPeers });
      hasSaidTooMany = true;
      return;
    }
    peers.set(from, { facts: message.facts, silentBeats: 0 });
    listener?.onHeartbeat(from, message.facts);
    // It cannot know of us yet, and would wait for our next heartbeat.
    if (peer === undefined) beat();
  }

  /** However many ask, or however much was missed, it is said once. */
  function beatSoon(asks: boolean): void {
    isAsking ||= asks;
    if (closed) return;
    soon ??= setTimeout(() => {
      soon = undefined;
      // What was missed shows in how far each is: nobody waits for the next heartbeat.
      if (isAsking) say({ kind: 'hello' });
      isAsking = false;
      beat();
    }, gatherMs);
    soon.unref();
  }

  function echoed(): void {
    // Several that were held up count once: the others' may have been held up, too.
    if (now() - echoAt < heartbeatMs / 2) return;
    echoAt = now();
    for (const [name, peer] of peers) {
      peer.silentBeats += 1;
      if (peer.silentBeats > goneAfterBeats) gone(name);
    }
  }

  function gone(name: string): void {
    if (!peers.delete(name)) return;
    listener?.onGone(name);
  }

  const beat = () => say({ kind: 'heartbeat', facts: facts() });

  function say(message: WireMessage): void {
    publish(message).catch((error: unknown) =>
      observe({ kind: 'realtime.heartbeat_failed', level: 'warn', message: errorMessage(error) }),
    );
  }

  return {
    self,
    all: () => Array.from(peers.values(), ({ facts }) => facts),
    send: (body) => publish({ kind: 'message', text: JSON.stringify(body) }),
    listen(given) {
      listener = given;
    },
    start(given) {
      facts = given;
      if (!sharesDatabase) return;
      unsubscribe = fanout.subscribe(channel, hear, () => beatSoon(true));
      timer = setInterval(beat, heartbeatMs);
      timer.unref();
      beat();
    },
    async close() {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      clearTimeout(soon);
      unsubscribe();
      // The others find out by themselves when this cannot be said any more.
      if (timer === undefined) return;
      const over = new AbortController();
      const said = publish({ kind: 'bye' }).catch(() => {});
      await Promise.race([said, delay(byeWithinMs, over.signal).catch(() => {})]);
      over.abort();
    },
  };
}

type WireMessage =
  | { readonly kind: 'heartbeat'; readonly facts: PeerFacts }
  /** As text within the JSON: names that clients choose may have what Postgres's JSON has not, a zero character or half of a pair. */
  | { readonly kind: 'message'; readonly text: string }
  /** Something was not heard: the others say how far they are. */
  | { readonly kind: 'hello' }
  | { readonly kind: 'bye' };

/** Another version of this program may be at the same database: what is not understood is left out. */
function parseMessage(payload: unknown): (WireMessage & { readonly from: string }) | undefined {
  if (typeof payload !== 'object' || payload === null) return undefined;
  const { from, kind, facts, text } = payload as Record<string, unknown>;
  if (typeof from !== 'string') return undefined;
  if (kind === 'bye' || kind === 'hello') return { from, kind };
  if (kind === 'message' && typeof text === 'string') return { from, kind, text };
  if (kind !== 'heartbeat' || typeof facts !== 'object' || facts === null) return undefined;
  const { users, clock } = facts as Record<string, unknown>;
  if (typeof users !== 'number' || typeof clock !== 'number') return undefined;
  return { from, kind, facts: { users, clock } };
}
