// In charge of: moving rows from the source into the database beside, table by table.
import type { Client } from 'pg';
import { type CopiedTable, copyTable } from '../dump/copy-table.ts';
import { listTables, qualified, sumTable, type TableRows } from '../dump/table-rows.ts';
import type { Steps } from './steps.ts';

/** A table that both sides have, with the columns that both have. */
export interface Pair {
  readonly table: TableRows;
  /** Rows of the source that have no counterpart here, in a sentence; undefined when every column has one. */
  readonly lost: string | undefined;
}

/** The tables of `schemas` that both have; `wanted` narrows them. What only the source has is said in `missing`. */
export async function pairTables(
  source: Client,
  target: Client,
  schemas: readonly string[],
  wanted: (table: TableRows) => boolean,
  options: { readonly withMembers?: boolean } = {},
): Promise<{ readonly pairs: readonly Pair[]; readonly missing: readonly TableRows[] }> {
  const theirs = (await listTables(source, schemas, options)).filter(wanted);
  const ours = new Map(
    (await listTables(target, schemas, options)).map((table) => [qualified(table), table]),
  );
  const pairs: Pair[] = [];
  const missing: TableRows[] = [];
  for (const table of theirs) {
    const here = ours.get(qualified(table));
    if (here === undefined) {
      missing.push(table);
      continue;
    }
    const both = (columns: readonly string[], others: readonly string[]) =>
      columns.filter((name) => others.includes(name));
    const columns = both(table.columns, here.columns);
    const lost = table.columns.filter((name) => !here.columns.includes(name));
    pairs.push({
      table: { ...table, columns, allColumns: both(table.allColumns, here.allColumns) },
      lost:
        lost.length === 0
          ? undefined
          : `${table.schema}.${table.name} has no column ${lost.join(', ')} here: left out.`,
    });
  }
  return { pairs, missing };
}

/**
 * Copies one table, and again when the source has changed since an earlier run copied it. Copy and record are one transaction.
 */
export async function copyOnce(
  source: Client,
  target: Client,
  { table }: Pair,
  steps: Steps,
  signal: AbortSignal | undefined,
): Promise<CopiedTable> {
  const step = `rows of ${qualified(table)}`;
  const known = steps.of(step);
  if (known !== undefined) {
    const theirs = await sumTable(source, table);
    if (known.checksum === theirs.checksum && known.rows === theirs.rows)
      return { table: `${table.schema}.${table.name}`, source: theirs, here: theirs };
  }
  await target.query('begin');
  try {
    const copied = await copyTable(source, target, table, signal);
    await steps.record(target, step, { ...copied.here });
    await target.query('commit');
    return copied;
  } catch (error) {
    await target.query('rollback').catch(() => {});
    throw error;
  }
}
