// In charge of: presence in one channel: what its client says of itself, and whom it is told of at first.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel/presence_handler.ex.
import { randomUUID } from 'node:crypto';
import type { Realtime } from './context.ts';
import { recordOf } from './join.ts';
import { tooManyPresenceCalls, tooManyPresenceMessages, trackTooLarge } from './limits.ts';
import type { Standing } from './standing.ts';

/** What becomes of a client's word: an answer, or the end of its channel. */
export type Attended =
  | { readonly kind: 'ok' }
  | { readonly kind: 'error'; readonly reason?: string }
  | { readonly kind: 'end'; readonly sentence: string };

export interface AttendanceParts {
  readonly realtime: Pick<Realtime, 'limits' | 'presences' | 'topics'>;
  readonly standing: Pick<Standing, 'hears' | 'wantsPresence' | 'maySay'>;
  /** The topic's key, and who this is in it. */
  readonly topic: string;
  readonly ref: string;
  /** Undefined: one that nobody else has. */
  readonly key: string | undefined;
  readonly isWanted: boolean;
  /** By whom what it does is counted. */
  readonly client: () => string;
}

const ok: Attended = { kind: 'ok' };
const refused: Attended = { kind: 'error' };

/** A class: a thousand channels share its functions. */
export class Attendance {
  readonly #parts: AttendanceParts;
  #key: string | undefined;
  #window: { take(): boolean } | undefined;
  #hasLeft = false;

  constructor(parts: AttendanceParts) {
    this.#parts = parts;
    this.#key = parts.key;
  }

  /** What `presence_state` says to whoever joins; undefined: nothing is said. */
  first(): Attended | { readonly kind: 'state'; readonly state: string } | undefined {
    const { realtime, standing, topic, isWanted } = this.#parts;
    if (!isWanted || !standing.hears('presence')) return undefined;
    if (!realtime.limits.takePresenceEvent(this.#parts.client()))
      return { kind: 'end', sentence: tooManyPresenceMessages };
    return { kind: 'state', state: JSON.stringify(realtime.presences.state(topic)) };
  }

  async hear(payload: unknown): Promise<Attended> {
    const { realtime } = this.#parts;
    const said = recordOf(payload);
    if (typeof said?.event !== 'string') return ok;
    this.#window ??= realtime.limits.openPresenceWindow();
    if (!this.#window.take()) return { kind: 'end', sentence: tooManyPresenceCalls };
    switch (said.event.toLowerCase()) {
      case 'track':
        return this.#track(said.payload ?? {});
      case 'untrack':
        this.#untrack();
        return ok;
      default:
        return refused;
    }
  }

  leave(): void {
    this.#hasLeft = true;
    this.#untrack();
  }

  #untrack(): void {
    const { realtime, topic, ref } = this.#parts;
    if (realtime.presences.untrack(topic, ref)) this.#costs();
  }

  /** What all others in the topic are told of it is its own doing. */
  #costs(): void {
    const { realtime, topic, client } = this.#parts;
    realtime.limits.presenceEvents.countFor(client(), realtime.topics.count(topic));
  }

  async #track(value: unknown): Promise<Attended> {
    const { realtime, standing, topic, ref } = this.#parts;
    const { limits, presences } = realtime;
    await standing.wantsPresence();
    if (!(await standing.maySay('presence'))) return refused;
    // Gone while the policies were asked: nobody would ever end what it says of itself.
    if (this.#hasLeft) return refused;
    const meta = recordOf(value);
    if (meta === undefined) return { kind: 'error', reason: 'Presence track payload must be a map' };
    if (limits.isTooLarge(Buffer.byteLength(JSON.stringify(meta))))
      return { kind: 'end', sentence: trackTooLarge };
    if (!limits.takePresenceEvent(this.#parts.client()))
      return { kind: 'end', sentence: tooManyPresenceMessages };
    this.#key ??= randomUUID();
    const outcome = presences.track(topic, ref, this.#key, meta);
    if (outcome === 'tracked') this.#costs();
    return outcome === 'tracked' || outcome === 'unchanged'
      ? ok
      : { kind: 'error', reason: `UnableToTrackPresence: ${outcome}` };
  }
}
