// In charge of: what is no difference between two schemas.
import { expect, it } from 'vitest';
import { openTestDatabase } from '../../../../test/harness/database.ts';
import { openEar, openTriggerFeed } from '../replication/test-support.ts';
import { openComparison } from './plan.ts';

it('leaves out the triggers that write changes down for those who listen', async () => {
  await using from = await openTestDatabase();
  await using to = await openTestDatabase();
  const sql = `create table public.films (id int primary key); alter publication supabase_realtime add table public.films`;
  await from.run(sql);
  await to.run(sql);
  const opened = await to.open();
  {
    await using reading = openTriggerFeed(opened);
    await reading.feed.listen(openEar());
    expect(
      await to.run(
        `select tgname from pg_trigger where tgname like 'millrace_note%' and tgrelid = 'public.films'::regclass`,
      ),
    ).toHaveLength(2);
    const compare = await openComparison(to.login('postgres'));
    expect((await compare(from.login('postgres'))).files.map(({ text }) => text)).toEqual([]);
    const back = await openComparison(from.login('postgres'));
    expect((await back(to.login('postgres'))).files.map(({ text }) => text)).toEqual([]);
  }
  await opened.close();
});
