// In charge of: that turns come in order, each key by itself, and that nobody waits for ever.
import { describe, expect, it } from 'vitest';
import { openTurns } from './turns.ts';

const patient = 60_000;
const { signal } = new AbortController();

describe('turns', () => {
  it('come in the order in which they were wanted, one at a time', async () => {
    const turns = openTurns();
    const order: string[] = [];
    const go = async (name: string) => {
      using _ = await turns.take('token', patient, signal);
      order.push(`${name} begins`);
      await new Promise(setImmediate);
      order.push(`${name} ends`);
    };
    await Promise.all(['one', 'two', 'three'].map(go));
    expect(order).toEqual(['one begins', 'one ends', 'two begins', 'two ends', 'three begins', 'three ends']);
  });

  it('of another key are not waited for', async () => {
    const turns = openTurns();
    using _ = await turns.take('one', patient, signal);
    using other = await turns.take('two', patient, signal);
    expect(other).toBeDefined();
  });

  it('are taken all the same when the one before does not end in time', async () => {
    const turns = openTurns();
    using stuck = await turns.take('token', patient, signal);
    using next = await turns.take('token', 1, signal);
    expect(next).not.toBe(stuck);
  });

  it('are not waited for by who is stopped, and whoever comes behind gets theirs', async () => {
    const turns = openTurns();
    const first = await turns.take('token', patient, signal);
    const stopping = new AbortController();
    const second = turns.take('token', patient, stopping.signal);
    const third = turns.take('token', patient, signal);
    stopping.abort(new Error('stopping'));
    await expect(second).rejects.toThrow('stopping');
    using _ = await third;
    first[Symbol.dispose]();
  });
});
