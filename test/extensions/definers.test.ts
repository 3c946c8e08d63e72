// In charge of: that no security definer function of ours can be made to run its caller's code as its owner.
import { describe, expect, it } from 'vitest';
import { openTestDatabase } from '../harness/database.ts';
import { apply } from '../harness/migrations.ts';

describe('a security definer function of a shaped database with extensions', () => {
  it('has a search path in which the caller’s temporary types come last', async () => {
    await using db = await openTestDatabase();
    await apply(db, {
      migrations: {
        '1_all.sql':
          'create extension pgmq; create extension if not exists pg_net; create extension pg_cron; create extension http;',
      },
    });
    // An empty one finds pg_temp first. Source: PostgreSQL manual, "Writing SECURITY DEFINER Functions Safely".
    const rows = await db.run(
      `select proc.oid::regprocedure::text as function, proc.proconfig from pg_proc as proc
       where proc.prosecdef and not exists (
         select from unnest(proc.proconfig) as setting where setting ~ '^search_path=.*pg_temp$')`,
      'supabase_admin',
    );
    expect(rows).toEqual([]);
  });
});
