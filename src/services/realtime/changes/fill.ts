// In charge of: values that a change does not bring, as large ones that an UPDATE has left alone, and generated ones: taken from the table, by its key.
import type { PoolClient } from 'pg';
import type { Db, LoginRole } from '../../../engine/db/db.ts';
import { ident } from '../../../engine/db/ident.ts';
import type { TableFacts } from './facts.ts';
import type { Image, Images } from './image.ts';
import { arrayLiteral } from './question.ts';

export interface Unfilled {
  readonly table: TableFacts;
  images: Images;
}

/** What is to be looked up: undefined where everything is there, or the row cannot be found. */
export function missingOf(table: TableFacts, row: Image | undefined): readonly string[] {
  if (row === undefined || row.size >= table.columns.length || !table.publishesAllColumns) return [];
  if (table.keys.length === 0 || table.keys.some((key) => typeof row.get(key) !== 'string')) return [];
  return table.columns.filter(({ name }) => !row.has(name)).map(({ name }) => name);
}

/**
 * Puts the missing values of one table's rows into their images, as they are by now. A row that is gone stays as it was: a policy that reads what
 * is missing does not show it, and its end is told next.
 */
export async function fill(
  db: Pick<Db, 'asOwner'>,
  reader: LoginRole,
  table: TableFacts,
  changes: readonly Unfilled[],
): Promise<void> {
  const missing = [...new Set(changes.flatMap(({ images }) => missingOf(table, images.row)))];
  const keys = table.keys.map((key) => table.columnOf.get(key)!);
  const lists = keys.map(({ name }) =>
    arrayLiteral(changes.map(({ images }) => images.row?.get(name) ?? null)),
  );
  const text = `select "~k"."~n" - 1, ${missing.map((name) => `"~t".${ident(name)}::text`).join(', ')}
    from rows from (${keys.map((_, at) => `pg_catalog.unnest($${at + 1}::text[])`).join(', ')}) with ordinality "~k" (${keys.map((_, at) => `"~${at}"`).join(', ')}, "~n")
    join ${ident(table.schema)}.${ident(table.name)} "~t" on ${keys.map(({ name, type }, at) => `"~t".${ident(name)} = "~k"."~${at}"::${type}`).join(' and ')}`;
  const rows = await db.asOwner(reader, (client) => read(client, text, lists));
  for (const [at, ...values] of rows) {
    const change = changes[Number(at)];
    if (change?.images.row === undefined) continue;
    const row = new Map(change.images.row);
    missing.forEach((name, column) => {
      if (!row.has(name)) row.set(name, values[column] ?? null);
    });
    change.images = { ...change.images, row };
  }
}

async function read(
  client: PoolClient,
  text: string,
  values: readonly string[],
): Promise<readonly (readonly (string | null)[])[]> {
  // As the stream writes values.
  await client.query(`begin read only`);
  await client.query(
    `select pg_catalog.set_config(name, value, true) from (values ${textSettings.map(([name, value]) => `('${name}', '${value}')`).join(', ')}) s (name, value)`,
  );
  const { rows } = await client.query<(string | null)[]>({ text, values: [...values], rowMode: 'array' });
  await client.query('commit');
  return rows;
}

/** How values are written as text, so that they can be compared, and read into JSON. */
export const textSettings: readonly (readonly [name: string, value: string])[] = [
  ['TimeZone', 'UTC'],
  ['DateStyle', 'ISO'],
  ['IntervalStyle', 'postgres'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
];
