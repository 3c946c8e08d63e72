// In charge of: showing that what is passed on to other processes keeps its order and its bounds.
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Fanout, openLocalFanout } from '../../engine/db/fanout.ts';
import { openRelay } from './relay.ts';

/** Each message takes its time to be written down, and a later one less. */
function slowFanout() {
  const fanout = openLocalFanout();
  const published: { by: string; items: { n: number }[] }[] = [];
  let turns = 5;
  let isAway = false;
  const slow: Fanout = {
    ...fanout,
    async publish(_channel, payload) {
      for (let left = turns--; left > 0; left--) await turn();
      if (isAway) throw new Error('the database is away');
      const { by, items } = payload as { by: string; items: string };
      published.push({ by, items: JSON.parse(items) });
    },
  };
  return { slow, published, setAway: (away: boolean) => (isAway = away) };
}

describe('what is passed on to other processes', () => {
  it('keeps its order, and goes together while one is on its way', async () => {
    const { slow, published } = slowFanout();
    const relay = openRelay({ fanout: slow, observe: () => {} }, 'c', 'me');
    for (let n = 0; n < 5; n++) relay.pass({ n }, 10);
    await relay.close();
    expect(published).toEqual([
      { by: 'me', items: [{ n: 0 }] },
      { by: 'me', items: [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }] },
    ]);
  });

  it('is cut into messages of a bounded size', async () => {
    const { slow, published } = slowFanout();
    const relay = openRelay({ fanout: slow, observe: () => {} }, 'c', 'me');
    for (let n = 0; n < 7; n++) relay.pass({ n }, n === 6 ? 1_000_000 : 100_000);
    await relay.close();
    expect(published.map(({ items }) => items.map(({ n }) => n))).toEqual([[0], [1, 2], [3, 4], [5], [6]]);
  });

  it('has a bound, and says what was lost', async () => {
    const { slow, published, setAway } = slowFanout();
    const observed: unknown[] = [];
    const relay = openRelay({ fanout: slow, observe: (event) => observed.push(event) }, 'c', 'me');
    for (let n = 0; n < 20; n++) relay.pass({ n }, 1_000_000);
    await relay.close();
    // Sixteen wait, and one is on its way.
    expect(published.flatMap(({ items }) => items.map(({ n }) => n))).toEqual(
      Array.from({ length: 17 }, (_, n) => n),
    );
    // The first at once, and the others together.
    const kind = 'realtime.not_passed_on';
    expect(observed).toMatchObject([
      { kind, lost: 1 },
      { kind, lost: 2 },
    ]);
    setAway(true);
    relay.pass({ n: 20 }, 10);
    await relay.close();
    setAway(false);
    relay.pass({ n: 21 }, 10);
    await relay.close();
    expect(observed).toMatchObject([{}, {}, { lost: 1, message: 'the database is away' }]);
    expect(published.at(-1)).toEqual({ by: 'me', items: [{ n: 21 }] });
  });
});
