// In charge of: what is measured: the request as a client of the Data API sends it, and the SQL that a person would write for it.

export interface Scenario {
  readonly name: string;
  readonly method: 'GET' | 'POST';
  /** The start of the path, by which the hand-written servers know it. */
  readonly prefix: string;
  /** The path as Lua text; may use `math.random`. */
  readonly luaPath: string;
  readonly body?: string;
  /** One row with one column of text; values as the request has them. */
  readonly sql: string;
  /** What of path and body are the statement's parameters. */
  readonly params: (path: string, body: string) => readonly string[];
}

/** One user sends all of it, which the default limit would not let through; the limit is counted all the same. */
export const config = `[api]
auto_expose_new_tables = false
[gateway.limits]
per_caller = "10000000/10s"
`;

export const items = 10_000;
const owner = '00000000-0000-0000-0000-000000000001';

export const migration = `
create table public.bench_authors (id int primary key, name text not null);
create table public.bench_items (
  id int primary key, owner uuid not null, author_id int not null references public.bench_authors (id),
  price int not null, title text not null, body text not null
);
create index on public.bench_items (price);
create table public.bench_notes (id bigint generated always as identity primary key, owner uuid not null default auth.uid(), title text not null, body text not null);
alter table public.bench_authors enable row level security;
alter table public.bench_items enable row level security;
alter table public.bench_notes enable row level security;
create policy everybody on public.bench_authors for select to authenticated using (true);
create policy own on public.bench_items for select to authenticated using (owner = (select auth.uid()));
create policy own on public.bench_notes to authenticated using (owner = (select auth.uid())) with check (owner = (select auth.uid()));
grant select on public.bench_authors, public.bench_items to authenticated;
grant select, insert on public.bench_notes to authenticated;
create function public.bench_price(item int) returns int language sql stable return (select price from public.bench_items where id = item);
insert into public.bench_authors select i, 'Author ' || i from generate_series(1, 100) i;
insert into public.bench_items
  select i, '${owner}', 1 + i % 100, (i * 7919) % 100000, 'Title ' || i, repeat('body ', 20) from generate_series(1, ${items}) i;
analyze public.bench_authors, public.bench_items;
`;

const note = { title: 'A note', body: 'with a few words in it' };
const afterLastDot = (path: string) => path.slice(path.lastIndexOf('.') + 1);
/** `…gt.123&order=…` → 123 */
const afterGt = (path: string) => /gt\.(\d+)/.exec(path)?.[1] ?? '0';
const insertNotes = `with made as (insert into public.bench_notes (title, body) select title, body from json_to_recordset($1::json) as n(title text, body text)) select ''`;

export const scenarios: readonly Scenario[] = [
  {
    name: 'row by key under a policy',
    method: 'GET',
    prefix: '/rest/v1/bench_items?id=eq.',
    luaPath: `"/rest/v1/bench_items?id=eq." .. math.random(1, ${items})`,
    sql: `select coalesce(json_agg(t), '[]')::text as body from (select * from public.bench_items where id = $1) t`,
    params: (path) => [afterLastDot(path)],
  },
  {
    name: 'page of 25 with one embed',
    method: 'GET',
    prefix: '/rest/v1/bench_items?select=id,title,author',
    luaPath: `"/rest/v1/bench_items?select=id,title,author:bench_authors(id,name)&id=gt." .. math.random(1, ${items - 100}) .. "&order=id&limit=25"`,
    sql: `select coalesce(json_agg(t), '[]')::text as body from (
      select i.id, i.title, json_build_object('id', a.id, 'name', a.name) as author
      from public.bench_items i left join public.bench_authors a on a.id = i.author_id where i.id > $1 order by i.id limit 25) t`,
    params: (path) => [afterGt(path)],
  },
  {
    name: 'filtered and ordered page of 100',
    method: 'GET',
    prefix: '/rest/v1/bench_items?select=id,title,price',
    luaPath: `"/rest/v1/bench_items?select=id,title,price&price=gt." .. math.random(1, 90000) .. "&order=price&limit=100"`,
    sql: `select coalesce(json_agg(t), '[]')::text as body from (
      select id, title, price from public.bench_items where price > $1 order by price limit 100) t`,
    params: (path) => [afterGt(path)],
  },
  {
    name: 'insert one',
    method: 'POST',
    prefix: '/rest/v1/bench_notes',
    luaPath: '"/rest/v1/bench_notes"',
    body: JSON.stringify(note),
    sql: insertNotes,
    params: (_, body) => [body.startsWith('[') ? body : `[${body}]`],
  },
  {
    name: 'bulk insert 1,000',
    method: 'POST',
    prefix: '/rest/v1/bench_notes',
    luaPath: '"/rest/v1/bench_notes"',
    body: JSON.stringify(Array.from({ length: 1000 }, () => note)),
    sql: insertNotes,
    params: (_, body) => [body],
  },
  {
    name: 'function call (rpc)',
    method: 'GET',
    prefix: '/rest/v1/rpc/bench_price',
    luaPath: `"/rest/v1/rpc/bench_price?item=" .. math.random(1, ${items})`,
    sql: `select to_json(public.bench_price($1::int))::text as body`,
    params: (path) => [path.slice(path.lastIndexOf('=') + 1)],
  },
];
