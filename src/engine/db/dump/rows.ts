// In charge of: the rows of a database as SQL, table by table, in bounded memory.
import type { Client, ClientConfig } from 'pg';
import { withClient } from '../client.ts';
import { ident, literal } from '../ident.ts';

export interface RowDumpOptions {
  readonly login: ClientConfig;
  /** Empty: all but what is the platform's to fill. */
  readonly schemas: readonly string[];
  /** `public.films` */
  readonly exclude: readonly string[];
  /** COPY in the place of INSERT. */
  readonly useCopy: boolean;
  /** Resolves when more can be written. */
  readonly write: (text: string) => Promise<void>;
}

interface TableRow {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
  /** Types whose text needs no quotes. */
  readonly plain: readonly boolean[];
  readonly overriding: boolean;
}

/** Rows that are fetched, and put into one INSERT, at once. */
const rowsAtOnce = 1_000;

/**
 * Writes the rows as they stood at one moment. Triggers and foreign keys are off while they are loaded, as the CLI's dump has it.
 * Source: supabase/cli apps/cli-go/pkg/migration/dump.go, `excludedSchemas`; scripts/dump_data.sh.
 */
export async function dumpRows(
  options: RowDumpOptions,
): Promise<{ readonly tables: number; readonly rows: number }> {
  const { login, schemas, exclude, write } = options;
  return withClient(login, async (client) => {
    await client.query(
      "begin isolation level repeatable read read only; set local search_path = ''; set local row_security = off; set local datestyle = 'ISO'; set local intervalstyle = 'postgres'; set local extra_float_digits = 3; set local statement_timeout = 0",
    );
    const tables = await client.query<TableRow>(tablesQuery, [schemas, exclude, keptOut]);
    await write(head);
    let rows = 0;
    for (const table of tables.rows) rows += await dumpTable(client, table, options);
    const sequences = await client.query<{ statement: string }>(sequencesQuery, [schemas, exclude, keptOut]);
    for (const { statement } of sequences.rows) await write(`${statement}\n`);
    await write('\nRESET ALL;\n');
    await client.query('commit');
    return { tables: tables.rows.length, rows };
  });
}

async function dumpTable(
  client: Client,
  table: TableRow,
  { useCopy, write }: RowDumpOptions,
): Promise<number> {
  const name = `${ident(table.schema)}.${ident(table.name)}`;
  const columns = table.columns.map(ident).join(', ');
  // `only`: what a child holds is dumped with the child.
  await client.query(
    `declare millrace_rows no scroll cursor for select ${table.columns.map((column) => `${ident(column)}::text`).join(', ')} from only ${name}`,
  );
  let count = 0;
  for (;;) {
    const { rows } = await client.query<(string | null)[]>({
      text: `fetch ${rowsAtOnce} from millrace_rows`,
      rowMode: 'array',
    });
    if (rows.length === 0) break;
    if (useCopy) {
      if (count === 0) await write(`COPY ${name} (${columns}) FROM stdin;\n`);
      await write(rows.map((row) => `${row.map(copyField).join('\t')}\n`).join(''));
    } else {
      const override = table.overriding ? ' OVERRIDING SYSTEM VALUE' : '';
      const values = rows.map(
        (row) => `\t(${row.map((field, at) => insertField(field, table.plain[at]!)).join(', ')})`,
      );
      await write(`INSERT INTO ${name} (${columns})${override} VALUES\n${values.join(',\n')};\n`);
    }
    count += rows.length;
    if (rows.length < rowsAtOnce) break;
  }
  await client.query('close millrace_rows');
  if (count > 0) await write(useCopy ? '\\.\n\n' : '\n');
  return count;
}

function insertField(field: string | null, plain: boolean): string {
  if (field === null) return 'NULL';
  return plain && /^-?[0-9]/.test(field) ? field : literal(field);
}

/** Source: PostgreSQL manual, COPY, "Text Format". */
function copyField(field: string | null): string {
  if (field === null) return '\\N';
  return field.replace(/[\\\n\r\t\b\f\v]/g, (char) => copyEscapes[char] ?? char);
}

const copyEscapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
  '\v': '\\v',
};

const head = `SET session_replication_role = replica;

SET statement_timeout = 0;
SET lock_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET row_security = off;

`;

/** What the platform fills by itself, as a pattern of schemas. */
const keptOut =
  '^(information_schema|pg_.*|_analytics|_millrace|_realtime|_supavisor|_?timescaledb_.*|etl|extensions|graphql|graphql_public|pgbouncer|pgsodium|pgsodium_masks|pgtle|realtime|repack|supabase_migrations|tiger|tiger_data|topology|vault)$';

/** Schemas that are asked for, and tables that are not left out. */
const wanted = `
  (case when cardinality($1::text[]) > 0 then schema.nspname = any($1) else schema.nspname !~ $3 end)
  and schema.nspname || '.' || class.relname <> all ($2::text[])
  and schema.nspname || '.' || class.relname <> all ('{auth.schema_migrations,storage.migrations,supabase_functions.migrations}')
  and not exists (select from pg_catalog.pg_depend as own
                  where own.classid = 'pg_catalog.pg_class'::regclass and own.objid = class.oid and own.deptype = 'e')`;

const tablesQuery = `
select schema.nspname as schema, class.relname as name,
       array_agg(attribute.attname::text order by attribute.attnum) as columns,
       array_agg(attribute.atttypid = any ('{int2,int4,int8,float4,float8,numeric,oid}'::regtype[]) order by attribute.attnum) as plain,
       bool_or(attribute.attidentity = 'a') as overriding
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
join pg_catalog.pg_attribute as attribute on attribute.attrelid = class.oid
where class.relkind = 'r' and class.relpersistence <> 't'
  and attribute.attnum > 0 and not attribute.attisdropped and attribute.attgenerated = ''
  and ${wanted}
group by schema.nspname, class.relname
order by schema.nspname, class.relname`;

const sequencesQuery = `
select format('SELECT pg_catalog.setval(%L, %s, %s);', format('%I.%I', schema.nspname, class.relname),
              coalesce(sequence.last_value, sequence.start_value), sequence.last_value is not null) as statement
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
join pg_catalog.pg_sequences as sequence on sequence.schemaname = schema.nspname and sequence.sequencename = class.relname
where class.relkind = 'S' and ${wanted}
order by schema.nspname, class.relname`;
