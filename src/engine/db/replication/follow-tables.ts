// In charge of: the triggers that write changes down, kept in step with the tables of the publication.
import { errorMessage } from '../../../base/errors.ts';
import type { Db, LoginRole } from '../db.ts';
import { ident } from '../ident.ts';

interface Table {
  readonly schema: string;
  readonly name: string;
  readonly isPartitioned: boolean;
  readonly wanted: boolean;
  readonly followed: boolean;
}

export interface Followed {
  /** How many tables got their triggers now. */
  readonly added: number;
  /** One sentence for each table that cannot be followed. */
  readonly failures: readonly string[];
}

/** Makes the triggers that are missing, and removes those of tables that are not published any more. With `none` all of them. */
export async function followTables(db: Pick<Db, 'asOwner'>, which: 'published' | 'none'): Promise<Followed> {
  const tables = await db.asOwner('millrace_admin', async (client) => {
    const { rows } = await client.query<Table>(differences, [which === 'published']);
    return rows;
  });
  if (tables.length === 0) return { added: 0, failures: [] };
  const owner = await projectOwner(db);
  let added = 0;
  const failures: string[] = [];
  for (const table of tables) {
    const isMessages = table.schema === 'realtime' && table.name === 'messages';
    try {
      await change(db, isMessages ? 'supabase_realtime_admin' : owner, table, isMessages);
      if (table.wanted) added += 1;
    } catch (error) {
      failures.push(`"${table.schema}.${table.name}" cannot be followed: ${errorMessage(error)}`);
    }
  }
  return { added, failures };
}

async function change(
  db: Pick<Db, 'asOwner'>,
  role: LoginRole,
  { schema, name, isPartitioned, wanted }: Table,
  insertsOnly: boolean,
): Promise<void> {
  const table = `${ident(schema)}.${ident(name)}`;
  if (wanted)
    await db
      .asOwner(role, async (client) => {
        const { rows } = await client.query<{ user: string }>('select current_user as user');
        return rows[0]!.user;
      })
      .then((user) => letUse(db, user));
  await db.asOwner(role, async (client) => {
    await client.query('begin');
    try {
      // Whoever works on the table goes first.
      await client.query(`set local lock_timeout = '${lockTimeoutMs}ms'`);
      await client.query(`drop trigger if exists ${rowTrigger} on ${table}`);
      await client.query(`drop trigger if exists ${truncateTrigger} on ${table}`);
      if (wanted) {
        const events = insertsOnly ? 'insert' : 'insert or update or delete';
        const as = isPartitioned ? `${literal(schema)}, ${literal(name)}` : '';
        await client.query(
          `create trigger ${rowTrigger} after ${events} on ${table} for each row execute function _millrace.note_change(${as})`,
        );
        if (!insertsOnly)
          await client.query(
            `create trigger ${truncateTrigger} after truncate on ${table} for each statement execute function _millrace.note_change()`,
          );
        // Replication hears also of what a session does that has switched ordinary triggers off.
        if (!isPartitioned) await client.query(`alter table ${table} enable always trigger ${rowTrigger}`);
      }
      await client.query('commit');
    } catch (error) {
      await client.query('rollback').catch(() => {});
      throw error;
    }
  });
}

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** Whoever makes a trigger must be allowed its function; whoever fires it need not be. */
async function letUse(db: Pick<Db, 'asOwner'>, user: string): Promise<void> {
  await db.asOwner('millrace_admin', (client) =>
    client.query(
      `grant usage on schema _millrace to ${ident(user)}; grant execute on function _millrace.note_change() to ${ident(user)}`,
    ),
  );
}

/** Who owns the project's tables: `postgres` where we made it, else the user of DATABASE_URL. */
async function projectOwner(db: Pick<Db, 'asOwner'>): Promise<LoginRole> {
  const { rows } = await db.asOwner('millrace_admin', (client) =>
    client.query<{ ours: boolean }>(
      "select exists (select from _millrace.roles where name = 'postgres') as ours",
    ),
  );
  return rows[0]!.ours ? 'postgres' : 'supabase_admin';
}

const rowTrigger = 'millrace_note_change';
const truncateTrigger = 'millrace_note_truncate';
const lockTimeoutMs = 2_000;

/** Tables whose triggers are not as they should be. Those that Postgres makes on partitions belong to the trigger of their table. */
const differences = `
  with wanted as (
    select class.oid as table_oid from pg_catalog.pg_publication_tables
      join pg_catalog.pg_namespace as schema on schema.nspname = schemaname
      join pg_catalog.pg_class as class on class.relnamespace = schema.oid and class.relname = tablename
      where pubname = 'supabase_realtime' and $1
    union
    select oid from pg_catalog.pg_class
      where relname = 'messages' and relnamespace = (select oid from pg_catalog.pg_namespace where nspname = 'realtime') and $1
  ), followed as (
    select tgrelid as table_oid from pg_catalog.pg_trigger where tgname = '${rowTrigger}' and tgparentid = 0
  )
  select schema.nspname as schema, class.relname as name, class.relkind = 'p' as "isPartitioned",
    wanted.table_oid is not null as wanted, followed.table_oid is not null as followed
  from wanted full join followed using (table_oid)
  join pg_catalog.pg_class as class on class.oid = coalesce(wanted.table_oid, followed.table_oid)
  join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
  where (wanted.table_oid is null) <> (followed.table_oid is null)
  order by class.oid`;
