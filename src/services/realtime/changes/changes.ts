// In charge of: `postgres_changes`: who is told which change of a row, in the order of the commits and none twice.
import type { Observe } from '../../../base/observe.ts';
import type { Clock } from '../../../base/time.ts';
import type { Db, LoginRole } from '../../../engine/db/db.ts';
import type { ChangeFeed } from '../../../engine/db/replication/feed.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import { openPermits } from '../permits.ts';
import { openClaimValues } from './claim-values.ts';
import type { DecideParts } from './decide.ts';
import { openFacts } from './facts.ts';
import { textSettings } from './fill.ts';
import { openIntake } from './intake.ts';
import { type ChangeLimits, defaultLimits } from './limits.ts';
import { parseWish } from './params.ts';
import { SubscriptionRefused } from './refused.ts';
import { lockTimeout } from './retrying.ts';
import { type Listener, Subscriber } from './subscriber.ts';
import { openWishChecker } from './wishes.ts';

export interface ChangeEvent {
  /** Which of `params` it is for, by index. */
  readonly entries: readonly number[];
  readonly type: 'INSERT' | 'UPDATE' | 'DELETE';
  /** Of the change. */
  readonly id: string;
  /** The `data` object of upstream's payload as JSON text, encoded once for all that get the same. */
  readonly data: string;
}

export interface SubscribeWish extends Listener {
  /** The entries of the client's `postgres_changes`, as it sent them. */
  readonly params: readonly unknown[];
  readonly caller: Caller;
  /** By whom it is counted; many of one wait behind one of another. */
  readonly client?: string;
  /** Nobody waits for it any more. */
  readonly isOver?: () => boolean;
  /** The id of the last change that the client has seen: it is told what came behind it, or of a gap. */
  readonly since?: string;
}

export interface Subscription {
  /** Another token of the same client; what is on its way already is told to the one before. */
  setCaller(caller: Caller): void;
  close(): void;
}

export interface PostgresChanges {
  /**
   * Resolves when what is committed from then on is sure to be told.
   * @throws SubscriptionRefused with upstream's sentence: it is no use to ask for the same again; DatabaseUnavailable
   */
  subscribe(wish: SubscribeWish): Promise<Subscription>;
  /** Resolves when all that has come by now is decided and told. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export interface PostgresChangesParts {
  readonly db: Pick<Db, 'as' | 'asOwner'>;
  readonly feed: Pick<ChangeFeed, 'listen' | 'since' | 'latestId'>;
  /** Tells of changes to functions and types, which have no version of their own here. */
  readonly catalog?: { onChange(listener: () => void): () => void };
  readonly now: Clock;
  readonly observe: Observe;
  readonly limits?: Partial<ChangeLimits>;
  /** Who reads the system's catalogs; what every role may read is enough. */
  readonly reader?: LoginRole;
  /** Who reads the project's tables for values that a change does not bring. */
  readonly filler?: LoginRole;
  /** What functions find their names by, when a policy calls them. */
  readonly searchPath?: string;
  readonly publication?: string;
}

export async function openPostgresChanges(parts: PostgresChangesParts): Promise<PostgresChanges> {
  const { db, feed, now, observe, reader = 'millrace_admin', filler = 'postgres' } = parts;
  const publication = parts.publication ?? 'supabase_realtime';
  const limits = { ...defaultLimits, ...parts.limits };
  const closing = new AbortController();
  const { signal } = closing;
  const settings = [
    ...textSettings,
    ['search_path', parts.searchPath ?? '"$user", public, extensions'],
    ['statement_timeout', String(limits.policyTimeoutMs)],
    lockTimeout,
    // Compiling costs more than these questions take.
    ['jit', 'off'],
  ] as const;
  const permits = openPermits(limits.maxQueries);
  const claimValues = openClaimValues({ db, permits, settings });
  const facts = await openFacts({ db, reader, publication });
  const checker = await openWishChecker({ db, facts, reader, publication, settings });
  // Many who come at once leave connections for others.
  const checks = openPermits(limits.maxChecks);
  const subscribers = new Set<Subscriber>();
  const deciding: Omit<DecideParts, 'failed' | 'regroup'> = {
    db,
    claimValues,
    permits,
    limits,
    settings,
    now,
    observe,
    signal,
  };
  const intake = openIntake({ ...deciding, db, feed, facts, filler, subscribers });
  const stopHearing = parts.catalog?.onChange(() => {
    facts.forget();
    claimValues.forget();
  });

  let listening: Promise<() => void> | undefined;
  /** Subscriptions, and those on their way. */
  let users = 0;

  /** With the first subscription; once more after one that failed. */
  function listen(): Promise<() => void> {
    listening ??= feed
      .listen({
        changes: (changes) => intake.changes(changes),
        gap: ({ reason }) => intake.gap(reason),
      })
      .catch((error: unknown) => {
        listening = undefined;
        throw error;
      });
    return listening;
  }

  /** With the last one. */
  function leave(): void {
    users--;
    if (users > 0) return;
    const ended = listening;
    listening = undefined;
    // Whoever failed to listen has nothing to stop.
    void ended?.then(
      (stop) => stop(),
      () => {},
    );
  }

  async function subscribe(wish: SubscribeWish): Promise<Subscription> {
    const { params, caller, client } = wish;
    if (params.length > limits.maxEntries)
      throw new SubscriptionRefused(
        `Too many postgres_changes in one channel: ${params.length}, where ${limits.maxEntries} are allowed.`,
      );
    const wishes = params.map(parseWish);
    const conditions = wishes.reduce((sum, { filters }) => sum + filters.length, 0);
    if (conditions > limits.maxConditions)
      throw new SubscriptionRefused(
        `Too many conditions in the filters of one channel: ${conditions}, where ${limits.maxConditions} are allowed.`,
      );
    if (users >= limits.maxSubscriptions)
      throw new SubscriptionRefused(
        `Too many channels with postgres_changes: this server takes ${limits.maxSubscriptions}.`,
      );
    users++;
    try {
      await checks.run(async () => {
        if (wish.isOver?.()) throw new SubscriptionRefused('The channel has ended.');
        await checker.check(wishes, caller);
      }, client);
      await listen();
    } catch (error) {
      leave();
      throw error;
    }
    const subscriber = new Subscriber(wishes, caller, wish);
    subscribers.add(subscriber);
    intake.subscribersChanged();
    resume(subscriber, wish);
    return {
      setCaller(next) {
        const { role, claims } = subscriber.caller;
        if (next.role === role && next.claims === claims) return;
        subscriber.caller = next;
        intake.subscribersChanged();
      },
      close() {
        if (subscriber.isClosed) return;
        subscriber.isClosed = true;
        subscribers.delete(subscriber);
        intake.subscribersChanged();
        leave();
      },
    };
  }

  /** What is on its way already is not told: it was committed before. With `since` it comes from the feed's memory. */
  function resume(subscriber: Subscriber, { since, gap }: SubscribeWish): void {
    subscriber.after = feed.latestId();
    if (since === undefined) return;
    if (feed.since(since, 0) === undefined) {
      gap('what came behind that change is not kept any more');
      return;
    }
    subscriber.after = since;
    intake.replay(subscriber);
  }

  return {
    subscribe,
    settled: () => intake.settled(),
    async close() {
      closing.abort();
      stopHearing?.();
      for (const subscriber of subscribers) subscriber.isClosed = true;
      subscribers.clear();
      users = 1;
      leave();
      await intake.close();
    },
  };
}
