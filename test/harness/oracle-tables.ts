// In charge of: the tables of the oracle's world: of many kinds, with the policies that they begin with, those that may come, filters, and random
// statements.
import type { Random } from './random.ts';

export interface OracleTable {
  readonly name: string;
  readonly columns: string;
  /** Policies, on `%t`. */
  readonly policies: readonly string[];
  /** What policies that come later may say; they read something beside the key, and no column that comes and goes. */
  readonly conditions: readonly string[];
  readonly after?: string;
  readonly filters: readonly Filter[];
  readonly insert: (random: Random, names: Names) => string;
  readonly update: (random: Random, names: Names) => string;
  readonly where: (random: Random, names: Names) => string;
}

export interface Filter {
  readonly text: string;
  /** Its values in quotes, so that they are of whatever type the column has by then. */
  readonly sql: string;
}

/** What a table and its columns are called by now. */
export interface Names {
  readonly table: string;
  column(first: string): string;
}

/** `@n` in a text is what the column is called now that was `n` at first. */
export const named = (text: string, names: Names) =>
  text.replace(/@(\w+)/g, (_, first: string) => names.column(first));

export const columnsOfFilter = ({ text }: Filter): readonly string[] =>
  [...text.matchAll(/(?:^|,)(\w+)=/g)].map(([, name]) => name!);

export const users = Array.from({ length: 8 }, (_, at) => `00000000-0000-4000-8000-00000000000${at}`);
export const uuid = (random: Random) => `'${random.pick(users)}'`;
export const word = (random: Random) =>
  `'${random.pick(['red', 'green', 'Blue', "o''clock", 'a,b', '', 'ünï'])}'`;

export const tables: readonly OracleTable[] = [
  {
    name: 'every_type',
    columns: `id bigint primary key, owner uuid, n integer, word text, ci varchar(20), ok boolean, price numeric(12, 3), f double precision,
      at timestamptz, day date, tags text[], doc jsonb, raw json, bytes bytea, mood every_mood, pair every_pair, span int4range, net inet,
      score every_score, grid integer[], twice integer generated always as (n * 2) stored`,
    policies: [
      `create policy own on %t for select to authenticated using ((select auth.uid()) = owner)`,
      `create policy red on %t for select to authenticated using (word = 'red' and (auth.jwt() ->> 'team') = 'a')`,
      `create policy anyone on %t for select to anon using (ok and n % 2 = 0 and doc @> '{"public": true}')`,
      `create policy not_negative on %t as restrictive for select to authenticated using (n >= -5)`,
    ],
    conditions: [
      'owner = auth.uid()',
      `n > 30`,
      `word = 'red' and (auth.jwt() ->> 'team') = 'a'`,
      'fussy(n)',
      'fussy(n) or ok',
      'true',
    ],
    filters: [
      { text: 'word=eq.red', sql: `word = 'red'` },
      { text: 'word=in.(red,green)', sql: `word in ('red', 'green')` },
      { text: 'word=not.like.%e%', sql: `word not like '%e%'` },
      { text: 'word=ilike.b%', sql: `word ilike 'b%'` },
      { text: 'n=gte.0,n=lt.50', sql: `n >= '0' and n < '50'` },
      { text: 'ok=is.null', sql: `ok is null` },
      { text: 'ok=not.is.true', sql: `ok is not true` },
      { text: 'price=gt.10.5', sql: `price > '10.5'` },
      { text: 'day=lt.2026-06-01', sql: `day < '2026-06-01'` },
      { text: 'mood=isdistinct.happy', sql: `mood is distinct from 'happy'` },
      { text: 'ci=match.^g', sql: `ci ~ '^g'` },
      { text: `owner=eq.${users[1]}`, sql: `owner = '${users[1]}'` },
      { text: 'twice=eq.4', sql: `twice = '4'` },
      { text: 'score=lte.5', sql: `score <= '5'` },
    ],
    insert: (random) =>
      `insert into every_type (id, owner, n, word, ci, ok, price, f, at, day, tags, doc, raw, bytes, mood, pair, span, net, score, grid) values
        ((select coalesce(max(id), 0) + 1 from every_type), ${random.chance(0.9) ? uuid(random) : 'null'}, ${random.whole(-9, 99)}, ${word(random)}, ${word(random)},
        ${random.pick(['true', 'false', 'null'])}, ${random.pick(['1.5', '10.5', '99999.125', 'null', `'NaN'`])}, ${random.pick(['0.1', '1e20', `'Infinity'`, 'null'])},
        ${random.pick([`'2026-03-04 05:06:07.89+02'`, `'infinity'`, `'0044-03-15 12:00:00+00 BC'`, 'null'])}, ${random.pick([`'2026-02-03'`, `'2026-08-03'`, 'null'])},
        ${random.pick([`'{a,"b,c",NULL}'`, `'{}'`, `array['x"y', 'z\\w']`, 'null'])}, ${random.pick([`'{"public": true, "a": [1, null]}'`, `'{"public": false}'`, 'null', `'"x"'`])},
        ${random.pick([`'{"a" : 1 ,\n "b":"ü"}'`, 'null'])}, ${random.pick([`'\\xdeadbeef'`, 'null'])}, ${random.pick([`'happy'`, `'sad'`, 'null'])},
        ${random.pick([`row(1, 'x"y')`, `row(null, '')`, 'null'])}, ${random.pick([`'[1,5)'`, `'empty'`, 'null'])}, ${random.pick([`'10.0.0.1/8'`, 'null'])},
        ${random.pick(['1', '7', 'null'])}, ${random.pick([`'{{1,2},{3,4}}'`, `'[0:1]={5,6}'`, 'null'])})`,
    update: (random) =>
      `update every_type set ${random.pick([`n = ${random.whole(-9, 99)}`, `owner = ${uuid(random)}`, `word = ${word(random)}`, `ok = not ok`, `id = id + 100000`, `tags = tags || array['q']`])}`,
    where: (random) =>
      `where id in (select id from every_type order by hashint8(id + ${random.whole(0, 99)}) limit ${random.whole(1, 3)})`,
  },
  {
    name: 'full_rows',
    columns: `a integer, b text, owner uuid, shown boolean, big text, primary key (a, b)`,
    policies: [
      `create policy own on %t for all to authenticated using (owner = auth.uid() and shown)`,
      `create policy members on %t for select to authenticated using (exists (select 1 from teams m where m.name = full_rows.b and m.member = auth.uid()))`,
    ],
    after:
      'alter table full_rows replica identity full; alter table full_rows alter column big set storage external',
    conditions: [
      'owner = (select auth.uid())',
      'shown',
      `fussy(a)`,
      `(auth.jwt() ->> 'team') = 'b' and not shown`,
    ],
    filters: [
      { text: 'a=gt.500', sql: `a > '500'` },
      { text: 'b=in.(red,"a,b")', sql: `b in ('red', 'a,b')` },
      { text: 'shown=eq.true', sql: 'shown' },
    ],
    insert: (random) =>
      `insert into full_rows values (${random.whole(0, 1000)}, ${word(random)}, ${uuid(random)}, ${random.chance(0.7)}, ${random.chance(0.3) ? `repeat('x', 9000)` : `'small'`}) on conflict do nothing`,
    update: (random) =>
      `update full_rows set ${random.pick([`owner = ${uuid(random)}`, 'shown = not shown', 'a = a + 1000', `big = repeat('y', 8000)`])}`,
    where: (random) =>
      `where (a, b) in (select a, b from full_rows order by hashint4(a + ${random.whole(0, 99)}) limit ${random.whole(1, 3)})`,
  },
  {
    name: 'no_key',
    columns: `n integer, owner uuid, word text`,
    policies: [
      `create policy mine on %t for select using (owner::text = (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub'))`,
    ],
    after: 'alter table no_key replica identity full',
    conditions: ['owner = auth.uid()', 'n > 10', 'fussy(n)', `word in (select name from teams)`],
    filters: [{ text: 'n=lte.10', sql: `n <= '10'` }],
    insert: (random) =>
      `insert into no_key values (${random.whole(0, 20)}, ${uuid(random)}, ${word(random)})`,
    update: (random) =>
      `update no_key set ${random.pick([`word = ${word(random)}`, `owner = ${uuid(random)}`])}`,
    where: (random) => `where n = ${random.whole(0, 20)}`,
  },
  {
    name: 'toasted',
    columns: `id integer primary key, owner uuid, large text, n integer`,
    policies: [`create policy by_function on %t for select to authenticated, anon using (sees(owner, n))`],
    after: 'alter table toasted alter column large set storage external',
    conditions: ['sees(owner, n)', 'n % 3 = 0', 'fussy(n * 13)'],
    filters: [{ text: 'n=not.in.(1,2,3)', sql: `n not in ('1', '2', '3')` }],
    insert: (random) =>
      `insert into toasted values ((select coalesce(max(id), 0) + 1 from toasted), ${uuid(random)}, repeat('z', ${random.pick([10, 9000])}), ${random.whole(0, 9)})`,
    update: (random) => `update toasted set n = ${random.whole(0, 9)}`,
    where: (random) =>
      `where id in (select id from toasted order by hashint4(id + ${random.whole(0, 99)}) limit ${random.whole(1, 3)})`,
  },
  {
    name: 'open_rows',
    columns: `id integer primary key, word text`,
    policies: [],
    conditions: [`word = 'red'`, `(auth.jwt() ->> 'team') = 'a' or word = 'green'`, `fussy(length(word))`],
    filters: [
      { text: 'word=neq.red', sql: `word <> 'red'` },
      { text: 'word=imatch.^[gb]', sql: `word ~* '^[gb]'` },
    ],
    insert: (random) =>
      `insert into open_rows values ((select coalesce(max(id), 0) + 1 from open_rows), ${word(random)})`,
    update: (random) => `update open_rows set word = ${word(random)}`,
    where: (random) =>
      `where id in (select id from open_rows order by hashint4(id + ${random.whole(0, 99)}) limit ${random.whole(1, 3)})`,
  },
  // Everything of it changes: columns are renamed, retyped, dropped and made again; so is its name, its primary key and its replica identity.
  {
    name: 'shifting',
    columns: `id integer not null, code integer not null default 0, owner uuid, n integer, word text, note text default 'x',
      constraint shifting_key primary key (id)`,
    policies: [
      `create policy own on %t for select to authenticated using (owner = (select auth.uid()))`,
      `create policy red on %t for select to anon using (word = 'red')`,
    ],
    conditions: [
      '@owner = auth.uid()',
      `@word <> 'red'`,
      'fussy(code)',
      `(auth.jwt() ->> 'team') = 'a' and code > 10`,
    ],
    after: 'create unique index shifting_both on shifting (id, code)',
    filters: [
      { text: 'n=gte.0', sql: `n >= '0'` },
      { text: 'word=eq.red', sql: `word = 'red'` },
      { text: 'code=lt.20', sql: `code < '20'` },
      { text: 'id=gt.5', sql: `id > '5'` },
      { text: 'note=eq.x', sql: `note = 'x'` },
    ],
    insert: (random, { table, column }) =>
      `insert into ${table} (id, code, ${column('owner')}, ${column('n')}, ${column('word')})
        values ((select coalesce(max(id), 0) + 1 from ${table}), ${random.whole(0, 60)}, ${uuid(random)}, '${random.whole(-9, 99)}', ${word(random)})`,
    update: (random, { table, column }) =>
      `update ${table} set ${random.pick([`${column('owner')} = ${uuid(random)}`, `${column('n')} = '${random.whole(-9, 99)}'`, `${column('word')} = ${word(random)}`, `code = ${random.whole(0, 60)}`, 'id = id + 100000'])}`,
    where: (random, { table }) =>
      `where id in (select id from ${table} order by hashint4(id + ${random.whole(0, 99)}) limit ${random.whole(1, 3)})`,
  },
];

/** A partitioned table, as which and as whose partitions somebody listens. */
export const parted = { root: 'parted', leaves: ['parted_low', 'parted_high'] };

/** A random statement on one of them; `names` says what it is called. */
export function statement(random: Random, namesOf: (table: string) => Names): string {
  if (random.chance(0.15)) return partedStatement(random);
  const table = random.chance(0.3) ? tables.at(-1)! : random.pick(tables);
  const names = namesOf(table.name);
  return random.weighted([
    [6, () => table.insert(random, names)],
    [4, () => `${table.update(random, names)} ${table.where(random, names)}`],
    [2, () => `delete from ${names.table} ${table.where(random, names)}`],
    [0.05, () => `truncate ${names.table}`],
  ]);
}

function partedStatement(random: Random): string {
  return random.weighted([
    [
      6,
      () =>
        `insert into parted values (${random.whole(0, 10_000)}, ${random.whole(0, 99)}, ${uuid(random)}) on conflict do nothing`,
    ],
    [2, () => `update parted set owner = ${uuid(random)} where id % 50 = ${random.whole(0, 49)}`],
    [
      1,
      () =>
        `update parted set n = (n + 37) % 100 where id % 200 = ${random.whole(0, 199)} and not exists (select 1 from parted p where p.id = parted.id and p.n <> parted.n)`,
    ],
    [2, () => `delete from parted where id % 50 = ${random.whole(0, 49)}`],
  ]);
}
