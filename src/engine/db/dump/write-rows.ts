// In charge of: rows as a script holds them: `copy … from stdin` with its lines, the state of sequences, views that are filled.
import type { Writable } from 'node:stream';
import type { Client } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { literal } from '../ident.ts';
import { copyStatement, qualified, type TableRows } from './table-rows.ts';
import { write } from './write.ts';

/** Writes the rows of a table and gives their number; the session is a plain one. */
export async function writeTable(client: Client, table: TableRows, out: Writable): Promise<number> {
  await write(out, `${copyStatement(table, 'FROM stdin')};\n`);
  const reading = client.query(copyTo(copyStatement(table, 'TO stdout')));
  for await (const lines of reading) await write(out, lines as Buffer);
  await write(out, '\\.\n\n');
  return reading.rowCount;
}

/** A statement for each sequence of these schemas that puts it where it stands; those of identity columns too. */
export async function sequenceStatements(
  client: Client,
  schemas: readonly string[],
  isWanted: (sequence: { readonly schema: string; readonly name: string }) => boolean = () => true,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ schema: string; name: string }>(sequencesQuery, [schemas]);
  const statements: string[] = [];
  for (const sequence of rows.filter(isWanted)) {
    const state = await client.query<{ last_value: string; is_called: boolean }>(
      `select last_value, is_called from ${qualified(sequence)}`,
    );
    const { last_value: last, is_called: isCalled } = state.rows[0]!;
    statements.push(`SELECT pg_catalog.setval(${literal(qualified(sequence))}, ${last}, ${isCalled});`);
  }
  return statements;
}

/** The materialized views that are filled, each behind those that it reads. */
export async function refreshStatements(
  client: Client,
  schemas: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await client.query<{
    schema: string;
    name: string;
    oid: string;
    reads: readonly string[];
  }>(materializedViewsQuery, [schemas]);
  const sorted: typeof rows = [];
  const visit = (view: (typeof rows)[number]) => {
    if (sorted.includes(view)) return;
    for (const oid of view.reads) {
      const read = rows.find((other) => other.oid === oid);
      if (read !== undefined && read !== view) visit(read);
    }
    sorted.push(view);
  };
  for (const view of rows) visit(view);
  return sorted.map((view) => `refresh materialized view ${qualified(view)};`);
}

const sequencesQuery = `
  select space.nspname as schema, class.relname as name
  from pg_catalog.pg_class as class join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
  where class.relkind = 'S' and class.relpersistence in ('p', 'u') and space.nspname = any ($1)
    and not exists (
      select from pg_catalog.pg_depend
      where classid = 'pg_catalog.pg_class'::pg_catalog.regclass and objid = class.oid and deptype = 'e'
    )
  order by space.nspname collate "C", class.relname collate "C"`;

/** A view reads another through its rule, or through views in between. */
const materializedViewsQuery = `
  with recursive uses (view, used) as (
    select distinct rule.ev_class, depend.refobjid
    from pg_catalog.pg_rewrite as rule
    join pg_catalog.pg_depend as depend on depend.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and depend.objid = rule.oid
    where depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and depend.refobjid <> rule.ev_class
  ), reaches (view, used) as (
    select view, used from uses
    union
    select reaches.view, uses.used from reaches join uses on uses.view = reaches.used
  )
  select space.nspname as schema, class.relname as name, class.oid::text as oid,
    array(select used::text from reaches where view = class.oid) as reads
  from pg_catalog.pg_class as class join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
  where class.relkind = 'm' and class.relispopulated and space.nspname = any ($1)
  order by space.nspname collate "C", class.relname collate "C"`;
