// In charge of: who is in which channel, with what they say of themselves, on all processes of this backend.
// Source: Phoenix.Presence and Phoenix.Tracker, which upstream uses as they are (supabase/realtime lib/realtime_web/channels/presence.ex).
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Observe } from '../../../base/observe.ts';
import { isTooDeep } from '../depth.ts';
import type { Peers } from '../peers.ts';
import { openExchange } from './exchange.ts';
import { type Diff, type Entry, openReplicas, type TopicDiff } from './replicas.ts';

export interface Presences {
  /** Joins or updates; the diff goes to whoever listens to the topic, before this returns. `ref` is the channel on this process. */
  track(topic: string, ref: string, key: string, meta: Meta): TrackOutcome;
  /** Its end; the diff goes out at the end of this turn, so that a room that empties at once is one message. */
  /** Whether it was there. */
  untrack(topic: string, ref: string): boolean;
  /** What `presence_state` says. */
  state(topic: string): PresenceState;
  /** How far this process is, for its heartbeats. */
  clock(): number;
  close(): Promise<void>;
}

export type Meta = Readonly<Record<string, unknown>>;

/** By the key that a client chose. */
export type PresenceState = Readonly<Record<string, { readonly metas: readonly Meta[] }>>;

/** What `presence_diff` says. */
export interface PresenceDiff {
  readonly joins: PresenceState;
  readonly leaves: PresenceState;
}

/** `unchanged`: it says the same of itself as before, which is no news. The last three: nothing happened, there is no room for it. */
export type TrackOutcome = 'tracked' | 'unchanged' | 'too_deep' | 'topic_full' | 'memory_full';

export interface PresenceBounds {
  readonly perTopic: number;
  /** Whoever joins is told all of it at once. */
  readonly bytesPerTopic: number;
  readonly totalBytes: number;
}

/** Of one topic on all processes together, as far as this one knows; and of what the clients of this process say of themselves. */
const mebibyte = 1024 * 1024;
const usualBounds: PresenceBounds = {
  perTopic: 10_000,
  bytesPerTopic: 4 * mebibyte,
  totalBytes: 64 * mebibyte,
};

export interface PresenceHearers {
  /** Whether somebody on this process listens to the topic; nothing is put together for the others. */
  hears(topic: string): boolean;
  onDiff(topic: string, diff: PresenceDiff): void;
}

interface Tracked {
  readonly topic: string;
  readonly key: string;
  readonly meta: Meta;
  readonly sizeBytes: number;
  readonly phxRef: string;
  readonly tag: number;
}

export function openPresences(
  { peers, observe }: { peers: Peers; observe: Observe },
  { hears, onDiff }: PresenceHearers,
  bounds: PresenceBounds = usualBounds,
): Presences {
  const replicas = openReplicas(peers.self);
  const exchange = openExchange({ peers, replicas, observe }, announce);
  /** By topic and channel. */
  const tracked = new Map<string, Tracked>();
  const late = new Map<string, Entry[]>();
  let sizeBytes = 0;
  const topicBytes = new Map<string, number>();
  let soon: NodeJS.Immediate | undefined;

  function grow(topic: string, bytes: number): void {
    sizeBytes += bytes;
    const now = (topicBytes.get(topic) ?? 0) + bytes;
    if (now === 0) topicBytes.delete(topic);
    else topicBytes.set(topic, now);
  }

  function announce(diff: Diff): void {
    for (const [topic, { joins, leaves }] of diff) {
      if (!hears(topic)) continue;
      // Who left before stands before who comes now.
      const earlier = late.get(topic) ?? [];
      late.delete(topic);
      tell(topic, { joins, leaves: [...earlier, ...leaves] });
    }
  }

  function announceSoon(diff: Diff): void {
    for (const [topic, { leaves }] of diff) {
      if (!hears(topic)) continue;
      const gone = late.get(topic) ?? [];
      gone.push(...leaves);
      late.set(topic, gone);
      soon ??= setImmediate(announceLate);
    }
  }

  function announceLate(): void {
    soon = undefined;
    const gone = [...late];
    late.clear();
    for (const [topic, leaves] of gone) tell(topic, { joins: [], leaves });
  }

  function tell(topic: string, { joins, leaves }: TopicDiff): void {
    onDiff(topic, { joins: grouped(joins), leaves: grouped(leaves) });
  }

  return {
    track(topic, ref, key, meta) {
      if (isTooDeep(meta)) return 'too_deep';
      const id = idOf(topic, ref);
      const before = tracked.get(id);
      if (before !== undefined && isDeepStrictEqual(before.meta, meta)) return 'unchanged';
      const size = Buffer.byteLength(JSON.stringify(meta)) + Buffer.byteLength(key);
      const more = size - (before?.sizeBytes ?? 0);
      if (sizeBytes + more > bounds.totalBytes) return 'memory_full';
      if ((topicBytes.get(topic) ?? 0) + more > bounds.bytesPerTopic) return 'topic_full';
      if (before === undefined && replicas.countOf(topic) >= bounds.perTopic) return 'topic_full';
      const phxRef = newRef();
      const { step, diff } =
        before === undefined
          ? replicas.join(topic, key, { ...meta, phx_ref: phxRef })
          : // Sound: whatever is tracked has an entry of our own.
            replicas.update(before.tag, { ...meta, phx_ref: phxRef, phx_ref_prev: before.phxRef })!;
      grow(topic, more);
      tracked.set(id, { topic, key, meta, sizeBytes: size, phxRef, tag: step.at });
      exchange.tell(step);
      announce(diff);
      return 'tracked';
    },
    untrack(topic, ref) {
      const id = idOf(topic, ref);
      const before = tracked.get(id);
      if (before === undefined) return false;
      tracked.delete(id);
      grow(topic, -before.sizeBytes);
      const left = replicas.leave(before.tag);
      if (left === undefined) return false;
      exchange.tell(left.step);
      announceSoon(left.diff);
      return true;
    },
    state: (topic) => grouped(replicas.entriesOf(topic)),
    clock: () => replicas.clock(),
    async close() {
      clearImmediate(soon);
      await exchange.close();
    },
  };
}

/** A channel of the same name may be private and public; the topic says which, and no channel's own name has a zero byte. */
function idOf(topic: string, ref: string): string {
  return `${ref}\0${topic}`;
}

function newRef(): string {
  return randomBytes(12).toString('base64url');
}

/** Source: Phoenix.Presence.group. Entries of a record made by `fromEntries` may be called anything, `__proto__` included. */
function grouped(entries: Iterable<Entry>): PresenceState {
  const keys = new Map<string, { metas: Meta[] }>();
  for (const { key, meta } of entries) {
    const known = keys.get(key);
    if (known === undefined) keys.set(key, { metas: [meta] });
    else known.metas.push(meta);
  }
  return Object.fromEntries(keys);
}
