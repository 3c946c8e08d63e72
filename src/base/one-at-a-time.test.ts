// In charge of: what callers of one piece of work may count on.
import { expect, it } from 'vitest';
import { oneAtATime } from './one-at-a-time.ts';

/** Work that ends when it is told to, and counts its runs. */
function open() {
  const ends: ((error?: Error) => void)[] = [];
  const run = oneAtATime(
    () =>
      new Promise((resolve, reject) => {
        ends.push((error) => (error ? reject(error) : resolve()));
      }),
  );
  return { run, ends };
}

it('runs once for the first, and once more for all who call meanwhile', async () => {
  const { run, ends } = open();
  const first = run();
  const others = [run(), run(), run()];
  expect(ends).toHaveLength(1);
  ends[0]!();
  await first;
  await expect.poll(() => ends.length).toBe(2);
  ends[1]!();
  await Promise.all(others);
  expect(ends).toHaveLength(2);
});

it('tells each caller how its own run ended', async () => {
  const { run, ends } = open();
  const first = run();
  const second = run();
  ends[0]!(new Error('the first'));
  await expect(first).rejects.toThrow('the first');
  await expect.poll(() => ends.length).toBe(2);
  ends[1]!();
  await expect(second).resolves.toBeUndefined();
});

it('is settled when neither a run nor one that waits is left', async () => {
  const { run, ends } = open();
  run().catch(() => {});
  const second = run();
  let isSettled = false;
  const settled = run.settled().then(() => {
    isSettled = true;
  });
  ends[0]!(new Error('over'));
  await expect.poll(() => ends.length).toBe(2);
  expect(isSettled).toBe(false);
  ends[1]!();
  await Promise.all([second, settled]);
});
