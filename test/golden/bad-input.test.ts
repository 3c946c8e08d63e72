// In charge of: that no request whatever breaks the Data API: each gets an answer of the protocol, and none changes what it may not.
// `SEED=42 npm test` sends the same requests again.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataApi, openDataApi } from './harness.ts';

const seed = process.env.SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.SEED);
process.stderr.write(`SEED=${seed}\n`);

/** What Postgres itself refuses with a code that the protocol answers as 5xx: too deep or too long for it, or a subquery with two rows. */
const serverCodes = /^(21000|40001|40P01|53\d\d\d|54\w{3}|55\w{3}|57014|XX\w{3})$/;

let api: DataApi;
beforeAll(async () => {
  api = await openDataApi(() => {});
  await api.test.run('revoke all on public.authors from anon; grant select on public.authors to anon');
});
afterAll(() => api?.[Symbol.asyncDispose]());

const names = [
  'books',
  'authors',
  'readers',
  'loans',
  'old_books',
  'id',
  'title',
  'author_id',
  'tags',
  'facts',
  'rpc/add',
  '*',
];
const injected = [
  "'",
  '"',
  "';drop table public.books;--",
  '");delete from public.books;--',
  '$1',
  '\\',
  '\0',
  '%00',
  '/*',
  '--',
];
const word = fc.oneof(
  fc.constantFrom(...names),
  fc.constantFrom(...injected),
  fc.constantFrom(
    'select',
    'order',
    'limit',
    'offset',
    'and',
    'or',
    'not.and',
    'columns',
    'on_conflict',
    'eq',
    'in',
    'is',
    'cs',
  ),
  fc.constantFrom(
    '(',
    ')',
    ',',
    '.',
    ':',
    '::',
    '->',
    '->>',
    '!inner',
    '...',
    'count()',
    '1',
    '-1',
    '99999999999999999999',
    'null',
    '{}',
  ),
  fc.string({ maxLength: 5, unit: 'binary' }),
);
const text = fc.array(word, { maxLength: 8 }).map((parts) => parts.join(''));
const escaped = fc.oneof(
  text.map((part) => encodeURIComponent(part.toWellFormed())),
  text.map((part) => part.replace(/[\s#?&\0]/g, '')),
);
const query = fc
  .array(
    fc.tuple(escaped, escaped).map(([key, value]) => `${key}=${value}`),
    { maxLength: 4 },
  )
  .map((pairs) => pairs.join('&'));
const headerText = text.map((part) => part.replace(/[^\x20-\x7e]/g, '').trim());
const request = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS', 'LINK'),
  path: fc.oneof(
    fc.constantFrom('/books', '/authors', '/rpc/add', '/rpc/books_by', '/'),
    escaped.map((part) => `/${part}`),
  ),
  query,
  accept: fc.option(
    fc.oneof(headerText, fc.constantFrom('text/csv', 'application/vnd.pgrst.object+json', '*/*')),
    { nil: undefined },
  ),
  prefer: fc.option(
    fc.oneof(
      headerText,
      fc.constantFrom(
        'count=exact',
        'return=representation',
        'resolution=merge-duplicates,missing=default',
        'count=estimated',
      ),
    ),
    { nil: undefined },
  ),
  range: fc.option(fc.oneof(headerText, fc.constantFrom('0-1', '5-2', '-')), { nil: undefined }),
  type: fc.option(
    fc.constantFrom(
      'application/json',
      'text/csv',
      'application/x-www-form-urlencoded',
      'text/plain',
      'application/octet-stream',
      'nonsense',
    ),
    { nil: undefined },
  ),
  body: fc.oneof(
    fc.json(),
    text,
    fc.constantFrom('[{"id":1,"title":"x"}]', '{"a":1}', '{"a":"\\u0000"}', '[[]]', '{}', '[{}]'),
  ),
});

describe('any request', () => {
  it('gets an answer of the protocol, and leaves what it may not write', async () => {
    const rows =
      'select (select count(*) from public.books) as books, (select count(*) from public.authors) as authors';
    const before = await api.test.run(rows);
    await fc.assert(
      fc.asyncProperty(request, async ({ method, path, query: asked, accept, prefer, range, type, body }) => {
        // `/..` leaves the Data API, as every client reads it.
        fc.pre(new URL(`http://localhost/rest/v1${path}`).pathname.startsWith('/rest/v1'));
        const headers = new Headers();
        for (const [name, value] of Object.entries({ accept, prefer, range, 'content-type': type })) {
          if (value) headers.set(name, value);
        }
        const hasBody = method !== 'GET' && method !== 'HEAD';
        const response = await api.request(`${path}?${asked}`, {
          method,
          headers,
          ...(hasBody ? { body } : {}),
        });
        if (response.status < 400) return;
        expect(response.headers.get('proxy-status')).toMatch(/^PostgREST; error=\w+$/);
        if (method === 'HEAD') return;
        const { code, message } = (await response.json()) as { code: string; message: string };
        expect(message).not.toBe('');
        if (response.status >= 500) expect(code).toMatch(serverCodes);
      }),
      { seed, numRuns: 1500 },
    );
    expect(await api.test.run(rows)).toEqual(before);
  });
});

describe('a change of the schema', () => {
  it('is seen after a reload, also by requests whose plan was kept', async () => {
    const ask = async () => (await api.request('/authors?id=eq.1')).json();
    expect(await ask()).toEqual([{ id: 1, name: 'Ursula', born: '1929-10-21' }]);
    await api.test.run('alter table public.authors drop column born');
    await api.reload();
    expect(await ask()).toEqual([{ id: 1, name: 'Ursula' }]);
    expect((await api.request('/authors?born=is.null')).status).toBe(400);
  });
});
