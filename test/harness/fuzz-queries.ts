// In charge of: what stands in the line and the headers of a fuzz's requests: queries, preferences, media types, and texts that belong nowhere.
import { tables } from './fuzz-project.ts';
import type { Random } from './random.ts';

const operators = [
  'eq',
  'neq',
  'gt',
  'gte',
  'lt',
  'lte',
  'like',
  'ilike',
  'match',
  'imatch',
  'in',
  'is',
  'isdistinct',
  'fts',
  'plfts',
  'phfts(english)',
  'wfts',
  'cs',
  'cd',
  'ov',
  'sl',
  'sr',
  'nxr',
  'nxl',
  'adj',
  'not.eq',
  'eq(any)',
  'like(all)',
  'none',
]; // prettier-ignore

/** With its question mark; empty when there is nothing to ask. */
export function queryText(random: Random, columns: readonly string[], method: string): string {
  const pairs: string[] = [];
  const column = () => (random.chance(0.95) ? escaped(random, random.pick(columns)) : strangeText(random));
  const value = () =>
    random.weighted<string>([
      [4, () => String(random.whole(-1, 400))],
      [2, () => `(${random.several(0, 4, () => random.whole(0, 400)).join(',')})`],
      [
        1,
        () =>
          random.pick([
            'null',
            'true',
            'unknown',
            'not_null',
            '*book*',
            '{a,b}',
            '[1,5)',
            '{"pages":1}',
            '2026-01-01',
          ]),
      ],
      [1, () => escaped(random, strangeText(random))],
    ]);
  const filter = () => `${column()}=${random.pick(operators)}.${value()}`;
  const logic = (depth: number): string =>
    `${random.pick(['and', 'or', 'not.and', 'not.or'])}(${random
      .several(0, 3, () => (depth > 0 && random.chance(0.3) ? logic(depth - 1) : filter().replace('=', '.')))
      .join(',')})`;
  if (random.chance(0.5)) pairs.push(`select=${selectText(random, columns, 2)}`);
  // A write without a filter would leave nothing to ask for.
  const isNarrow = method === 'PATCH' || method === 'DELETE';
  if (isNarrow && random.chance(0.95)) pairs.push(`${columns[0]}=eq.${random.whole(0, 400)}`);
  pairs.push(...random.several(0, 2, filter));
  if (random.chance(0.15)) pairs.push(logic(3).replace('(', '=('));
  if (random.chance(0.25))
    pairs.push(
      `order=${column()}${random.pick(['', '.desc', '.asc.nullslast', '.x', '.desc.nullsfirst,id'])}`,
    );
  if (random.chance(0.25)) pairs.push(`limit=${random.pick(['0', '1', '20', '-1', 'x', '99999999999'])}`);
  if (random.chance(0.15)) pairs.push(`offset=${random.pick(['0', '5', '1000000', '-1'])}`);
  if (random.chance(0.1)) pairs.push(`on_conflict=${column()}`);
  if (random.chance(0.1)) pairs.push(`columns=${column()},${column()}`);
  if (random.chance(0.1))
    pairs.push(`${random.pick(['authors', 'loans', 'books', 'a', 'loans.books'])}.${filter()}`);
  if (random.chance(0.02)) pairs.push(`apikey=${strangeText(random)}`);
  if (random.chance(0.01))
    pairs.push(`title=in.(${Array.from({ length: random.whole(500, 4000) }, (_, at) => at).join(',')})`);
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function selectText(random: Random, columns: readonly string[], depth: number): string {
  return random
    .several(1, 4, () =>
      random.weighted<string>([
        [6, () => escaped(random, random.pick(columns))],
        [1, () => '*'],
        [1, () => `${random.pick(columns)}::${random.pick(['text', 'int', 'json', 'none', 'bytea'])}`],
        [1, () => `alias${random.whole(0, 9)}:${random.pick(columns)}`],
        [1, () => `facts->${random.pick(['pages', '>pages', 'deep->0', '>', '-1'])}`],
        [1, () => random.pick(['count()', 'id.sum()', 'year.avg()::int', 'title.max()', 'id.none()'])],
        [1, () => 'title_length'],
        [
          depth > 0 ? 3 : 0,
          () => {
            const name = random.pick([
              'authors',
              'loans',
              'books',
              'a:authors',
              'author_id',
              '...authors',
              'sealed',
              'loans!inner',
              'authors!left',
              'none',
            ]);
            return `${name}(${selectText(random, random.pick(Object.values(tables)), depth - 1)})`;
          },
        ],
        [0.3, () => strangeText(random)],
      ]),
    )
    .join(',');
}

export function prefer(random: Random): string {
  return random
    .several(1, 4, () =>
      random.pick([
        'return=representation',
        'return=minimal',
        'return=headers-only',
        'count=exact',
        'count=planned',
        'count=estimated',
        'resolution=merge-duplicates',
        'resolution=ignore-duplicates',
        'missing=default',
        'handling=strict',
        'handling=lenient',
        'tx=rollback',
        'tx=commit',
        'max-affected=1',
        'timezone=Europe/Berlin',
        'timezone=Nowhere',
        'params=single-object',
        'x',
      ]),
    )
    .join(', '); // prettier-ignore
}

export function accept(random: Random): string {
  return random.pick([
    'application/json',
    '*/*',
    'text/csv',
    'application/vnd.pgrst.object+json',
    'application/vnd.pgrst.array+json',
    'application/vnd.pgrst.object+json;nulls=stripped',
    'application/geo+json',
    'application/octet-stream',
    'text/plain',
    'application/openapi+json',
    'application/vnd.pgrst.plan+json; for="application/json"; options=analyze|verbose',
    'text/xml',
    'application/json;q=0.1, text/csv;q=0.9',
    'x',
    ';',
    'a/b;c="',
    ',,,',
  ]); // prettier-ignore
}

export function bodyType(random: Random): string {
  return random.pick([
    'application/json',
    'application/json',
    'application/json',
    'application/json; charset=latin1',
    'text/csv',
    'application/x-www-form-urlencoded',
    'application/octet-stream',
    'text/plain',
    'text/xml',
    'multipart/form-data; boundary=x',
    'x',
    ';;',
  ]); // prettier-ignore
}

const strange = [
  "'",
  '"',
  "';drop table public.sealed;--",
  '$1',
  '\\',
  '%00',
  '%',
  '%ff',
  '%zz',
  '/*',
  '..',
  '//',
  '(',
  ')',
  ',',
  '.',
  '::',
  '->>',
  '!inner',
  '...',
  'é\u2603',
  '\u{1f600}',
  '\x7f',
  '\x80',
  'null',
  '{}',
  '*',
  '&',
  '=',
  'eq.',
  '99999999999999999999',
  '__proto__',
  'constructor',
  'a b',
  '\t',
]; // prettier-ignore

export function strangeText(random: Random): string {
  return random
    .several(0, 4, () => (random.chance(0.05) ? 'x'.repeat(random.pick([300, 5000])) : random.pick(strange)))
    .join('');
}

/** Mostly as a client escapes it. */
export function escaped(random: Random, text: string): string {
  return random.chance(0.9) ? encodeURIComponent(text.toWellFormed()) : text;
}
