// In charge of: those who come back: what they missed is told in slices of the feed's memory, to many at once, until they have caught up. They hear
// nothing else before that, so that the order is that of the commits.
import { type Change, sizeOfChange } from '../../../engine/db/replication/change.ts';
import type { ChangeFeed } from '../../../engine/db/replication/feed.ts';
import type { ChangeLimits } from './limits.ts';
import type { Subscriber } from './subscriber.ts';

/** The same changes for whoever has not seen them. */
export interface Slice {
  readonly changes: readonly Change[];
  readonly to: readonly Subscriber[];
  /** They have all been told. */
  done(): void;
}

export interface Replays {
  /** `subscriber.after` is what it has seen last. */
  add(subscriber: Subscriber): void;
  /** Undefined: nobody is there who could be told more at the moment. */
  next(): Slice | undefined;
  /** They hear what happens from now on, whatever they have missed. */
  release(subscribers: Iterable<Subscriber>): void;
  count(): number;
  close(): void;
}

export interface ReplaysParts {
  readonly feed: Pick<ChangeFeed, 'since' | 'latestId'>;
  readonly limits: Pick<ChangeLimits, 'maxReplaying' | 'maxReplayedChanges' | 'maxReplayedBytes'>;
  /** What one of them missed is not kept any more. */
  readonly gap: (subscriber: Subscriber) => void;
  /** Some of them have caught up. */
  readonly caughtUp: () => void;
  /** There may be a next slice now. */
  readonly wake: () => void;
}

export function openReplays({ feed, limits, gap, caughtUp, wake }: ReplaysParts): Replays {
  /** In the order in which it is their turn. */
  const behind = new Set<Subscriber>();
  /** Those whose turn it is: from the one that missed most on, so that each goes along from where it was. */
  const current = new Set<Subscriber>();
  let timer: NodeJS.Timeout | undefined;

  function remove(subscriber: Subscriber): void {
    subscriber.isBehind = false;
    behind.delete(subscriber);
    current.delete(subscriber);
  }

  /** A client that does not read as fast as it is told waits until it has; others do not wait for it. */
  function choose(): void {
    for (const subscriber of behind) {
      if (subscriber.isClosed) remove(subscriber);
      else if (current.has(subscriber) && !subscriber.hasRoom()) {
        current.delete(subscriber);
        behind.delete(subscriber);
        behind.add(subscriber);
      }
    }
    const from = lowest();
    for (const subscriber of behind) {
      if (current.size >= limits.maxReplaying) break;
      // Whoever comes later goes along if it missed no more, so that those who are nearly there need not wait for it.
      if ((from === undefined || seen(subscriber) >= from) && subscriber.hasRoom()) current.add(subscriber);
    }
  }

  const lowest = () => [...current].map(seen).sort()[0];

  function lookAgain(): void {
    if (timer !== undefined || behind.size === 0) return;
    timer = setTimeout(() => {
      timer = undefined;
      wake();
    }, lookAgainMs);
    timer.unref();
  }

  /** From where the first of them is. Undefined: what that one missed is not kept any more. */
  function read(): { readonly changes: readonly Change[]; readonly isLast: boolean } | undefined {
    const found = feed.since(lowest() ?? '', limits.maxReplayedChanges);
    if (found === undefined) return undefined;
    let sizeBytes = 0;
    let count = 0;
    while (count < found.length && (count === 0 || sizeBytes < limits.maxReplayedBytes)) {
      sizeBytes += sizeOfChange(found[count]!);
      count++;
    }
    const isLast = count === found.length && count < limits.maxReplayedChanges;
    return { changes: found.slice(0, count), isLast };
  }

  function forgetLost(): void {
    const newest = feed.latestId();
    for (const subscriber of [...current]) {
      if (feed.since(seen(subscriber), 0) !== undefined) continue;
      remove(subscriber);
      subscriber.after = newest;
      gap(subscriber);
    }
    caughtUp();
  }

  return {
    add(subscriber) {
      subscriber.isBehind = true;
      behind.add(subscriber);
      wake();
    },
    next() {
      for (;;) {
        choose();
        if (current.size === 0) {
          lookAgain();
          return undefined;
        }
        const found = read();
        if (found === undefined) {
          forgetLost();
          continue;
        }
        const { changes, isLast } = found;
        const last = changes.at(-1)?.id ?? '';
        const to = [...current].filter((subscriber) => seen(subscriber) < last);
        return {
          changes,
          to,
          done() {
            for (const subscriber of to) subscriber.after = last;
            if (!isLast) return;
            // What came meanwhile is not looked at yet, and is for them as for everybody.
            for (const subscriber of [...current]) remove(subscriber);
            caughtUp();
          },
        };
      }
    },
    release(subscribers) {
      for (const subscriber of subscribers) if (subscriber.isBehind) remove(subscriber);
    },
    count: () => behind.size,
    close() {
      clearTimeout(timer);
    },
  };
}

const seen = ({ after }: Subscriber) => after ?? '';

/** Whether one of those has room again whose clients did not read. */
const lookAgainMs = 50;
