// In charge of: bringing a database into the shape that Supabase projects expect. Numbered files, forward only, each in a transaction of its own.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { Client } from 'pg';
import { errorCode, errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { absentNames, absentNotices, installDefaults } from '../extensions/defaults.ts';
import { finishReset } from '../migrations/reset-roles.ts';
import { scramVerifier } from './password.ts';
import { checkRights } from './rights.ts';

export interface ShapeOptions {
  /** A server that Millrace does not run: its database keeps its owner, its roles keep what they are. */
  readonly external: boolean;
  /** The password of a role, for those that are made now; undefined: it has none and cannot log in by password. */
  readonly passwordOf: (role: string) => string | undefined;
  /** Whether what `postgres` makes in `public` is open to the API roles without a GRANT. */
  readonly autoExposeNewTables: boolean;
  readonly observe: Observe;
}

export interface Shape {
  /** The files that ran now; empty when the database had its shape. */
  readonly applied: readonly string[];
  /** Roles that Millrace made here, now or earlier; of others it does not know the password. */
  readonly ownRoles: readonly string[];
  /**
   * Sentences about what is missing: because the session is no superuser, only from the start that shapes the database; and
   * extensions that are only recorded, from each start.
   */
  readonly notices: readonly string[];
}

interface ShapeFile {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
  /** SQL that is true where the file must not run: what it makes was there before, or the session may not. */
  readonly skipWhen: string | undefined;
}

/** What a shaped database says about itself. */
interface State {
  readonly files: Readonly<Record<string, string>>;
  readonly own_roles: readonly string[];
  readonly exposes: boolean;
  /** Whether messages of the day after tomorrow have a partition; null where partitions are not ours to keep. */
  readonly has_partitions: boolean | null;
  /** Whether the extensions of a new database were installed. */
  readonly has_defaults: boolean;
  /** Extensions that are only recorded. */
  readonly absent: readonly string[];
}

/**
 * Brings the database that `client` is connected to into Supabase's shape; where it has it, this costs one query.
 * Two processes may do this at once: each file is guarded by an advisory lock that ends with its transaction.
 * The session is a superuser's (of a server of our own: `supabase_admin`), or one that may make roles and schemas.
 * @throws OperatorError when the session lacks the rights, with what to run and as whom; or when a file fails, with its name.
 */
export async function bootstrapDatabase(client: Client, options: ShapeOptions): Promise<Shape> {
  const files = await loadShapeFiles();
  let state = await findState(client);
  // Only in a database without a shape can a reset have broken off.
  if (state === undefined && !options.external) await finishReset(client, options.observe);
  const known = state?.files ?? {};
  const missing = files.filter((file) => known[file.name] === undefined);
  for (const file of files) {
    // A released file never changes; that this one did says that the program and the database are not of one line.
    if (known[file.name] !== undefined && known[file.name] !== file.checksum) {
      options.observe({ kind: 'shape.changed', level: 'warn', file: file.name });
    }
  }
  const applied: string[] = [];
  let notices: readonly string[] = [];
  if (missing.length > 0) {
    notices = await checkRights(client);
    const passwords = JSON.stringify(await verifiers(options));
    for (const file of missing)
      if (await applyFile(client, file, passwords, options)) applied.push(file.name);
    state = await findState(client);
  }
  if (state === undefined) throw new Error('the shape was applied but cannot be read');
  const expose = state.exposes !== options.autoExposeNewTables;
  const partition = state.has_partitions === false;
  const defaults = !options.external && !state.has_defaults;
  if (expose || partition || defaults) {
    await underLock(client, async () => {
      if (defaults && (await findState(client))?.has_defaults === false) await installDefaults(client);
      if (expose) await client.query('select _millrace.expose_new_tables($1)', [options.autoExposeNewTables]);
      // As their table's owner, who later drops them.
      if (partition)
        await client.query(
          'set local role supabase_realtime_admin; select realtime.keep_message_partitions(); reset role',
        );
    });
  }
  return { applied, ownRoles: state.own_roles, notices: [...notices, ...absentNotices(state.absent)] };
}

/** One query; undefined in a database that has not its whole shape of some version yet. */
async function findState(client: Client): Promise<State | undefined> {
  try {
    const { rows } = await client.query<State>(
      `select (select json_object_agg(name, checksum) from _millrace.migrations) as files,
              (select coalesce(json_agg(name order by name), '[]') from _millrace.roles) as own_roles,
              _millrace.exposes_new_tables() as exposes,
              _millrace.has_message_partitions() as has_partitions,
              exists (select from _millrace.extensions where name = 'supabase_vault') as has_defaults,
              ${absentNames} as absent`,
    );
    return rows[0];
  } catch (error) {
    const code = errorCode(error);
    if (code !== undefined && notThereYet.includes(code)) return undefined;
    throw error;
  }
}

/** Runs one file, unless another process was faster. True when it ran here. */
async function applyFile(
  client: Client,
  file: ShapeFile,
  passwords: string,
  options: ShapeOptions,
): Promise<boolean> {
  try {
    return await underLock(client, async () => {
      if (await isApplied(client, file)) return false;
      const { rows } = await client.query<{ skip: boolean }>(
        `select set_config('millrace.external', $1, true), set_config('millrace.verifiers', $2, true),
           ${file.skipWhen ?? 'false'} as skip`,
        [String(options.external), passwords],
      );
      const skipped = rows[0]!.skip;
      if (!skipped) await client.query(`${file.sql}\n;reset role`);
      await client.query('insert into _millrace.migrations (name, checksum, skipped) values ($1, $2, $3)', [
        file.name,
        file.checksum,
        skipped,
      ]);
      const kind = skipped ? 'shape.skipped' : 'shape.applied';
      options.observe({ kind, level: 'debug', file: file.name });
      return !skipped;
    });
  } catch (error) {
    throw new OperatorError(
      `The database could not be brought into shape: "${file.name}" failed: ${errorMessage(error)}`,
      'Nothing of that file was kept. Put right what the message names, and start again.',
      error,
    );
  }
}

/** Runs `work` in a transaction that no other start of this database overlaps. A throw undoes it. */
async function underLock<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    await client.query(
      `set local lock_timeout = '${lockTimeoutSeconds}s'; set local statement_timeout = '${statementTimeoutSeconds}s';
       set local client_min_messages = error; set local search_path = ''; select pg_advisory_xact_lock(${lockKey})`,
    );
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    // When the connection is lost the transaction is undone without us.
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

/**
 * Asked under the lock; in a transaction, so a table that is not there must not be an error. Asked of the catalog's rows:
 * `to_regclass` answers from the session's cache, which does not hear of what was committed while this waited for the lock.
 */
async function isApplied(client: Client, file: ShapeFile): Promise<boolean> {
  const table = await client.query<{ there: boolean }>(
    `select exists (select from pg_catalog.pg_class as class join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
       where schema.nspname = '_millrace' and class.relname = 'migrations') as there`,
  );
  if (!table.rows[0]!.there) return false;
  const { rowCount } = await client.query('select from _millrace.migrations where name = $1', [file.name]);
  return rowCount === 1;
}

async function loadShapeFiles(): Promise<readonly ShapeFile[]> {
  const folder = new URL('./sql/', import.meta.url);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, folder), 'utf8');
      const checksum = createHash('sha256').update(sql).digest('hex');
      return { name, sql, checksum, skipWhen: /^-- skip when: (.+)$/m.exec(sql)?.[1] };
    }),
  );
}

async function verifiers(options: ShapeOptions): Promise<Readonly<Record<string, string>>> {
  const entries = await Promise.all(
    loginRoles.map(async (role) => {
      const password = options.passwordOf(role);
      return password === undefined ? [] : [[role, await scramVerifier(password)] as const];
    }),
  );
  return Object.fromEntries(entries.flat());
}

/** Any number that nobody else uses in this database: "millrace" in ASCII. */
const lockKey = '7883951835720016741';
const lockTimeoutSeconds = 30;
const statementTimeoutSeconds = 60;
/** undefined_table, invalid_schema_name, undefined_function */
const notThereYet: readonly string[] = ['42P01', '3F000', '42883'];

/** The roles of sql/0001-roles.sql that may log in. */
const loginRoles: readonly string[] = [
  'authenticator',
  'millrace_admin',
  'pgbouncer',
  'postgres',
  'supabase_admin',
  'supabase_auth_admin',
  'supabase_etl_admin',
  'supabase_functions_admin',
  'supabase_read_only_user',
  'supabase_realtime_admin',
  'supabase_replication_admin',
  'supabase_storage_admin',
];
