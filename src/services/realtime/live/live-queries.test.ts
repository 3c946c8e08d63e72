// In charge of: showing when a live query is asked again, over reads that are answered by hand.
import { afterEach, expect, it, vi } from 'vitest';
import type { ChangeFeed, ChangeListener } from '../../../engine/db/replication/feed.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import type { Reads } from '../../../engine/service/reads.ts';
import type { Difference } from './diff.ts';
import { type LiveLimits, type LiveQueries, openLiveQueries } from './live-queries.ts';

const caller: Caller = { role: 'anon', claims: '{}', subject: undefined, by: 'key' };
const table = { oid: 1, schema: 'public', name: 'todos', columns: [], identity: 'default' } as const;

let opened: LiveQueries | undefined;
afterEach(async () => {
  await opened?.close();
});

/** @param rows answers the read of this path, the n-th of it */
function openStage(rows: (path: string, n: number) => Promise<string>, limits: Partial<LiveLimits> = {}) {
  const counts = new Map<string, number>();
  const listeners = new Set<ChangeListener>();
  const reads: Reads = {
    mount: '/rest/v1',
    inspect: () => ({
      relations: [{ schema: 'public', name: 'todos', isView: false }],
      primaryKey: ['id'],
      functions: [],
    }),
    rows({ path }) {
      const n = (counts.get(path) ?? 0) + 1;
      counts.set(path, n);
      return rows(path, n);
    },
    sentenceOf: String,
  };
  const feed: ChangeFeed = {
    async listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    since: () => undefined,
    latestId: () => undefined,
    state: () => ({ by: 'replication', isReading: true, sentence: '' }),
  };
  const client = { query: async () => ({ rows: [{ name: 'public.todos' }] }) };
  const queries = openLiveQueries({
    reads: () => reads,
    feed,
    // Sound: it is asked for the published tables alone.
    db: { asOwner: (_owner, run) => run(client as never) },
    observe: () => {},
    limits: { everyMs: 1, againMs: 60_000, ...limits },
  });
  opened = queries;
  const change = { id: '1', kind: 'INSERT', table, row: [], old: undefined, committedAt: '' } as const;
  return {
    queries,
    count: (path: string) => counts.get(path) ?? 0,
    changed: () => {
      for (const listener of listeners) void listener.changes([change]);
    },
  };
}

function remembers() {
  const told: (readonly string[] | Difference | string)[] = [];
  return {
    told,
    rows: (rows: readonly string[]) => void told.push(rows),
    changes: (difference: Difference) => void told.push(difference),
    end: (reason: string) => void told.push(reason),
  };
}

it('tells of what has changed while the first answer was read, and reads that once for all who come meanwhile', async () => {
  const first = Promise.withResolvers<string>();
  const { queries, count, changed } = openStage(async (_path, n) =>
    n === 1 ? first.promise : '[{"id":1},{"id":2}]',
  );
  const [one, other] = [remembers(), remembers()];
  const followed = [one, other].map((listener) => queries.follow('/rest/v1/todos', caller, listener));
  await vi.waitFor(() => expect(count('/todos')).toBe(1));
  changed();
  first.resolve('[{"id":1}]');
  const leave = await Promise.all(followed);
  const told = [['{"id":1}'], { upserts: ['{"id":2}'], removes: [], order: ['[1]', '[2]'] }];
  await vi.waitFor(() => expect([one.told, other.told]).toEqual([told, told]));
  for (const stop of leave) stop();
});

it('asks no more for a query that has ended', async () => {
  const { queries, count, changed } = openStage(
    async (path, n) => {
      if (path === '/ends' && n > 1) throw new Error('it cannot be read any more');
      return '[]';
    },
    { againMs: 1 },
  );
  const [ends, goes] = [remembers(), remembers()];
  await queries.follow('/rest/v1/ends', caller, ends);
  const leave = await queries.follow('/rest/v1/goes', caller, goes);
  changed();
  await vi.waitFor(() => expect(ends.told).toEqual([[], 'Error: it cannot be read any more']));
  const [asked, before] = [count('/ends'), count('/goes')];
  await vi.waitFor(() => expect(count('/goes')).toBeGreaterThan(before + 5));
  expect(count('/ends')).toBe(asked);
  leave();
});

it('keeps no more of answers than there is room for', async () => {
  const { queries } = openStage(async () => '[{"id":1}]', { bytes: 15, parts: 1 });
  const leave = await queries.follow('/rest/v1/one', caller, remembers());
  const other = () => queries.follow('/rest/v1/other', caller, remembers());
  await expect(other()).rejects.toThrow('take too much memory already');
  leave();
  (await other())();
});

it('leaves room for others, however much one client wants', async () => {
  const answers = new Map<string, string>();
  const { queries } = openStage(async (path) => answers.get(path) ?? '[{"id":1}]', {
    queries: 8,
    bytes: 400,
  });
  const follow = (path: string, by: string) => queries.follow(`/rest/v1/${path}`, caller, remembers(), by);
  const stops = [await follow('a', 'one'), await follow('b', 'one')];
  await expect(follow('c', 'one')).rejects.toThrow('This server follows 2 different reads for you already.');
  // What others follow as well costs nothing more.
  stops.push(await follow('a', 'other'), await follow('c', 'other'), await follow('c', 'one'));
  answers.set('/large', JSON.stringify([{ id: 1, text: 'x'.repeat(100) }]));
  await expect(follow('large', 'third')).rejects.toThrow('take too much memory already');
  stops[1]!();
  stops.push(await follow('d', 'one'));
  for (const stop of stops) stop();
});
