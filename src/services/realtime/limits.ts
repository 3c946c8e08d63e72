// In charge of: what is too much, and what is said then, in upstream's words. Each place asks here before it does something, and counts what it did.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel.ex, …/realtime_channel/presence_handler.ex, …/user_socket.ex,
// …/tenant_rate_limiters.ex, lib/realtime/tenants.ex.
import type { Clock } from '../../base/time.ts';
import { openRate, type Rate } from './rate.ts';
import type { RealtimeSettings } from './settings.ts';

export interface Limits {
  /** Before a handshake: what is answered with 429 instead, as `{"error": …}`. */
  refusalOfSocket(): 'Too many connected users' | 'Too many joins per second' | undefined;
  /**
   * Before a channel is joined, which counts as a join when it may go on.
   * @param socket `isUser`: whether `users.add` was called for it; `channels`: how many it has joined.
   */
  refusalOfJoin(socket: { readonly isUser: boolean; readonly channels: number }): JoinRefusal | undefined;
  /** Sockets with a channel on this process: `add` at a socket's first join, `remove` at its end. */
  readonly users: { add(): void; remove(): void; here(): number };
  /** Messages, counted when sent and for each that gets them. */
  readonly events: Rate;
  /** Whether a channel to which something is delivered is shut down with `tooManyMessages`. */
  areEventsOver(): boolean;
  /** Why so many broadcasts by request are refused with 429. */
  refusalOfBroadcasts(messages: number): string | undefined;
  /** Messages about presence: each `presence_diff` for each that gets it. */
  readonly presenceEvents: Rate;
  /** Takes one message about presence; false: the channel is shut down with `tooManyPresenceMessages`. */
  takePresenceEvent(): boolean;
  /** What one client in one channel may do; its `take` is false when the channel is shut down with `tooManyPresenceCalls`. */
  openPresenceWindow(): { take(): boolean };
  /** Whether so many bytes of payload are too many. */
  isTooLarge(sizeBytes: number): boolean;
  /** Upstream's headers on its HTTP answers, and whether the request is refused with `tooManyRequests`. */
  requestRate(): { readonly average: number; readonly limit: number; readonly isOver: boolean };
}

export interface JoinRefusal {
  readonly reason: string;
  /** Whether the whole socket ends. */
  readonly disconnects: boolean;
}

export const tooManyMessages = 'Too many messages per second';
export const tooManyPresenceMessages = 'Too many presence messages per second';
export const tooManyPresenceCalls = 'Client presence rate limit exceeded';
export const trackTooLarge = 'Track message size exceeded';
export const tooManyRequests = 'Too many requests';
export const onlyPrivate = 'PrivateOnly: This project only allows private channels';

/** What upstream allows beyond the kilobytes, for the frame around a payload. */
const payloadPaddingBytes = 500;

/** @param usersElsewhere clients that other processes of this backend have said they have. */
export function openLimits(
  config: () => RealtimeSettings,
  now: Clock,
  usersElsewhere: () => number = () => 0,
): Limits {
  const events = openRate(now);
  const presenceEvents = openRate(now);
  const joins = openRate(now);
  let usersHere = 0;

  const areUsersOver = () => usersHere + usersElsewhere() >= config().maxConcurrentUsers;
  const areJoinsOver = () => joins.average() >= config().maxJoinsPerSecond;

  return {
    refusalOfSocket() {
      if (areUsersOver()) return 'Too many connected users';
      return areJoinsOver() ? 'Too many joins per second' : undefined;
    },
    refusalOfJoin({ isUser, channels }) {
      if (!isUser && areUsersOver())
        return { reason: 'ConnectionRateLimitReached: Too many connected users', disconnects: false };
      if (areJoinsOver())
        return { reason: 'ClientJoinRateLimitReached: Too many joins per second', disconnects: true };
      joins.count();
      return channels >= config().maxChannelsPerClient
        ? { reason: 'ChannelRateLimitReached: Too many channels', disconnects: false }
        : undefined;
    },
    users: {
      add() {
        usersHere += 1;
      },
      remove() {
        usersHere -= 1;
      },
      here: () => usersHere,
    },
    events,
    areEventsOver: () => events.average() >= config().maxEventsPerSecond,
    refusalOfBroadcasts(messages) {
      const average = events.average();
      const max = config().maxEventsPerSecond;
      if (average > max) return 'You have exceeded your rate limit';
      return messages + average > max
        ? 'Too many messages to broadcast, please reduce the batch size'
        : undefined;
    },
    presenceEvents,
    takePresenceEvent() {
      if (presenceEvents.average() > config().maxPresenceEventsPerSecond) return false;
      presenceEvents.count();
      return true;
    },
    openPresenceWindow() {
      let calls = 0;
      let endsAt = Number.NEGATIVE_INFINITY;
      return {
        take() {
          if (now() > endsAt) {
            calls = 0;
            endsAt = now() + config().clientPresenceWindowMs;
          }
          if (calls >= config().clientPresenceCalls) return false;
          calls += 1;
          return true;
        },
      };
    },
    isTooLarge: (sizeBytes) => sizeBytes > config().maxPayloadKb * 1_000 + payloadPaddingBytes,
    requestRate() {
      const average = Math.trunc(events.average());
      const limit = config().maxEventsPerSecond;
      return { average, limit, isOver: average >= limit };
    },
  };
}
