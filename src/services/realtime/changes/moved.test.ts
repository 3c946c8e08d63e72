// In charge of: changes that were committed before the table's columns were changed, and are decided behind that: what a row had under another name
// decides as it was, or whoever it matters to is told of a gap; never by what stands there now.
import { expect, test } from 'vitest';
import { alice, bob, change, listener, openStage, service, user } from '../../../../test/harness/changes.ts';

const moved = 'the table was changed before it was found out who may see a change';
const params = (filter?: string) => [
  { event: '*', schema: 'public', table: 'notes', ...(filter !== undefined && { filter }) },
];
const lines = (heard: ReturnType<typeof listener>) =>
  heard.data().map(({ type, record, old_record: old }) => [type, record ?? null, old ?? null]);

const open = () =>
  openStage(`
    create table public.notes (id integer primary key, owner uuid, body text);
    alter table public.notes replica identity full;
    alter table public.notes enable row level security;
    create policy own on public.notes for select to authenticated using (owner = auth.uid());
    grant all on public.notes to authenticated, service_role;
    alter publication supabase_realtime add table public.notes;`);

test('a column that has another name and another value by now does not decide who sees what the row was', async () => {
  await using stage = await open();
  const then = await stage.table('public.notes');
  const [toAlice, toBob, toService] = [listener(), listener(), listener()];
  await stage.changes.subscribe({ params: params(), caller: user(alice), ...toAlice });
  await stage.changes.subscribe({ params: params(), caller: user(bob), ...toBob });
  await stage.changes.subscribe({ params: params(), caller: service, ...toService });
  await stage.database.run(`
    insert into public.notes values (1, '${alice}', 'hers');
    alter table public.notes rename owner to possessor;
    update public.notes set possessor = '${bob}', body = null`);
  await stage.feed.emit(change('INSERT', then, ['1', alice, 'hers']));
  await stage.settled();
  expect([lines(toAlice), lines(toBob)]).toEqual([[], []]);
  expect([toAlice.gaps, toBob.gaps, toService.gaps]).toEqual([[moved], [moved], []]);
  // What both have; the new name's value is of another time.
  expect(lines(toService)).toEqual([['INSERT', { id: 1, body: 'hers' }, null]]);
});

test('a deleted row whose columns had other names is told to nobody whose policy reads them', async () => {
  await using stage = await open();
  const then = await stage.table('public.notes');
  const [toBob, toService] = [listener(), listener()];
  await stage.changes.subscribe({ params: params(), caller: user(bob), ...toBob });
  await stage.changes.subscribe({ params: params(), caller: service, ...toService });
  await stage.database.run('alter table public.notes rename owner to possessor');
  await stage.feed.emit(change('DELETE', then, undefined, ['1', alice, 'hers']));
  await stage.settled();
  expect([lines(toBob), toBob.gaps, toBob.notices]).toEqual([[], [moved], []]);
  expect([lines(toService), toService.gaps]).toEqual([[['DELETE', null, { id: 1, body: 'hers' }]], []]);
});

test('a column that came later is looked up, and one that is gone is left out', async () => {
  await using stage = await open();
  const then = await stage.table('public.notes');
  const heard = listener();
  await stage.changes.subscribe({ params: params(), caller: user(alice), ...heard });
  await stage.database.run(`
    insert into public.notes values (1, '${alice}', 'hers');
    alter table public.notes add stars integer default 3`);
  await stage.feed.emit(change('INSERT', then, ['1', alice, 'hers']));
  await stage.settled();
  await stage.database.run('alter table public.notes drop body, drop stars');
  await stage.feed.emit(change('INSERT', then, ['2', alice, 'hers']));
  await stage.settled();
  expect(lines(heard)).toEqual([
    ['INSERT', { id: 1, owner: alice, body: 'hers', stars: 3 }, null],
    ['INSERT', { id: 2, owner: alice }, null],
  ]);
  expect(heard.gaps).toEqual([]);
});

test('a filter by what may have had another name or type is answered by a gap, to whoever has it alone', async () => {
  await using stage = await open();
  const then = await stage.table('public.notes');
  await stage.database.run(`insert into public.notes values (1, '${alice}', '5')`);
  const [filtered, plain] = [listener(), listener()];
  await stage.changes.subscribe({ params: params('body=eq.5'), caller: service, ...filtered });
  await stage.changes.subscribe({ params: params(), caller: service, ...plain });
  await stage.database.run('alter table public.notes alter body type integer using body::integer');
  await stage.feed.emit(change('INSERT', then, ['1', alice, '5']));
  await stage.settled();
  expect([lines(filtered), filtered.gaps]).toEqual([[], [moved]]);
  expect([lines(plain), plain.gaps]).toEqual([[['INSERT', { id: 1, owner: alice }, null]], []]);
});
