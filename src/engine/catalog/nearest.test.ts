// In charge of: which name a hint suggests.
import { describe, expect, it } from 'vitest';
import { nearestName, rankNames } from './nearest.ts';

describe('the nearest name', () => {
  it.each([
    [['films', 'directors'], 'film', 'films'],
    [['films', 'directors'], 'Director', 'directors'],
    [['(attr, id)', '(name, param, val)'], '(nam, pqaram, vall)', '(name, param, val)'],
    [['films', 'directors'], 'noclosealternative', undefined],
    [[], 'films', undefined],
  ])('of %j to %s is %s', (names, wanted, expected) => {
    expect(nearestName(names, wanted)).toBe(expected);
  });

  it('is the name itself when it is there, and then no other', () => {
    expect(rankNames(['person', 'person_detail'], 'person')).toEqual([{ name: 'person', score: 1 }]);
  });

  it('has to be near enough', () => {
    expect(nearestName(['projects'], 'project', 0.75)).toBe('projects');
    expect(nearestName(['projects'], 'pro', 0.75)).toBe(undefined);
  });
});
