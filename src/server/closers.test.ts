// In charge of: everything is closed, in its order, whatever becomes of one part.
import { expect, it } from 'vitest';
import { openClosers } from './closers.ts';

it('closes the last first, and goes on where one fails or does not end', async () => {
  const said: string[] = [];
  const closed: string[] = [];
  const closers = openClosers(({ kind }) => said.push(kind));
  closers.add(async () => void closed.push('first'), Number.POSITIVE_INFINITY);
  closers.add(() => new Promise(() => {}), 10);
  closers.add(() => Promise.reject(new Error('broken')));
  closers.add(async () => void closed.push('last'));
  await closers.closeAll();
  await closers.closeAll();
  expect(closed).toEqual(['last', 'first']);
  expect(said).toEqual(['stop.failed', 'stop.stuck']);
});
