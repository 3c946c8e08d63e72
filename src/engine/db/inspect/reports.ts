// In charge of: reports about a database's health, under the names and with the columns of the Supabase CLI's `inspect db`. The queries are ours.
import { readFile } from 'node:fs/promises';
import type { ClientConfig } from 'pg';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { withClient } from '../client.ts';
import { platformSchemas } from '../dump/schema-lines.ts';

export interface Report {
  readonly sentence: string;
  /** The file in `sql/`; undefined: the report's own name. */
  readonly file?: string;
}

/** Source: supabase/cli 3.1.0, `supabase inspect db --help`; those below the line are its old names for the same. */
export const reports = {
  'db-stats': { sentence: 'the database: sizes, and how much is found in memory' },
  'table-stats': { sentence: 'tables: sizes, rows, reads from end to end' },
  'index-stats': { sentence: 'indexes: sizes, and whether they are used' },
  'unused-indexes': { sentence: 'indexes that hardly anybody uses' },
  'role-stats': { sentence: 'roles, their connections and settings' },
  'traffic-profile': { sentence: 'tables that are read more than written, and the other way round' },
  'vacuum-stats': { sentence: 'when tables were vacuumed, and whether it is time again' },
  bloat: { sentence: 'space that dead rows hold, estimated' },
  calls: { sentence: 'statements by how often they run' },
  outliers: { sentence: 'statements by the time that they take' },
  'long-running-queries': { sentence: 'statements that run for more than five minutes' },
  locks: { sentence: 'exclusive locks' },
  blocking: { sentence: 'who waits for whom' },
  'replication-slots': { sentence: 'replication slots, and how far behind they are' },
  'cache-hit': { sentence: 'as db-stats', file: 'db-stats' },
  'index-sizes': { sentence: 'as index-stats', file: 'index-stats' },
  'index-usage': { sentence: 'as index-stats', file: 'index-stats' },
  'table-sizes': { sentence: 'as table-stats', file: 'table-stats' },
  'table-record-counts': { sentence: 'as table-stats', file: 'table-stats' },
  'seq-scans': { sentence: 'as table-stats', file: 'table-stats' },
  'role-configs': { sentence: 'as role-stats', file: 'role-stats' },
  'role-connections': { sentence: 'as role-stats', file: 'role-stats' },
} as const satisfies Readonly<Record<string, Report>>;

export type ReportName = keyof typeof reports;

export interface ReportRows {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** Runs a report. @throws OperatorError when the server does not keep what it is about. */
export async function readReport(login: ClientConfig, name: ReportName): Promise<ReportRows> {
  const report: Report = reports[name];
  const text = await readFile(new URL(`./sql/${report.file ?? name}.sql`, import.meta.url), 'utf8');
  return withClient(login, async (client) => {
    try {
      const { rows, fields } = await client.query<Record<string, unknown>>(
        text,
        text.includes('$1') ? [platformSchemas.map(asLike)] : [],
      );
      // Counts come as text, because a bigint can be more than a number holds; these are not.
      const counts = fields.filter((field) => field.dataTypeID === bigint).map((field) => field.name);
      for (const row of rows)
        for (const name of counts) if (row[name] !== null) row[name] = Number(row[name]);
      return { columns: fields.map((field) => field.name), rows };
    } catch (error) {
      // The view is not there, or its library is not loaded.
      if (!['42P01', '55000', '3F000'].includes(errorCode(error) ?? '')) throw error;
      throw new OperatorError(
        `"${name}" needs pg_stat_statements, which this server does not keep.`,
        'Load it with shared_preload_libraries, and create extension pg_stat_statements with schema extensions.',
        error,
      );
    }
  });
}

const bigint = 20;

/** `pg_*` as a pattern of LIKE. */
function asLike(schema: string): string {
  return schema.replaceAll('_', '\\_').replaceAll('*', '%');
}
