// In charge of: showing by random histories that processes come to the same presences.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Diff, type Entry, openReplicas, type Part, type Replicas, type Step } from './replicas.ts';

const names = ['a', 'b', 'c'] as const;
type Name = (typeof names)[number];

type Action =
  | { readonly kind: 'join'; readonly by: number; readonly topic: number; readonly key: number }
  | { readonly kind: 'leave' | 'update'; readonly by: number; readonly which: number }
  /** What goes out is the whole part of one replica instead of single steps. */
  | { readonly kind: 'part'; readonly by: number };

const by = fc.nat({ max: names.length - 1 });
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    kind: fc.constant('join' as const),
    by,
    topic: fc.nat({ max: 2 }),
    key: fc.nat({ max: 3 }),
  }),
  fc.record({ kind: fc.constantFrom('leave' as const, 'update' as const), by, which: fc.nat({ max: 9 }) }),
  fc.record({ kind: fc.constant('part' as const), by }),
);

type Sent = { readonly from: Name } & ({ readonly step: Step } | { readonly part: Part });

/** What each replica does by itself, and what it says of it. */
function live(actions: readonly Action[]): { replicas: Record<Name, Replicas>; sent: Sent[] } {
  const replicas = { a: openReplicas('a'), b: openReplicas('b'), c: openReplicas('c') };
  const sent: Sent[] = [];
  let count = 0;
  for (const each of actions) {
    const from = names[each.by]!;
    const replica = replicas[from];
    if (each.kind === 'part') {
      sent.push({ from, part: replica.own() });
      continue;
    }
    count += 1;
    const own = replica.own().entries;
    const tag = each.kind === 'join' ? undefined : own[each.which % Math.max(1, own.length)]?.tag;
    const made =
      each.kind === 'join'
        ? replica.join(`topic ${each.topic}`, `key ${each.key}`, { count })
        : tag === undefined
          ? undefined
          : each.kind === 'leave'
            ? replica.leave(tag)
            : replica.update(tag, { count });
    if (made !== undefined) sent.push({ from, step: made.step });
  }
  return { replicas, sent };
}

function deliver(replica: Replicas, message: Sent): Diff {
  return 'part' in message
    ? replica.mergePart(message.from, message.part)
    : replica.mergeSteps(message.from, [message.step]).diff;
}

const topics = ['topic 0', 'topic 1', 'topic 2'];
/** Everything that a replica shows, in an order that does not depend on how it came. */
const view = (replica: Replicas) =>
  topics.map((topic) =>
    [...replica.entriesOf(topic)].map((entry) => JSON.stringify(entry)).sort((a, b) => (a < b ? -1 : 1)),
  );

const history = fc.record({ actions: fc.array(action, { maxLength: 60 }), seed: fc.integer() });

describe('the presences of several processes', () => {
  it('are the same for everybody in the end, in whatever order, how often, and however little of it arrives before the whole', () => {
    fc.assert(
      fc.property(
        history,
        fc.array(fc.nat(), { maxLength: 200 }),
        fc.array(fc.nat(), { maxLength: 200 }),
        ({ actions }, toB, toC) => {
          const { replicas, sent } = live(actions);
          // Some messages, in any order, several times.
          for (const [name, order] of [
            ['b', toB],
            ['c', toC],
          ] as const)
            for (const at of order) if (sent.length > 0) deliver(replicas[name], sent[at % sent.length]!);
          for (const to of names)
            for (const from of names) replicas[to].mergePart(from, replicas[from].own());
          expect(view(replicas.b)).toEqual(view(replicas.a));
          expect(view(replicas.c)).toEqual(view(replicas.a));
        },
      ),
    );
  });

  it('merge commutatively, associatively and idempotently', () => {
    fc.assert(
      fc.property(history, fc.nat(), ({ actions }, turn) => {
        const { sent } = live(actions);
        const parts = sent.filter((message) => 'part' in message);
        const merged = (order: readonly Sent[]) => {
          const replica = openReplicas('reader');
          for (const message of order) deliver(replica, message);
          return view(replica);
        };
        const at = parts.length === 0 ? 0 : turn % parts.length;
        const turned = [...parts.slice(at), ...parts.slice(0, at)].reverse();
        expect(merged(turned)).toEqual(merged(parts));
        expect(merged([...parts, ...turned, ...parts])).toEqual(merged(parts));
      }),
    );
  });

  it('are by their steps what they are by the whole', () => {
    fc.assert(
      fc.property(history, ({ actions }) => {
        const { replicas, sent } = live(actions);
        const reader = openReplicas('reader');
        for (const message of sent) if ('step' in message) deliver(reader, message);
        const other = openReplicas('other');
        for (const name of names) other.mergePart(name, replicas[name].own());
        expect(view(reader)).toEqual(view(other));
      }),
    );
  });

  it('tell each coming and going once: who follows the diffs sees what the state says', () => {
    fc.assert(
      fc.property(history, fc.array(fc.nat(), { maxLength: 200 }), by, ({ actions }, order, dead) => {
        const { replicas, sent } = live(actions);
        const reader = openReplicas('reader');
        const seen = new Set<Entry>();
        const follow = (diff: Diff) => {
          for (const { joins, leaves } of diff.values()) {
            for (const entry of joins) {
              expect(seen.has(entry)).toBe(false);
              seen.add(entry);
            }
            for (const entry of leaves) expect(seen.delete(entry)).toBe(true);
          }
        };
        for (const at of order) if (sent.length > 0) follow(deliver(reader, sent[at % sent.length]!));
        for (const name of names) follow(reader.mergePart(name, replicas[name].own()));
        follow(reader.forget(names[dead]!));
        expect([...seen].map((entry) => JSON.stringify(entry)).sort()).toEqual(view(reader).flat().sort());
        expect(reader.known(names[dead]!)).toBe(undefined);
      }),
    );
  });

  it('say that steps are missing, and take those that follow each other', () => {
    const a = openReplicas('a');
    const steps = [1, 2, 3].map((count) => a.join('room', `key ${count}`, { count }).step);
    const reader = openReplicas('reader');
    expect(reader.mergeSteps('a', [steps[0]!, steps[2]!])).toMatchObject({ isBehind: true });
    expect(reader.known('a')).toBe(1);
    expect(reader.mergeSteps('a', steps)).toMatchObject({ isBehind: false });
    expect(reader.countOf('room')).toBe(3);
  });
});
