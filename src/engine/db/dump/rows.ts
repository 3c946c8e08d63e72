// In charge of: the rows of a database as SQL, table by table, in bounded memory.
import type { Writable } from 'node:stream';
import type { Client, ClientConfig } from 'pg';
import { withClient } from '../client.ts';
import { ident } from '../ident.ts';
import { listTables, plainSession, qualified, type TableRows } from './table-rows.ts';
import { write } from './write.ts';
import { sequenceStatements, writeTable } from './write-rows.ts';

export interface RowDumpOptions {
  readonly login: ClientConfig;
  /** Empty: all but what is the platform's to fill. */
  readonly schemas: readonly string[];
  /** `public.films` */
  readonly exclude: readonly string[];
  /** COPY in the place of INSERT. */
  readonly useCopy: boolean;
  readonly out: Writable;
}

/** Rows that are fetched at once, and put into one INSERT. */
const rowsAtOnce = 1_000;

/**
 * Writes the rows as they stood at one moment. Triggers and foreign keys are off while they are loaded, as the CLI's dump has it.
 * Source: supabase/cli apps/cli-go/pkg/migration/dump.go, `excludedSchemas`; scripts/dump_data.sh.
 */
export async function dumpRows(
  options: RowDumpOptions,
): Promise<{ readonly tables: number; readonly rows: number }> {
  const { login, out, useCopy } = options;
  return withClient(login, async (client) => {
    await client.query(plainSession);
    await client.query('begin isolation level repeatable read, read only');
    const schemas = await schemasOf(client, options);
    const left = new Set([...options.exclude, ...ofPlatform]);
    const isWanted = ({ schema, name }: Pick<TableRows, 'schema' | 'name'>) => !left.has(`${schema}.${name}`);
    const tables = (await listTables(client, schemas)).filter(isWanted);
    await write(out, head);
    let rows = 0;
    for (const table of tables)
      rows += useCopy ? await writeTable(client, table, out) : await insertRows(client, table, out);
    const sequences = await sequenceStatements(client, schemas, isWanted);
    await write(out, `${sequences.join('\n')}\n\nRESET ALL;\n`);
    await client.query('commit');
    return { tables: tables.length, rows };
  });
}

/** Those that are asked for; or all but what is the platform's to fill. */
async function schemasOf(client: Client, { schemas }: RowDumpOptions): Promise<readonly string[]> {
  if (schemas.length > 0) return schemas;
  const { rows } = await client.query<{ name: string }>(
    'select nspname as name from pg_catalog.pg_namespace where nspname !~ $1',
    [keptOut],
  );
  return rows.map(({ name }) => name);
}

async function insertRows(client: Client, table: TableRows, out: Writable): Promise<number> {
  const columns = table.columns.map(ident).join(', ');
  const override = table.overrides ? ' OVERRIDING SYSTEM VALUE' : '';
  // `only`: what a child holds is dumped with the child.
  await client.query(
    `declare millrace_rows no scroll cursor for select ${columns} from only ${qualified(table)}`,
  );
  let count = 0;
  for (;;) {
    const { rows, fields } = await client.query<(string | null)[]>({
      text: `fetch ${rowsAtOnce} from millrace_rows`,
      rowMode: 'array',
      types: asTheyAreWritten,
    });
    if (rows.length === 0) break;
    // There is no list of values without columns.
    if (columns === '')
      await write(out, `INSERT INTO ${qualified(table)} DEFAULT VALUES;\n`.repeat(rows.length));
    else {
      const values = rows.map(
        (row) => `\t(${row.map((field, at) => insertField(field, fields[at]!.dataTypeID)).join(', ')})`,
      );
      await write(
        out,
        `INSERT INTO ${qualified(table)} (${columns})${override} VALUES\n${values.join(',\n')};\n`,
      );
    }
    count += rows.length;
    if (rows.length < rowsAtOnce) break;
  }
  await client.query('close millrace_rows');
  if (count > 0) await write(out, '\n');
  return count;
}

/** The script says how its strings are read: a backslash is one. Source: PostgreSQL src/bin/pg_dump/pg_dump.c `dumpTableData_insert`. */
function insertField(field: string | null, type: number): string {
  if (field === null) return 'NULL';
  if (numbers.has(type) && /^[0-9 +\-eE.]+$/.test(field)) return field;
  if (type === booleanType) return field === 't' ? 'true' : 'false';
  return `${bits.has(type) ? 'B' : ''}'${field.replaceAll("'", "''")}'`;
}

const asTheyAreWritten = { getTypeParser: () => (text: string) => text };

/** Source: PostgreSQL src/include/catalog/pg_type.dat: int2, int4, int8, oid, float4, float8, numeric; bool; bit, varbit. */
const numbers: ReadonlySet<number> = new Set([21, 23, 20, 26, 700, 701, 1700]);
const booleanType = 16;
const bits: ReadonlySet<number> = new Set([1560, 1562]);

const head = `SET session_replication_role = replica;

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

`;

/** What the platform fills by itself, as a pattern of schemas. */
const keptOut =
  '^(information_schema|pg_.*|_analytics|_millrace|_realtime|_supavisor|_?timescaledb_.*|etl|extensions|graphql|graphql_public|pgbouncer|pgsodium|pgsodium_masks|pgtle|realtime|repack|supabase_migrations|tiger|tiger_data|topology|vault)$';

/** The histories of the platform's own migrations. */
const ofPlatform = ['auth.schema_migrations', 'storage.migrations', 'supabase_functions.migrations'];
