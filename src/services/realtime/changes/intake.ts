// In charge of: changes as the feed brings them: for whom they may be, and their way over the lanes to those who are told.
import { errorMessage } from '../../../base/errors.ts';
import { delay } from '../../../base/time.ts';
import type { Db, LoginRole } from '../../../engine/db/db.ts';
import { type Change, sizeOfChange } from '../../../engine/db/replication/change.ts';
import type { ChangeFeed } from '../../../engine/db/replication/feed.ts';
import { describeFailure, type Failure } from './asking.ts';
import { type DecideParts, decide } from './decide.ts';
import type { Facts, FactsSource } from './facts.ts';
import type { Unfilled } from './fill.ts';
import { fillChanges } from './fill-changes.ts';
import { audienceOf, type Hearers, hearers, knownAudiences } from './hearers.ts';
import type { Candidate, Item } from './item.ts';
import { Lane } from './lane.ts';
import { type Load, openPending } from './pending.ts';
import { heardBy, meets, regrouped, unsureOf } from './regroup.ts';
import { openReplays } from './replays.ts';
import { openReporter } from './report.ts';
import { retrying } from './retrying.ts';
import type { Subscriber } from './subscriber.ts';
import { loseFor, tellItem, truncated } from './tell.ts';

export interface IntakeParts extends Omit<DecideParts, 'failed' | 'regroup' | 'db'> {
  readonly db: Pick<Db, 'as' | 'asOwner'>;
  readonly feed: Pick<ChangeFeed, 'since' | 'latestId'>;
  readonly facts: FactsSource;
  readonly filler: LoginRole;
  readonly subscribers: ReadonlySet<Subscriber>;
}

export interface Intake {
  /** The next ones wait for the promise. */
  changes(changes: readonly Change[]): Promise<void> | undefined;
  /** Behind the changes that have come already. */
  gap(reason: string): void;
  /** What came behind `subscriber.after` is told to it before anything that comes from now on. */
  replay(subscriber: Subscriber): void;
  /** Somebody came, went, or is somebody else now. */
  subscribersChanged(): void;
  settled(): Promise<void>;
  close(): Promise<void>;
}

type Arrival =
  | { readonly kind: 'changes'; readonly changes: readonly Change[]; readonly sizeBytes: number }
  /** `before`: who listened then. */
  | { readonly kind: 'gap'; readonly reason: string; readonly before: readonly Subscriber[] };

export function openIntake(parts: IntakeParts): Intake {
  const { limits, signal, observe, now } = parts;
  const lanes = new Map<string, Lane>();
  const arrivals: Arrival[] = [];
  const pending = openPending(limits);
  /** What those who came back are told, and is not decided yet. */
  let replayedItems = 0;
  let seq = 0;
  let running: Promise<void> | undefined;
  const live = hearers(() => [...parts.subscribers].filter(({ isBehind }) => !isBehind), false);
  /** Those who wait until nothing is pending. */
  let settling: (() => void)[] = [];

  const report = openReporter({ observe, now });
  const deciding: DecideParts = { ...parts, failed, regroup };
  const replays = openReplays({
    feed: parts.feed,
    limits,
    gap: (subscriber) => tellGap('what came behind that change is not kept any more', [subscriber]),
    caughtUp: () => {
      live.audiences = new Map();
    },
    wake: start,
  });

  function arrive(arrival: Arrival): void {
    arrivals.push(arrival);
    if (arrival.kind === 'changes') pending.arrive(arrival.changes.length, arrival.sizeBytes);
    start();
  }

  function start(): void {
    running ??= run();
  }

  async function run(): Promise<void> {
    // So that what comes at the same moment is one batch.
    await undefined;
    while (!signal.aborted) {
      const startedAt = now();
      const batch = arrivals.splice(0, countOfBatch());
      // What happens goes before what has happened; that is told a slice at a time.
      if (batch.length > 0) await takeInBatch(batch);
      const slice = replayedItems === 0 ? replays.next() : undefined;
      if (slice !== undefined) {
        const isTaken = await takeIn(
          slice.changes,
          hearers(() => slice.to, true),
        );
        if (isTaken) slice.done();
      }
      if (batch.length === 0 && slice === undefined) break;
      await room();
      pending.wake();
      const restMs = limits.gatherMs - (now() - startedAt);
      // Whoever closes does not wait, and whoever comes back has waited.
      if (restMs > 0 && slice === undefined && !signal.aborted) await delay(restMs, signal).catch(() => {});
    }
    // At once: what arrives behind the last look begins anew.
    running = undefined;
  }

  function countOfBatch(): number {
    let changes = 0;
    let count = 0;
    while (count < arrivals.length && (count === 0 || changes < limits.maxPendingChanges)) {
      const arrival = arrivals[count]!;
      changes += arrival.kind === 'changes' ? arrival.changes.length : 0;
      count++;
    }
    return count;
  }

  async function room(): Promise<void> {
    while (pending.isFull() && !signal.aborted) await pending.room();
  }

  /** Whoever is woken may find that it is somebody else's room. */
  async function noLongerOver(): Promise<void> {
    while (pending.isOver() && !signal.aborted) await pending.room();
  }

  async function takeInBatch(batch: readonly Arrival[]): Promise<void> {
    let changes: Change[] = [];
    for (const arrival of batch) {
      if (arrival.kind === 'changes') {
        changes.push(...arrival.changes);
        continue;
      }
      await takeIn(changes, live);
      changes = [];
      begunAnew(arrival);
    }
    await takeIn(changes, live);
    for (const arrival of batch)
      if (arrival.kind === 'changes') pending.leave(arrival.changes.length, arrival.sizeBytes);
  }

  /** False: they were lost, and those whom they were for were told so. */
  async function takeIn(changes: readonly Change[], to: Hearers): Promise<boolean> {
    if (changes.length === 0 || parts.subscribers.size === 0) return true;
    try {
      await takeInSurely(changes, to);
      return true;
    } catch (error) {
      if (signal.aborted) return true;
      observe({ kind: 'realtime.changes_lost', level: 'error', message: errorMessage(error) });
      const lost = [...to.subscribers()];
      for (const subscriber of lost) if (subscriber.isBehind) subscriber.after = parts.feed.latestId();
      replays.release(lost);
      live.audiences = new Map();
      tellGap('the database could not be asked who may see the changes', lost);
      return false;
    }
  }

  async function takeInSurely(changes: readonly Change[], to: Hearers): Promise<void> {
    const tables = [...new Set(changes.map(({ table }) => String(table.oid)))];
    const facts = await retrying(parts, () => parts.facts.prepare(tables, rolesNow()));
    for (let rest = changes; rest.length > 0; ) {
      if (facts !== to.audiencesFor) to.audiences = new Map();
      to.audiencesFor = facts;
      const filled = await fillChanges(
        parts,
        report,
        facts,
        rest,
        (change) => audienceOf(facts, change, to)[0]?.audience.groups[0]?.group.caller,
      );
      const touched = new Set<Lane>();
      for (const change of rest.slice(0, filled.count))
        route(facts, change, filled.images.get(change), to, touched);
      for (const lane of touched) lane.start();
      rest = rest.slice(filled.count);
      if (rest.length > 0) await room();
    }
  }

  const rolesNow = () => new Set([...parts.subscribers].map(({ caller }) => caller.role));

  function route(
    facts: Facts,
    change: Change,
    filled: Unfilled | undefined,
    to: Hearers,
    touched: Set<Lane>,
  ): void {
    if (change.kind === 'TRUNCATE') noticeTruncate(facts, change, to);
    if (filled === undefined) return;
    seq++;
    const load: Load = { sizeBytes: filled.images.sizeBytes, items: 0 };
    for (const { table, audience } of audienceOf(facts, change, to)) {
      const images = filled.images;
      const subject = change.kind === 'DELETE' ? images.old : images.row;
      const isUnread =
        audience.role.selectable.size === 0 || table.keys.some((key) => !audience.role.selectable.has(key));
      const isUnknown = filled.unsure !== undefined && subject !== undefined && !isUnread;
      const unsure = new Set(isUnknown ? unsureOf(audience, subject) : []);
      if (filled.unsure !== undefined)
        loseFor(
          seq,
          filled.unsure,
          [...unsure].filter(({ subscriber }) => isNew(subscriber, change)),
        );
      // Whoever is told no row is told so whatever it filters by, as upstream.
      const isHeard = (candidate: Candidate) =>
        isNew(candidate.subscriber, change) &&
        !unsure.has(candidate) &&
        (isUnread || meets(candidate, subject));
      // Nearly always: without filters and a past, nobody has to be looked at.
      const isForAll =
        audience.isPlain && unsure.size === 0 && (audience.after === undefined || change.id > audience.after);
      const groups = isForAll ? audience.groups : heardBy(audience, isHeard);
      if (groups.length === 0) continue;
      const name = `${table.oid} ${audience.role.role}`;
      const base = {
        seq,
        change,
        images,
        load,
        isReplayed: to.isReplayed,
        table,
        role: audience.role,
        hasFilters: !audience.isPlain,
      };
      const split = audience.isOne
        ? [{ lane: name, groups }]
        : groups.map((one) => ({ lane: `${name} ${one.group.key}`, groups: [one] }));
      for (const one of split)
        enqueue(
          laneOf(one.lane),
          { ...base, groups: one.groups, verdicts: new Map(), encoded: new Map() },
          touched,
        );
    }
  }

  const isNew = ({ after }: Subscriber, change: Change) => after === undefined || change.id > after;

  function enqueue(lane: Lane, item: Item, touched: Set<Lane>): void {
    pending.add(item.load);
    if (item.isReplayed) replayedItems++;
    touched.add(lane);
    lane.push(item);
    for (const { candidates } of item.groups)
      for (const { subscriber } of candidates) subscriber.follow(lane);
  }

  function laneOf(key: string): Lane {
    let lane = lanes.get(key);
    if (lane === undefined) {
      lane = new Lane({
        take,
        decide: (items) => decideSurely(items),
        settle,
        idle: () => lanes.delete(key),
      });
      lanes.set(key, lane);
    }
    return lane;
  }

  /** As many as are of the same table as the same values, and as one question holds. */
  function take(waiting: readonly Item[]): number {
    const [first] = waiting;
    let sizeBytes = 0;
    let count = 0;
    for (const item of waiting) {
      sizeBytes += item.images.sizeBytes;
      const isOther = item.table !== first?.table || item.role !== first.role;
      const isOver = count >= limits.maxRowsPerQuery || sizeBytes > limits.maxBytesPerQuery;
      if (count > 0 && (isOther || isOver)) break;
      count++;
    }
    return count;
  }

  function decideSurely(items: readonly Item[]): Promise<void> | undefined {
    return decide(deciding, items)?.catch((error: unknown) => {
      if (signal.aborted) return;
      // A bug of ours: nobody is told what nobody has allowed.
      report('decide', 'realtime.decide_failed', errorMessage(error));
    });
  }

  function settle(item: Item): void {
    pending.settle(item.load);
    if (item.isReplayed) replayedItems--;
    try {
      tellItem(item, limits.maxRecordBytes);
    } catch (error) {
      // A mistake of ours in one change: the lane goes on with the next.
      report('tell', 'realtime.tell_failed', errorMessage(error));
    }
    if (replayedItems === 0 && replays.count() > 0) start();
    if (pending.items() > 0) return;
    for (const resolve of settling) resolve();
    settling = [];
  }

  /** A database that was put back counts from an earlier place: nothing that comes now was told before, whatever its id. */
  function begunAnew({ reason, before }: Arrival & { readonly kind: 'gap' }): void {
    replays.release(before);
    for (const subscriber of before) subscriber.after = undefined;
    live.audiences = new Map();
    tellGap(reason, parts.subscribers);
  }

  function tellGap(reason: string, to: Iterable<Subscriber>): void {
    seq++;
    for (const subscriber of to) {
      subscriber.tell({ seq, gap: reason });
      subscriber.flush();
    }
  }

  /** Upstream tells of none; whoever keeps a copy should know. */
  function noticeTruncate(facts: Facts, change: Change, to: Hearers): void {
    const table = facts.tables.get(String(change.table.oid));
    if (table?.isPublished !== true) return;
    // Whoever wants to hear of deleted rows.
    for (const { groups } of knownAudiences(table, 'DELETE', { isOwn: true }, to))
      for (const { candidates } of groups)
        for (const { subscriber } of candidates)
          if (isNew(subscriber, change)) subscriber.notice(truncated(table));
  }

  function failed(failure: Failure): void {
    const sentence = describeFailure(failure);
    const { what, table, role, candidates, error } = failure;
    report(
      `${what} ${table.oid} ${role.role}`,
      `realtime.${what}_failed`,
      `${sentence} Role ${role.role}: ${errorMessage(error)}`,
    );
    for (const { subscriber } of candidates) subscriber.notice(sentence, 'error');
  }

  async function regroup(items: readonly Item[]): Promise<void> {
    parts.facts.forget();
    parts.claimValues.forget();
    const tables = [...new Set(items.flatMap(({ change }) => String(change.table.oid)))];
    const facts = await retrying(parts, () => parts.facts.prepare(tables, rolesNow()));
    // All of it first: where that fails, everybody is still known whom the items are for.
    const grouped = items.map((item) => regrouped(item, facts));
    items.forEach((item, at) => {
      Object.assign(item, grouped[at]);
    });
  }

  return {
    changes(changes) {
      const sizeBytes = changes.reduce((sum, change) => sum + sizeOfChange(change), 0);
      arrive({ kind: 'changes', changes, sizeBytes });
      return pending.isOver() ? noLongerOver() : undefined;
    },
    gap: (reason) => arrive({ kind: 'gap', reason, before: [...parts.subscribers] }),
    replay: (subscriber) => replays.add(subscriber),
    subscribersChanged() {
      live.audiences = new Map();
    },
    async settled() {
      while (arrivals.length > 0 || running !== undefined || pending.items() + replays.count() > 0) {
        if (running !== undefined) await running;
        else if (pending.items() > 0) await new Promise<void>((resolve) => settling.push(resolve));
        else await delay(settleLookMs);
      }
    },
    async close() {
      replays.close();
      pending.wake();
      await running;
    },
  };
}

/** For a client that does not read what it is told. */
const settleLookMs = 10;
