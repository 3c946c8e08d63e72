// In charge of: which claims a policy can read, as far as we can see; and that callers who differ in those are asked about apart, and others together.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  alice,
  bob,
  change,
  listener,
  openStage,
  type Stage,
  user,
} from '../../../../test/harness/changes.ts';
import { claimsKey } from './claims.ts';
import { openFacts } from './facts.ts';

let stage: Stage;
let questions = 0;

const policies: readonly (readonly [name: string, using: string, claims: 'all' | readonly string[]])[] = [
  ['none', `n > 3 and lower(word) = 'x' and now() > '2020-01-01'`, []],
  ['uid', 'auth.uid() = owner', ['sub']],
  ['uid_once', '(select auth.uid()) = owner', ['sub']],
  ['email_and_role', `auth.email() = word or auth.role() = 'x'`, ['email', 'role']],
  ['claim', `(auth.jwt() ->> 'team') = word`, ['team']],
  ['deep_claim', `((auth.jwt() -> 'app_metadata') ->> 'team') = word`, ['app_metadata']],
  ['path', `(auth.jwt() #>> '{app_metadata,team}') = word`, ['app_metadata']],
  ['whole', `auth.jwt() ? 'team'`, 'all'],
  ['setting', `(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub') = word`, ['sub']],
  ['whole_setting', `current_setting('request.jwt.claims', true) like '%x%'`, 'all'],
  ['hidden_setting', `current_setting('request.jwt.' || 'claims', true) like '%x%'`, 'all'],
  ['other_setting', `current_setting('app.mode', true) = 'x'`, []],
  ['sql_function', `public.my_team() = word`, ['team']],
  ['sql_function_of_function', `public.is_mine(owner)`, ['sub']],
  ['plpgsql', `public.opaque(owner)`, 'all'],
  ['own_operator', `n operator(public.===) n`, 'all'],
  ['subquery', `exists (select 1 from public.members m where m.who = owner)`, ['org']],
  ['view', `exists (select 1 from public.members_seen m where m.who = owner)`, 'all'],
  ['circle', `public.round(3)`, 'all'],
  ['text_of_a_query', `query_to_xml('select 1', true, true, '') is not null`, 'all'],
  ['user', `current_user = word`, []],
  ['domain', `word::public.checked = 'x'`, 'all'],
];

beforeAll(async () => {
  stage = await openStage(`
    create function public.my_team() returns text language sql stable as $$ select auth.jwt() ->> 'team' $$;
    create function public.is_mine(u uuid) returns boolean language sql stable as $$ select u = (select auth.uid()) $$;
    create function public.opaque(u uuid) returns boolean language plpgsql stable as $$ begin return u = auth.uid(); end $$;
    create function public.round(n integer) returns boolean language sql stable as $$ select case when $1 = 0 then true else true end $$;
    create or replace function public.round(n integer) returns boolean language sql stable as $$ select case when $1 = 0 then true else public.round($1 - 1) end $$;
    create function public.same(a integer, b integer) returns boolean language plpgsql as $$ begin return a = b; end $$;
    create operator public.=== (leftarg = integer, rightarg = integer, function = public.same);
    create domain public.checked as text check (public.opaque(null) is null);
    create table public.members (who uuid, org text);
    alter table public.members enable row level security;
    create policy org on public.members using ((auth.jwt() ->> 'org') = org);
    create view public.members_seen as select * from public.members;
    ${policies
      .map(
        ([
          name,
          using,
        ]) => `create table public.${name} (id integer primary key, n integer, word text, owner uuid);
      alter table public.${name} enable row level security;
      create policy it on public.${name} for select to authenticated using (${using});
      alter publication supabase_realtime add table public.${name};`,
      )
      .join('\n')}
    grant all on all tables in schema public to authenticated;
  `);
  const { as } = stage.db;
  stage.db.as = (caller, work) => {
    if (work.statement.text.includes('json_populate_record')) questions++;
    return as(caller, work);
  };
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test('each kind of expression', async () => {
  const facts = await openFacts({ db: stage.db, reader: 'millrace_admin', publication: 'supabase_realtime' });
  const oids = await stage.database.run(
    `select oid::text as oid from pg_class where relname in ('${policies.map(([name]) => name).join("', '")}') and relkind = 'r'`,
  );
  const { tables } = await facts.prepare(
    oids.map(({ oid }) => String(oid)),
    new Set(['authenticated']),
  );
  const read = [...tables.values()].map((table) => [table.name, table.roles.get('authenticated')?.claims]);
  expect(Object.fromEntries(read)).toEqual(
    Object.fromEntries(policies.map(([name, , claims]) => [name, claims])),
  );
});

test('claims that a number does not hold, or that are no object, are compared as a whole', () => {
  const role = { claims: ['id'] } as unknown as Parameters<typeof claimsKey>[1];
  const key = (claims: string) => claimsKey({ role: 'x', claims, subject: undefined, by: 'token' }, role);
  expect(key('{"id":1,"exp":5}')).toBe(key('{"exp":6,"id":1}'));
  expect(key('{"id":9007199254740993}')).not.toBe(key('{"id":9007199254740992}'));
  expect(key('{"id":null}')).not.toBe(key('{}'));
  expect(key('{"id":"1"}')).not.toBe(key('{"id":1}'));
});

test('many users are one question, whoever has the same claims is asked about once, and each hears its own', async () => {
  const table = await stage.table('public.uid');
  const subs = Array.from({ length: 20 }, (_, at) => `00000000-0000-4000-8000-0000000000${10 + at}`);
  const heard = await Promise.all(
    [...subs, ...subs].map(async (sub, at) => {
      const one = listener();
      await stage.changes.subscribe({ params: [{ table: 'uid' }], caller: user(sub, { exp: at }), ...one });
      return { sub, one };
    }),
  );
  // Whose claim is no uuid is asked about alone: for it the policy raises.
  const broken = listener();
  await stage.changes.subscribe({ params: [{ table: 'uid' }], caller: user('no uuid'), ...broken });
  questions = 0;
  await stage.feed.emit(...subs.map((sub, id) => change('INSERT', table, [String(id), null, null, sub])));
  await stage.settled();
  for (const { sub, one } of heard)
    expect(one.data().map((data) => (data['record'] as { owner: string }).owner)).toEqual([sub]);
  expect(broken.events).toEqual([]);
  expect(broken.notices).toEqual(['A policy on public.uid failed (22P02), so that changes are not told.']);
  // One for all, and those that look for what the broken one may see.
  expect(questions).toBeLessThan(1 + 2 * subs.length);
  questions = 0;
  await stage.feed.emit(change('INSERT', table, ['100', null, null, subs[0]!]));
  await stage.settled();
  expect(questions).toBe(2);
});

test('a policy that cannot be seen into is asked about for each token', async () => {
  const table = await stage.table('public.plpgsql');
  const [toAlice, toBob] = [listener(), listener()];
  await stage.changes.subscribe({ params: [{ table: 'plpgsql' }], caller: user(alice), ...toAlice });
  await stage.changes.subscribe({ params: [{ table: 'plpgsql' }], caller: user(bob), ...toBob });
  await stage.feed.emit(
    change('INSERT', table, ['1', null, null, alice]),
    change('INSERT', table, ['2', null, null, bob]),
  );
  await stage.settled();
  const ids = (one: typeof toAlice) => one.data().map((data) => (data['record'] as { id: number }).id);
  expect(ids(toAlice)).toEqual([1]);
  expect(ids(toBob)).toEqual([2]);
});
