// In charge of: who is present, as a set that processes merge without asking each other (a CRDT of joins and leaves). No clock, no I/O.
//
// Each process is a replica and the only one that writes its own part. Whatever it does has the next number of its clock; a part is the state
// after so many numbers. Of two states of one part the one with the higher number holds, so that merging is commutative, associative and
// idempotent; single steps are taken when they are the next ones, and otherwise the whole part is asked for.
// Source: Phoenix.Tracker.State (phoenixframework/phoenix_pubsub lib/phoenix/tracker/state.ex), whose clouds of tags allow several writers.

/** One presence. `meta` has its `phx_ref`. */
export interface Entry {
  /** The number of its replica's clock when it came. */
  readonly tag: number;
  readonly topic: string;
  readonly key: string;
  readonly meta: Readonly<Record<string, unknown>>;
}

/** One step of a replica's clock: who came, who went; an update is both. */
export interface Step {
  readonly at: number;
  readonly joined?: Entry;
  readonly left?: number;
}

export interface TopicDiff {
  readonly joins: readonly Entry[];
  readonly leaves: readonly Entry[];
}

/** By topic. */
export type Diff = ReadonlyMap<string, TopicDiff>;

export interface Part {
  readonly clock: number;
  readonly entries: readonly Entry[];
}

export interface Replicas {
  /** This process's own clock. */
  clock(): number;
  join(topic: string, key: string, meta: Entry['meta']): { readonly step: Step; readonly diff: Diff };
  /** `left`: the tag of an entry of our own. Undefined: there is none. */
  leave(left: number): { readonly step: Step; readonly diff: Diff } | undefined;
  update(left: number, meta: Entry['meta']): { readonly step: Step; readonly diff: Diff } | undefined;
  /** This process's own part. */
  own(): Part;
  /** Takes another's steps; what is known already changes nothing. `isBehind`: some are missing, and the whole part is needed. */
  mergeSteps(replica: string, steps: readonly Step[]): { readonly diff: Diff; readonly isBehind: boolean };
  mergePart(replica: string, part: Part): Diff;
  /** How far another's part is known; undefined: nothing of it. */
  known(replica: string): number | undefined;
  forget(replica: string): Diff;
  entriesOf(topic: string): Iterable<Entry>;
  countOf(topic: string): number;
}

interface MutablePart {
  clock: number;
  entries: Map<number, Entry>;
}

export function openReplicas(self: string): Replicas {
  const parts = new Map<string, MutablePart>([[self, { clock: 0, entries: new Map() }]]);
  // Sound: set just above, and never removed.
  const own = parts.get(self) as MutablePart;
  const topics = new Map<string, Set<Entry>>();

  function add(part: MutablePart, entry: Entry, diff: Collected): void {
    part.entries.set(entry.tag, entry);
    const topic = topics.get(entry.topic);
    if (topic === undefined) topics.set(entry.topic, new Set([entry]));
    else topic.add(entry);
    diff.joined(entry);
  }

  function remove(part: MutablePart, tag: number, diff: Collected): void {
    const entry = part.entries.get(tag);
    if (entry === undefined) return;
    part.entries.delete(tag);
    const topic = topics.get(entry.topic);
    topic?.delete(entry);
    if (topic?.size === 0) topics.delete(entry.topic);
    diff.left(entry);
  }

  function take(part: MutablePart, step: Step, diff: Collected): void {
    part.clock = step.at;
    if (step.left !== undefined) remove(part, step.left, diff);
    if (step.joined !== undefined) add(part, step.joined, diff);
  }

  function ownStep(made: Omit<Step, 'at'>): { step: Step; diff: Diff } {
    const step: Step = { at: own.clock + 1, ...made };
    const diff = collect();
    take(own, step, diff);
    return { step, diff: diff.all() };
  }

  return {
    clock: () => own.clock,
    join: (topic, key, meta) => ownStep({ joined: { tag: own.clock + 1, topic, key, meta } }),
    leave: (left) => (own.entries.has(left) ? ownStep({ left }) : undefined),
    update(left, meta) {
      const entry = own.entries.get(left);
      return entry && ownStep({ left, joined: { ...entry, tag: own.clock + 1, meta } });
    },
    own: () => ({ clock: own.clock, entries: [...own.entries.values()] }),
    mergeSteps(replica, steps) {
      const diff = collect();
      const part = parts.get(replica) ?? { clock: 0, entries: new Map<number, Entry>() };
      if (replica === self) return { diff: diff.all(), isBehind: false };
      let isBehind = false;
      for (const step of steps) {
        if (step.at <= part.clock) continue;
        if (step.at > part.clock + 1) {
          isBehind = true;
          break;
        }
        take(part, step, diff);
      }
      if (part.clock > 0) parts.set(replica, part);
      return { diff: diff.all(), isBehind };
    },
    mergePart(replica, { clock, entries }) {
      const diff = collect();
      const part = parts.get(replica) ?? { clock: 0, entries: new Map<number, Entry>() };
      if (replica === self || clock <= part.clock) return diff.all();
      const tags = new Set(entries.map(({ tag }) => tag));
      for (const tag of [...part.entries.keys()]) if (!tags.has(tag)) remove(part, tag, diff);
      for (const entry of entries) if (!part.entries.has(entry.tag)) add(part, entry, diff);
      part.clock = clock;
      parts.set(replica, part);
      return diff.all();
    },
    known: (replica) => parts.get(replica)?.clock,
    forget(replica) {
      const diff = collect();
      const part = parts.get(replica);
      if (part === undefined || replica === self) return diff.all();
      for (const tag of [...part.entries.keys()]) remove(part, tag, diff);
      parts.delete(replica);
      return diff.all();
    },
    entriesOf: (topic) => topics.get(topic) ?? [],
    countOf: (topic) => topics.get(topic)?.size ?? 0,
  };
}

interface Collected {
  joined(entry: Entry): void;
  left(entry: Entry): void;
  all(): Diff;
}

/** Gathers what changes by topic. Who came and went within it is not told of. */
function collect(): Collected {
  const topics = new Map<string, { joins: Set<Entry>; leaves: Set<Entry> }>();
  const of = (topic: string) => {
    const known = topics.get(topic) ?? { joins: new Set(), leaves: new Set() };
    topics.set(topic, known);
    return known;
  };
  return {
    joined: (entry) => void of(entry.topic).joins.add(entry),
    left(entry) {
      const { joins, leaves } = of(entry.topic);
      if (!joins.delete(entry)) leaves.add(entry);
    },
    all: () =>
      new Map(
        [...topics]
          .filter(([, { joins, leaves }]) => joins.size + leaves.size > 0)
          .map(([topic, { joins, leaves }]) => [topic, { joins: [...joins], leaves: [...leaves] }]),
      ),
  };
}
