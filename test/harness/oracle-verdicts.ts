// In charge of: what a listener should be told of committed changes by the policies of this moment: decided by Postgres's own row-level security over
// the image of each row in a twin of its table.
import type pg from 'pg';
import { isLarge } from './oracle-compare.ts';
import type { OracleListener, Row } from './oracle-listeners.ts';
import { twinsOf } from './oracle-schema.ts';
import { isSameShape, type Shape, type Shapes } from './oracle-shapes.ts';
import { columnsOfFilter } from './oracle-tables.ts';

/** A committed change, in the order of the commits. */
export interface LogRow {
  readonly seq: number;
  readonly kind: 'INSERT' | 'UPDATE' | 'DELETE';
  /** The table's, when it was committed. */
  readonly shape: Shape;
  readonly old: Row | null;
  readonly new: Row | null;
}

/** What is to be told of one change. */
export interface Line {
  readonly type: string;
  readonly record: Row;
  readonly old: Row;
  /** The columns whose values mean what they did. */
  readonly same: ReadonlySet<string>;
  /** All columns do. */
  readonly isSame: boolean;
}

/** Puts the images of new rows into the twins, whose columns are still called as in the images. */
export async function fillTwins(client: pg.Client, rows: readonly LogRow[]): Promise<void> {
  const byTable = Map.groupBy(rows, ({ shape }) => shape);
  for (const [shape, ofTable] of byTable) {
    const list = Object.keys(shape.columns).map((name) => `"${name}"`);
    for (const twin of twinsOf(shape.first)) {
      await client.query(
        `insert into twin.${twin} (${list.join(', ')}, seq)
         select ${list.map((name) => `r.${name}`).join(', ')}, l.seq * 2 + l.is_old from (
           select seq, 0 as is_old, new as image from public.log where new is not null and seq = any ($1)
           union all select seq, 1, old from public.log where old is not null and seq = any ($1)
         ) l, jsonb_populate_record(null::twin.${twin}, l.image) r`,
        [ofTable.map(({ seq }) => seq)],
      );
    }
  }
}

/** For each of `rows` what it should be told; undefined: nothing. */
export async function verdictsOf(
  client: pg.Client,
  shapes: Shapes,
  listener: OracleListener,
  rows: readonly LogRow[],
): Promise<readonly (Line | undefined)[]> {
  const lines = new Map<LogRow, Line>();
  for (const shape of shapes.values()) {
    const mine = rows.filter((row) => isOf(row, shape, listener));
    if (mine.length === 0 || !hasColumns(shape, listener)) continue;
    const ask = await askTwin(client, shape, listener, mine);
    for (const row of mine) {
      const line = lineOf(shapes.get(row.shape.first)!, shape, listener, row, ask);
      if (line !== undefined) lines.set(row, line);
    }
  }
  return rows.map((row) => lines.get(row));
}

/** By the name that the table has now. `*` names partitions by themselves. */
function isOf(row: LogRow, { first, name }: Shape, { table, event, filter }: OracleListener): boolean {
  if (event !== '*' && event !== row.kind) return false;
  if (table === '*') return filter === undefined && row.shape.first === first;
  return table === name && twinsOf(row.shape.first).includes(first);
}

/** A filter on a column that is not there matches nothing. */
const hasColumns = ({ columns }: Shape, { filter }: OracleListener) =>
  filter === undefined || columnsOfFilter(filter).every((name) => name in columns);

interface Twin {
  sees(image: number): boolean;
  /** It is seen, and the filter holds. */
  holds(image: number): boolean;
  /** The filter holds, whoever sees it. */
  matches(image: number): boolean;
}

async function askTwin(
  client: pg.Client,
  { first }: Shape,
  { caller, filter }: OracleListener,
  rows: readonly LogRow[],
): Promise<Twin> {
  const condition = filter?.sql ?? 'true';
  const images = rows.flatMap(({ seq }) => [seq * 2, seq * 2 + 1]);
  const askBy = async (who: Pick<OracleListener['caller'], 'role' | 'claims'>) => {
    let found = await askAs(
      client,
      who,
      `select seq, coalesce((${condition}), false) as holds from twin.${first} where seq = any ($1)`,
      images,
    );
    // Something fails for some of them: each by itself.
    found ??= await askAs(
      client,
      who,
      `select at as seq, twin.sees('${first}', at, $f$${condition}$f$) as holds from unnest($1::bigint[]) at
       where twin.sees('${first}', at, 'true')`,
      images,
    );
    return new Map((found ?? []).map(({ seq, holds }) => [Number(seq), holds]));
  };
  const held = await askBy(caller);
  const matched =
    filter === undefined
      ? undefined
      : await askBy({ role: 'service_role', claims: '{"role":"service_role"}' });
  return {
    sees: (image) => held.has(image),
    holds: (image) => held.get(image) === true,
    matches: (image) => matched === undefined || matched.get(image) === true,
  };
}

async function askAs(
  client: pg.Client,
  caller: Pick<OracleListener['caller'], 'role' | 'claims'>,
  sql: string,
  images: readonly number[],
): Promise<readonly { readonly seq: string; readonly holds: boolean }[] | undefined> {
  await client.query('begin');
  try {
    await client.query(`select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`, [
      caller.role,
      caller.claims,
    ]);
    return (await client.query<{ seq: string; holds: boolean }>(sql, [images])).rows;
  } catch {
    return undefined;
  } finally {
    await client.query('rollback');
  }
}

function lineOf(
  own: Shape,
  heardAs: Shape,
  listener: OracleListener,
  row: LogRow,
  twin: Twin,
): Line | undefined {
  // Sound: the roles of the listeners are those that shapes are read for.
  const role = heardAs.roles[listener.caller.role]!;
  const [image, oldImage] = [row.seq * 2, row.seq * 2 + 1];
  if (row.kind === 'DELETE') {
    if (!role.seesAll && !role.isPermitted) return undefined;
    const has = (name: string) => wasIdentity(row.shape, own, name);
    // Where the old row has not what the filter reads, it does not match; where it has not what the policies read, nobody can ask them.
    if (listener.filter !== undefined && !columnsOfFilter(listener.filter).every(has)) return undefined;
    if (!twin.matches(oldImage)) return undefined;
    const isDecided = role.seesAll || role.reads.every(has);
    return isDecided && !twin.sees(oldImage) ? undefined : render(row, own, heardAs, isDecided);
  }
  if (!twin.holds(image)) return undefined;
  return render(row, own, heardAs, role.seesAll || (row.shape.isFull && twin.sees(oldImage)));
}

function render(row: LogRow, own: Shape, heardAs: Shape, seesOld: boolean): Line {
  const { shape } = row;
  const isSame = isSameShape(shape, own);
  const names = Object.keys(heardAs.columns);
  // What is computed of a row needs all of it.
  const isKept = (name: string) =>
    shape.columns[name] === own.columns[name] && !shape.generated.includes(name);
  const same = new Set(names.filter((name) => isKept(name) && !isLarge(name)));
  const old = names.filter(
    (name) => (seesOld || heardAs.key.includes(name)) && wasIdentity(shape, own, name),
  );
  return {
    type: row.kind,
    record: row.kind === 'DELETE' ? {} : pick(row.new, names),
    old: row.kind === 'INSERT' ? {} : pick(row.old, old),
    same,
    isSame,
  };
}

/** Whether the log has the old value of what is called `name` now, whatever it was called then. */
function wasIdentity(then: Shape, now: Shape, name: string): boolean {
  const number = (of: Shape, column: string) => of.columns[column]?.split(' ')[0];
  return then.identity.some((one) => number(then, one) === number(now, name));
}

function pick(row: Row | null, names: readonly string[]): Row {
  return Object.fromEntries(
    names.filter((name) => !isLarge(name) && row !== null && name in row).map((name) => [name, row?.[name]]),
  );
}
