// In charge of: moving rows from the source into the database beside, table by table, and telling whether both hold the same.
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import {
  copyStatement,
  listTables,
  qualified,
  type Sum,
  sumTable,
  type TableRows,
} from '../dump/table-rows.ts';
import type { Steps } from './steps.ts';

/** A table that both sides have, with the columns that both have. */
export interface Pair {
  readonly table: TableRows;
  /** Rows of the source that have no counterpart here, in a sentence; undefined when every column has one. */
  readonly lost: string | undefined;
}

export interface CopiedTable {
  readonly table: string;
  readonly source: Sum;
  readonly here: Sum;
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
 * Copies one table and sums it on both sides. A table that an earlier run copied is summed, and copied again when the source has changed since.
 * Copy and record are one transaction.
 */
export async function copyTable(
  source: Client,
  target: Client,
  { table }: Pair,
  steps: Steps,
  signal: AbortSignal | undefined,
): Promise<CopiedTable> {
  const step = `rows of ${qualified(table)}`;
  const name = `${table.schema}.${table.name}`;
  const theirs = await sumTable(source, table);
  const known = steps.of(step);
  if (known?.checksum === theirs.checksum && known.rows === theirs.rows) {
    return { table: name, source: theirs, here: { rows: theirs.rows, checksum: theirs.checksum } };
  }
  await target.query('begin');
  try {
    await target.query(`delete from only ${qualified(table)}`);
    if (theirs.rows > 0) {
      const reading = source.query(copyTo(copyStatement(table, 'to stdout')));
      const writing = target.query(copyFrom(copyStatement(table, 'from stdin')));
      await pipeline(reading, writing, signal === undefined ? {} : { signal });
    }
    const here = await sumTable(target, table);
    await steps.record(target, step, { rows: here.rows, checksum: here.checksum });
    await target.query('commit');
    return { table: name, source: theirs, here };
  } catch (error) {
    await target.query('rollback').catch(() => {});
    throw error;
  }
}

/** Copies large objects under their numbers, which columns hold. Those that are here already are made anew. */
export async function copyLargeObjects(source: Client, target: Client): Promise<number> {
  const { rows } = await source.query<{ oid: string }>(
    'select oid from pg_catalog.pg_largeobject_metadata order by oid',
  );
  for (const { oid } of rows) {
    await target.query('begin');
    try {
      await target.query(
        'select pg_catalog.lo_unlink(oid) from pg_catalog.pg_largeobject_metadata where oid = $1',
        [oid],
      );
      await target.query('select pg_catalog.lo_create($1)', [oid]);
      for (let at = 0; ; at += chunkBytes) {
        const read = await source.query<{ bytes: Buffer }>('select pg_catalog.lo_get($1, $2, $3) as bytes', [
          oid,
          at,
          chunkBytes,
        ]);
        const { bytes } = read.rows[0]!;
        if (bytes.length === 0) break;
        await target.query('select pg_catalog.lo_put($1, $2, $3)', [oid, at, bytes]);
      }
      await target.query('commit');
    } catch (error) {
      await target.query('rollback').catch(() => {});
      throw error;
    }
  }
  return rows.length;
}

const chunkBytes = 1 << 20;
