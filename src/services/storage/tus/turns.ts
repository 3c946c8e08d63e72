// In charge of: whose turn it is with an upload. A row's holder, with an end that is put off as long as the holder lives, and a number that each of its
// effects checks: no process has to be asked, and one that was killed is waited for no longer than `holdSeconds`.
// Source: supabase/storage src/storage/protocols/tus/postgres-locker.ts, whose locks are a transaction's.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Observe } from '../../../base/observe.ts';
import type { Db } from '../../../engine/db/db.ts';
import type { Fanout } from '../../../engine/db/fanout.ts';
import { lockTimeout } from '../errors.ts';
import type { Turn } from './uploads.ts';

export interface HeldTurn extends Turn {
  release(): Promise<void>;
}

export interface Turns {
  /**
   * Takes the turn, and asks whoever has it to come to an end; `giveUp` is called when somebody asks for it in its turn, or when it was lost.
   * Undefined: there is no such upload. @throws LockTimeout
   */
  take(version: string, giveUp: () => void, signal: AbortSignal): Promise<HeldTurn | undefined>;
  /** The first turn of an upload that `insert` is about to write. */
  begin(
    version: string,
    giveUp: () => void,
    insert: (turn: Turn, holdSeconds: number) => Promise<void>,
  ): Promise<HeldTurn>;
  close(): Promise<void>;
}

export interface TurnsOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly fanout: Pick<Fanout, 'publish' | 'subscribe'>;
  readonly observe: Observe;
}

const holdSeconds = 4;
const renewEveryMs = 1_300;
/** Longer than a dead holder's turn, and than a living one takes to end. */
const maxWaitMs = 10_000;
const askEveryMs = 250;
const channel = 'storage.upload_wanted';

interface Held {
  readonly fence: bigint;
  readonly giveUp: () => void;
}

const takeStatement = `
  with mine as (
    update _millrace.resumable_uploads
    set holder = $2, fence = fence + 1, held_until = clock_timestamp() + make_interval(secs => ${holdSeconds})
    where version = $1 and (held_until is null or held_until <= clock_timestamp())
    returning fence
  )
  select (select fence from mine)::text as fence, exists (select from _millrace.resumable_uploads where version = $1) as is_there`;

const renewStatement = `
  update _millrace.resumable_uploads set held_until = clock_timestamp() + make_interval(secs => ${holdSeconds})
  where holder = $1 and version = any ($2) returning version, fence::text`;

const releaseStatement = `
  update _millrace.resumable_uploads set holder = null, held_until = null where version = $1 and holder = $2 and fence = $3`;

export function openTurns({ db, fanout, observe }: TurnsOptions): Turns {
  const holder = randomUUID();
  const held = new Map<string, Held>();
  let renewing = false;

  const unsubscribe = fanout.subscribe(channel, (payload) => {
    if (typeof payload === 'string') held.get(payload)?.giveUp();
  });

  async function renew(): Promise<void> {
    if (held.size === 0 || renewing) return;
    renewing = true;
    const before = [...held];
    try {
      const { rows } = await db.asOwner('millrace_admin', (client) =>
        client.query<{ version: string; fence: string }>(renewStatement, [
          holder,
          before.map(([version]) => version),
        ]),
      );
      const still = new Map(rows.map(({ version, fence }) => [version, BigInt(fence)]));
      for (const [version, turn] of before) {
        if (still.get(version) !== turn.fence && held.get(version) === turn) turn.giveUp();
      }
    } catch (error) {
      // Whoever takes a turn over meanwhile is safe from us: each effect checks its number.
      observe({ kind: 'storage.turns_not_renewed', level: 'warn', error });
    } finally {
      renewing = false;
    }
  }
  const timer = setInterval(() => void renew(), renewEveryMs);
  timer.unref();

  function hold(version: string, fence: bigint, giveUp: () => void): HeldTurn {
    const own: Held = { fence, giveUp };
    held.set(version, own);
    return {
      holder,
      fence,
      async release() {
        if (held.get(version) === own) held.delete(version);
        await db.asOwner('millrace_admin', (client) =>
          client.query(releaseStatement, [version, holder, String(fence)]),
        );
      },
    };
  }

  /** Its holder comes to an end by itself: here at once, elsewhere when the news is there. */
  function askForIt(version: string): void {
    const own = held.get(version);
    if (own !== undefined) {
      own.giveUp();
      return;
    }
    // It is asked again soon, and what does not hear it holds the turn no longer than its time.
    fanout
      .publish(channel, version)
      .catch((error: unknown) => observe({ kind: 'storage.turn_not_asked_for', level: 'debug', error }));
  }

  return {
    async take(version, giveUp, signal) {
      for (const waitUntil = performance.now() + maxWaitMs; ; ) {
        const { rows } = await db.asOwner('millrace_admin', (client) =>
          client.query<{ fence: string | null; is_there: boolean }>(takeStatement, [version, holder]),
        );
        const { fence, is_there: isThere } = rows[0]!;
        if (fence !== null) return hold(version, BigInt(fence), giveUp);
        if (!isThere) return undefined;
        if (signal.aborted || performance.now() > waitUntil) throw lockTimeout();
        askForIt(version);
        await sleep(askEveryMs);
      }
    },
    async begin(version, giveUp, insert) {
      await insert({ holder, fence: 1n }, holdSeconds);
      return hold(version, 1n, giveUp);
    },
    async close() {
      clearInterval(timer);
      unsubscribe();
    },
  };
}
