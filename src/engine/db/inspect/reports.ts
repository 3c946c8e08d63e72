// In charge of: reports about a database's health, under the names and with the columns of the Supabase CLI's `inspect db`. The queries are ours.
import { readFile } from 'node:fs/promises';
import type { ClientConfig } from 'pg';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { withClient } from '../client.ts';
import { platformSchemas } from '../dump/schema-lines.ts';
import { type Report, reports } from './report-names.ts';

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
