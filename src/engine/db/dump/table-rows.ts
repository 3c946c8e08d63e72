// In charge of: the rows of tables as `copy` moves them: which tables and columns, in a session whose texts every server reads alike.
import type { Client } from 'pg';
import { ident } from '../ident.ts';

/** A table with rows of its own. */
export interface TableRows {
  readonly schema: string;
  readonly name: string;
  /** Those that are written: generated ones are computed again. */
  readonly columns: readonly string[];
  /** Those that a checksum is over. */
  readonly allColumns: readonly string[];
  readonly sizeBytes: number;
  /** Whether a column of it takes no value unless it is told to: `generated always as identity`. */
  readonly overrides: boolean;
}

export interface Sum {
  readonly rows: number;
  /** Over every column of every row, whatever their order. */
  readonly checksum: string;
}

/**
 * Puts a session into the state in which values are read out: nothing of the server's own settings changes how they are written. Row-level security
 * is an error here, never a gap in the data.
 * Source: PostgreSQL src/bin/pg_dump/pg_dump.c `setup_connection`.
 */
export const plainSession = `set datestyle = 'ISO'; set intervalstyle = 'postgres'; set extra_float_digits = 1; set bytea_output = 'hex';
  set timezone = 'UTC'; set lc_monetary = 'C'; set xmloption = content; set search_path = ''; set row_security = off; set statement_timeout = 0; set lock_timeout = 0;
  set idle_in_transaction_session_timeout = 0; set client_encoding = 'UTF8'`;

/** The tables of these schemas that hold rows themselves, in the order of their names. `withMembers`: those of extensions, too. */
export async function listTables(
  client: Pick<Client, 'query'>,
  schemas: readonly string[],
  options: { readonly withMembers?: boolean } = {},
): Promise<readonly TableRows[]> {
  const { rows } = await client.query<Row>(tablesQuery, [schemas, options.withMembers === true]);
  return rows.map(({ schema, name, columns, all_columns: allColumns, bytes, overrides }) => ({
    schema,
    name,
    columns,
    allColumns,
    sizeBytes: Number(bytes),
    overrides,
  }));
}

/** Counts a table's rows and sums what is in them. Two tables with the same rows have the same sum, on any server. */
export async function sumTable(client: Pick<Client, 'query'>, table: TableRows): Promise<Sum> {
  const row = table.allColumns.length === 0 ? "''" : `row(${table.allColumns.map(ident).join(', ')})::text`;
  const { rows } = await client.query<{ rows: string; checksum: string }>(
    `select count(*) as rows, coalesce(sum(pg_catalog.hashtextextended((${row}) collate "C", 0)::numeric), 0)::text as checksum from only ${qualified(table)}`,
  );
  return { rows: Number(rows[0]!.rows), checksum: rows[0]!.checksum };
}

export function copyStatement(table: TableRows, direction: 'TO stdout' | 'FROM stdin'): string {
  const columns = table.columns.length === 0 ? '' : ` (${table.columns.map(ident).join(', ')})`;
  return `COPY ${qualified(table)}${columns} ${direction}`;
}

export function qualified({ schema, name }: Pick<TableRows, 'schema' | 'name'>): string {
  return `${ident(schema)}.${ident(name)}`;
}

interface Row {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
  readonly all_columns: readonly string[];
  readonly bytes: string;
  readonly overrides: boolean;
}

const tablesQuery = `
  select space.nspname as schema, class.relname as name, pg_catalog.pg_relation_size(class.oid) as bytes,
    exists (select from pg_catalog.pg_attribute where attrelid = class.oid and attidentity = 'a' and not attisdropped) as overrides,
    array(select attname::text from pg_catalog.pg_attribute
      where attrelid = class.oid and attnum > 0 and not attisdropped and attgenerated = '' order by attnum) as columns,
    array(select attname::text from pg_catalog.pg_attribute
      where attrelid = class.oid and attnum > 0 and not attisdropped order by attnum) as all_columns
  from pg_catalog.pg_class as class join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
  where class.relkind = 'r' and class.relpersistence in ('p', 'u') and space.nspname = any ($1)
    and ($2 or not exists (
      select from pg_catalog.pg_depend
      where classid = 'pg_catalog.pg_class'::pg_catalog.regclass and objid = class.oid and deptype = 'e'
    ))
  order by space.nspname collate "C", class.relname collate "C"`;
