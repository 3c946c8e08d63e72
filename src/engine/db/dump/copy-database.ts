// In charge of: a database whole from one server into the empty one of another: roles, structure, rows, all that belongs to them.
import { pipeline } from 'node:stream/promises';
import type { Client, ClientConfig } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { errorCode, errorMessage, OperatorError } from '../../../base/errors.ts';
import { withClient } from '../client.ts';
import { clusterRoles } from './cluster-roles.ts';
import { parseDump } from './entries.ts';
import { runPgDump } from './pg-dump.ts';
import {
  copyStatement,
  listTables,
  plainSession,
  qualified,
  sumTable,
  type TableRows,
} from './table-rows.ts';
import { sequenceStatements } from './write-rows.ts';

export interface CopyOptions {
  /** Both as the superuser. Nobody else works on either. */
  readonly source: ClientConfig;
  readonly target: ClientConfig;
  /** A line about what takes long. */
  readonly progress: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface CopyReport {
  readonly tables: number;
  readonly rows: number;
  /** What the target has no place for, each a sentence. */
  readonly notices: readonly string[];
}

/**
 * Copies, and compares every table by its checksum afterwards.
 * @throws OperatorError when the target refuses something, with what; when the copy differs; or for large objects, which it does not carry.
 */
export async function copyDatabase(options: CopyOptions): Promise<CopyReport> {
  const { source, target, progress, signal } = options;
  progress('reading the structure');
  const before = await structureOf(source, ['--section=pre-data', '--create'], signal);
  const behind = await structureOf(source, ['--section=post-data'], signal);
  return withClient({ ...source, application_name: 'millrace move' }, (from) =>
    withClient({ ...target, application_name: 'millrace move' }, async (to) => {
      await from.query(plainSession);
      await to.query(`${plainSession}; set check_function_bodies = off; set client_min_messages = error`);
      await refuseLargeObjects(from);
      const left: string[] = [];
      for (const statement of await clusterRoles(from)) await apply(to, statement, left);
      progress('making the structure');
      for (const statement of before) await apply(to, statement, left);
      const rows = await copyRows(from, to, options);
      progress('making indexes, constraints and triggers');
      for (const statement of behind) await apply(to, statement, left);
      return { ...rows, notices: sayLeft(left) };
    }),
  );
}

/** The statements of a part of the structure. The database itself is there already. */
async function structureOf(
  login: ClientConfig,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const dump = await runPgDump({ login, args: [...args, '--no-tablespaces'], signal });
  return parseDump(dump)
    .flatMap(({ statements }) => statements)
    .filter((statement) => !/^CREATE DATABASE\b/.test(statement));
}

async function copyRows(
  from: Client,
  to: Client,
  { progress, signal }: CopyOptions,
): Promise<Omit<CopyReport, 'notices'>> {
  const { rows: spaces } = await from.query<{ name: string }>(
    "select nspname as name from pg_catalog.pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'",
  );
  const schemas = spaces.map(({ name }) => name);
  const tables = await listTables(from, schemas, { withMembers: true });
  // Neither triggers nor foreign keys look at rows that were looked at when they were written.
  await to.query('set session_replication_role = replica');
  let rows = 0;
  for (const table of tables) {
    signal?.throwIfAborted();
    rows += await copyTable(from, to, table, progress);
  }
  for (const statement of await sequenceStatements(from, schemas)) await to.query(statement);
  await to.query('reset session_replication_role');
  return { tables: tables.length, rows };
}

async function copyTable(
  from: Client,
  to: Client,
  table: TableRows,
  progress: (line: string) => void,
): Promise<number> {
  const sum = await sumTable(from, table);
  // An extension's script may have filled its own tables.
  await to.query(`delete from ${qualified(table)}`);
  if (sum.rows > 0) {
    progress(`  ${table.schema}.${table.name}: ${sum.rows} rows`);
    await pipeline(
      from.query(copyTo(copyStatement(table, 'to stdout'))),
      to.query(copyFrom(copyStatement(table, 'from stdin'))),
    );
  }
  const copied = await sumTable(to, table);
  if (copied.rows !== sum.rows || copied.checksum !== sum.checksum) {
    throw new OperatorError(
      `The rows of ${table.schema}.${table.name} are not the same after the copy: ${sum.rows} there, ${copied.rows} here.`,
      'Nothing was changed; the data is where it was.',
    );
  }
  return sum.rows;
}

async function apply(to: Client, statement: string, left: string[]): Promise<void> {
  try {
    await to.query(statement);
  } catch (error) {
    // The target's version of an extension may lack a function that the source's has; rights on it are of no use there.
    if (/^(GRANT|REVOKE|COMMENT ON)\b/.test(statement) && missing.has(errorCode(error) ?? '')) {
      left.push(firstLine(statement));
      return;
    }
    throw new OperatorError(
      `The other engine refuses a statement: ${errorMessage(error)} (${firstLine(statement)})`,
      'Nothing was changed; the data is where it was.',
      error,
    );
  }
}

function sayLeft(left: readonly string[]): readonly string[] {
  const [first] = left;
  if (first === undefined) return [];
  return [
    `${left.length} rights and comments were left out, because they are about something that this engine's versions of the extensions do not have; the first: ${first}`,
  ];
}

/** undefined_function, undefined_object, undefined_table */
const missing: ReadonlySet<string> = new Set(['42883', '42704', '42P01']);

function firstLine(statement: string): string {
  const [line = ''] = statement.split('\n', 1);
  return line.length > 120 ? `${line.slice(0, 120)}…` : line;
}

async function refuseLargeObjects(from: Client): Promise<void> {
  const { rows } = await from.query<{ count: number }>(
    'select count(*)::int as count from pg_catalog.pg_largeobject_metadata',
  );
  if (rows[0]!.count === 0) return;
  throw new OperatorError(
    `The database holds ${rows[0]!.count} large objects, which are not moved.`,
    'Take them out first: select lo_unlink(oid) from pg_largeobject_metadata;',
  );
}
