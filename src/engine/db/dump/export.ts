// In charge of: a whole project as one SQL script: roles, structure, rows, sequences, large objects, all of one moment.
import type { Writable } from 'node:stream';
import type { Client, ClientConfig } from 'pg';
import { withClient } from '../client.ts';
import { ident } from '../ident.ts';
import { adaptEntries } from './adapt.ts';
import { type DumpEntry, parseDump, renderEntries } from './entries.ts';
import { loadExtensionState } from './extension-state.ts';
import { writeLargeObjects } from './large-objects.ts';
import { runPgDump } from './pg-dump.ts';
import { platformSchemas, projectEntries, projectTriggersQuery } from './platform.ts';
import { rowsOfPlatform } from './platform-rows.ts';
import { projectRoles, tryAppSetting } from './project-roles.ts';
import { listTables, plainSession, sumTable, type TableRows } from './table-rows.ts';
import { write } from './write.ts';
import { refreshStatements, sequenceStatements, writeTable } from './write-rows.ts';

export interface ExportOptions {
  /** Who reads every table of the project: `postgres`. */
  readonly login: ClientConfig;
  readonly out: Writable;
  /** Default: `all`. */
  readonly parts?: 'all' | 'schema' | 'data' | undefined;
  /** A PostgreSQL of this major version takes the script; undefined: of the same one. */
  readonly major?: number | undefined;
  /** Whether rows are summed, for a comparison after loading. */
  readonly sums?: boolean | undefined;
  /** A line about what takes long. */
  readonly progress: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface ExportReport {
  readonly tables: readonly { readonly table: string; readonly rows?: number; readonly checksum?: string }[];
  /** What was written otherwise than it is here, or left out, each a sentence. */
  readonly notices: readonly string[];
}

/**
 * Writes a script that `psql` loads into a Supabase project, hosted or not, or into a PostgreSQL that has Supabase's roles and schemas. What the platform has
 * there is not in it but its rows: users, buckets, objects, the history of migrations.
 * @throws OperatorError when something of the project cannot be said to a server of `major`.
 */
export async function exportProject(options: ExportOptions): Promise<ExportReport> {
  const { login, out, parts = 'all', progress, signal } = options;
  return withClient({ ...login, application_name: 'millrace export' }, async (client) => {
    await client.query(plainSession);
    await client.query('begin isolation level repeatable read, read only');
    const { rows } = await client.query<{ schemas: readonly string[]; triggers: readonly string[] }>(
      momentQuery,
      [[...platformSchemas]],
    );
    const { schemas, triggers } = rows[0]!;
    const notices: string[] = [];
    await write(out, head);
    let after: readonly DumpEntry[] = [];
    let jobs: readonly string[] = [];
    if (parts !== 'data') {
      progress('reading the structure');
      const text = await runPgDump({ login: client, args: structureArguments, signal });
      const whole = projectEntries(parseDump(text), { triggers: new Set(triggers) });
      const adapted = await adaptEntries(whole, options.major);
      notices.push(...adapted.notices);
      const roles = await projectRoles(client);
      const settings = roles.appSettings.map(tryAppSetting);
      await write(out, `${[...roles.statements, ...settings].join('\n')}\n\n`);
      const [before, behind] = splitAtData(adapted.entries);
      await write(out, renderEntries(before));
      after = behind;
    }
    const tables: ExportReport['tables'][number][] = [];
    if (parts !== 'schema') {
      const held = await loadExtensionState(client);
      notices.push(...held.notices);
      jobs = held.jobs;
      await write(out, `${held.queues.join('\n')}\nset session_replication_role = replica;\n\n`);
      for (const table of [...(await dataTables(client, schemas)), ...held.tables]) {
        signal?.throwIfAborted();
        progress(`reading ${table.schema}.${table.name}`);
        await writeTable(client, table, out);
        const sum = options.sums === true ? await sumTable(client, table) : {};
        tables.push({ table: `${table.schema}.${table.name}`, ...sum });
      }
      const sequences = await sequenceStatements(client, [...schemas, ...rowsOfPlatform.keys(), 'pgmq']);
      await write(out, `${sequences.join('\n')}\n\n`);
      await writeLargeObjects(client, out);
      await write(out, 'reset session_replication_role;\n\n');
    }
    await write(out, renderEntries(after));
    if (parts === 'all') await write(out, `${(await refreshStatements(client, schemas)).join('\n')}\n`);
    if (jobs.length > 0) await write(out, `${jobs.join('\n')}\n`);
    await client.query('commit');
    return { tables, notices };
  });
}

/** Tables with rows that go along: all of the project's, and of the platform's those that hold a project's state and are not empty. */
async function dataTables(client: Client, schemas: readonly string[]): Promise<readonly TableRows[]> {
  const platform = (await listTables(client, [...rowsOfPlatform.keys()])).filter(({ schema, name }) =>
    rowsOfPlatform.get(schema)!.has(name),
  );
  const filled: TableRows[] = [];
  for (const table of platform) {
    const { rows } = await client.query<{ filled: boolean }>(
      `select exists (select from ${ident(table.schema)}.${ident(table.name)}) as filled`,
    );
    if (rows[0]!.filled) filled.push(table);
  }
  return [...filled, ...(await listTables(client, schemas))];
}

/** Indexes, constraints and triggers come behind the rows; views and functions before. */
export function splitAtData(
  entries: readonly DumpEntry[],
): readonly [readonly DumpEntry[], readonly DumpEntry[]] {
  const at = entries.findIndex(({ kind }) => behindData.has(kind));
  return at < 0 ? [entries, []] : [entries.slice(0, at), entries.slice(at)];
}

const structureArguments = [
  '--schema-only',
  '--no-tablespaces',
  '--no-table-access-method',
  '--exclude-schema=_millrace',
];

/** The first entry of pg_dump's post-data section is of one of these kinds. Source: PostgreSQL src/bin/pg_dump/pg_dump_sort.c. */
const behindData: ReadonlySet<string> = new Set([
  'CONSTRAINT',
  'CHECK CONSTRAINT',
  'FK CONSTRAINT',
  'INDEX',
  'INDEX ATTACH',
  'STATISTICS',
  'RULE',
  'TRIGGER',
  'EVENT TRIGGER',
  'POLICY',
  'ROW SECURITY',
  'PUBLICATION',
  'PUBLICATION TABLE',
  'PUBLICATION TABLES IN SCHEMA',
]);

const momentQuery = `
  select array(select nspname::text from pg_catalog.pg_namespace
      where not nspname = any ($1) and nspname !~ '^pg_' order by nspname collate "C") as schemas,
    array(${projectTriggersQuery}) as triggers`;

const head = `-- A project, as \`millrace export\` writes it. Load it with psql as role postgres:
--   psql -v ON_ERROR_STOP=1 -f this-file 'postgres://…'

set client_encoding = 'UTF8';
set standard_conforming_strings = on;
set check_function_bodies = false;
set client_min_messages = warning;
set row_security = off;
set statement_timeout = 0;
set lock_timeout = 0;
set search_path = '';

`;
