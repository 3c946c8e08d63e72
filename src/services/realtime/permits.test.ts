// In charge of: whose turn it is.
import { expect, it } from 'vitest';
import { openPermits } from './permits.ts';

it('goes round among those who wait, so that who asks for much waits behind who asks for little', async () => {
  const permits = openPermits(1);
  const done: string[] = [];
  const work = (by: string, name: string) =>
    permits.run(async () => {
      done.push(name);
    }, by);
  await Promise.all([
    work('a', 'a1'),
    work('a', 'a2'),
    work('a', 'a3'),
    work('b', 'b1'),
    permits
      .run(async () => {
        done.push('c1');
        throw new Error('it fails');
      }, 'c')
      .catch(() => {}),
    work('a', 'a4'),
    work('b', 'b2'),
  ]);
  expect(done).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
});
