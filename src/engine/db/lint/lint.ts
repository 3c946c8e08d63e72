// In charge of: what is wrong in a database that its tests may not find: functions that cannot work, doors that stand open, missing indexes.
import { readFile } from 'node:fs/promises';
import type { Client, ClientConfig } from 'pg';
import { withClient } from '../client.ts';
import { findBrokenFunctions } from './functions.ts';
import { checkByExtension, hasChecker } from './plpgsql-check.ts';

export type Level = 'warning' | 'error';

export interface Finding {
  /** `public.films`, `public.rent(bigint)` */
  readonly object: string;
  /** The name of the check. */
  readonly check: string;
  readonly level: Level;
  readonly message: string;
  /** The next move; often a statement. */
  readonly hint?: string | undefined;
  readonly sqlState?: string | undefined;
}

export interface LintOptions {
  readonly login: ClientConfig;
  /** Empty: all but the platform's. */
  readonly schemas: readonly string[];
  /** What the API shows. */
  readonly exposed: readonly string[];
}

/** Looks, and changes nothing. Functions are checked by plpgsql_check where the server has it. */
export async function lintDatabase({ login, schemas, exposed }: LintOptions): Promise<readonly Finding[]> {
  return withClient(login, async (client) => {
    const looked = schemas.length > 0 ? schemas : await projectSchemas(client);
    await client.query('begin');
    try {
      const functions = (await hasChecker(client))
        ? await checkByExtension(client, looked)
        : await findBrokenFunctions(client, looked);
      const found = [...functions];
      for (const [check, level] of checks)
        found.push(...(await runCheck(client, check, level, looked, exposed)));
      return found;
    } finally {
      await client.query('rollback');
    }
  });
}

async function runCheck(
  client: Client,
  check: string,
  level: Level,
  schemas: readonly string[],
  exposed: readonly string[],
): Promise<readonly Finding[]> {
  const text = await readFile(new URL(`./sql/${check}.sql`, import.meta.url), 'utf8');
  const values = text.includes('$2') ? [schemas, exposed] : [schemas];
  const { rows } = await client.query<Pick<Finding, 'object' | 'message' | 'hint'>>(text, values);
  return rows.map((row) => ({ ...row, check, level }));
}

/** Source: supabase/cli apps/cli-go/pkg/migration/drop.go, `ManagedSchemas`; what extensions made is theirs. */
async function projectSchemas(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select schema.nspname as name from pg_catalog.pg_namespace as schema
     where schema.nspname !~ $1
       and not exists (select from pg_catalog.pg_depend as own
                       where own.objid = schema.oid and own.classid = 'pg_catalog.pg_namespace'::regclass and own.deptype = 'e')
     order by 1`,
    [platform],
  );
  return rows.map(({ name }) => name);
}

const platform =
  '^(information_schema|pg_.*|_analytics|_millrace|_realtime|_supavisor|auth|cron|dbdev|etl|extensions|graphql|graphql_public|net|pgbouncer|pgmq|pgsodium|pgsodium_masks|pgtle|realtime|storage|supabase_functions|supabase_migrations|tiger|tiger_data|topology|vault)$';

/** The files of `sql/`, in the order in which they are told. */
const checks: readonly (readonly [name: string, level: Level])[] = [
  ['table-without-row-security', 'error'],
  ['policy-without-row-security', 'error'],
  ['definer-search-path', 'warning'],
  ['definer-view', 'warning'],
  ['row-security-without-policy', 'warning'],
  ['foreign-key-without-index', 'warning'],
  ['table-without-primary-key', 'warning'],
  ['duplicate-index', 'warning'],
];
