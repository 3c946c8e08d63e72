// In charge of: thousands of random changes by several sessions: what the feed tells is what triggers have written down beside it.
// `SEED=42` repeats a run.
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import { openRandom, type Random } from '../../../../test/harness/random.ts';
import type { Database } from '../database.ts';
import type { Change } from './change.ts';
import { openEar, openTestFeed, openTriggerFeed } from './test-support.ts';

const sessions = 4;
const transactionsEach = 250;

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await openTestDatabase();
  database = await test.open();
  await test.run(`alter database ${test.name} set deadlock_timeout = '50ms'`, 'supabase_admin');
  await test.run(`
    create table keyed (id int primary key, n int, t text);
    create table pair (a int, b int, t text, primary key (a, b));
    create table bare (a int, t text); alter table bare replica identity full;
    create table indexed (id int not null unique, t text); alter table indexed replica identity using index indexed_id_key;
    create table large (id int primary key, n int, big text); alter table large alter big set storage external;
    create table whole (like large including all); alter table whole replica identity full;
    create table parts (id int primary key, t text) partition by list (id);
    create table parts_even partition of parts for values in (0, 2, 4, 6, 8); create table parts_odd partition of parts for values in (1, 3, 5, 7, 9);
    alter publication supabase_realtime add table keyed, pair, bare, indexed, large, whole, parts;
    create table audit (id bigint generated always as identity, tx xid8 default pg_current_xact_id(), kind text, name text, new jsonb, old jsonb);
    create function note() returns trigger language plpgsql as $$ begin
      insert into audit (kind, name, new, old) values (tg_op, tg_table_name,
        case when tg_op in ('INSERT', 'UPDATE') then to_jsonb(new) end, case when tg_op in ('UPDATE', 'DELETE') then to_jsonb(old) end);
      return null;
    end $$;
    do $$ declare name text; begin
      foreach name in array array['keyed', 'pair', 'bare', 'indexed', 'large', 'whole', 'parts_even', 'parts_odd'] loop
        execute format('create trigger note after insert or update or delete on %I for each row execute function note()', name);
        execute format('create trigger note_all after truncate on %I for each statement execute function note()', name);
      end loop;
    end $$`);
});
afterAll(async () => {
  await database.close();
  await test[Symbol.asyncDispose]();
});

/** What a format could stumble over. */
const words = ['', 'plain', 'a,b', '("x")', 'back\\slash', 'ünï ☂', ' ', 'line\nbreak', 'null', '{}'];

function statement(random: Random): string {
  const id = random.whole(0, 9);
  const other = random.whole(0, 9);
  const word = `'${random.pick(words)}'`;
  const big = random.whole(0, 1) === 0 ? 'repeat(md5(random()::text), 200)' : word;
  return random.pick([
    `insert into keyed values (${id}, 0, ${word}) on conflict (id) do update set n = keyed.n + 1`,
    `update keyed set n = n + 1, t = ${word} where id = ${id}`,
    `delete from keyed where id = ${id}`,
    `insert into pair values (${id}, ${other}, ${word}) on conflict do nothing`,
    `update pair set t = null where a = ${id}`,
    `update pair set b = b + 100 where a = ${id} and b < 100 and not exists (select from pair as it where it.a = pair.a and it.b = pair.b + 100)`,
    `delete from pair where a = ${id}`,
    `insert into bare select ${id}, ${word} from generate_series(1, 3)`,
    `update bare set t = coalesce(t, '') || 'x' where a = ${id}`,
    `delete from bare where a = ${id}`,
    `insert into indexed values (${id}, ${word}) on conflict do nothing`,
    `update indexed set id = ${other} where id = ${id} and not exists (select from indexed where id = ${other})`,
    `delete from indexed where id = ${id}`,
    `insert into large values (${id}, 0, ${big}) on conflict (id) do update set n = large.n + 1`,
    `update large set big = ${big} where id = ${id}`,
    `delete from large where id = ${id}`,
    `insert into whole values (${id}, 0, ${big}) on conflict (id) do update set n = whole.n + 1`,
    `delete from whole where id = ${id}`,
    `insert into parts values (${id}, ${word}) on conflict do nothing`,
    `update parts set id = ${other} where id = ${id} and not exists (select from parts where id = ${other})`,
    `delete from parts where id = ${id}`,
    'savepoint one; delete from keyed; rollback to savepoint one',
    ...(random.whole(0, 19) === 0 ? ['truncate bare', 'truncate parts, pair'] : []),
  ]);
}

async function work(random: Random, prefix: string): Promise<void> {
  const client = new pg.Client(test.login('postgres'));
  client.on('error', () => {});
  await client.connect();
  for (let left = transactionsEach; left > 0; left -= 1) {
    try {
      await client.query('begin');
      for (let more = 1 + random.whole(0, 5); more > 0; more -= 1) await client.query(statement(random));
      // A table changes its columns while it is worked on.
      if (random.whole(0, 39) === 0)
        await client.query(
          `alter table keyed add column ${prefix}_${left} text default '${random.pick(words)}'`,
        );
      await client.query(random.whole(0, 7) === 0 ? 'rollback' : 'commit');
    } catch {
      // A deadlock, or two that insert the same key: the transaction is undone.
      await client.query('rollback');
    }
  }
  await client.end();
}

interface Audited {
  readonly tx: string;
  readonly kind: string;
  readonly name: string;
  readonly new: Record<string, unknown> | null;
  readonly old: Record<string, unknown> | null;
}

const text = (value: unknown) => (value === null || value === undefined ? null : String(value));

/** The change and what the trigger saw, as far as the feed says the values. */
function sides(change: Change, audited: Audited): readonly [unknown, unknown] {
  const { columns } = change.table;
  const told = (row: Change['row']) =>
    row &&
    Object.fromEntries(
      columns.flatMap(({ name }, index) => (row[index] === undefined ? [] : [[name, row[index]]])),
    );
  const seen = (row: Audited['new'], image: Change['row']) =>
    image &&
    Object.fromEntries(
      columns.flatMap(({ name }, index) => (image[index] === undefined ? [] : [[name, text(row?.[name])]])),
    );
  return [
    [change.kind, change.table.name, told(change.row), told(change.old)],
    [audited.kind, audited.name, seen(audited.new, change.row), seen(audited.old, change.old)],
  ];
}

it.each(['replication', 'triggers'] as const)(
  'by %s',
  async (by) => {
    const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
    await using opened =
      by === 'triggers'
        ? openTriggerFeed(database)
        : openTestFeed(database, () => test.login('supabase_realtime_admin'));
    const ear = openEar();
    await opened.feed.listen(ear);
    await test.run('truncate audit, keyed, pair, bare, indexed, large, whole, parts');
    const working = Promise.all(
      Array.from({ length: sessions }, (_, index) => work(openRandom(seed, index), `${by}_${index}`)),
    );
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    working.then(over, over);
    while (by === 'replication' && !isOver) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await test.run(
        'select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database() and active_pid is not null',
        'supabase_admin',
      );
    }
    await working;
    const audit = (await test.run(
      'select tx::text, kind, name, new, old from audit order by audit.id',
    )) as unknown as Audited[];
    await ear.until(audit.length);
    const { heard } = ear;

    expect(ear.gaps).toEqual([]);
    const ids = ear.heard.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort());
    expect(heard.length).toBe(audit.length);
    const byTransaction = Map.groupBy(audit, ({ tx }) => tx);
    const told = [...Map.groupBy(heard, ({ id }) => id.slice(0, 16)).values()];
    expect(told).toHaveLength(byTransaction.size);
    // Which transaction a told one is: the one whose lines are these; each is used once.
    const left = new Set(byTransaction.values());
    for (const changes of told) {
      const match = [...left].find(
        (lines) =>
          lines.length === changes.length &&
          changes.every((change, index) => equal(sides(change, lines[index]!))),
      );
      expect(
        match,
        `seed ${seed}: a transaction that nobody wrote: ${JSON.stringify(changes.map(({ id, kind, table }) => [id, kind, table.name]))}`,
      ).toBeDefined();
      left.delete(match!);
    }
    // Nothing of a row is unknown where its identity is the whole of it.
    const whole = heard
      .filter(({ table }) => table.identity === 'full')
      .flatMap(({ row, old }) => [...(row ?? []), ...(old ?? [])]);
    expect(whole).not.toContain(undefined);
    // What is known of rows at the end by the order in which they were told is what the table says.
    const rows = await test.run('select id::text, n::text from keyed order by keyed.id');
    const replayed = new Map<string, string>();
    for (const { kind, table, row, old } of heard) {
      if (table.name !== 'keyed') continue;
      if (kind === 'TRUNCATE') replayed.clear();
      else if (kind === 'DELETE') replayed.delete(old![0]!);
      else replayed.set(row![0]!, row![1]!);
    }
    expect([...replayed].sort()).toEqual(rows.map(({ id, n }) => [id, n]).sort());
  },
  180_000,
);

function equal([one, other]: readonly [unknown, unknown]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
