// In charge of: that what is on its way is bounded: large values are looked up in portions, and those who come back at once are told a slice at a time.
import { expect, test } from 'vitest';
import { change, listener, openStage, type Stage, service } from '../../../../test/harness/changes.ts';

const params = (table: string) => [{ event: '*', schema: 'public', table }];

/** What each look-up of values brings, in bytes; undefined where another query is meant. */
function watchLookUps(stage: Stage): number[] {
  const looks: number[] = [];
  const { asOwner } = stage.db;
  stage.db.asOwner = (owner, run, kind) =>
    asOwner(
      owner,
      (client) =>
        run(
          new Proxy(client, {
            get(target, name) {
              if (name !== 'query') return Reflect.get(target, name);
              return async (...given: [{ readonly text?: string; readonly rowMode?: string }]) => {
                const result = await target.query(...(given as unknown as [string]));
                // Sound: only values are looked up as arrays.
                const rows = result.rows as unknown as readonly (readonly (string | null)[])[];
                if (given[0].rowMode === 'array')
                  looks.push(rows.flat().reduce((sum, value) => sum + (value?.length ?? 0), 0));
                return result;
              };
            },
          }),
        ),
      kind,
    );
  return looks;
}

test('values that changes do not bring are looked up in portions, and these wait for each other to be told', async () => {
  await using stage = await openStage(
    `create table public.large (id integer primary key, body text, n integer);
     alter table public.large alter column body set storage external;
     insert into public.large select id, repeat('x', 100000), 0 from generate_series(1, 60) id where id <> 30;
     create table public.others (id integer primary key, body text);
     insert into public.others values (1, repeat('y', 100000));
     grant all on public.large, public.others to service_role;
     alter publication supabase_realtime add table public.large, public.others;`,
    { limits: { maxFillBytes: 350_000, maxPendingBytes: 500_000 } },
  );
  const [large, others] = [await stage.table('public.large'), await stage.table('public.others')];
  const heard = listener();
  const both = [...params('large'), ...params('others')];
  await stage.changes.subscribe({ params: both, caller: service, ...heard });
  const looks = watchLookUps(stage);
  // Nothing is decided until it may be.
  const { as } = stage.db;
  const gate = Promise.withResolvers<void>();
  stage.db.as = async (...given) => {
    await gate.promise;
    return as(...given);
  };
  const updates = Array.from({ length: 60 }, (_, at) =>
    change('UPDATE', large, [String(at + 1), undefined, '1']),
  );
  const told = stage.feed.emit(
    ...updates.slice(0, 20),
    change('UPDATE', others, ['1', undefined]),
    ...updates.slice(20),
  );
  await told;
  gate.resolve();
  await stage.settled();
  expect(heard.data().map(({ record }) => record)).toEqual([
    ...updates.slice(0, 20).map((_, at) => ({ id: at + 1, body: 'x'.repeat(100_000), n: 1 })),
    { id: 1, body: 'y'.repeat(100_000) },
    // A row that is gone is told without the value.
    ...updates
      .slice(20)
      .map((_, at) => (at === 9 ? { id: 30, n: 1 } : { id: at + 21, body: 'x'.repeat(100_000), n: 1 })),
  ]);
  expect(looks.length).toBeGreaterThan(15);
  expect(Math.max(...looks)).toBeLessThan(351_000);
});

test('changes with large values make the feed wait, however few they are', async () => {
  await using stage = await openStage(
    `create table public.notes (id integer primary key, body text);
     alter table public.notes enable row level security;
     create policy all_see on public.notes for select to service_role, authenticated using (id > 0);
     grant all on public.notes to authenticated;
     alter publication supabase_realtime add table public.notes;`,
    { limits: { maxPendingBytes: 1_000_000 } },
  );
  const table = await stage.table('public.notes');
  const heard = listener();
  const caller = { ...service, role: 'authenticated', claims: '{"role":"authenticated"}' };
  await stage.changes.subscribe({ params: params('notes'), caller, ...heard });
  const { as } = stage.db;
  const gate = Promise.withResolvers<void>();
  stage.db.as = async (...given) => {
    await gate.promise;
    return as(...given);
  };
  let waits = true;
  const large = (id: number) => change('INSERT', table, [String(id), 'x'.repeat(400_000)]);
  await stage.feed.emit(large(1));
  const emitted = stage.feed.emit(large(2), large(3)).then(() => {
    waits = false;
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(waits).toBe(true);
  gate.resolve();
  await emitted;
  await stage.settled();
  expect(heard.events.length).toBe(3);
});

test('a thousand clients that come back at once are told what they missed a slice at a time, and what happens meanwhile in its order', async () => {
  await using stage = await openStage(
    `create table public.kept (id integer primary key, body text); grant all on public.kept to service_role;
     create table public.other (id integer primary key); grant all on public.other to service_role;
     alter publication supabase_realtime add table public.kept, public.other;`,
    { limits: { maxReplaying: 300, maxReplayedChanges: 50 } },
  );
  const [kept, other] = [await stage.table('public.kept'), await stage.table('public.other')];
  const row = (id: number) => change('INSERT', kept, [String(id), 'text']);
  const missed = await stage.feed.emit(...Array.from({ length: 400 }, (_, id) => row(id)));
  const reads: number[] = [];
  const { since } = stage.feed;
  stage.feed.since = (id, limit) => {
    const found = since.call(stage.feed, id, limit);
    reads.push(found?.length ?? 0);
    return found;
  };
  const bystander = listener();
  await stage.changes.subscribe({ params: params('other'), caller: service, ...bystander });
  let toldBefore = 0;
  const clients = Array.from({ length: 1_000 }, (_, at) => ({ ...listener(), since: missed[at % 100]!.id }));
  await Promise.all(
    clients.map((client) => stage.changes.subscribe({ params: params('kept'), caller: service, ...client })),
  );
  // What happens now has its turn before they have all been told.
  const lively = stage.feed.emit(change('INSERT', other, ['1']), row(1_000));
  const deliver = bystander.events.push.bind(bystander.events);
  bystander.events.push = (...events) => {
    toldBefore = clients.filter(({ events: told }) => told.length > 200).length;
    return deliver(...events);
  };
  await lively;
  await stage.feed.emit(row(1_001));
  await stage.settled();
  const all = stage.feed.kept.filter(({ table }) => table === kept).map(({ id }) => id);
  clients.forEach(({ events, gaps }, at) => {
    expect(events.map(({ id }) => id)).toEqual(all.slice((at % 100) + 1));
    expect(gaps).toEqual([]);
  });
  expect(bystander.events.length).toBe(1);
  expect(toldBefore).toBeLessThan(1_000);
  // A slice is read once for all whose turn it is: by itself each client would need eight.
  expect(Math.max(...reads)).toBeLessThanOrEqual(50);
  expect(reads.filter((count) => count > 0).length).toBeLessThan(1_000);
});

test('a client that does not read what it missed does not hold up others, and goes on when it does', async () => {
  await using stage = await openStage(
    `create table public.kept (id integer primary key); grant all on public.kept to service_role;
     alter publication supabase_realtime add table public.kept;`,
    { limits: { maxReplayedChanges: 10 } },
  );
  const table = await stage.table('public.kept');
  const row = (id: number) => change('INSERT', table, [String(id)]);
  const missed = await stage.feed.emit(...Array.from({ length: 100 }, (_, id) => row(id)));
  const [slow, quick] = [listener(), listener()];
  let isReading = false;
  const hasRoom = () => isReading || slow.events.length < 30;
  const since = missed[0]!.id;
  await stage.changes.subscribe({ params: params('kept'), caller: service, ...slow, hasRoom, since });
  await stage.changes.subscribe({ params: params('kept'), caller: service, ...quick, since });
  await expect.poll(() => quick.events.length).toBe(99);
  await stage.feed.emit(row(100));
  await expect.poll(() => quick.events.length).toBe(100);
  expect(slow.events.length).toBe(30);
  isReading = true;
  await stage.settled();
  expect(slow.events.map(({ id }) => id)).toEqual(stage.feed.kept.slice(1).map(({ id }) => id));
});

test('who comes back while what it missed is let go of is told of a gap, and of what happens', async () => {
  await using stage = await openStage(
    `create table public.kept (id integer primary key); grant all on public.kept to service_role;
     alter publication supabase_realtime add table public.kept;`,
    { limits: { maxReplayedChanges: 2 } },
  );
  const table = await stage.table('public.kept');
  const row = (id: number) => change('INSERT', table, [String(id)]);
  const missed = await stage.feed.emit(row(0), row(1), row(2), row(3), row(4));
  const heard = listener();
  let hasRoom = true;
  const deliver = (event: Parameters<typeof heard.deliver>[0]) => {
    heard.deliver(event);
    hasRoom = false;
  };
  const since = missed[0]!.id;
  const wish = { params: params('kept'), caller: service, ...heard, deliver, hasRoom: () => hasRoom, since };
  await stage.changes.subscribe(wish);
  await expect.poll(() => heard.events.length).toBe(2);
  stage.feed.kept.splice(0, 4);
  hasRoom = true;
  await stage.settled();
  expect(heard.gaps).toEqual(['what came behind that change is not kept any more']);
  await stage.feed.emit(row(5));
  await stage.settled();
  expect(heard.data().map(({ record }) => record)).toEqual([{ id: 1 }, { id: 2 }, { id: 5 }]);
});

test('what a client wants is looked at in a few questions, however much it is and whatever is wrong with it', async () => {
  await using stage = await openStage(
    `create table public.wanted (id integer primary key, n integer);
     grant select on public.wanted to service_role;
     alter publication supabase_realtime add table public.wanted;`,
  );
  let questions = 0;
  const { as, asOwner } = stage.db;
  stage.db.as = (...given) => {
    questions += 1;
    return as(...given);
  };
  stage.db.asOwner = (...given) => {
    questions += 1;
    return asOwner(...given);
  };
  const wanting = (filters: readonly string[][], more: { readonly isOver?: () => boolean } = {}) => {
    questions = 0;
    const wanted = filters.map((of) => ({ ...params('wanted')[0], filter: of.join(',') }));
    return stage.changes.subscribe({ params: wanted, caller: service, ...listener(), ...more }).then(
      (subscription) => subscription.close(),
      (error: Error) => error.message,
    );
  };
  const many = (count: number, of: number, last = 'n=eq.1') =>
    Array.from({ length: count }, (_, at) =>
      Array.from({ length: of }, (_, n) => (at === count - 1 && n === of - 1 ? last : `n=neq.${n}`)),
    );
  expect(await wanting(many(5, 100))).toBeUndefined();
  expect(questions).toBeLessThan(10);
  // Two are wrong, and the first of them is told.
  expect(await wanting([...many(2, 100), ['n=eq.one'], ...many(2, 50, 'n=eq.two')])).toMatch(
    /filters: \[\{"n", "eq", "one", false\}\].* invalid input syntax for type integer: "one"$/,
  );
  expect(questions).toBeLessThan(30);
  expect(await wanting([['n=eq.one'], ['m=eq.1']])).toContain('invalid input syntax for type integer: "one"');
  expect(await wanting(many(6, 100))).toBe(
    'Too many conditions in the filters of one channel: 600, where 500 are allowed.',
  );
  expect(questions).toBe(0);
  // Whoever has gone meanwhile is not looked at.
  expect(await wanting(many(1, 1), { isOver: () => true })).toBe('The channel has ended.');
  expect(questions).toBe(0);
});
