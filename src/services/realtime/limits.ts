// In charge of: what is too much, and what is said then, in upstream's words. Each place asks here before it does something, and counts what it did.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel.ex, …/realtime_channel/presence_handler.ex, …/user_socket.ex,
// …/tenant_rate_limiters.ex, lib/realtime/tenants.ex.
import type { Clock } from '../../base/time.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import { type FairRate, openFairRate } from './fair-rate.ts';
import { maxTicks } from './rate.ts';
import type { RealtimeSettings } from './settings.ts';

export interface Limits {
  /** Before a handshake: what is answered with 429 instead, as `{"error": …}`. */
  refusalOfSocket(client: string): 'Too many connected users' | 'Too many joins per second' | undefined;
  /**
   * Before a channel is joined, which counts as a join when it may go on.
   * @param socket `isUser`: whether `users.add` was called for it; `channels`: how many it has joined; `client`: whose it is.
   */
  refusalOfJoin(socket: {
    readonly isUser: boolean;
    readonly channels: number;
    readonly client: string;
  }): JoinRefusal | undefined;
  /** Sockets with a channel on this process: `add` at a socket's first join, `remove` at its end. */
  readonly users: { add(): void; remove(): void; here(): number };
  /** Messages, counted when sent and for each that gets them. */
  readonly events: FairRate;
  /** Why so many broadcasts by request are refused with 429. */
  refusalOfBroadcasts(messages: number, client: string): string | undefined;
  /** Messages about presence: each `presence_diff` for each that gets it. */
  readonly presenceEvents: FairRate;
  /** Takes one message about presence; false: the channel is shut down with `tooManyPresenceMessages`. */
  takePresenceEvent(client: string): boolean;
  /** What one client in one channel may do; its `take` is false when the channel is shut down with `tooManyPresenceCalls`. */
  openPresenceWindow(): { take(): boolean };
  /** Whether so many bytes of payload are too many. */
  isTooLarge(sizeBytes: number): boolean;
  /** Upstream's headers on its HTTP answers, and whether the request is refused with `tooManyRequests`. */
  requestRate(client: string): { readonly average: number; readonly limit: number; readonly isOver: boolean };
}

/** By whom what is done is counted: somebody who is signed in, or else all of one address that have the same role. */
export const clientOf = ({ subject, role }: Pick<Caller, 'subject' | 'role'>, countedAs: string) =>
  subject === undefined ? `${role} ${countedAs}` : `user ${subject}`;

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
  const events = openFairRate(now, { max: () => config().maxEventsPerSecond, isReached: 'at' });
  const presenceEvents = openFairRate(now, {
    max: () => config().maxPresenceEventsPerSecond,
    isReached: 'beyond',
  });
  // From the beginning over a whole minute: behind a restart all come back at once, and would be locked out for the rest of it.
  const joins = openFairRate(
    now,
    { max: () => config().maxJoinsPerSecond, isReached: 'at' },
    { ticks: maxTicks },
  );
  let usersHere = 0;

  const areUsersOver = () => usersHere + usersElsewhere() >= config().maxConcurrentUsers;

  return {
    refusalOfSocket(client) {
      if (areUsersOver()) return 'Too many connected users';
      return joins.isOverFor(client) ? 'Too many joins per second' : undefined;
    },
    refusalOfJoin({ isUser, channels, client }) {
      if (!isUser && areUsersOver())
        return { reason: 'ConnectionRateLimitReached: Too many connected users', disconnects: false };
      if (joins.isOverFor(client))
        return { reason: 'ClientJoinRateLimitReached: Too many joins per second', disconnects: true };
      joins.count();
      joins.countFor(client, 1);
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
    refusalOfBroadcasts(messages, client) {
      if (!events.isOverFor(client, messages)) return undefined;
      return events.average() > config().maxEventsPerSecond
        ? 'You have exceeded your rate limit'
        : 'Too many messages to broadcast, please reduce the batch size';
    },
    presenceEvents,
    takePresenceEvent(client) {
      if (presenceEvents.isOverFor(client)) return false;
      presenceEvents.count();
      presenceEvents.countFor(client, 1);
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
    requestRate(client) {
      const average = Math.trunc(events.average());
      const limit = config().maxEventsPerSecond;
      return { average, limit, isOver: events.isOverFor(client) };
    },
  };
}
