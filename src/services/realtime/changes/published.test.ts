// In charge of: which tables a publication has: read from the catalogs alone, and the same as Postgres's own view says.
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openTestDatabase } from '../../../../test/harness/database.ts';
import { withClient } from '../../../engine/db/client.ts';

test.each([
  ['tables', 'for table public.one, public.parted'],
  ['one partition', 'for table public.low'],
  [
    'the partitioned table in place of its partitions',
    'for table public.parted with (publish_via_partition_root = true)',
  ],
  ['a schema', 'for tables in schema app'],
  ['all tables', 'for all tables'],
])('a publication of %s', async (_, what) => {
  await using database = await openTestDatabase();
  await database.run(`
    create schema app;
    create table app.two (id integer primary key);
    create unlogged table app.unlogged (id integer primary key);
    create view app.view as select 1 as id;
    create table public.one (id integer primary key);
    create table public.parted (id integer primary key) partition by range (id);
    create table public.low partition of public.parted for values from (0) to (10);
    create table app.high partition of public.parted for values from (10) to (20);`);
  await database.run(`create publication test_publication ${what}`, 'supabase_admin');
  const sql = await readFile(new URL('./sql/targets.sql', import.meta.url), 'utf8');
  await withClient(database.login('supabase_admin'), async (client) => {
    const names = async (oids: string, values: readonly unknown[]) =>
      (
        await client.query<{ name: string }>(
          `select oid::regclass::text as name from (${oids.replace(/^--.*$/gm, '')}) t order by 1`,
          [...values],
        )
      ).rows.map(({ name }) => name);
    const listed = await names(
      `select c.oid from pg_publication_tables p join pg_namespace n on n.nspname = p.schemaname
         join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename where p.pubname = $1
       union select a.relid from pg_publication_tables p join pg_namespace n on n.nspname = p.schemaname
         join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename cross join lateral pg_partition_ancestors(c.oid) a (relid) where p.pubname = $1`,
      ['test_publication'],
    );
    expect(
      await names(sql.replace('c.oid::text as oid', 'c.oid as oid'), ['test_publication', null, null]),
    ).toEqual(listed);
  });
});
