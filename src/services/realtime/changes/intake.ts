// In charge of: changes as the feed brings them: for whom they may be, and their way over the lanes to those who are told.
import { errorMessage } from '../../../base/errors.ts';
import { delay } from '../../../base/time.ts';
import type { Db, LoginRole } from '../../../engine/db/db.ts';
import type { Change } from '../../../engine/db/replication/change.ts';
import { type Audience, type AudienceOptions, audiencesOf, type RowEvent } from './audience.ts';
import { type DecideParts, decide, describeFailure, retrying } from './decide.ts';
import type { Facts, FactsSource, TableFacts } from './facts.ts';
import type { Unfilled } from './fill.ts';
import { fillChanges } from './fill-changes.ts';
import type { Image } from './image.ts';
import type { Candidate, Item } from './item.ts';
import { Lane } from './lane.ts';
import { openReporter } from './report.ts';
import type { Subscriber } from './subscriber.ts';
import { tellItem, truncated } from './tell.ts';

export interface IntakeParts extends Omit<DecideParts, 'failed' | 'regroup' | 'db'> {
  readonly db: Pick<Db, 'as' | 'asOwner'>;
  readonly facts: FactsSource;
  readonly filler: LoginRole;
  readonly subscribers: ReadonlySet<Subscriber>;
}

export interface Intake {
  /** The next ones wait for the promise. */
  changes(changes: readonly Change[]): Promise<void> | undefined;
  /** Behind the changes that have come already. */
  gap(reason: string): void;
  /** To one subscriber, before anything that comes from now on. */
  replay(subscriber: Subscriber, changes: readonly Change[]): void;
  /** Somebody came, went, or is somebody else now. */
  subscribersChanged(): void;
  settled(): Promise<void>;
  close(): Promise<void>;
}

type Arrival =
  | { readonly kind: 'changes'; readonly changes: readonly Change[]; readonly only?: Subscriber }
  /** `before`: who listened then. */
  | { readonly kind: 'gap'; readonly reason: string; readonly before: readonly Subscriber[] };

export function openIntake(parts: IntakeParts): Intake {
  const { limits, signal, observe, now } = parts;
  const lanes = new Map<string, Lane>();
  const arrivals: Arrival[] = [];
  let waitingChanges = 0;
  let pendingItems = 0;
  let seq = 0;
  let running: Promise<void> | undefined;
  let wake: (() => void)[] = [];
  /** For the facts and the subscribers of the moment. */
  let audiences = new Map<string, readonly Audience[]>();
  let audiencesFor: Facts | undefined;
  /** Those who wait until nothing is pending. */
  let settling: (() => void)[] = [];

  const report = openReporter({ observe, now });
  const deciding: DecideParts = { ...parts, failed, regroup };

  function arrive(arrival: Arrival): void {
    arrivals.push(arrival);
    if (arrival.kind === 'changes') waitingChanges += arrival.changes.length;
    running ??= run();
  }

  async function run(): Promise<void> {
    // So that what comes at the same moment is one batch.
    await undefined;
    while (arrivals.length > 0 && !signal.aborted) {
      const startedAt = now();
      const batch = arrivals.splice(0, countOfBatch());
      await takeIn(batch);
      for (const arrival of batch) if (arrival.kind === 'changes') waitingChanges -= arrival.changes.length;
      while (isFull() && !signal.aborted) await new Promise<void>((resolve) => wake.push(resolve));
      wakeUp();
      const restMs = limits.gatherMs - (now() - startedAt);
      // Whoever closes does not wait.
      if (restMs > 0 && !signal.aborted) await delay(restMs, signal).catch(() => {});
    }
    // At once: what arrives behind the last look begins anew.
    running = undefined;
  }

  /** Those who come back bring many at once: no more of them are taken in than may be pending. */
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

  const isFull = () => pendingItems > limits.maxPendingChanges;

  function wakeUp(): void {
    const waiting = wake;
    wake = [];
    for (const resolve of waiting) resolve();
  }

  async function takeIn(batch: readonly Arrival[]): Promise<void> {
    try {
      await takeInSurely(batch);
    } catch (error) {
      if (signal.aborted) return;
      observe({ kind: 'realtime.changes_lost', level: 'error', message: errorMessage(error) });
      tellGap('the database could not be asked who may see the changes');
    }
  }

  async function takeInSurely(batch: readonly Arrival[]): Promise<void> {
    if (parts.subscribers.size === 0) return;
    const changes = batch.flatMap((arrival) => (arrival.kind === 'changes' ? arrival.changes : []));
    const tables = [...new Set(changes.map(({ table }) => String(table.oid)))];
    const facts = await retrying(parts, () => parts.facts.prepare(tables, rolesNow()));
    if (facts !== audiencesFor) {
      audiences = new Map();
      audiencesFor = facts;
    }
    const filled = await fillChanges(
      parts,
      report,
      facts,
      changes,
      (change) => audienceOf(facts, change, undefined)[0]?.audience.groups[0]?.group.caller,
    );
    const touched = new Set<Lane>();
    for (const arrival of batch) {
      if (arrival.kind === 'gap') begunAnew(arrival);
      else
        for (const change of arrival.changes) route(facts, change, filled.get(change), arrival.only, touched);
    }
    for (const lane of touched) lane.start();
  }

  const rolesNow = () => new Set([...parts.subscribers].map(({ caller }) => caller.role));

  /** By each table as which somebody may hear of it. */
  function audienceOf(
    facts: Facts,
    change: Change,
    only: Subscriber | undefined,
  ): readonly { readonly table: TableFacts; readonly audience: Audience }[] {
    const own = facts.tables.get(String(change.table.oid));
    if (own === undefined || change.kind === 'TRUNCATE') return [];
    const event = change.kind;
    return [own.oid, ...own.ancestors].flatMap((oid) => {
      const table = facts.tables.get(oid);
      if (table?.isPublished !== true) return [];
      const options = { isOwn: table === own };
      const found =
        only === undefined
          ? knownAudiences(table, event, options)
          : audiencesOf(table, event, [only], options);
      return found.map((audience) => ({ table, audience }));
    });
  }

  function knownAudiences(table: TableFacts, event: RowEvent, options: AudienceOptions): readonly Audience[] {
    const key = `${table.oid} ${event} ${options.isOwn}`;
    let found = audiences.get(key);
    if (found === undefined) {
      found = audiencesOf(table, event, parts.subscribers, options);
      audiences.set(key, found);
    }
    return found;
  }

  function route(
    facts: Facts,
    change: Change,
    filled: Unfilled | undefined,
    only: Subscriber | undefined,
    touched: Set<Lane>,
  ): void {
    if (change.kind === 'TRUNCATE') noticeTruncate(facts, change, only);
    if (filled === undefined) return;
    seq++;
    for (const { table, audience } of audienceOf(facts, change, only)) {
      const images = filled.images;
      const subject = change.kind === 'DELETE' ? images.old : images.row;
      const isToCome = ({ subscriber }: Candidate) => only !== undefined || isNew(subscriber, change);
      // Whoever is told no row is told so whatever it filters by, as upstream.
      const isHeard = (candidate: Candidate) =>
        isToCome(candidate) && (isUnread || meets(candidate, subject));
      const isUnread =
        audience.role.selectable.size === 0 || table.keys.some((key) => !audience.role.selectable.has(key));
      // Nearly always: without filters and a past, nobody has to be looked at.
      const isForAll =
        only === undefined &&
        audience.isPlain &&
        (audience.after === undefined || change.id > audience.after);
      const groups = isForAll ? audience.groups : heardBy(audience, isHeard);
      if (groups.length === 0) continue;
      const name = `${table.oid} ${audience.role.role}`;
      const base = { seq, change, images, table, role: audience.role, hasFilters: !audience.isPlain };
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
    pendingItems++;
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
    pendingItems--;
    if (pendingItems === 0) {
      for (const resolve of settling) resolve();
      settling = [];
    }
    if (wake.length > 0 && !isFull()) wakeUp();
    try {
      tellItem(item, limits.maxRecordBytes);
    } catch (error) {
      // A mistake of ours in one change: the lane goes on with the next.
      report('tell', 'realtime.tell_failed', errorMessage(error));
    }
  }

  /** A database that was put back counts from an earlier place: nothing that comes now was told before, whatever its id. */
  function begunAnew({ reason, before }: Arrival & { readonly kind: 'gap' }): void {
    for (const subscriber of before) subscriber.after = undefined;
    audiences = new Map();
    tellGap(reason);
  }

  function tellGap(reason: string): void {
    seq++;
    for (const subscriber of parts.subscribers) {
      subscriber.tell({ seq, gap: reason });
      subscriber.flush();
    }
  }

  /** Upstream tells of none; whoever keeps a copy should know. */
  function noticeTruncate(facts: Facts, change: Change, only: Subscriber | undefined): void {
    const table = facts.tables.get(String(change.table.oid));
    if (table?.isPublished !== true) return;
    // Whoever wants to hear of deleted rows.
    const audience = audiencesOf(table, 'DELETE', only === undefined ? parts.subscribers : [only], {
      isOwn: true,
    });
    for (const { groups } of audience)
      for (const { candidates } of groups)
        for (const { subscriber } of candidates) subscriber.notice(truncated(table));
  }

  function failed(
    table: TableFacts,
    role: { readonly role: string },
    items: readonly Item[],
    error: unknown,
  ): void {
    const sentence = describeFailure(table, error);
    report(
      `${table.oid} ${role.role}`,
      'realtime.policy_failed',
      `${sentence} Role ${role.role}: ${errorMessage(error)}`,
    );
    for (const { groups } of items)
      for (const { candidates } of groups)
        for (const { subscriber } of candidates) subscriber.notice(sentence);
  }

  async function regroup(items: readonly Item[]): Promise<void> {
    parts.facts.forget();
    parts.claimValues.forget();
    const tables = [...new Set(items.flatMap(({ change }) => String(change.table.oid)))];
    const facts = await retrying(parts, () => parts.facts.prepare(tables, rolesNow()));
    for (const item of items) {
      const table = facts.tables.get(item.table.oid);
      const role = table?.roles.get(item.role.role);
      const listeners = new Set(
        item.groups.flatMap(({ candidates }) => candidates.map(({ subscriber }) => subscriber)),
      );
      item.groups = [];
      if (table === undefined || role === undefined) continue;
      const isOwn = table.oid === String(item.change.table.oid);
      const subject = item.change.kind === 'DELETE' ? item.images.old : item.images.row;
      item.table = table;
      item.role = role;
      item.groups = audiencesOf(table, item.change.kind as RowEvent, listeners, { isOwn, isApart: true })
        .filter((audience) => audience.role === role)
        .flatMap(({ groups }) =>
          groups.map(({ group, candidates }) => ({
            group,
            candidates: candidates.filter((one) => meets(one, subject)),
          })),
        )
        .filter(({ candidates }) => candidates.length > 0);
    }
  }

  return {
    changes(changes) {
      arrive({ kind: 'changes', changes });
      if (waitingChanges + pendingItems <= limits.maxPendingChanges) return undefined;
      return new Promise((resolve) => wake.push(resolve));
    },
    gap: (reason) => arrive({ kind: 'gap', reason, before: [...parts.subscribers] }),
    replay: (only, changes) => arrive({ kind: 'changes', changes, only }),
    subscribersChanged() {
      audiences = new Map();
    },
    async settled() {
      while (arrivals.length > 0 || running !== undefined || pendingItems > 0) {
        if (running === undefined) await new Promise<void>((resolve) => settling.push(resolve));
        else await running;
      }
    },
    async close() {
      wakeUp();
      await running;
    },
  };
}

function heardBy({ groups }: Audience, isHeard: (candidate: Candidate) => boolean): Audience['groups'] {
  return groups.flatMap(({ group, candidates }) => {
    const heard = candidates.filter(isHeard);
    return heard.length === 0 ? [] : [{ group, candidates: heard }];
  });
}

/** What is not known of a row matches no filter. */
function meets({ tests, asked }: Candidate, image: Image | undefined): boolean {
  if (image === undefined) return tests.length === 0 && asked.length === 0;
  if (asked.some(({ column }) => !image.has(column))) return false;
  return tests.every(({ column, test }) => {
    const value = image.get(column);
    return value !== undefined && test?.(value) === true;
  });
}
