// In charge of: the table by which the process that reads changes hands them to the others: what is written to it, and reading it in order.
import type { PoolClient } from 'pg';
import { LeaseLost } from '../leases.ts';
import type { Change, ChangedTable, RowImage } from './change.ts';

export type Batch =
  | { readonly kind: 'changes'; readonly lastId: string; readonly changes: readonly Change[] }
  | { readonly kind: 'mark'; readonly lastId: string; readonly token: string }
  | { readonly kind: 'gap'; readonly lastId: string; readonly reason: string };

/** What stands in the table: its row before it is known, so that whoever reads sees whether one was deleted too early. */
export type StoredBatch = Batch & { readonly afterId: string | undefined };

export const batchesChannel = 'millrace_changes';

/** Who is late by more than this reads anew. */
const keepSeconds = 120;
const keepBytes = 128 * 1024 * 1024;
/** What is read at once; one alone may be larger. */
const maxRead = 50;
const maxReadBytes = 8 * 1024 * 1024;
/** So much is written before the oldest are looked at again. */
export const deleteAfterBytes = 16 * 1024 * 1024;

/**
 * Writes a batch while the lease holds, and gives its size, in one statement: a process that falls asleep in the middle keeps no lock that others need to take over.
 * @throws LeaseLost
 */
export async function writeBatch(
  client: PoolClient,
  batch: Pick<Batch, 'lastId' | 'kind'> & { readonly text: string },
  afterId: string | undefined,
  lease: { readonly name: string; readonly fence: bigint },
): Promise<number> {
  const { rows } = await client.query<{ holds: boolean }>(
    `with held as (
       select 1 from _millrace.leases where name = $5 and fence = $6 and expires_at > clock_timestamp() for update
     ), made as (
       insert into _millrace.change_batches (last_id, after_id, kind, payload) select $1, $2, $3, $4 from held
       on conflict (last_id) do nothing returning pg_catalog.pg_notify('${batchesChannel}', last_id)
     )
     select exists (select from held) as holds, (select count(*) from made) as made`,
    [batch.lastId, afterId ?? null, batch.kind, batch.text, lease.name, lease.fence.toString()],
  );
  if (!rows[0]!.holds)
    throw new LeaseLost(`the lease "${lease.name}" with fencing number ${lease.fence} is held no longer`);
  return batch.text.length;
}

/** The next batches behind `id`; from the oldest that there is when it is undefined. */
export async function readBatches(
  client: PoolClient,
  id: string | undefined,
): Promise<readonly StoredBatch[]> {
  const { rows } = await client.query<{
    last_id: string;
    after_id: string | null;
    kind: string;
    payload: string;
  }>(
    `select last_id, after_id, kind, payload from (
       select *, sum(octet_length(payload)) over (order by last_id) as total, row_number() over (order by last_id) as number
       from (select * from _millrace.change_batches where last_id > $1 order by last_id limit ${maxRead}) as next
     ) as counted where number = 1 or total <= ${maxReadBytes} order by last_id`,
    [id ?? ''],
  );
  return rows.map((row) => ({
    ...parseBatch(row.kind, row.last_id, row.payload),
    afterId: row.after_id ?? undefined,
  }));
}

export async function newestBatchId(client: PoolClient): Promise<string | undefined> {
  const { rows } = await client.query<{ id: string | null }>(
    'select max(last_id) as id from _millrace.change_batches',
  );
  return rows[0]!.id ?? undefined;
}

/** Whoever has not read them finds that one is missing, and tells of a gap. */
export async function deleteOldBatches(client: PoolClient, bytes = keepBytes): Promise<void> {
  await client.query(
    `delete from _millrace.change_batches where at < clock_timestamp() - make_interval(secs => $1)
       or last_id <= (
         select max(last_id) from (
           select last_id, sum(octet_length(payload)) over (order by last_id desc) as newer from _millrace.change_batches
         ) as counted where newer > $2
       )`,
    [keepSeconds, bytes],
  );
}

/** A table is described once in a batch, and changes name it by its number; what is not known of a row is listed apart, for JSON has no word for it. */
interface Packed {
  readonly tables: readonly ChangedTable[];
  readonly changes: readonly (readonly [
    id: string,
    kind: Change['kind'],
    table: number,
    row: PackedRow | null,
    old: PackedRow | null,
    committedAt: string,
  ])[];
}

type PackedRow = readonly [values: readonly (string | null)[], unknown: readonly number[]];

/** As it stands in the table. */
export function renderBatch(batch: Batch): string {
  if (batch.kind === 'mark') return batch.token;
  if (batch.kind === 'gap') return batch.reason;
  const tables: ChangedTable[] = [];
  const numbers = new Map<ChangedTable, number>();
  const numberOf = (table: ChangedTable): number => {
    const known = numbers.get(table);
    if (known !== undefined) return known;
    numbers.set(table, tables.length);
    return tables.push(table) - 1;
  };
  const changes = batch.changes.map(
    ({ id, kind, table, row, old, committedAt }) =>
      [id, kind, numberOf(table), pack(row), pack(old), committedAt] as const,
  );
  return JSON.stringify({ tables, changes } satisfies Packed);
}

/** @param payload as `renderBatch` of a process of the same database made it */
export function parseBatch(kind: string, lastId: string, payload: string): Batch {
  if (kind === 'mark') return { kind, lastId, token: payload };
  if (kind === 'gap') return { kind, lastId, reason: payload };
  // Sound: `renderBatch` of a process of the same database wrote it, in a table that nobody else can, or sealed it.
  const { tables, changes } = JSON.parse(payload) as Packed;
  return {
    kind: 'changes',
    lastId,
    changes: changes.map(([id, change, table, row, old, committedAt]) => ({
      id,
      kind: change,
      table: tables[table]!,
      row: unpack(row),
      old: unpack(old),
      committedAt,
    })),
  };
}

function pack(row: RowImage | undefined): PackedRow | null {
  if (!row) return null;
  const unknown = row.flatMap((value, index) => (value === undefined ? [index] : []));
  return [row.map((value) => value ?? null), unknown];
}

function unpack(packed: PackedRow | null): RowImage | undefined {
  if (!packed) return undefined;
  const [values, unknown] = packed;
  if (unknown.length === 0) return values;
  const row: (string | null | undefined)[] = [...values];
  for (const index of unknown) row[index] = undefined;
  return row;
}
