// In charge of: `POST /` with a list of requests: all of them, or none.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataApi, openDataApi } from './harness.ts';

let api: DataApi;
beforeAll(async () => {
  api = await openDataApi(() => {}, { txEnd: 'commit' });
});
afterAll(() => api?.[Symbol.asyncDispose]());

async function batch(items: unknown, headers: Record<string, string> = {}) {
  const response = await api.request('/', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(items),
  });
  return { status: response.status, body: (await response.json()) as unknown };
}

const titles = () => api.test.run('select title from public.books order by id');

describe('POST /', () => {
  it('answers each request; reads see earlier writes', async () => {
    const items = [
      {
        method: 'POST',
        path: '/books',
        body: { id: 50, title: 'Roadside Picnic' },
        headers: { Prefer: 'return=representation' },
      },
      { method: 'GET', path: '/books?select=title&id=eq.50' },
      { method: 'PATCH', path: '/books?id=eq.50', body: { year: 1972 } },
      { method: 'POST', path: '/rpc/add', body: { a: 1, b: 2 } },
    ];
    const { status, body } = await batch(items);
    expect(status).toBe(200);
    expect(body).toMatchObject([
      { status: 201, body: [{ id: 50, title: 'Roadside Picnic' }] },
      { status: 200, body: [{ title: 'Roadside Picnic' }], headers: { 'content-range': '0-0/*' } },
      { status: 204, body: null },
      { status: 200, body: 3 },
    ]);
    expect(await titles()).toContainEqual({ title: 'Roadside Picnic' });
  });

  it.each([
    ['the database', { method: 'POST', path: '/books', body: { id: 1, title: 'Taken' } }, 409, '23505'],
    ['a read that writes', { method: 'GET', path: '/rpc/rename_books' }, 405, '25006'],
    ['planning', { method: 'GET', path: '/nowhere' }, 404, 'PGRST205'],
    [
      'a look at the rows',
      {
        method: 'PATCH',
        path: '/books',
        body: { year: 1 },
        headers: { Prefer: 'handling=strict, max-affected=1' },
      },
      400,
      'PGRST124',
    ],
  ])('applies nothing when one is refused by %s, and says which', async (_, refused, status, code) => {
    const before = await titles();
    const items = [{ method: 'DELETE', path: '/books?id=eq.3' }, refused, { method: 'GET', path: '/books' }];
    expect(await batch(items)).toMatchObject({ status, body: { code, index: 1 } });
    expect(await titles()).toEqual(before);
  });

  it.each([
    ['no list', {}, 'A batch is a list of requests: [{"method", "path", "headers", "body"}]'],
    [
      'too many',
      Array(101).fill({ method: 'GET', path: '/books' }),
      'A batch holds at most 100 requests, this one 101',
    ],
    ['another batch', [{ method: 'POST', path: '/' }], 'Request 0 of the batch is a batch'],
    [
      'no path',
      [{ method: 'GET' }],
      'Request 0 of the batch needs a "method" and a "path" that begins with a slash',
    ],
  ])('refuses %s', async (_, items, message) => {
    expect(await batch(items)).toEqual({
      status: 400,
      body: { code: 'PGRST102', details: null, hint: null, message },
    });
  });
});
