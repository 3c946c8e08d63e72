// In charge of: showing who counts as one caller.
import { expect, it } from 'vitest';
import { user } from '../../../../test/harness/changes.ts';
import { claimsKey } from './claims.ts';
import type { RoleFacts } from './facts.ts';

const reading = (...claims: string[]) => ({ claims }) as unknown as RoleFacts;

it('tells the same values of other claims apart', () => {
  const one = claimsKey(user('b', { client: 'a' }), reading('client', 'sub'));
  const other = claimsKey(user('a', { team: 'b' }), reading('sub', 'team'));
  expect([one, other]).toEqual(['[["client","a"],["sub","b"]]', '[["sub","a"],["team","b"]]']);
});

it('takes those as one who have the same in all that can be read', () => {
  const key = (more: object) => claimsKey(user('a', { ...more }), reading('sub', 'team'));
  expect(key({ email: 'x' })).toBe(key({ email: 'y' }));
  expect(key({ team: null })).not.toBe(key({}));
});
