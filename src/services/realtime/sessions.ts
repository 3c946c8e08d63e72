// In charge of: noticing that the session of a channel's token has ended: at a join, and every few seconds for all channels together. Whoever signs
// out, is banned or deleted, or changes their password loses their channels, and not only when the token's time is up.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import { DatabaseUnavailable, type Db } from '../../engine/db/db.ts';
import type { Caller } from '../../engine/identity/caller.ts';
import { findEndedSessions, type SessionRules, sessionOf } from '../../engine/identity/ended-sessions.ts';

export interface Sessions {
  /** The session that a caller's token is of, where it is one of ours. */
  of(caller: Caller): string | undefined;
  /** Those of `ids` that have ended; none where nobody can say. */
  ended(ids: ReadonlySet<string>): Promise<ReadonlySet<string>>;
  /** Whether this one has ended. Many that ask at once are one question; false where nobody can say in time. */
  hasEnded(id: string): Promise<boolean>;
}

/** Sessions that were there a moment ago are not asked about again at a join: a thousand channels may be of one. */
const keepMs = 1_000;
const maxKept = 10_000;
/** A database that is away is no reason not to join a public channel. */
const waitMs = 2_000;
/** Joins that wait for the same answer. Beyond it they are let in, and looked at with all others a few seconds later. */
const maxWaiting = 20_000;

export function openSessions({
  db,
  rules,
  now,
  observe,
}: {
  readonly db: Pick<Db, 'asOwner'>;
  readonly rules: () => SessionRules;
  readonly now: Clock;
  readonly observe: Observe;
}): Sessions {
  /** By the caller, which is one for all channels of a token. */
  const ids = new WeakMap<Caller, string | undefined>();
  const stoodAtMs = new Map<string, number>();
  let waiting = new Map<string, Promise<boolean>>();
  let asking: Promise<ReadonlySet<string>> | undefined;
  let next: Promise<ReadonlySet<string>> | undefined;
  let hasFailed = false;

  async function ended(asked: Iterable<string>): Promise<ReadonlySet<string>> {
    try {
      const found = await findEndedSessions(db, asked, now(), rules());
      hasFailed = false;
      return found;
    } catch (error) {
      // Said once: a database whose sessions are somebody else's has no such tables.
      if (!(error instanceof DatabaseUnavailable) && !hasFailed)
        observe({ kind: 'realtime.sessions_unknown', level: 'warn', message: errorMessage(error) });
      hasFailed = true;
      return new Set();
    }
  }

  /** What has gathered while the question before was asked. */
  async function askNext(): Promise<ReadonlySet<string>> {
    await asking;
    const asked = waiting;
    waiting = new Map();
    next = undefined;
    asking = ended(asked.keys());
    const over = await asking;
    if (stoodAtMs.size + asked.size > maxKept) stoodAtMs.clear();
    if (!hasFailed) for (const id of asked.keys()) if (!over.has(id)) stoodAtMs.set(id, now());
    return over;
  }

  return {
    of(caller) {
      if (!ids.has(caller)) ids.set(caller, sessionOf(caller));
      return ids.get(caller);
    },
    ended: (asked) => (asked.size === 0 ? Promise.resolve(new Set()) : ended(asked)),
    async hasEnded(id) {
      if (now() - (stoodAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < keepMs) return false;
      let answer = waiting.get(id);
      if (answer === undefined) {
        if (waiting.size >= maxWaiting) return false;
        // Before it is made: it takes what waits by then.
        next ??= Promise.resolve().then(askNext);
        answer = next.then((over) => over.has(id));
        waiting.set(id, answer);
      }
      return inTime(answer);
    },
  };
}

async function inTime(answer: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), waitMs);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
