// In charge of: showing presence on one process and on several, over a fan-out in memory.
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Fanout, openLocalFanout } from '../../../engine/db/fanout.ts';
import { openPeers } from '../peers.ts';
import { openPresences, type PresenceBounds, type PresenceDiff } from './presence.ts';

/** A process of a backend: real parts, over a fan-out in memory; its clock is turned by the test. */
function openProcess(
  fanout: Fanout,
  {
    sharesDatabase = true,
    bounds,
    heartbeatMs = 5,
    goneAfterBeats = 10_000,
  }: {
    sharesDatabase?: boolean;
    bounds?: PresenceBounds;
    heartbeatMs?: number;
    goneAfterBeats?: number;
  } = {},
) {
  const diffs: { topic: string; diff: PresenceDiff }[] = [];
  const observed: unknown[] = [];
  const observe = (event: unknown) => observed.push(event);
  const peers = openPeers(
    { fanout, sharesDatabase, now: Date.now, observe },
    { heartbeatMs, goneAfterBeats },
  );
  const presences = openPresences(
    { peers, observe },
    { hears: (topic) => topic !== 'unheard', onDiff: (topic, diff) => diffs.push({ topic, diff }) },
    bounds,
  );
  peers.start(() => ({ users: 0, clock: presences.clock() }));
  return {
    presences,
    peers,
    diffs,
    observed,
    async close() {
      await presences.close();
      await peers.close();
    },
  };
}

const ref = expect.stringMatching(/^[\w-]{16}$/);

describe('presence on one process', () => {
  it('tells who came, who changed, who left, in the words of Phoenix', async () => {
    await using stack = new AsyncDisposableStack();
    const one = openProcess(openLocalFanout(), { sharesDatabase: false });
    stack.defer(one.close);
    expect(one.presences.track('room', '1', 'ann', { mood: 'fine' })).toBe('tracked');
    expect(one.presences.track('room', '2', 'ann', { mood: 'tired' })).toBe('tracked');
    expect(one.presences.state('room')).toEqual({
      ann: {
        metas: [
          { mood: 'fine', phx_ref: ref },
          { mood: 'tired', phx_ref: ref },
        ],
      },
    });
    const first = one.presences.state('room').ann!.metas[0]!.phx_ref;

    one.diffs.length = 0;
    one.presences.track('room', '1', 'ann', { mood: 'better' });
    expect(one.diffs).toEqual([
      {
        topic: 'room',
        diff: {
          joins: { ann: { metas: [{ mood: 'better', phx_ref: ref, phx_ref_prev: first }] } },
          leaves: { ann: { metas: [{ mood: 'fine', phx_ref: first }] } },
        },
      },
    ]);

    one.diffs.length = 0;
    one.presences.untrack('room', '1');
    one.presences.untrack('room', '2');
    one.presences.untrack('room', '3');
    await turn();
    expect(one.diffs).toHaveLength(1);
    expect(one.diffs[0]!.diff.joins).toEqual({});
    expect(one.diffs[0]!.diff.leaves.ann!.metas.map(({ mood }) => mood)).toEqual(['better', 'tired']);
    expect(one.presences.state('room')).toEqual({});
  });

  it('says nothing of what is the same as before, nor to topics that nobody hears', () => {
    const one = openProcess(openLocalFanout(), { sharesDatabase: false });
    one.presences.track('room', '1', 'ann', { a: 1, b: { c: 2 } });
    expect(one.presences.track('room', '1', 'ann', { b: { c: 2 }, a: 1 })).toBe('unchanged');
    one.presences.track('unheard', '1', 'ann', {});
    expect(one.diffs.map(({ topic }) => topic)).toEqual(['room']);
  });

  it('takes any key, and no phx_ref of a client’s own', () => {
    const one = openProcess(openLocalFanout(), { sharesDatabase: false });
    one.presences.track('room', '1', '__proto__', { phx_ref: 'mine', phx_ref_prev: 'mine' });
    const said = JSON.stringify(one.presences.state('room'));
    expect(said).toMatch(/^\{"__proto__":\{"metas":\[\{"phx_ref":"[\w-]{16}"/);
    expect(Object.keys({})).toEqual([]);
  });

  it('takes nothing that is nested without end', () => {
    const one = openProcess(openLocalFanout(), { sharesDatabase: false });
    const nested = (depth: number) => JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
    expect(one.presences.track('room', '1', 'a', nested(200))).toBe('tracked');
    expect(one.presences.track('room', '1', 'a', nested(201))).toBe('too_deep');
    expect(one.presences.track('room', '1', 'a', nested(100_000))).toBe('too_deep');
  });

  it('is bounded by topic and by bytes, and has room again for who comes after somebody left', () => {
    const one = openProcess(openLocalFanout(), {
      sharesDatabase: false,
      bounds: { perTopic: 2, bytesPerTopic: 50, totalBytes: 60 },
    });
    const { presences } = one;
    expect(presences.track('room', '1', 'a', {})).toBe('tracked');
    expect(presences.track('room', '2', 'b', {})).toBe('tracked');
    expect(presences.track('room', '3', 'c', {})).toBe('topic_full');
    expect(presences.track('room', '2', 'b', { note: 'x'.repeat(100) })).toBe('memory_full');
    expect(presences.track('room', '2', 'b', { note: 'x'.repeat(37) })).toBe('topic_full');
    expect(presences.track('room', '2', 'b', { note: 'x'.repeat(30) })).toBe('tracked');
    expect(presences.track('other', '4', 'd', { note: 'x'.repeat(30) })).toBe('memory_full');
    presences.untrack('room', '2');
    expect(presences.track('other', '4', 'd', { note: 'x'.repeat(30) })).toBe('tracked');
  });
});

describe('presence on several processes', () => {
  it('is the same on all, for whoever was there before and whoever comes later', async () => {
    await using stack = new AsyncDisposableStack();
    const fanout = openLocalFanout();
    const one = openProcess(fanout);
    const two = openProcess(fanout);
    stack.defer(one.close);
    stack.defer(two.close);
    one.presences.track('room', '1', 'ann', { at: 'one' });
    two.presences.track('room', '1', 'bob', { at: 'two' });
    await expect
      .poll(() => two.presences.state('room'))
      .toMatchObject({
        bob: { metas: [{ at: 'two', phx_ref: ref }] },
        ann: { metas: [{ at: 'one', phx_ref: ref }] },
      });
    await expect
      .poll(() => two.diffs)
      .toContainEqual({
        topic: 'room',
        diff: { joins: { ann: { metas: [{ at: 'one', phx_ref: ref }] } }, leaves: {} },
      });
    const three = openProcess(fanout);
    stack.defer(three.close);
    await expect
      .poll(() => three.presences.state('room'))
      .toEqual(expect.objectContaining({ ...one.presences.state('room') }));
    expect(one.observed).toEqual([]);
  });

  it('ends with a process that says good-bye, and with one that says nothing any more', async () => {
    await using stack = new AsyncDisposableStack();
    const fanout = openLocalFanout();
    const one = openProcess(fanout, { goneAfterBeats: 20 });
    stack.defer(one.close);
    // Its heartbeats end, as those of a process that was killed.
    let isDead = false;
    const mortal: Fanout = {
      ...fanout,
      publish: (...given) => (isDead ? Promise.resolve() : fanout.publish(...given)),
    };
    const two = openProcess(mortal);
    const three = openProcess(fanout);
    stack.defer(two.close);
    two.presences.track('room', '1', 'bob', {});
    two.presences.track('room', '2', 'bea', {});
    three.presences.track('room', '1', 'cid', {});
    await expect.poll(() => Object.keys(one.presences.state('room')).sort()).toEqual(['bea', 'bob', 'cid']);
    await three.close();
    expect(Object.keys(one.presences.state('room'))).not.toContain('cid');
    one.diffs.length = 0;
    isDead = true;
    await expect.poll(() => Object.keys(one.presences.state('room'))).toEqual([]);
    // Once for all of them.
    expect(one.diffs.map(({ diff }) => Object.keys(diff.leaves).sort())).toEqual([['bea', 'bob']]);
    // It was only asleep.
    isDead = false;
    await expect.poll(() => Object.keys(one.presences.state('room')).sort()).toEqual(['bea', 'bob']);
  });

  it('finds out what it has missed', async () => {
    await using stack = new AsyncDisposableStack();
    const fanout = openLocalFanout();
    const one = openProcess(fanout);
    stack.defer(one.close);
    let isLossy = false;
    let lost = 0;
    const lossy: Fanout = {
      ...fanout,
      async publish(channel, payload) {
        lost += 1;
        if (isLossy && lost % 3 !== 0) throw new Error('the database is away');
        await fanout.publish(channel, payload);
      },
    };
    const two = openProcess(lossy);
    stack.defer(two.close);
    isLossy = true;
    for (let at = 0; at < 50; at++) {
      two.presences.track('room', String(at), `key ${at}`, { at });
      if (at % 2 === 0) two.presences.untrack('room', String(at - 4));
      await turn();
    }
    isLossy = false;
    await expect.poll(() => one.presences.state('room')).toEqual(two.presences.state('room'));
  });

  it('does not take the others for dead while its own heartbeats do not come back', async () => {
    await using stack = new AsyncDisposableStack();
    const fanout = openLocalFanout();
    let isAway = false;
    const shared: Fanout = {
      ...fanout,
      publish: (...given) => (isAway ? Promise.reject(new Error('away')) : fanout.publish(...given)),
    };
    const one = openProcess(shared, { goneAfterBeats: 10 });
    const two = openProcess(shared, { goneAfterBeats: 10 });
    stack.defer(one.close);
    stack.defer(two.close);
    two.presences.track('room', '1', 'bob', {});
    await expect.poll(() => Object.keys(one.presences.state('room'))).toEqual(['bob']);
    isAway = true;
    await expect.poll(() => one.observed.length).toBeGreaterThan(30);
    expect(Object.keys(one.presences.state('room'))).toEqual(['bob']);
    isAway = false;
    const before = one.diffs.length;
    two.presences.track('room', '2', 'bea', {});
    await expect.poll(() => Object.keys(one.presences.state('room'))).toEqual(['bob', 'bea']);
    expect(one.diffs.slice(before).every(({ diff }) => Object.keys(diff.leaves).length === 0)).toBe(true);
  });
});
