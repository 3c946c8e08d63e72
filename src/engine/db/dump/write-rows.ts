// In charge of: rows as a script holds them: `copy … from stdin` with its lines, the state of sequences, large objects.
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Client } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { ident, literal } from '../ident.ts';
import { copyStatement, qualified, type TableRows } from './table-rows.ts';

/** Writes text and waits while the other side is not ready for more. */
export async function write(out: Writable, text: string | Buffer): Promise<void> {
  if (!out.write(text)) await once(out, 'drain');
}

/** Writes the rows of a table; the session is a plain one. */
export async function writeTable(client: Client, table: TableRows, out: Writable): Promise<void> {
  await write(out, `${copyStatement(table, 'from stdin')};\n`);
  for await (const lines of client.query(copyTo(copyStatement(table, 'to stdout'))))
    await write(out, lines as Buffer);
  await write(out, '\\.\n\n');
}

/** A statement for each sequence of these schemas that puts it where it stands; those of identity columns too. */
export async function sequenceStatements(
  client: Client,
  schemas: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await client.query<{ schema: string; name: string }>(sequencesQuery, [schemas]);
  const statements: string[] = [];
  for (const sequence of rows) {
    const state = await client.query<{ last_value: string; is_called: boolean }>(
      `select last_value, is_called from ${qualified(sequence)}`,
    );
    const { last_value: last, is_called: isCalled } = state.rows[0]!;
    statements.push(`select pg_catalog.setval(${literal(qualified(sequence))}, ${last}, ${isCalled});`);
  }
  return statements;
}

/** Writes the large objects that belong to `postgres` or to a role of the project, with their numbers: columns hold them. */
export async function writeLargeObjects(client: Client, out: Writable): Promise<number> {
  const { rows } = await client.query<{ oid: string; owner: string }>(
    'select oid, pg_catalog.pg_get_userbyid(lomowner) as owner from pg_catalog.pg_largeobject_metadata order by oid',
  );
  for (const { oid, owner } of rows) {
    await write(
      out,
      `select pg_catalog.lo_create(${oid});\nalter large object ${oid} owner to ${ident(owner)};\n`,
    );
    for (let at = 0; ; at += largeObjectChunkBytes) {
      const { rows: read } = await client.query<{ bytes: Buffer }>(
        `select pg_catalog.lo_get(${oid}, ${at}, ${largeObjectChunkBytes}) as bytes`,
      );
      const { bytes } = read[0]!;
      if (bytes.length === 0) break;
      await write(out, `select pg_catalog.lo_put(${oid}, ${at}, '\\x${bytes.toString('hex')}');\n`);
    }
  }
  if (rows.length > 0) await write(out, '\n');
  return rows.length;
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

const largeObjectChunkBytes = 1 << 20;

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
