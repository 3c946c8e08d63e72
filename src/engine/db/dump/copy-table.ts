// In charge of: the rows of one table from one server to another, and telling whether both hold the same then.
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { copyStatement, qualified, type Sum, sumTable, type TableRows } from './table-rows.ts';

export interface CopiedTable {
  readonly table: string;
  readonly source: Sum;
  readonly here: Sum;
}

/** Copies the rows in the place of those that are there: an extension's script may have filled its own tables. Both sessions are plain ones. */
export async function copyTable(
  source: Client,
  target: Client,
  table: TableRows,
  signal: AbortSignal | undefined,
): Promise<CopiedTable> {
  const theirs = await sumTable(source, table);
  await target.query(`delete from only ${qualified(table)}`);
  if (theirs.rows > 0) {
    const reading = source.query(copyTo(copyStatement(table, 'TO stdout')));
    const writing = target.query(copyFrom(copyStatement(table, 'FROM stdin')));
    await pipeline(reading, writing, signal === undefined ? {} : { signal });
  }
  return { table: `${table.schema}.${table.name}`, source: theirs, here: await sumTable(target, table) };
}

export function isSame({ source, here }: CopiedTable): boolean {
  return source.rows === here.rows && source.checksum === here.checksum;
}
