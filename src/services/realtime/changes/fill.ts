// In charge of: values that a change does not bring: large ones that an UPDATE has left alone are taken from the table, by its key; generated ones
// are computed from the row's own image.
import type { PoolClient } from 'pg';
import type { Db, LoginRole } from '../../../engine/db/db.ts';
import { ident } from '../../../engine/db/ident.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import type { TableFacts } from './facts.ts';
import { hasAll, type Images, withValues } from './image.ts';
import { arrayLiteral, fromImages } from './question.ts';

export interface Unfilled {
  readonly table: TableFacts;
  images: Images;
  /** Not to be looked up: the row may have had another value. */
  readonly unknown: ReadonlySet<string>;
  /** Why something is missing that there was: whoever's policy or filter reads it has missed the change. */
  unsure: string | undefined;
}

/** What is to be looked up: undefined where everything is there, or the row cannot be found. */
export function missingOf({ table, images: { row }, unknown }: Unfilled): readonly string[] {
  if (row === undefined || row.size >= table.columns.length || !table.publishesAllColumns) return [];
  if (table.keys.length === 0 || table.keys.some((key) => typeof row.get(key) !== 'string')) return [];
  return table.columns
    .filter(({ name, generated }) => generated === null && !row.has(name) && !unknown.has(name))
    .map(({ name }) => name);
}

/** Whether the table has columns that Postgres computes, and which the stream leaves out. */
export function hasGenerated(table: TableFacts): boolean {
  return table.publishesAllColumns && table.columns.some(({ generated }) => generated !== null);
}

/**
 * Computes what is generated, from the values that it is generated of: as the caller, so that no function of the project's runs with more rights
 * than those of somebody who listens.
 */
export async function generate(
  db: Pick<Db, 'as'>,
  caller: Caller,
  settings: readonly (readonly [name: string, value: string])[],
  table: TableFacts,
  changes: readonly Unfilled[],
): Promise<void> {
  const generated = table.columns.filter((column) => column.generated !== null);
  const given = table.columns.filter((column) => column.generated === null).map(({ name }) => name);
  const places = changes.flatMap((change) =>
    (['row', 'old'] as const).flatMap((which) => {
      const image = change.images[which];
      return image !== undefined && hasAll(image, given) ? [{ change, which, image }] : [];
    }),
  );
  if (places.length === 0) return;
  const { from, images, isAsKnown } = fromImages(
    table,
    places.map(({ image }) => image),
    new Set(given),
  );
  const values = generated.map(({ generated: expression }) => `(${expression})::text`).join(', ');
  const statement = {
    text: `select "~r"."~n" - 1, ${values} from ${from} where ${isAsKnown}`,
    params: [images],
  };
  const { rows } = await db.as(caller, { statement, settings, readOnly: true });
  for (const [at, ...found] of rows) {
    const place = places[Number(at)];
    if (place === undefined) continue;
    const values = generated.map(({ name }, column) => [name, found[column] ?? null] as const);
    place.change.images = withValues(place.change.images, place.which, values);
  }
}

/**
 * Puts the missing values of one table's rows into their images, as they are by now, until they have `maxBytes`: the first is always looked up. A row
 * that is gone stays as it was: a policy that reads what is missing does not show it, and its end is told next. Gives how many of the first ones
 * were looked up, and the bytes of what was found.
 */
export async function fill(
  db: Pick<Db, 'asOwner'>,
  reader: LoginRole,
  table: TableFacts,
  changes: readonly Unfilled[],
  maxBytes: number,
): Promise<{ readonly count: number; readonly sizeBytes: number }> {
  const missing = [...new Set(changes.flatMap(missingOf))];
  const keys = table.keys.map((key) => table.columnOf.get(key)!);
  const lists = keys.map(({ name }) =>
    arrayLiteral(changes.map(({ images }) => images.row?.get(name) ?? null)),
  );
  const values = missing.map((_, at) => `"~v${at}"`);
  // What is left out stays where it is: a large text is not read to know its length.
  const text = `select * from (
      select "~n" - 1 as "~at", "~there", ${values.join(', ')},
        pg_catalog.sum(${values.map((value) => `coalesce(pg_catalog.octet_length(${value}), 0)`).join(' + ')}) over (order by "~n") as "~sum"
      from (
        select "~k"."~n", ("~t".tableoid is not null)::text as "~there", ${missing.map((name, at) => `"~t".${ident(name)}::text as "~v${at}"`).join(', ')}
        from rows from (${keys.map((_, at) => `pg_catalog.unnest($${at + 1}::text[])`).join(', ')}) with ordinality "~k" (${keys.map((_, at) => `"~${at}"`).join(', ')}, "~n")
        left join ${ident(table.schema)}.${ident(table.name)} "~t" on ${keys.map(({ name, type }, at) => `"~t".${ident(name)} = "~k"."~${at}"::${type}`).join(' and ')}
      ) "~found"
    ) "~sized" where "~at" = 0 or "~sum" <= $${keys.length + 1}::bigint`;
  const rows = await db.asOwner(reader, (client) => read(client, text, [...lists, String(maxBytes)]));
  let sizeBytes = 0;
  for (const [at, there, ...found] of rows) {
    sizeBytes = Math.max(sizeBytes, Number(found[missing.length]));
    const change = changes[Number(at)];
    const row = change?.images.row;
    if (change === undefined || row === undefined || there !== 'true') continue;
    const news = missing.flatMap((name, column) =>
      row.has(name) || change.unknown.has(name) ? [] : [[name, found[column] ?? null] as const],
    );
    change.images = withValues(change.images, 'row', news);
  }
  return { count: rows.length, sizeBytes };
}

async function read(
  client: PoolClient,
  text: string,
  values: readonly string[],
): Promise<readonly (readonly (string | null)[])[]> {
  // As the stream writes values. Whoever holds the table for long, as a migration, does not hold up the changes of others.
  const settings = [...textSettings, ['statement_timeout', String(timeoutMs)]] as const;
  await client.query(`begin read only`);
  await client.query(
    `select pg_catalog.set_config(name, value, true) from (values ${settings.map(([name, value]) => `('${name}', '${value}')`).join(', ')}) s (name, value)`,
  );
  const { rows } = await client.query<(string | null)[]>({ text, values: [...values], rowMode: 'array' });
  await client.query('commit');
  return rows;
}

/** Then the values stay unknown. */
const timeoutMs = 2_000;

/** How values are written as text, so that they can be compared, and read into JSON. */
export const textSettings: readonly (readonly [name: string, value: string])[] = [
  ['TimeZone', 'UTC'],
  ['DateStyle', 'ISO'],
  ['IntervalStyle', 'postgres'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
];
