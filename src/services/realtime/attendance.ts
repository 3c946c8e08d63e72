// In charge of: presence in one channel: what its client says of itself, and whom it is told of at first.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel/presence_handler.ex.
import type { Realtime } from './context.ts';
import { recordOf } from './join.ts';
import { tooManyPresenceCalls, tooManyPresenceMessages, trackTooLarge } from './limits.ts';
import type { Standing } from './standing.ts';

/** What becomes of a client's word: an answer, or the end of its channel. */
export type Attended =
  | { readonly kind: 'ok' }
  | { readonly kind: 'error'; readonly reason?: string }
  | { readonly kind: 'end'; readonly sentence: string };

export interface Attendance {
  /** What `presence_state` says to whoever joins; undefined: nothing is said. */
  first(): Attended | { readonly kind: 'state'; readonly state: string } | undefined;
  hear(payload: unknown): Promise<Attended>;
  leave(): void;
}

export interface AttendanceParts {
  readonly realtime: Pick<Realtime, 'limits' | 'presences'>;
  readonly standing: Standing;
  /** The topic's key, and who this is in it. */
  readonly topic: string;
  readonly ref: string;
  readonly key: string;
  readonly isWanted: boolean;
}

const ok: Attended = { kind: 'ok' };
const refused: Attended = { kind: 'error' };

export function openAttendance({
  realtime,
  standing,
  topic,
  ref,
  key,
  isWanted,
}: AttendanceParts): Attendance {
  const { limits, presences } = realtime;
  let window: { take(): boolean } | undefined;
  let hasLeft = false;

  async function track(value: unknown): Promise<Attended> {
    await standing.wantsPresence();
    if (!(await standing.maySay('presence'))) return refused;
    // Gone while the policies were asked: nobody would ever end what it says of itself.
    if (hasLeft) return refused;
    const meta = recordOf(value);
    if (meta === undefined) return { kind: 'error', reason: 'Presence track payload must be a map' };
    if (limits.isTooLarge(Buffer.byteLength(JSON.stringify(meta))))
      return { kind: 'end', sentence: trackTooLarge };
    if (!limits.takePresenceEvent()) return { kind: 'end', sentence: tooManyPresenceMessages };
    const outcome = presences.track(topic, ref, key, meta);
    return outcome === 'tracked' || outcome === 'unchanged'
      ? ok
      : { kind: 'error', reason: `UnableToTrackPresence: ${outcome}` };
  }

  return {
    first() {
      if (!isWanted || !standing.hears('presence')) return undefined;
      if (!limits.takePresenceEvent()) return { kind: 'end', sentence: tooManyPresenceMessages };
      return { kind: 'state', state: JSON.stringify(presences.state(topic)) };
    },
    async hear(payload) {
      const said = recordOf(payload);
      if (typeof said?.event !== 'string') return ok;
      window ??= limits.openPresenceWindow();
      if (!window.take()) return { kind: 'end', sentence: tooManyPresenceCalls };
      switch (said.event.toLowerCase()) {
        case 'track':
          return track(said.payload ?? {});
        case 'untrack':
          presences.untrack(topic, ref);
          return ok;
        default:
          return refused;
      }
    },
    leave() {
      hasLeft = true;
      presences.untrack(topic, ref);
    },
  };
}
