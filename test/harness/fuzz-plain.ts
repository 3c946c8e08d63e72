// In charge of: the requests of a fuzz that are as they should be: without them the strange ones would find nothing at work beside them.
import type { Draft } from './fuzz-frames.ts';
import type { RequestFacts } from './fuzz-requests.ts';
import type { Random } from './random.ts';

/** A request of the Data API that is answered 2xx while nothing is amiss, and now and then its refused twin. */
export function plainRequest(random: Random, facts: RequestFacts): Draft {
  const [method, path, body, headers = {}] = random.weighted<Plain>([
    [8, () => ['GET', read(random)]],
    [
      2,
      () => [
        'GET',
        read(random),
        undefined,
        { prefer: `count=${random.pick(['exact', 'planned', 'estimated'])}` },
      ],
    ],
    [1, () => ['GET', read(random), undefined, { accept: 'text/csv' }]],
    [1, () => ['HEAD', read(random), undefined, { prefer: 'count=exact' }]],
    [3, () => ['POST', '/books', rows(random), writing(random)]],
    [1, () => ['POST', '/books?columns=title,year', rows(random), { prefer: 'missing=default' }]],
    [
      2,
      () => [
        'POST',
        '/books?on_conflict=title,year',
        rows(random),
        { prefer: `resolution=${random.pick(['merge', 'ignore'])}-duplicates,return=representation` },
      ],
    ],
    [
      3,
      () => [
        'PATCH',
        `/books?id=eq.${bookId(random)}`,
        { facts: { turn: random.whole(0, 1e6) } },
        writing(random),
      ],
    ],
    [1, () => ['DELETE', `/books?id=gt.1000&year=eq.${random.whole(0, 3000)}`, undefined, writing(random)]],
    [
      1,
      () => {
        const id = bookId(random);
        return [
          'PUT',
          `/loans?book_id=eq.${id}&reader=eq.${nobody}`,
          { book_id: id, reader: nobody, since: '2026-01-01' },
        ];
      },
    ],
    [2, () => forbidden(random)],
    [3, () => ['GET', call(random)]],
    [2, () => ['POST', '/rpc/add', { a: random.whole(0, 1e6), b: 1 }]],
    [1, () => ['POST', '/rpc/rename_books?select=id,title', { word: `word ${random.whole(0, 1e6)} ` }]],
    [
      1,
      () => [
        'POST',
        '/',
        [
          { method: 'GET', path: `/books?id=eq.${bookId(random)}` },
          { method: 'PATCH', path: `/books?id=eq.${bookId(random)}`, body: { facts: null } },
          { method: 'POST', path: '/rpc/add', body: { a: 1 } },
        ],
      ],
    ],
    [
      1,
      () => [
        'GET',
        '/',
        undefined,
        { accept: random.pick(['application/openapi+json', 'application/json']) },
      ],
    ],
    [
      1,
      () => [
        'OPTIONS',
        '/books',
        undefined,
        { origin: 'https://example.com', 'access-control-request-method': 'POST' },
      ],
    ],
  ]);
  const { keys, tokens } = facts.credentials;
  const all: [string, string][] = [
    ['host', facts.host],
    ['apikey', random.pick(keys)],
    ...Object.entries(headers),
  ];
  if (random.chance(0.3)) all.push(['authorization', `Bearer ${tokens[0]}`]);
  if (body !== undefined) all.push(['content-type', 'application/json']);
  return {
    kind: 'rest',
    method,
    target: `/rest/v1${path}`,
    headers: all,
    body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
  };
}

type Plain = readonly [
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
];

const nobody = '00000000-0000-4000-8000-000000000000';
const bookId = (random: Random) => random.whole(1, 300);

/** A shape in a few variants, each with values of its own, as an application asks. */
function read(random: Random): string {
  const id = bookId(random);
  return random.pick([
    `/books?id=eq.${id}`,
    `/books?select=id,title,author:authors(name)&id=in.(${id},${id + 1})`,
    `/books?select=id,...authors(writer:name),loans(reader)&author_id=eq.${id % 20}&order=title.desc&limit=5`,
    `/books?select=id,pages:facts->pages&facts->>pages=eq.${id}`,
    `/books?or=(id.eq.${id},and(year.gte.1900,title.like.book%20${id}*))&limit=20&offset=${id % 7}`,
    `/books?title=ilike.*${id}*&tags=cs.{}&select=id,title_length&limit=10`,
    `/authors?select=id,name,books(id,title)&books.order=id&books.limit=2&id=lte.${id % 20}`,
    `/authors?select=name,books!inner(id)&books.id=lt.${id}&limit=3`,
    `/loans?select=book_id,since,books(title)&book_id=lt.${id}`,
    `/old_books?id=gt.${id}&select=*&order=id.asc.nullslast&limit=4`,
    `/odd%20name%2C%20(it%27s)?select="a.b","c,d"&"a.b"=lt.${id}`,
    `/sealed?id=eq.${id % 100}`,
    '/diary?select=id&limit=1',
  ]);
}

function call(random: Random): string {
  const number = bookId(random);
  return random.pick([
    `/rpc/add?a=${number}&b=2`,
    `/rpc/books_by?writer=author%20${number % 20}&select=id,title&order=id&limit=3`,
    `/rpc/letters?count=${number * random.pick([1, 1, 1000])}`,
    `/rpc/rows_of?count=${number}&n=lt.10`,
    `/rpc/every?words={a,b}`,
    '/rpc/nap?seconds=0.02',
  ]);
}

/** As good as the others, but of rows that nobody may change. */
function forbidden(random: Random): Plain {
  const id = random.whole(1, 100);
  return random.pick<Plain>([
    ['POST', '/sealed', { id: id + 1000, word: 'new' }],
    ['PATCH', `/sealed?id=eq.${id}`, { word: 'changed' }],
    ['DELETE', `/sealed?id=eq.${id}`],
    ['POST', '/sealed?on_conflict=id', { id, word: 'changed' }, { prefer: 'resolution=merge-duplicates' }],
    ['PATCH', `/authors?id=lt.${id}`, { name: 'changed' }],
    ['PATCH', `/diary?id=eq.${id}`, { page: 'changed' }],
    ['DELETE', `/diary?id=eq.${id}`],
    ['PATCH', `/safe?id=eq.${id}`, { word: 'changed' }, { 'content-profile': 'hidden' }],
    ['POST', '/', [{ method: 'PATCH', path: `/sealed?id=eq.${id}`, body: { word: 'changed' } }]],
  ]);
}

function rows(random: Random): unknown {
  const row = () => ({
    title: `written ${random.whole(0, 1e9)}`,
    year: random.whole(0, 3000),
    author_id: random.whole(1, 20),
  });
  return random.chance(0.5) ? row() : random.several(1, 20, row);
}

function writing(random: Random): Readonly<Record<string, string>> {
  return random.pick<Readonly<Record<string, string>>>([
    {},
    { prefer: 'return=representation' },
    { prefer: 'return=minimal, count=exact' },
  ]);
}
