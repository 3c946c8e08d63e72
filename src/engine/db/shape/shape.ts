// In charge of: bringing a database into the shape that Supabase projects expect. Numbered files, forward only, each in a transaction of its own.
import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { errorCode, errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';

export interface ShapeOptions {
  /** A server that Millrace does not run: its database keeps its owner, its roles keep what they are. */
  readonly external: boolean;
  /** The password of a role that logs in, for the roles that are made now; undefined: it has none and cannot log in by password. */
  readonly passwordOf: (role: string) => string | undefined;
  /** Whether tables that `postgres` makes in `public` are open to the API roles without a GRANT. */
  readonly autoExposeNewTables: boolean;
  readonly observe: Observe;
}

export interface Shape {
  /** The files that ran now; empty when the database had its shape. */
  readonly applied: readonly string[];
}

interface ShapeFile {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
  /** A relation that this file makes; where it is there already, everything in the file is taken to be somebody's, and kept. */
  readonly adoptWhen: string | undefined;
}

interface AppliedRow {
  readonly name: string;
  readonly checksum: string;
}

/**
 * Brings the database that `client` is connected to into Supabase's shape; does nothing, with one query, when it has it.
 * Two processes may do this at once: each file is guarded by an advisory lock that ends with its transaction.
 * @throws OperatorError when the session lacks the rights, with what to run and as whom; or when a file fails, with its name.
 */
export async function bootstrapDatabase(client: Client, options: ShapeOptions): Promise<Shape> {
  const files = await loadShapeFiles();
  const done = await loadApplied(client);
  const applied: string[] = [];
  for (const file of files) {
    const known = done.get(file.name);
    if (known === undefined) {
      if (await applyFile(client, file, options)) applied.push(file.name);
    } else if (known !== file.checksum) {
      options.observe({ kind: 'shape.changed', level: 'warn', file: file.name });
    }
  }
  return { applied };
}

/** What has been applied, by name; empty in a database that has never been shaped. */
async function loadApplied(client: Client): Promise<ReadonlyMap<string, string>> {
  try {
    const { rows } = await client.query<AppliedRow>('select name, checksum from _millrace.migrations');
    return new Map(rows.map((row) => [row.name, row.checksum]));
  } catch (error) {
    if (errorCode(error) === undefinedTable || errorCode(error) === invalidSchemaName) return new Map();
    throw error;
  }
}

/** Runs one file, unless another process was faster. True when it ran here. */
async function applyFile(client: Client, file: ShapeFile, options: ShapeOptions): Promise<boolean> {
  await client.query('begin');
  try {
    await client.query(
      `set local lock_timeout = '${lockTimeoutSeconds}s'; set local statement_timeout = '${statementTimeoutSeconds}s';
       set local client_min_messages = warning; set local search_path = ''; select pg_advisory_xact_lock(${lockKey})`,
    );
    if ((await exists(client, '_millrace.migrations')) && (await loadApplied(client)).has(file.name)) {
      await client.query('commit');
      return false;
    }
    await client.query(
      "select set_config('millrace.external', $1, true), set_config('millrace.verifiers', $2, true)",
      [String(options.external), JSON.stringify(await verifiers(options))],
    );
    const adopted = file.adoptWhen !== undefined && (await exists(client, file.adoptWhen));
    if (!adopted) await client.query(file.sql);
    await client.query('reset role');
    await client.query('insert into _millrace.migrations (name, checksum, adopted) values ($1, $2, $3)', [
      file.name,
      file.checksum,
      adopted,
    ]);
    await client.query('commit');
    options.observe({ kind: adopted ? 'shape.adopted' : 'shape.applied', level: 'debug', file: file.name });
    return true;
  } catch (error) {
    await client.query('rollback');
    throw new OperatorError(
      `The database could not be brought into shape: "${file.name}" failed with: ${errorMessage(error)}`,
      'Nothing of that file is left behind. Put right what the message names, and start again.',
      error,
    );
  }
}

async function exists(client: Client, relation: string): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>('select to_regclass($1) is not null as there', [
    relation,
  ]);
  return rows[0]?.there === true;
}

async function loadShapeFiles(): Promise<readonly ShapeFile[]> {
  const folder = new URL('./sql/', import.meta.url);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, folder), 'utf8');
      const checksum = createHash('sha256').update(sql).digest('hex');
      return { name, sql, checksum, adoptWhen: /^-- adopt when: (\S+)$/m.exec(sql)?.[1] };
    }),
  );
}

/** The passwords as Postgres keeps them, so that no statement and no log ever holds one in the clear. */
async function verifiers(options: ShapeOptions): Promise<Readonly<Record<string, string>>> {
  const entries = await Promise.all(
    loginRoles.map(async (role) => {
      const password = options.passwordOf(role);
      return password === undefined ? [] : [[role, await scramVerifier(password)] as const];
    }),
  );
  return Object.fromEntries(entries.flat());
}

/**
 * A password as `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. Postgres prepares it with SASLprep; passwords
 * of printable ASCII are not changed by that. Source: PostgreSQL "pg_authid", RFC 5802 section 3.
 */
async function scramVerifier(password: string): Promise<string> {
  const salt = randomBytes(16);
  const salted = await derive(password, salt, scramIterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${scramIterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

const derive = promisify(pbkdf2);
const scramIterations = 4096;
/** Any number that nobody else uses in this database: "millrace" in ASCII. */
const lockKey = '7883951835720016741';
const lockTimeoutSeconds = 30;
const statementTimeoutSeconds = 60;
const undefinedTable = '42P01';
const invalidSchemaName = '3F000';

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
