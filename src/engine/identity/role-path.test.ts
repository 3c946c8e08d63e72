// In charge of: where the role is found in a token's claims.
import { describe, expect, it } from 'vitest';
import { parseRolePath, roleAt } from './role-path.ts';

const claims = {
  role: 'plain',
  'https://app/x': { key: 'namespaced' },
  postgrest: { roles: ['other', 'author', 7, 'api_reader'], 'a-b': { c: 1 } },
  flag: true,
};

const find = (path: string) => {
  const parsed = parseRolePath(path);
  return parsed === undefined ? 'no path' : roleAt(parsed, claims);
};

describe('a path to the role', () => {
  it.each([
    ['.role', 'plain'],
    ['."https://app/x".key', 'namespaced'],
    ['.postgrest.roles[1]', 'author'],
    ['.postgrest.roles[9]', undefined],
    ['.postgrest.roles[?(@ == "author")]', 'author'],
    ['.postgrest.roles[?(@ != "other")]', 'author'],
    ['.postgrest.roles[?(@ ^== "api_")]', 'api_reader'],
    ['.postgrest.roles[?(@ ==^ "er")]', 'other'],
    ['.postgrest.roles[?(@ *== "_rea")]', 'api_reader'],
    ['.postgrest.roles[?(@ == "nobody")]', undefined],
    ['.postgrest."a-b"', '{"c":1}'],
    ['.flag', 'true'],
    ['.constructor', undefined],
    ['.role.length', undefined],
    // PostgREST 16's
    ['$.role', 'plain'],
    [`$['https://app/x'].key`, 'namespaced'],
    ['$.postgrest.roles[1]', 'author'],
    [`$.postgrest.roles[?(@ == 'author')]`, 'author'],
    [`$.postgrest.roles[?@ == "author"]`, 'author'],
    [`$.postgrest.roles[?search(@, '^api')]`, 'api_reader'],
    // None of either kind
    ['role', 'no path'],
    ['', 'no path'],
    ['$', 'no path'],
    ['.postgrest.roles[?(@ == "a")].more', 'no path'],
    ['.postgrest.roles[-1]', 'no path'],
    ['.a-b', 'no path'],
    [`$.roles[?search(@, '(')]`, 'no path'],
  ])('%s gives %s', (path, role) => {
    expect(find(path)).toBe(role);
  });
});
