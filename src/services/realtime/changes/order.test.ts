// In charge of: the order in which one listener hears of several tables, whose changes are decided by themselves.
import { expect, test } from 'vitest';
import { alice, change, listener, openStage, user } from '../../../../test/harness/changes.ts';

test('who listens to several tables hears of them in the order of the commits, however they are asked about', async () => {
  await using stage = await openStage(`
    create table public.ruled (id integer primary key, owner uuid);
    alter table public.ruled enable row level security;
    create policy own on public.ruled for select to authenticated using (owner = auth.uid());
    create table public.plain (id integer primary key);
    grant all on public.ruled, public.plain to authenticated;
    alter publication supabase_realtime add table public.ruled, public.plain;`);
  const [ruled, plain] = [await stage.table('public.ruled'), await stage.table('public.plain')];
  const heard = listener();
  await stage.changes.subscribe({
    params: [{ event: '*', schema: 'public' }],
    caller: user(alice),
    ...heard,
  });
  // Those of one table are decided at once, those of the other by a question, all of them together.
  await stage.feed.emit(
    ...[1, 2, 3].flatMap((id) => [
      change('INSERT', ruled, [String(id), alice]),
      change('INSERT', plain, [String(id)]),
    ]),
  );
  await stage.settled();
  expect(
    heard.data().map(({ table, record }) => `${String(table)} ${(record as { id: number }).id}`),
  ).toEqual(['ruled 1', 'plain 1', 'ruled 2', 'plain 2', 'ruled 3', 'plain 3']);
});
