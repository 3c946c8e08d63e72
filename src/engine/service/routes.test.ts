// In charge of: the test of the table of routes.
import { describe, expect, it } from 'vitest';
import { openRoutes } from './routes.ts';

const find = openRoutes([
  { method: 'GET', pattern: '/users', handle: 'list' },
  { method: 'POST', pattern: '/users', handle: 'create' },
  { method: 'GET', pattern: '/users/me', handle: 'me' },
  { method: 'GET', pattern: '/users/:id', handle: 'get' },
  { method: 'DELETE', pattern: '/users/:id/factors/:factor', handle: 'drop' },
  { method: 'GET', pattern: '/object/:bucket/*', handle: 'file' },
]);

describe('a table of routes', () => {
  it.each([
    ['GET', '/users', { handle: 'list', params: {} }],
    ['GET', '/users/', { handle: 'list', params: {} }],
    ['POST', '/users', { handle: 'create', params: {} }],
    ['GET', '/users/me', { handle: 'me', params: {} }],
    ['GET', '/users/a%20b', { handle: 'get', params: { id: 'a b' } }],
    ['DELETE', '/users/1/factors/2', { handle: 'drop', params: { id: '1', factor: '2' } }],
    ['GET', '/object/b/a/c%2Fd.png', { handle: 'file', params: { bucket: 'b', rest: 'a/c/d.png' } }],
  ])('answers %s %s', (method, path, expected) => {
    expect(find(method, path)).toEqual({ kind: 'route', ...expected });
  });

  it.each([['/'], ['/user'], ['/users//'], ['/users/1/factors'], ['/users/%E0%A4%A'], ['/object/b'], ['']])(
    'has nothing at %j',
    (path) => {
      expect(find('GET', path)).toEqual({ kind: 'nothing' });
    },
  );

  it('says which methods a path has', () => {
    expect(find('PUT', '/users')).toEqual({ kind: 'wrong_method', allowed: ['GET', 'POST'] });
    expect(find('PUT', '/users/7')).toEqual({ kind: 'wrong_method', allowed: ['GET'] });
  });
});
