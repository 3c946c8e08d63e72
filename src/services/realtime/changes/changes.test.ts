// In charge of: who is told of a change, on a real database with a feed that is fed by hand.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  alice,
  anon,
  bob,
  change,
  listener,
  openStage,
  type Stage,
  service,
  user,
} from '../../../../test/harness/changes.ts';
import type { Caller } from '../../../engine/identity/caller.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage(
    `
    create table public.notes (id bigint primary key, owner uuid, body text, tags text[], at timestamptz, ok boolean, price numeric, doc jsonb);
    alter table public.notes enable row level security;
    create policy own on public.notes for select to authenticated using ((select auth.uid()) = owner);
    create table public.full_notes (id bigint primary key, owner uuid, body text);
    alter table public.full_notes replica identity full;
    alter table public.full_notes enable row level security;
    create policy own on public.full_notes for select to authenticated using (auth.uid() = owner);
    create table public.open_notes (id integer primary key, secret text, body text);
    create table public.fragile (id integer primary key, n integer);
    alter table public.fragile enable row level security;
    create policy divides on public.fragile for select to authenticated using (10 / n > 1);
    create policy sleeps on public.fragile for select to anon using (n <> 7 or pg_sleep(30) is null);
    create table public.hidden (id integer primary key);
    create table public.barred (id integer primary key);
    alter table public.barred enable row level security;
    create policy looks on public.barred for select to authenticated using (exists (select from public.hidden));
    create table public.retyped (id integer primary key, c text);
    create table public.ruled (id integer primary key);
    alter table public.ruled enable row level security;
    create policy rule on public.ruled for select to authenticated using (true);
    revoke all on all tables in schema public from anon, authenticated;
    grant all on public.retyped, public.ruled, public.barred to authenticated, service_role;
    grant all on public.notes, public.full_notes, public.fragile to anon, authenticated, service_role;
    grant all on public.open_notes to service_role;
    grant select (id, body) on public.open_notes to authenticated;
    grant select (body) on public.open_notes to anon;
    alter publication supabase_realtime add table public.notes, public.full_notes, public.open_notes, public.fragile, public.retyped, public.ruled, public.barred;
  `,
    { limits: { policyTimeoutMs: 500 } },
  );
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test('a row is told to those whose policies show it, with its values as JSON', async () => {
  const { changes, feed } = stage;
  const table = await stage.table('public.notes');
  const [toAlice, toBob, toAnon, toService] = [listener(), listener(), listener(), listener()];
  const params = [{ event: '*', schema: 'public', table: 'notes' }];
  const subscriptions = await Promise.all([
    changes.subscribe({ params, caller: user(alice), ...toAlice }),
    changes.subscribe({ params, caller: user(bob), ...toBob }),
    changes.subscribe({ params, caller: anon, ...toAnon }),
    changes.subscribe({ params, caller: service, ...toService }),
  ]);
  const [told] = await feed.emit(
    change('INSERT', table, [
      '1',
      alice,
      'a "b"',
      '{a,"b,c",NULL}',
      '2026-11-30 12:00:00.5+00',
      't',
      '1.50',
      '{"a": [1]}',
    ]),
  );
  await stage.settled();
  const data = {
    schema: 'public',
    table: 'notes',
    commit_timestamp: '2026-11-30T12:00:00.123Z',
    type: 'INSERT',
    columns: [
      { name: 'id', type: 'int8' },
      { name: 'owner', type: 'uuid' },
      { name: 'body', type: 'text' },
      { name: 'tags', type: '_text' },
      { name: 'at', type: 'timestamptz' },
      { name: 'ok', type: 'bool' },
      { name: 'price', type: 'numeric' },
      { name: 'doc', type: 'jsonb' },
    ],
    record: {
      id: 1,
      owner: alice,
      body: 'a "b"',
      tags: ['a', 'b,c', null],
      at: '2026-11-30T12:00:00.5+00:00',
      ok: true,
      price: 1.5,
      doc: { a: [1] },
    },
    errors: null,
  };
  expect(toAlice.events.map(({ entries, type, id }) => ({ entries, type, id }))).toEqual([
    { entries: [0], type: 'INSERT', id: told?.id },
  ]);
  expect(toAlice.data()).toEqual([data]);
  expect(toBob.events).toEqual([]);
  expect(toAnon.events).toEqual([]);
  expect(toService.data()).toEqual([data]);
  for (const subscription of subscriptions) subscription.close();
});

/** Listens to one table until the end of the block. */
async function listenTo(table: string, caller: Caller, more: Record<string, unknown> = {}, since?: string) {
  const heard = listener();
  const subscription = await stage.changes.subscribe({
    params: [{ event: '*', schema: 'public', table, ...more }],
    caller,
    ...heard,
    ...(since !== undefined && { since }),
  });
  return {
    ...heard,
    subscription,
    lines: () =>
      heard
        .data()
        .map((data) => JSON.stringify([data['type'], data['record'], data['old_record'], data['errors']])),
    [Symbol.dispose]: () => subscription.close(),
  };
}

const line = (...parts: readonly unknown[]) => JSON.stringify(parts);

test('who hears of an UPDATE sees the new row; of the old one what it could see, else the primary key', async () => {
  const table = await stage.table('public.full_notes');
  using toAlice = await listenTo('full_notes', user(alice));
  using toBob = await listenTo('full_notes', user(bob));
  using toService = await listenTo('full_notes', service);
  await stage.feed.emit(
    change('UPDATE', table, ['1', alice, 'new'], ['1', alice, 'old']),
    change('UPDATE', table, ['2', alice, 'from bob'], ['2', bob, 'of bob']),
  );
  await stage.settled();
  expect(toAlice.lines()).toEqual([
    line('UPDATE', { id: 1, owner: alice, body: 'new' }, { id: 1, owner: alice, body: 'old' }, null),
    line('UPDATE', { id: 2, owner: alice, body: 'from bob' }, { id: 2 }, null),
  ]);
  expect(toBob.lines()).toEqual([]);
  expect(toService.lines()[1]).toEqual(
    line('UPDATE', { id: 2, owner: alice, body: 'from bob' }, { id: 2, owner: bob, body: 'of bob' }, null),
  );
});

test('an UPDATE that left the key alone tells the key as the old row', async () => {
  const table = await stage.table('public.notes');
  using toAlice = await listenTo('notes', user(alice), { select: ['body'] });
  await stage.feed.emit(change('UPDATE', table, ['1', alice, 'new', null, null, null, null, null]));
  await stage.settled();
  expect(toAlice.lines()).toEqual([line('UPDATE', { id: 1, body: 'new' }, { id: 1 }, null)]);
});

test('a DELETE is decided by policy where the old row is there, else told by its key, and that is said', async () => {
  const [full, plain] = [await stage.table('public.full_notes'), await stage.table('public.notes')];
  using aliceFull = await listenTo('full_notes', user(alice));
  using bobFull = await listenTo('full_notes', user(bob));
  using aliceNotes = await listenTo('notes', user(alice));
  using bobNotes = await listenTo('notes', user(bob), { filter: 'id=eq.2' });
  await stage.feed.emit(
    change('DELETE', full, undefined, ['1', alice, 'gone']),
    change('DELETE', plain, undefined, [
      '2',
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]),
    change('DELETE', plain, undefined, [
      '3',
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]),
  );
  await stage.settled();
  expect(aliceFull.lines()).toEqual([line('DELETE', undefined, { id: 1, owner: alice, body: 'gone' }, null)]);
  expect(bobFull.lines()).toEqual([]);
  expect(aliceNotes.lines()).toEqual([
    line('DELETE', undefined, { id: 2 }, null),
    line('DELETE', undefined, { id: 3 }, null),
  ]);
  expect(bobNotes.lines()).toEqual([line('DELETE', undefined, { id: 2 }, null)]);
  expect(aliceFull.notices).toEqual([]);
  expect(aliceNotes.notices).toEqual([
    'A DELETE of public.notes is told to everybody who may read the table, with its primary key alone: what its policies read is not in the old row. `alter table public.notes replica identity full` lets them decide.',
  ]);
});

test('only columns that the role may read are told; without the primary key nothing but that', async () => {
  const table = await stage.table('public.open_notes');
  using signedIn = await listenTo('open_notes', user(alice));
  using unknown = await listenTo('open_notes', anon);
  await stage.feed.emit(change('INSERT', table, ['1', 'secret', 'text']));
  await stage.settled();
  expect(signedIn.data()[0]).toMatchObject({
    columns: [
      { name: 'id', type: 'int4' },
      { name: 'body', type: 'text' },
    ],
  });
  expect(signedIn.lines()).toEqual([line('INSERT', { id: 1, body: 'text' }, undefined, null)]);
  expect(unknown.data()).toEqual([
    {
      schema: 'public',
      table: 'open_notes',
      commit_timestamp: null,
      type: 'INSERT',
      columns: [],
      record: {},
      errors: ['Error 401: Unauthorized'],
    },
  ]);
});

test('a record that is too large comes without its large values', async () => {
  const table = await stage.table('public.open_notes');
  using toService = await listenTo('open_notes', service);
  await stage.feed.emit(change('INSERT', table, ['1', 'small', 'x'.repeat(1024 * 1024)]));
  await stage.settled();
  expect(toService.lines()).toEqual([
    line('INSERT', { id: 1, secret: 'small' }, undefined, ['Error 413: Payload Too Large']),
  ]);
});

test('a policy that raises, or takes too long, hides that row from its own group; the rest is told', async () => {
  const table = await stage.table('public.fragile');
  using signedIn = await listenTo('fragile', user(alice));
  using unknown = await listenTo('fragile', anon);
  using toService = await listenTo('fragile', service);
  const rows = [1, 0, 2, 7, 3].map((n, id) => change('INSERT', table, [String(id), String(n)]));
  await stage.feed.emit(...rows);
  await stage.settled();
  const ids = (one: typeof signedIn) => one.data().map((data) => (data['record'] as { id: number }).id);
  expect(ids(signedIn)).toEqual([0, 2, 4]);
  expect(ids(unknown)).toEqual([0, 1, 2, 4]);
  expect(ids(toService)).toEqual([0, 1, 2, 3, 4]);
  expect(signedIn.notices).toEqual([
    'A policy on public.fragile failed (22012), so that changes are not told.',
  ]);
  expect(unknown.notices).toEqual([
    'A policy on public.fragile failed (57014), so that changes are not told.',
  ]);
  expect(stage.observed.filter(({ kind }) => kind === 'realtime.policy_failed').length).toBe(2);
});

test('a policy, a grant and a role that change hold from the next change on', async () => {
  const table = await stage.table('public.notes');
  const note = (id: string) => change('INSERT', table, [id, bob, null, null, null, null, null, null]);
  using toAlice = await listenTo('notes', user(alice));
  const told = async () => {
    await stage.feed.emit(note(String(toAlice.events.length + 100)));
    await stage.settled();
    return toAlice.events.length;
  };
  expect(await told()).toBe(0);
  await stage.database.run(`create policy all_see on public.notes for select to authenticated using (true)`);
  expect(await told()).toBe(1);
  await stage.database.run(`alter policy all_see on public.notes using (body is not null)`);
  expect(await told()).toBe(1);
  await stage.database.run(`alter table public.notes disable row level security`);
  expect(await told()).toBe(2);
  await stage.database.run(
    `alter table public.notes enable row level security; drop policy all_see on public.notes`,
  );
  expect(await told()).toBe(2);
  toAlice.subscription.setCaller(user(bob));
  expect(await told()).toBe(3);
});

test('what was missed comes first, in order and once; or a gap is told', async () => {
  const table = await stage.table('public.full_notes');
  const note = (id: number) => change('INSERT', table, [String(id), alice, null]);
  using first = await listenTo('full_notes', user(alice));
  await stage.feed.emit(note(1), note(2));
  await stage.settled();
  const [seen] = first.events;
  const resumed = await Promise.all([
    listenTo('full_notes', user(alice), {}, seen!.id),
    stage.feed.emit(note(3)),
  ]);
  await stage.feed.emit(note(4));
  await stage.settled();
  const ids = (one: typeof first) => one.data().map((data) => (data['record'] as { id: number }).id);
  expect(ids(first)).toEqual([1, 2, 3, 4]);
  expect(ids(resumed[0])).toEqual([2, 3, 4]);
  using late = await listenTo('full_notes', user(alice), {}, 'never');
  expect(late.gaps).toEqual(['what came behind that change is not kept any more']);
  stage.feed.gap('the replication slot was lost');
  await stage.settled();
  expect(first.gaps).toEqual(['the replication slot was lost']);
  resumed[0].subscription.close();
});

test("what cannot be is refused in upstream's words", async () => {
  const refusal = (params: Record<string, unknown>, caller = user(alice)) =>
    stage.changes.subscribe({ params: [params], caller, ...listener() }).then(
      () => 'accepted',
      (error: Error) => error.message,
    );
  const wish = (text: string) => `Unable to subscribe to changes with given parameters. ${text}`;
  const check = 'Please check Realtime is enabled for the given connect parameters';
  const exception = 'An exception happened so please check your connect parameters';
  expect(await refusal({ schema: 'public', table: 'hidden' })).toBe(
    wish(`${check}: [event: *, schema: public, table: hidden, filters: [], select: nil]`),
  );
  expect(await refusal({ schema: 'public', table: 'notes', filter: 'subject=eq.hey' })).toBe(
    wish(
      `${exception}: [event: *, schema: public, table: notes, filters: [{"subject", "eq", "hey", false}], select: nil]. Exception: ERROR P0001 (raise_exception) invalid column for filter subject`,
    ),
  );
  expect(await refusal({ schema: 'public', table: 'notes', filter: 'id=eq.hey' })).toBe(
    wish(
      `${exception}: [event: *, schema: public, table: notes, filters: [{"id", "eq", "hey", false}], select: nil]. Exception: ERROR 22P02 (invalid_text_representation) invalid input syntax for type bigint: "hey"`,
    ),
  );
  expect(await refusal({ schema: 'public', table: 'notes', filter: 'id=like.1%' })).toContain(
    'operator like requires a text-compatible column type, got bigint',
  );
  expect(await refusal({ schema: 'public', table: 'notes', filter: 'body=match.(' })).toContain(
    'ERROR P0001 (raise_exception) invalid regular expression for match filter: ',
  );
  expect(await refusal({ schema: 'public', table: 'notes', filter: 'body=is.true' })).toContain(
    'is true filter requires a boolean column, got text',
  );
  expect(await refusal({ schema: 'public', table: 'notes', filter: 'body=is.maybe' })).toContain(
    'invalid value for is filter: must be null, true, false, or unknown',
  );
  const many = Array.from({ length: 101 }, (_, at) => at).join(',');
  expect(await refusal({ schema: 'public', table: 'notes', filter: `id=in.(${many})` })).toContain(
    'too many values for `in` filter. Maximum 100',
  );
  expect(await refusal({ schema: 'public', table: 'open_notes', select: ['secret'] })).toContain(
    'invalid column for select secret',
  );
  expect(await refusal({ schema: 'public' }, { ...anon, role: 'nobody_is_this' })).toContain(
    'role "nobody_is_this" does not exist',
  );
});

test('a value of a type that its column has no more is left out', async () => {
  const before = await stage.table('public.retyped');
  using heard = await listenTo('retyped', service);
  await stage.database.run('alter table public.retyped alter column c type text[] using array[c]');
  const now = await stage.table('public.retyped');
  await stage.feed.emit(
    change('INSERT', before, ['1', 'no array']),
    change('INSERT', now, ['2', '{an,array}']),
  );
  await stage.settled();
  expect(heard.lines()).toEqual([
    line('INSERT', { id: 1 }, undefined, null),
    line('INSERT', { id: 2, c: ['an', 'array'] }, undefined, null),
  ]);
});

test('a filter on a column that the role may not read any more matches nothing', async () => {
  const table = await stage.table('public.open_notes');
  using filtered = await listenTo('open_notes', user(alice), { filter: 'body=eq.x' });
  using all = await listenTo('open_notes', user(alice));
  await stage.database.run('revoke select (body) on public.open_notes from authenticated');
  await stage.feed.emit(change('INSERT', table, ['1', 'secret', 'x']));
  await stage.settled();
  await stage.database.run('grant select (body) on public.open_notes to authenticated');
  expect(filtered.lines()).toEqual([]);
  expect(all.lines()).toEqual([line('INSERT', { id: 1 }, undefined, null)]);
});

test('a policy that changes while another table is looked at for the first time holds at once', async () => {
  const table = await stage.table('public.ruled');
  using heard = await listenTo('ruled', user(alice));
  await stage.feed.emit(change('INSERT', table, ['1']));
  await stage.settled();
  await stage.database.run('create table public.fresh (id integer primary key)');
  await stage.database.run('grant select on public.fresh to authenticated');
  await stage.database.run('alter publication supabase_realtime add table public.fresh');
  // What is known is of the newest version before.
  await stage.feed.emit(change('INSERT', table, ['2']));
  await stage.settled();
  const { asOwner } = stage.db;
  let changed = 0;
  // Between the look at the version and the snapshot in which the new table is read.
  stage.db.asOwner = (owner, run, kind) =>
    asOwner(
      owner,
      (client) =>
        run(
          new Proxy(client, {
            get(target, name) {
              if (name !== 'query') return Reflect.get(target, name);
              return async (...given: [string]) => {
                if (String(given[0]).startsWith('begin isolation') && changed++ === 0)
                  await stage.database.run('alter policy rule on public.ruled using (false)');
                return target.query(...given);
              };
            },
          }),
        ),
      kind,
    );
  (await listenTo('fresh', user(alice), { filter: 'id=eq.1' })).subscription.close();
  stage.db.asOwner = asOwner;
  expect(changed).toBeGreaterThan(0);
  await stage.feed.emit(change('INSERT', table, ['3']));
  await stage.settled();
  expect(heard.lines()).toEqual([
    line('INSERT', { id: 1 }, undefined, null),
    line('INSERT', { id: 2 }, undefined, null),
  ]);
});

test('many who come back at once are told all that they missed, in its order', async () => {
  await using own = await openStage(
    `create table public.kept (id integer primary key); grant all on public.kept to service_role;
     alter publication supabase_realtime add table public.kept;`,
    { limits: { maxPendingChanges: 3 } },
  );
  const table = await own.table('public.kept');
  const ids = Array.from({ length: 20 }, (_, at) => at);
  const emitted = await own.feed.emit(...ids.map((id) => change('INSERT', table, [String(id)])));
  const heard = ids.map(() => listener());
  const params = [{ event: '*', schema: 'public', table: 'kept' }];
  await Promise.all(
    heard.map((one) => own.changes.subscribe({ params, caller: service, since: emitted[0]!.id, ...one })),
  );
  await own.settled();
  for (const one of heard)
    expect(one.events.map(({ id }) => id)).toEqual(emitted.slice(1).map(({ id }) => id));
});

test('who listens to a database that is put back hears of what happens from there on', async () => {
  await using own = await openStage(
    `create table public.kept (id integer primary key); grant all on public.kept to service_role;
     alter publication supabase_realtime add table public.kept;`,
  );
  const table = await own.table('public.kept');
  await own.feed.emit(...['1', '2', '3'].map((id) => change('INSERT', table, [id])));
  const heard = listener();
  const params = [{ event: '*', schema: 'public', table: 'kept' }];
  await own.changes.subscribe({ params, caller: service, ...heard });
  own.feed.putBack('the database is another one');
  await own.feed.emit(change('INSERT', table, ['4']));
  await own.settled();
  expect(heard.gaps).toEqual(['the database is another one']);
  expect(heard.data().map(({ record }) => record)).toEqual([{ id: 4 }]);
});

test('a policy that reads what its callers may not hides the row, and the schema is not read anew for it', async () => {
  const table = await stage.table('public.barred');
  using heard = await listenTo('barred', user(alice));
  await stage.feed.emit(change('INSERT', table, ['1']));
  await stage.settled();
  const { asOwner } = stage.db;
  let looks = 0;
  stage.db.asOwner = (owner, run, kind) => {
    looks++;
    return asOwner(owner, run, kind);
  };
  await stage.feed.emit(change('INSERT', table, ['2']));
  await stage.settled();
  stage.db.asOwner = asOwner;
  expect(looks).toBe(1);
  expect(heard.lines()).toEqual([]);
  expect(heard.notices).toEqual(['A policy on public.barred failed (42501), so that changes are not told.']);
});
