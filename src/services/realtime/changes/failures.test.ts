// In charge of: what fails in the middle: it silences nobody but whom it is about, and whoever misses something is told so.
import { Client, type ClientConfig } from 'pg';
import { expect, test } from 'vitest';
import { alice, bob, change, listener, openStage, user } from '../../../../test/harness/changes.ts';
import { DatabaseUnavailable } from '../../../engine/db/db.ts';

const params = (table: string, filter?: string) => [
  { event: '*', schema: 'public', table, ...(filter !== undefined && { filter }) },
];
const rowIds = (heard: { data(): readonly Record<string, unknown>[] }) =>
  heard.data().map((data) => (data['record'] as { id: number }).id);

const moods = `
  create type public.mood as enum ('happy', 'sad');
  create function public.is_same(a public.mood, b text) returns boolean language sql immutable as $$ select a::text = b $$;
  create table public.people (id integer primary key, owner uuid, mood public.mood, score numeric);
  alter table public.people enable row level security;
  create policy own on public.people for select to authenticated using (auth.uid() = owner or id % 2 = 0);
  grant all on public.people to authenticated;
  alter publication supabase_realtime add table public.people;`;

test('a filter that raises silences its own subscription, and that is said; others of the same caller and role hear', async () => {
  await using stage = await openStage(moods);
  const table = await stage.table('public.people');
  const [broken, sound, plain, other] = [listener(), listener(), listener(), listener()];
  const subscribe = (heard: typeof broken, sub: string, filter?: string) =>
    stage.changes.subscribe({ params: params('people', filter), caller: user(sub), ...heard });
  await subscribe(broken, alice, 'mood=eq.sad');
  await subscribe(sound, alice, 'score=gt.1.5');
  await subscribe(plain, alice);
  await subscribe(other, bob, 'score=gt.1.5');
  // The value that the filter names is no value of the type any more.
  await stage.database.run(`alter type public.mood rename value 'sad' to 'blue'`);
  await stage.feed.emit(
    change('INSERT', table, ['1', alice, 'blue', '1']),
    change('INSERT', table, ['2', bob, 'blue', '2']),
    change('INSERT', table, ['3', bob, 'happy', '3']),
  );
  await stage.settled();
  expect(rowIds(broken)).toEqual([]);
  expect(rowIds(sound)).toEqual([2]);
  expect(rowIds(plain)).toEqual([1, 2]);
  expect(rowIds(other)).toEqual([2, 3]);
  expect(broken.notices).toEqual(['A filter on public.people failed (22P02), so that changes are not told.']);
  expect([sound, plain, other].flatMap(({ notices, gaps }) => [...notices, ...gaps])).toEqual([]);
  expect(stage.observed.map(({ kind }) => kind)).toEqual(['realtime.filter_failed']);
});

test('a policy that raises for one caller is said to that one alone', async () => {
  await using stage = await openStage(`
    create table public.fragile (id integer primary key, owner uuid);
    alter table public.fragile enable row level security;
    create policy divides on public.fragile for select to authenticated using (10 / (case when auth.uid() = '${bob}' then 0 else 1 end) > id);
    grant all on public.fragile to authenticated;
    alter publication supabase_realtime add table public.fragile;`);
  const table = await stage.table('public.fragile');
  const heard = [alice, bob, '00000000-0000-4000-8000-00000000000c'].map((sub) => ({ sub, ...listener() }));
  for (const one of heard)
    await stage.changes.subscribe({ params: params('fragile'), caller: user(one.sub), ...one });
  await stage.feed.emit(change('INSERT', table, ['1', alice]));
  await stage.settled();
  expect(heard.map(rowIds)).toEqual([[1], [], [1]]);
  expect(heard.map(({ notices }) => notices)).toEqual([
    [],
    ['A policy on public.fragile failed (22012), so that changes are not told.'],
    [],
  ]);
});

test('where the schema moves and cannot be read anew, whoever listens is told of a gap', async () => {
  await using stage = await openStage(
    `create table public.moving (id integer primary key, n integer);
     alter table public.moving enable row level security;
     create policy positive on public.moving for select to authenticated using (n > 0);
     grant all on public.moving to authenticated;
     alter publication supabase_realtime add table public.moving;`,
    { limits: { retryForMs: 50 } },
  );
  const table = await stage.table('public.moving');
  const [first, second] = [listener(), listener()];
  await stage.changes.subscribe({ params: params('moving'), caller: user(alice), ...first });
  await stage.changes.subscribe({ params: params('moving'), caller: user(bob), ...second });
  await stage.feed.emit(change('INSERT', table, ['1', '1']));
  await stage.settled();
  const { as, asOwner } = stage.db;
  stage.db.as = async (...given) => {
    stage.db.as = as;
    // Between the look at the schema and the question, and from then on it cannot be looked at.
    await stage.database.run('alter table public.moving rename column n to m');
    stage.db.asOwner = () => {
      throw new DatabaseUnavailable('unreachable', 'away', 1);
    };
    return as(...given);
  };
  await stage.feed.emit(change('INSERT', table, ['2', '1']), change('INSERT', table, ['3', '1']));
  await stage.settled();
  stage.db.asOwner = asOwner;
  for (const heard of [first, second]) {
    expect(rowIds(heard)).toEqual([1]);
    expect(new Set(heard.gaps)).toEqual(new Set(['it could not be found out who may see a change']));
  }
  // And it goes on.
  await stage.feed.emit(change('INSERT', await stage.table('public.moving'), ['4', '1']));
  await stage.settled();
  expect(rowIds(first)).toEqual([1, 4]);
});

test('a column that gets another name while who may see a row is asked is no reason to be silent', async () => {
  await using stage = await openStage(`
    create table public.renamed (id integer primary key, n integer);
    alter table public.renamed enable row level security;
    create policy positive on public.renamed for select to authenticated using (n > 0);
    grant all on public.renamed to authenticated, service_role;
    alter publication supabase_realtime add table public.renamed;`);
  const table = await stage.table('public.renamed');
  const [heard, plain] = [listener(), listener()];
  await stage.changes.subscribe({ params: params('renamed'), caller: user(alice), ...heard });
  const service = { ...user(alice), role: 'service_role' };
  await stage.changes.subscribe({ params: params('renamed'), caller: service, ...plain });
  await stage.feed.emit(change('INSERT', table, ['1', '1']));
  await stage.settled();
  const { as } = stage.db;
  stage.db.as = async (...given) => {
    stage.db.as = as;
    await stage.database.run('alter table public.renamed rename column n to m');
    return as(...given);
  };
  await stage.feed.emit(change('INSERT', table, ['2', '1']));
  await stage.settled();
  expect(rowIds(heard)).toEqual([1]);
  expect(heard.gaps).toEqual(['the table was changed before it was found out who may see a change']);
  expect(rowIds(plain)).toEqual([1, 2]);
});

test('a database that is away for longer than is waited is told as a gap, and what comes after it is heard', async () => {
  await using stage = await openStage(moods, { limits: { retryForMs: 200 } });
  const table = await stage.table('public.people');
  const heard = listener();
  await stage.changes.subscribe({ params: params('people'), caller: user(alice), ...heard });
  await stage.feed.emit(change('INSERT', table, ['1', alice, 'sad', '1']));
  await stage.settled();
  const { as, asOwner } = stage.db;
  const away = async () => {
    throw new DatabaseUnavailable('unreachable', 'away', 1);
  };
  // While who may see it is asked.
  stage.db.as = away;
  await stage.feed.emit(change('INSERT', table, ['2', alice, 'sad', '1']));
  await stage.settled();
  expect(heard.gaps).toEqual(['the database was away for too long']);
  stage.db.as = as;
  await stage.feed.emit(change('INSERT', table, ['4', alice, 'sad', '1']));
  await stage.settled();
  // Before that, while the schema is looked at.
  stage.db.asOwner = away;
  await stage.feed.emit(change('INSERT', table, ['6', alice, 'sad', '1']));
  await stage.settled();
  stage.db.asOwner = asOwner;
  expect(heard.gaps.slice(1)).toEqual(['the database could not be asked who may see the changes']);
  // A pause that is shorter costs nothing.
  let misses = 3;
  stage.db.as = (...given) => (misses-- > 0 ? away() : as(...given));
  stage.db.as = as;
  await stage.feed.emit(change('INSERT', table, ['8', alice, 'sad', '1']));
  await stage.settled();
  expect(rowIds(heard)).toEqual([1, 4, 8]);
  expect(heard.gaps.length).toBe(2);
});

test('a value that a policy reads and that cannot be looked up is told as a gap to whom it matters', async () => {
  await using stage = await openStage(`
    create table public.docs (id integer primary key, body text);
    alter table public.docs enable row level security;
    create policy reads on public.docs for select to authenticated using (body like 'x%');
    alter table public.docs alter column body set storage external;
    insert into public.docs values (1, repeat('x', 9000));
    grant all on public.docs to authenticated, service_role;
    alter publication supabase_realtime add table public.docs;`);
  const table = await stage.table('public.docs');
  const [decided, filtered, plain] = [listener(), listener(), listener()];
  const service = { ...user(alice), role: 'service_role' };
  await stage.changes.subscribe({ params: params('docs'), caller: user(alice), ...decided });
  await stage.changes.subscribe({ params: params('docs', 'body=like.x%'), caller: service, ...filtered });
  await stage.changes.subscribe({ params: params('docs'), caller: service, ...plain });
  await using migration = await openClient(stage.database.login('postgres'));
  await migration.client.query('begin; lock table public.docs in access exclusive mode');
  await stage.feed.emit(change('UPDATE', table, ['1', undefined]));
  await stage.settled();
  await migration.client.query('rollback');
  const reason = 'a value that a policy or a filter reads could not be looked up';
  expect([decided.gaps, filtered.gaps, plain.gaps]).toEqual([[reason], [reason], []]);
  expect(plain.data().map(({ record }) => record)).toEqual([{ id: 1 }]);
});

test('a table that somebody holds for long keeps its own changes waiting, loses none, and holds up no other table and no join', async () => {
  await using stage = await openStage(`
    create table public.held (id integer primary key, owner uuid);
    create table public.free (id integer primary key, owner uuid);
    alter table public.held enable row level security;
    alter table public.free enable row level security;
    create policy own on public.held for select to authenticated using (owner = auth.uid());
    create policy own on public.free for select to authenticated using (owner = auth.uid());
    grant all on public.held, public.free to authenticated;
    alter publication supabase_realtime add table public.held, public.free;`);
  const [held, free] = [await stage.table('public.held'), await stage.table('public.free')];
  const [ofHeld, ofFree, later] = [listener(), listener(), listener()];
  await stage.changes.subscribe({ params: params('held'), caller: user(alice), ...ofHeld });
  await stage.changes.subscribe({ params: params('free'), caller: user(alice), ...ofFree });
  await stage.feed.emit(change('INSERT', held, ['1', alice]), change('INSERT', free, ['1', alice]));
  await stage.settled();
  await using migration = await openClient(stage.database.login('postgres'));
  await migration.client.query('begin; truncate public.held');
  // What is known of tables has to be read anew.
  await stage.database.run('alter policy own on public.free using (owner = auth.uid() and id > 0)');
  await stage.feed.emit(change('INSERT', free, ['2', alice]));
  await expect.poll(() => rowIds(ofFree)).toEqual([1, 2]);
  await stage.changes.subscribe({ params: params('free', 'id=gt.1'), caller: user(bob), ...later });
  await stage.feed.emit(change('INSERT', held, ['2', alice]), change('INSERT', held, ['3', bob]));
  // Longer than a policy may take.
  await migration.client.query('select pg_sleep(3)');
  expect(rowIds(ofHeld)).toEqual([1]);
  await migration.client.query('rollback');
  await stage.settled();
  expect(rowIds(ofHeld)).toEqual([1, 2]);
  expect([ofHeld.gaps, ofHeld.notices, ofFree.gaps]).toEqual([[], [], []]);
});

test('a policy that fails for so many rows that not each is asked about is told as a gap where rows may be missing', async () => {
  await using stage = await openStage(`
    create table public.fussy (id integer primary key);
    alter table public.fussy enable row level security;
    create policy divides on public.fussy for select to authenticated using (1 / (id % 3) >= 0);
    grant all on public.fussy to authenticated;
    alter publication supabase_realtime add table public.fussy;`);
  const table = await stage.table('public.fussy');
  const heard = listener();
  await stage.changes.subscribe({ params: params('fussy'), caller: user(alice), ...heard });
  const ids = Array.from({ length: 400 }, (_, at) => at + 1);
  await stage.feed.emit(...ids.map((id) => change('INSERT', table, [String(id)])));
  await stage.settled();
  // Those of the first questions, and then a gap.
  const shown = ids.filter((id) => id % 3 !== 0);
  const told = rowIds(heard);
  expect(told.length).toBeGreaterThan(0);
  expect(told).toEqual(shown.slice(0, told.length));
  expect(told.length < shown.length).toBe(heard.gaps.length > 0);
  expect(new Set(heard.gaps)).toEqual(
    new Set(['policies or filters failed for too many to find out who may see a change']),
  );
});

async function openClient(login: ClientConfig) {
  const client = new Client(login);
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end() };
}
