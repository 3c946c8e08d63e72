// In charge of: the house rules as a test.
import { expect, test } from 'vitest';
import { findComplaints } from '../tools/tidy.ts';

test('the tree keeps the house rules', () => {
  expect(findComplaints()).toEqual([]);
});
