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

let stage: Stage;

beforeAll(async () => {
  stage = await openStage(`
    create table public.notes (id bigint primary key, owner uuid, body text, tags text[], at timestamptz, ok boolean, price numeric, doc jsonb);
    alter table public.notes enable row level security;
    create policy own on public.notes for select to authenticated using ((select auth.uid()) = owner);
    create table public.open (id integer, part integer, body text, primary key (id, part));
    create table public.hidden (id integer primary key);
    grant all on all tables in schema public to anon, authenticated, service_role;
    alter publication supabase_realtime add table public.notes, public.open;
  `);
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
