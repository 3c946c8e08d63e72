// In charge of: functions checked by the extension plpgsql_check, where the server carries the real one.
import type { Client } from 'pg';
import type { Finding, Level } from './lint.ts';

/** Whether it can be used, in the caller's transaction. Where the server lacks it there may be one that only says so, which is no C. */
export async function hasChecker(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    "select exists (select from pg_catalog.pg_available_extensions where name = 'plpgsql_check') as there",
  );
  if (!rows[0]!.there) return false;
  await client.query('savepoint looked_for');
  try {
    await client.query('create extension if not exists plpgsql_check');
    const found = await client.query<{ real: boolean }>(
      `select exists (select from pg_catalog.pg_proc as routine join pg_catalog.pg_language as language on language.oid = routine.prolang
                      where routine.proname = 'plpgsql_check_function' and language.lanname = 'c') as real`,
    );
    if (found.rows[0]!.real) return true;
  } catch {
    // Not ours to create: the checks of our own do it.
  }
  await client.query('rollback to savepoint looked_for');
  return false;
}

interface Issue {
  readonly level: string;
  readonly message: string;
  readonly hint?: string;
  readonly detail?: string;
  readonly sqlState?: string;
}

/** After `hasChecker`. Source: supabase/cli apps/cli-go/internal/db/lint/templates/check.sql. */
export async function checkByExtension(
  client: Client,
  schemas: readonly string[],
): Promise<readonly Finding[]> {
  const { rows } = await client.query<{ object: string; report: { readonly issues: readonly Issue[] } }>(
    `select routine.oid::regprocedure::text as object, plpgsql_check_function(routine.oid, format := 'json')::json as report
     from pg_catalog.pg_proc as routine
     join pg_catalog.pg_namespace as schema on schema.oid = routine.pronamespace
     join pg_catalog.pg_language as language on language.oid = routine.prolang
     where language.lanname = 'plpgsql' and routine.prorettype <> 'trigger'::regtype and schema.nspname = any ($1)
     order by 1`,
    [schemas],
  );
  return rows.flatMap(({ object, report }) =>
    report.issues.map(({ level, message, hint, detail, sqlState }) => ({
      object,
      check: 'plpgsql_check',
      level: (level.startsWith('error') ? 'error' : 'warning') satisfies Level,
      message,
      hint: hint ?? detail,
      sqlState,
    })),
  );
}
