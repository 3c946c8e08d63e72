// In charge of: the end of the session that listens.
import { expect, it } from 'vitest';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { openListener } from './listener.ts';

it('a listener that is closed while it connects ends, and leaves no session behind', async () => {
  await using test = await openTestDatabase();
  const listener = openListener(test.login('authenticator'), () => {});
  listener.listen(
    'somewhere',
    () => {},
    () => {},
  );
  await listener.close();
  expect(
    await test.run(
      `select from pg_stat_activity where application_name = 'millrace listen' and datname = current_database()`,
      'supabase_admin',
    ),
  ).toEqual([]);
});
