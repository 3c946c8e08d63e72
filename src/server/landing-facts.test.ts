// In charge of: that the landing page can be made while the database is away.
import { expect, it } from 'vitest';
import { openTestDatabase } from '../../test/harness/database.ts';
import { withClient } from '../engine/db/client.ts';
import { ident } from '../engine/db/ident.ts';
import { findReadableTable } from './landing-facts.ts';

it('names a table that a visitor may read, and none while the database does not answer', async () => {
  await using test = await openTestDatabase();
  await test.run(`
    create table public.closed (id int primary key);
    create table public.open (id int primary key);
    revoke all on public.closed, public.open from anon;
    grant select on public.open to anon`);
  const database = await test.open();
  try {
    expect(await findReadableTable(database, ['public'])).toEqual({ schema: 'public', name: 'open' });
    await withClient({ ...test.login('supabase_admin'), database: 'template1' }, (client) =>
      client.query(`alter database ${ident(test.name)} allow_connections false`),
    );
    await expect
      .poll(
        async () => {
          await database.db
            .asOwner('authenticator', (client) =>
              client.query('select pg_terminate_backend(pg_backend_pid())'),
            )
            .catch(() => {});
          return findReadableTable(database, ['public']);
        },
        { timeout: 20_000 },
      )
      .toBeUndefined();
  } finally {
    await database.close();
  }
});
