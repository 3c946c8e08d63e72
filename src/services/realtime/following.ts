// In charge of: one channel's subscription to changes of rows: beginning it, trying again, and which entry of the join a change is for.
// Source: supabase/realtime lib/realtime_web/channels/realtime_channel.ex `handle_info(:postgres_subscribe)`.
import { DatabaseUnavailable } from '../../engine/db/db.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import type { ChangeEvent, Subscription } from './changes/changes.ts';
import { SubscriptionRefused } from './changes/refused.ts';
import type { Realtime } from './context.ts';
import { type Join, recordOf } from './join.ts';

export interface Following {
  /** What the answer to the join says of them: each entry with its id. */
  readonly entries: readonly unknown[];
  begin(): void;
  setCaller(caller: Caller): void;
  close(): void;
}

export interface FollowingParts {
  readonly realtime: Pick<Realtime, 'changes' | 'limits' | 'observe'>;
  readonly join: Pick<Join, 'changes' | 'isOld' | 'since'>;
  readonly caller: () => Caller;
  /** By whom what it does is counted. */
  readonly client: () => string;
  readonly push: (event: string, payload: string) => void;
  /** Of what the client was sent. */
  readonly unreadBytes: () => number;
  readonly system: (status: 'ok' | 'error', sentence: string) => void;
}

const retryMs = 5_000;
/** A client that comes back and has not read so many bytes is told no more of what it missed before it has. */
const maxUnreadOfReplay = 256 * 1024;
/** The ids by which changes name the entry of the join that they are for. Source: Erlang's phash2. */
const maxEntryId = 2 ** 27;
let lastEntryId = 0;

export function openFollowing({
  realtime,
  join,
  caller,
  client,
  push,
  unreadBytes,
  system,
}: FollowingParts): Following {
  const { changes, limits, observe } = realtime;
  const ids = join.changes.map(() => {
    lastEntryId = (lastEntryId + 1) % maxEntryId;
    return lastEntryId;
  });
  let subscription: Subscription | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function deliver({ entries, type, id, data }: ChangeEvent): void {
    if (isClosed) return;
    limits.events.count();
    // Whoever joined by the topic's name is told in the old way.
    if (join.isOld) push(type, data);
    // The change's id is an addition of ours: what `since` gives back.
    else
      push(
        'postgres_changes',
        `{"ids":${JSON.stringify(entries.map((n) => ids[n]))},"id":"${id}","data":${data}}`,
      );
  }

  async function follow(): Promise<void> {
    try {
      const begun = await changes.subscribe({
        params: join.changes,
        caller: caller(),
        client: client(),
        isOver: () => isClosed,
        ...(join.since === undefined ? {} : { since: join.since }),
        deliver,
        // An addition of ours: what happened in between is lost to it, and it should read anew.
        gap: (reason) => push('gap', JSON.stringify({ reason })),
        // As upstream says on a channel that lives on; no client ends one for it. Source: realtime_channel.ex `push_system_message`, realtime-js RealtimeChannel.
        notice: (sentence, status) => system(status, sentence),
        hasRoom: () => unreadBytes() < maxUnreadOfReplay,
      });
      if (isClosed) {
        begun.close();
        return;
      }
      subscription = begun;
      begun.setCaller(caller());
      system('ok', 'Subscribed to PostgreSQL');
    } catch (error) {
      if (isClosed) return;
      if (error instanceof SubscriptionRefused) {
        system('error', error.message);
        return;
      }
      if (!(error instanceof DatabaseUnavailable)) observe({ kind: 'realtime.error', level: 'error', error });
      system('error', 'The database cannot be followed now; this goes on trying.');
      timer = setTimeout(begin, retryMs);
      timer.unref();
    }
  }

  function begin(): void {
    void follow();
  }

  return {
    entries: join.changes.map((entry, n) => ({ ...recordOf(entry), id: ids[n] })),
    begin,
    setCaller: (other) => subscription?.setCaller(other),
    close() {
      isClosed = true;
      clearTimeout(timer);
      subscription?.close();
    },
  };
}
