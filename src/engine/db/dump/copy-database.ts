// In charge of: a database whole from one server into the empty one of another: roles, structure, rows, all that belongs to them.
import type { Client, ClientConfig } from 'pg';
import { errorCode, errorMessage, OperatorError } from '../../../base/errors.ts';
import { withClient } from '../client.ts';
import { provideExtension } from '../extensions/provide.ts';
import { findExtension } from '../extensions/registry.ts';
import { clusterRoles } from './cluster-roles.ts';
import { copyTable, isSame } from './copy-table.ts';
import { parseDump } from './entries.ts';
import { copyLargeObject, listLargeObjects } from './large-objects.ts';
import { runPgDump } from './pg-dump.ts';
import { listTables, plainSession } from './table-rows.ts';
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
 * @throws OperatorError when the target refuses something, with what, or when the copy differs.
 */
export async function copyDatabase(options: CopyOptions): Promise<CopyReport> {
  const { source, target, progress, signal } = options;
  progress('reading the structure');
  const before = await structureOf(source, ['--section=pre-data', '--create'], signal);
  const behind = await structureOf(source, ['--section=post-data'], signal);
  return withClient({ ...source, application_name: 'millrace move' }, (from) =>
    withClient({ ...target, application_name: 'millrace move' }, async (to) => {
      await from.query(plainSession);
      await to.query(
        `${plainSession}; set check_function_bodies = off; set client_min_messages = error; set event_triggers = off`,
      );
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
    const copied = await copyTable(from, to, table, signal);
    const { source, here } = copied;
    if (!isSame(copied)) {
      throw new OperatorError(
        `The rows of ${copied.table} are not the same after the copy: ${source.rows} there, ${here.rows} here.`,
        'Nothing was changed; the data is where it was.',
      );
    }
    if (here.rows > 0) progress(`  ${copied.table}: ${here.rows} rows`);
    rows += here.rows;
  }
  for (const statement of await sequenceStatements(from, schemas)) await to.query(statement);
  await to.query('reset session_replication_role');
  const objects = await listLargeObjects(from);
  if (objects.length > 0) progress(`  ${objects.length} large objects`);
  for (const { oid, ownership } of objects) {
    signal?.throwIfAborted();
    await copyLargeObject(from, to, oid);
    for (const statement of ownership) await to.query(statement);
  }
  return { tables: tables.length, rows };
}

async function apply(to: Client, statement: string, left: string[]): Promise<void> {
  try {
    await run(to, statement);
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

/** Runs a statement of pg_dump's, in other words where a server of ours needs them. */
async function run(to: Client, statement: string): Promise<void> {
  const [, quoted, plain, schema] = extensionPattern.exec(statement) ?? [];
  const name = quoted ?? plain;
  // Not every server finds the files of those that are ours.
  if (name !== undefined && ['provided', 'absent'].includes(findExtension(name)?.kind ?? '')) {
    await to.query(standIn);
    await provideExtension(to, name, { schema: schema!, external: false });
    return;
  }
  const owner = superusersOwn.exec(statement)?.[1];
  if (owner !== undefined) {
    // These can only be given to a superuser, so the new owner is one for a moment that no other session sees.
    await to.query(`alter role ${owner} superuser; ${statement} alter role ${owner} nosuperuser`);
    return;
  }
  await to.query(statement.replace(/^CREATE (?=FUNCTION _millrace\.project_role\()/, '$&OR REPLACE '));
}

function sayLeft(left: readonly string[]): readonly string[] {
  const [first] = left;
  if (first === undefined) return [];
  return [
    `${left.length} rights and comments were left out, because they are about something that this engine's versions of the extensions do not have; the first: ${first}`,
  ];
}

/** As pg_dump writes it; the schemas of extensions need no quotes. */
const extensionPattern = /^CREATE EXTENSION IF NOT EXISTS (?:"([^"]+)"|(\w+)) WITH SCHEMA (\w+);$/;
const superusersOwn = /^ALTER (?:EVENT TRIGGER|FOREIGN DATA WRAPPER) .+ OWNER TO (?!supabase_admin;)(\S+);$/;
/** Extensions come before functions, and some of ours ask this one whom they are for. The real one takes its place. */
const standIn = `create or replace function _millrace.project_role() returns name language sql stable set search_path = '' as $$ select 'postgres'::name $$`;
/** undefined_function, undefined_object, undefined_table */
const missing: ReadonlySet<string> = new Set(['42883', '42704', '42P01']);

function firstLine(statement: string): string {
  const [line = ''] = statement.split('\n', 1);
  return line.length > 120 ? `${line.slice(0, 120)}…` : line;
}
