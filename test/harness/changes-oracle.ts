// In charge of: random changes to tables of many kinds, random listeners with policies and filters, and what each of them should have heard:
// decided by Postgres's own row-level security over the image of each row in a twin of its table.
import { errorCode } from '../../src/base/errors.ts';
import { withClient } from '../../src/engine/db/client.ts';
import { openTestFeed } from '../../src/engine/db/replication/test-support.ts';
import type { Caller } from '../../src/engine/identity/caller.ts';
import { openPostgresChanges } from '../../src/services/realtime/changes/changes.ts';
import { type Heard, listener } from './changes.ts';
import { openTestDatabase, type TestDatabase } from './database.ts';
import { openRandom, type Random } from './random.ts';

export interface OracleResult {
  /** Of each listener: what it is, what it should have heard and what it has, a line for each change. */
  readonly listeners: readonly {
    readonly name: string;
    readonly expected: readonly string[];
    readonly heard: readonly string[];
    readonly gaps: readonly string[];
  }[];
  readonly changes: number;
  readonly told: number;
  readonly failures: readonly string[];
}

interface OracleTable {
  readonly name: string;
  readonly columns: string;
  /** Policies, on `%t`. */
  readonly policies: readonly string[];
  readonly grants?: string;
  readonly after?: string;
  /** Whether policies decide who hears of a deleted row. */
  readonly decidesDeletes: boolean;
  /** Columns that name a row in what is told. */
  readonly key: readonly string[];
  /** What a DELETE is told by, where no policy decides. */
  readonly filters: readonly Filter[];
  readonly deleteFilters: readonly string[];
  readonly insert: (random: Random) => string;
  readonly update: (random: Random) => string;
  readonly where: (random: Random) => string;
}

interface Filter {
  readonly text: string;
  readonly sql: string;
}

const users = Array.from({ length: 8 }, (_, at) => `00000000-0000-4000-8000-00000000000${at}`);
const uuid = (random: Random) => `'${random.pick(users)}'`;
const word = (random: Random) => `'${random.pick(['red', 'green', 'Blue', "o''clock", 'a,b', '', 'ünï'])}'`;

const tables: readonly OracleTable[] = [
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
    decidesDeletes: false,
    key: ['id'],
    filters: [
      { text: 'word=eq.red', sql: `word = 'red'` },
      { text: 'word=in.(red,green)', sql: `word in ('red', 'green')` },
      { text: 'word=not.like.%e%', sql: `word not like '%e%'` },
      { text: 'word=ilike.b%', sql: `word ilike 'b%'` },
      { text: 'n=gte.0,n=lt.50', sql: `n >= 0 and n < 50` },
      { text: 'ok=is.null', sql: `ok is null` },
      { text: 'ok=not.is.true', sql: `ok is not true` },
      { text: 'price=gt.10.5', sql: `price > 10.5` },
      { text: 'day=lt.2026-06-01', sql: `day < '2026-06-01'` },
      { text: 'mood=isdistinct.happy', sql: `mood is distinct from 'happy'` },
      { text: 'ci=match.^g', sql: `ci ~ '^g'` },
      { text: `owner=eq.${users[1]}`, sql: `owner = '${users[1]}'` },
      { text: 'twice=eq.4', sql: `twice = 4` },
      { text: 'score=lte.5', sql: `score <= 5` },
    ],
    deleteFilters: ['id=gt.50', 'word=eq.red'],
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
    decidesDeletes: true,
    key: ['a', 'b'],
    filters: [
      { text: 'a=gt.500', sql: 'a > 500' },
      { text: 'b=in.(red,"a,b")', sql: `b in ('red', 'a,b')` },
      { text: 'shown=eq.true', sql: 'shown' },
    ],
    deleteFilters: ['a=gt.500', 'b=eq.red', 'shown=eq.true'],
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
    decidesDeletes: true,
    key: ['n'],
    filters: [{ text: 'n=lte.10', sql: 'n <= 10' }],
    deleteFilters: ['n=lte.10'],
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
    decidesDeletes: false,
    key: ['id'],
    filters: [{ text: 'n=not.in.(1,2,3)', sql: 'n not in (1, 2, 3)' }],
    deleteFilters: ['id=lt.40'],
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
    decidesDeletes: false,
    key: ['id'],
    filters: [
      { text: 'word=neq.red', sql: `word <> 'red'` },
      { text: 'word=imatch.^[gb]', sql: `word ~* '^[gb]'` },
    ],
    deleteFilters: ['id=gt.10'],
    insert: (random) =>
      `insert into open_rows values ((select coalesce(max(id), 0) + 1 from open_rows), ${word(random)})`,
    update: (random) => `update open_rows set word = ${word(random)}`,
    where: (random) =>
      `where id in (select id from open_rows order by hashint4(id + ${random.whole(0, 99)}) limit ${random.whole(1, 3)})`,
  },
];

/** A partitioned table, as which and as whose partitions somebody listens. */
const parted = { root: 'parted', leaves: ['parted_low', 'parted_high'] };

export async function runOracle(options: {
  readonly changes: number;
  readonly seed: number;
}): Promise<OracleResult> {
  const random = openRandom(options.seed);
  await using database = await openTestDatabase();
  await database.run(schemaSql());
  const opened = await database.open();
  const failures: string[] = [];
  await using source = openTestFeed(opened, () => database.login('supabase_realtime_admin'));
  const changes = await openPostgresChanges({
    db: opened.db,
    feed: source.feed,
    now: Date.now,
    observe: ({ kind, message }) => failures.push(`${kind}: ${String(message)}`),
  });
  try {
    const listeners = Array.from({ length: 50 }, (_, at) => makeListener(random, at));
    for (const one of listeners)
      await changes.subscribe({ params: [{ ...one.params }], caller: one.caller, ...one.heard });
    const last = listener();
    await changes.subscribe({
      params: [{ event: 'INSERT', schema: 'public', table: 'the_end' }],
      caller: { role: 'service_role', claims: '{"role":"service_role"}', subject: undefined, by: 'key' },
      ...last,
    });
    const count = await makeChanges(database, random, options.changes);
    await database.run('insert into the_end values (1)');
    while (last.events.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await changes.settled();
    const results = [];
    for (const one of listeners)
      results.push({
        name: `${one.name} ${JSON.stringify(one.params)}`,
        expected: await expectedOf(database, one),
        heard: heardBy(one),
        gaps: one.heard.gaps,
      });
    return {
      listeners: results,
      changes: count,
      told: results.reduce((sum, { heard }) => sum + heard.length, 0),
      failures,
    };
  } finally {
    await changes.close();
    await opened.close();
  }
}

interface OracleListener {
  readonly name: string;
  readonly caller: Caller;
  readonly params: Readonly<Record<string, string>>;
  readonly table: string;
  readonly filter: Filter | undefined;
  readonly event: string;
  readonly heard: Heard & ReturnType<typeof listener>;
}

function makeListener(random: Random, at: number): OracleListener {
  const sub = random.pick(users);
  const name = random.weighted<string>([
    [6, () => 'authenticated'],
    [2, () => 'anon'],
    [1, () => 'service_role'],
  ]);
  const claims =
    name === 'authenticated' ? { role: name, sub, team: random.pick(['a', 'b']), exp: at } : { role: name };
  const event = random.pick(['*', '*', 'INSERT', 'UPDATE', 'DELETE']);
  const table = random.pick([
    ...tables.map((one) => one.name),
    ...tables.map((one) => one.name),
    parted.root,
    ...parted.leaves,
  ]);
  const known = tables.find((one) => one.name === table);
  const filters = known === undefined ? [] : known.filters;
  const filter = random.chance(0.4) && filters.length > 0 ? random.pick(filters) : undefined;
  return {
    name: `${at} ${name} ${sub.slice(-1)}`,
    caller: { role: name, claims: JSON.stringify(claims), subject: sub, by: 'token' },
    params: { event, schema: 'public', table, ...(filter && { filter: filter.text }) },
    table,
    filter,
    event,
    heard: listener(),
  };
}

function schemaSql(): string {
  const parts = [
    `create type every_mood as enum ('happy', 'sad');
     create type every_pair as (n bigint, word text);
     create domain every_score as integer check (value < 100);
     create table teams (name text, member uuid);
     insert into teams select w, u::uuid from unnest(array['red', 'Blue']) w, unnest(array['${users[0]}', '${users[3]}']) u;
     alter table teams enable row level security;
     create policy mine on teams for select to authenticated using (member = auth.uid());
     create function sees(owner uuid, n integer) returns boolean language plpgsql stable as $$
     begin
       return owner = auth.uid() or (n > 5 and auth.role() = 'anon');
     end $$;
     create schema twin;
     create table public.log (seq bigint generated always as identity, kind text, tab text, old jsonb, new jsonb);
     create function public.note() returns trigger language plpgsql security definer set search_path = public as $$
     begin
       insert into public.log (kind, tab, old, new) values (tg_op, tg_table_name, to_jsonb(old), to_jsonb(new));
       return null;
     end $$;
     create table the_end (id integer primary key);`,
  ];
  for (const table of tables) {
    parts.push(`create table ${table.name} (${table.columns}); ${table.after ?? ''};`);
    // The twin holds images, of which many have the same key.
    parts.push(`create table twin.${table.name} (like ${table.name});`);
    for (const where of ['public', 'twin']) {
      if (table.policies.length > 0)
        parts.push(`alter table ${where}.${table.name} enable row level security;`);
      for (const policy of table.policies)
        parts.push(`${policy.replaceAll('%t', `${where}.${table.name}`)};`);
    }
    parts.push(
      `create trigger noted after insert or update or delete on public.${table.name} for each row execute function public.note();`,
    );
  }
  const rootPolicy = (where: string) => `alter table ${where}.parted enable row level security;
    create policy own on ${where}.parted for select to authenticated using (owner = auth.uid());`;
  const leafPolicy = (where: string) => `alter table ${where}.parted_low enable row level security;
    create policy low on ${where}.parted_low for select to authenticated, anon using (n < 5);`;
  parts.push(`
    create table parted (id integer, n integer, owner uuid, primary key (id, n)) partition by range (n);
    create table parted_low partition of parted for values from (0) to (10);
    create table parted_high partition of parted for values from (10) to (100);
    alter table parted_low replica identity full; alter table parted_high replica identity full;
    create table twin.parted (like parted); create table twin.parted_low (like parted); create table twin.parted_high (like parted);
    ${rootPolicy('public')} ${rootPolicy('twin')} ${leafPolicy('public')} ${leafPolicy('twin')}
    create trigger noted after insert or update or delete on parted for each row execute function public.note();
    alter table twin.parted add seq bigint; alter table twin.parted_low add seq bigint; alter table twin.parted_high add seq bigint;
    alter publication supabase_realtime add table parted, the_end;
    ${tables.map(({ name }) => `alter table twin.${name} add seq bigint; alter publication supabase_realtime add table ${name};`).join('\n')}
    grant usage on schema twin to anon, authenticated, service_role;
    grant select on all tables in schema twin, public to anon, authenticated, service_role;`);
  return parts.join('\n');
}

async function makeChanges(database: TestDatabase, random: Random, count: number): Promise<number> {
  return withClient(database.login('postgres'), async (client) => {
    let done = 0;
    for (let turn = 0; done < count; turn++) {
      const isTransaction = random.chance(0.3);
      const statements = isTransaction ? random.several(2, 5, () => statement(random)) : [statement(random)];
      const end = random.chance(0.9) ? 'commit' : 'rollback';
      const text = isTransaction ? `begin; ${statements.join('; ')}; ${end}` : statements[0]!;
      // Two rows of one key now and then: then nothing has happened.
      await client.query(text).catch(async (error: unknown) => {
        if (errorCode(error) !== '23505') throw error;
        await client.query('rollback');
      });
      if (turn === Math.floor(count / 4)) {
        await client.query(`alter table open_rows add column later integer default 7`);
        await client.query(`alter table twin.open_rows add column later integer default 7`);
      }
      if (turn % 20 === 0) {
        const { rows } = await client.query<{ count: string }>('select count(*) from log');
        done = Number(rows[0]?.count);
      }
    }
    return done;
  });
}

function statement(random: Random): string {
  if (random.chance(0.2)) {
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
  const table = random.pick(tables);
  return random.weighted([
    [6, () => table.insert(random)],
    [4, () => `${table.update(random)} ${table.where(random)}`],
    [2, () => `delete from ${table.name} ${table.where(random)}`],
    [0.05, () => `truncate ${table.name}`],
  ]);
}

/** As its own events say it: the kind, and the row's key. */
function heardBy({ heard, table }: OracleListener): readonly string[] {
  return heard.data().map((data) => {
    // Sound: this is what is told of a change.
    const row = (data['type'] === 'DELETE' ? data['old_record'] : data['record']) as Record<string, unknown>;
    return lineOf(String(data['type']), table, row);
  });
}

function lineOf(kind: string, table: string, row: Readonly<Record<string, unknown>>): string {
  const key = tables.find((one) => one.name === table)?.key ?? ['id', 'n'];
  const isKeyOnly = kind === 'DELETE';
  const rest = isKeyOnly ? {} : plain(table, row);
  return JSON.stringify([kind, ...key.map((name) => row[name] ?? null), rest]);
}

/** The values that are told as `to_jsonb` gives them. A byte string is not; a large value may be a later one. */
function plain(table: string, row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const left = Object.entries(row).filter(
    ([name]) =>
      name !== 'bytes' && name !== 'large' && name !== 'seq' && !(table === 'open_rows' && name === 'later'),
  );
  return Object.fromEntries(left.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** By row-level security over a twin table that holds every image that there was. */
async function expectedOf(database: TestDatabase, one: OracleListener): Promise<readonly string[]> {
  const known = tables.find(({ name }) => name === one.table);
  const isLeaf = parted.leaves.includes(one.table);
  return withClient(database.login('supabase_admin'), async (client) => {
    const twin = `twin.${one.table}`;
    const { rows: filled } = await client.query(`select 1 from ${twin} limit 1`);
    if (filled.length === 0) {
      const source =
        known === undefined && !isLeaf ? `tab in ('${parted.leaves.join("', '")}')` : `tab = '${one.table}'`;
      const columns = await client.query<{ list: string; values: string }>(
        `select string_agg(quote_ident(attname), ', ') as list, string_agg('r.' || quote_ident(attname), ', ') as values
         from pg_attribute where attrelid = '${twin}'::regclass and attnum > 0 and not attisdropped and attname <> 'seq'`,
      );
      const { list, values } = columns.rows[0]!;
      await client.query(
        `insert into ${twin} (${list}, seq)
         select ${values}, l.seq * 2 + l.is_old from (
           select seq, 0 as is_old, new as image from public.log where new is not null and ${source}
           union all select seq, 1, old from public.log where old is not null and ${source}
         ) l, jsonb_populate_record(null::${twin}, l.image) r`,
      );
    }
    await client.query('begin');
    await client.query(`select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`, [
      one.caller.role,
      one.caller.claims,
    ]);
    const visible = await client.query<{ seq: string }>(
      `select seq from ${twin} ${one.filter === undefined ? '' : `where ${one.filter.sql}`}`,
    );
    await client.query('rollback');
    const seen = new Set(visible.rows.map(({ seq }) => Number(seq)));
    // Where no policy decides, and where the filter reads what an old row has not, nobody or everybody hears of a DELETE.
    const { rows } = await client.query<{ seq: string; kind: string; tab: string; old: Row; new: Row }>(
      `select * from public.log order by seq`,
    );
    const decides =
      known === undefined ||
      known.decidesDeletes ||
      known.policies.length === 0 ||
      one.caller.role === 'service_role';
    return rows.flatMap((row) => {
      const isMine = known === undefined && !isLeaf ? parted.leaves.includes(row.tab) : row.tab === one.table;
      if (!isMine || (one.event !== '*' && one.event !== row.kind)) return [];
      if (row.kind !== 'DELETE')
        return seen.has(Number(row.seq) * 2) ? [lineOf(row.kind, one.table, row.new)] : [];
      const hasIdentity = known === undefined || known.decidesDeletes;
      if (one.filter !== undefined && !hasIdentity) return [];
      const isSeen = decides ? seen.has(Number(row.seq) * 2 + 1) : true;
      return isSeen ? [lineOf('DELETE', one.table, row.old)] : [];
    });
  });
}

type Row = Readonly<Record<string, unknown>>;
