// In charge of: policies of which one fails: whether it is asked before or behind one that shows the row is what Postgres does in a read.
import { expect, test } from 'vitest';
import { alice, change, listener, openStage, user } from '../../../../test/harness/changes.ts';

test('a policy that fails hides the rows that it hides from a read, whatever it is called', async () => {
  await using stage = await openStage(`
    create table public.early (id integer primary key, n integer);
    create policy a_fails on public.early for select to authenticated using (10 / n > 0);
    create policy z_shows on public.early for select to authenticated using (id > 0);
    create table public.late (id integer primary key, n integer);
    create policy a_shows on public.late for select to authenticated using (id > 0);
    create policy z_fails on public.late for select to authenticated using (10 / n > 0);
    alter table public.early enable row level security;
    alter table public.late enable row level security;
    grant all on public.early, public.late to authenticated;
    insert into public.early values (1, 0);
    insert into public.late values (1, 0);
    alter publication supabase_realtime add table public.early, public.late;`);
  const heard = listener();
  await stage.changes.subscribe({
    params: [{ event: '*', schema: 'public' }],
    caller: user(alice),
    ...heard,
  });
  for (const name of ['early', 'late'])
    await stage.feed.emit(change('INSERT', await stage.table(`public.${name}`), ['1', '0']));
  await stage.settled();
  const readable: string[] = [];
  for (const name of ['early', 'late']) {
    const read = stage.database.run(`set role authenticated; select * from public.${name}`, 'supabase_admin');
    await read.then(
      () => readable.push(name),
      () => {},
    );
  }
  expect(heard.data().map(({ table }) => table)).toEqual(readable);
  expect(readable).toHaveLength(1);
});
