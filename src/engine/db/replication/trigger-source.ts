// In charge of: reading the changes that triggers write down, where there is no logical replication. The table is what the replication slot is elsewhere:
// what was not heard stays in it, and what may be asked for again.
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { delay } from '../../../base/time.ts';
import type { Db } from '../db.ts';
import type { Change, ChangedTable, RowImage } from './change.ts';
import { followTables } from './follow-tables.ts';
import { changeId, placeDigits } from './position.ts';
import { parseRecord } from './record-text.ts';
import type { ChangeSource, Sink } from './source.ts';

export interface TriggerOptions {
  readonly db: Pick<Db, 'asOwner'>;
  /** The table is emptied, and listeners are told, before it grows beyond this. */
  readonly maxQueueBytes: () => number;
  readonly observe: Observe;
}

interface QueueRow {
  readonly place: string;
  readonly id: string;
  readonly kind: Change['kind'] | 'mark';
  readonly described: string | null;
  readonly new_row: string | null;
  readonly old_row: string | null;
  readonly at: string;
}

/** The table with all its columns, in the order of the row's text. */
interface Described {
  readonly table: ChangedTable;
  /** The indexes of those that a change has: generated ones are left out, as the replication stream leaves them out. */
  readonly kept: readonly number[];
}

/** Changes by triggers. */
export function openTriggerSource({ db, maxQueueBytes, observe }: TriggerOptions): ChangeSource {
  let ready = Promise.withResolvers<void>();
  let trouble: string | undefined;
  /** What the table takes although it is empty: somebody wrote to it while it could not be made small. */
  let emptyBytes = 0;
  const described = new Map<string, Described>();

  async function follow(): Promise<number> {
    const { added, failures } = await followTables(db, 'published');
    trouble = failures.length > 0 ? failures.join('; ') : undefined;
    return added;
  }

  async function read(sink: Sink, signal: AbortSignal): Promise<void> {
    await sink.begin?.();
    const added = await follow();
    let place = '0';
    let id = '0';
    let index = 0;
    if (added > 0 && sink.newest() !== undefined) {
      const newest = await newestPlace(db);
      await sink.gap('the triggers that write changes down were not there', changeId(placeDigits(newest), 0));
    }
    ready.resolve();
    let followAtMs = performance.now() + followEveryMs;
    let tidyAtMs = performance.now() + tidyEveryMs;
    while (!signal.aborted) {
      const rows = await nextRows(db, place, id);
      let batch: Change[] = [];
      for (const row of rows) {
        if (signal.aborted) return;
        if (row.place !== place) index = 0;
        place = row.place;
        id = row.id;
        index += 1;
        const changed = changeId(placeDigits(BigInt(place)), index);
        if (row.kind === 'mark') {
          if (batch.length > 0) await sink.receive(batch);
          batch = [];
          await sink.reach(changed, row.new_row ?? undefined);
        } else batch.push(changeOf(changed, row, row.kind));
      }
      if (batch.length > 0) await sink.receive(batch);
      if (performance.now() >= followAtMs) {
        followAtMs = performance.now() + followEveryMs;
        await follow();
      }
      if (performance.now() >= tidyAtMs) {
        tidyAtMs = performance.now() + tidyEveryMs;
        await tidy(sink);
      }
      if (rows.length < maxRead) await delay(pollMs, signal).catch(() => {});
    }
  }

  /** Lets go of whole transactions that nobody may ask for any more. */
  async function tidy(sink: Sink): Promise<void> {
    const floor = sink.floor();
    if (floor !== undefined) {
      const kept = BigInt(`0x${floor.slice(0, floor.indexOf('-') === -1 ? undefined : floor.indexOf('-'))}`);
      await db.asOwner('millrace_admin', (client) =>
        client.query('delete from _millrace.change_queue where place < $1', [String(kept)]),
      );
    }
    const bytes = await db.asOwner('millrace_admin', shrink);
    emptyBytes = Math.min(emptyBytes, bytes);
    if (bytes - emptyBytes <= maxQueueBytes()) return;
    emptyBytes = await db.asOwner('millrace_admin', empty);
    await sink.gap(
      `the changes that were kept had grown to ${bytes} bytes, which is more than realtime.max_slot_wal`,
      changeId(placeDigits(await newestPlace(db)), 0),
    );
  }

  function changeOf(id: string, row: QueueRow, kind: Change['kind']): Change {
    const { table, kept } = describe(row.described ?? '');
    const values = (text: string | null): RowImage | undefined => {
      if (text === null) return undefined;
      const all = parseRecord(text);
      return kept.map((index) => all[index] ?? null);
    };
    const old = values(row.old_row);
    return {
      id,
      kind,
      table,
      row: values(row.new_row),
      // No more of it than the replica identity says, for the same answers everywhere.
      old: old?.map((value, index) => (table.columns[index]!.isIdentity ? value : undefined)),
      committedAt: row.at,
    };
  }

  function describe(text: string): Described {
    const known = described.get(text);
    if (known) return known;
    // Sound: _millrace.describe_table wrote it.
    const { columns, ...facts } = JSON.parse(text) as Omit<ChangedTable, 'columns'> & {
      readonly columns: readonly (ChangedTable['columns'][number] & { readonly isGenerated: boolean })[];
    };
    const kept = columns.flatMap(({ isGenerated }, index) => (isGenerated ? [] : [index]));
    const table: ChangedTable = {
      ...facts,
      columns: kept.map((index) => {
        const { name, typeOid, isIdentity } = columns[index]!;
        return { name, typeOid, isIdentity };
      }),
    };
    if (described.size >= maxDescribed) described.clear();
    const value = { table, kept };
    described.set(text, value);
    return value;
  }

  return {
    by: 'triggers',
    async run(sink, signal) {
      while (!signal.aborted) {
        try {
          await read(sink, signal);
        } catch (error) {
          if (signal.aborted) break;
          trouble = errorMessage(error);
          observe({ kind: 'changes.broken_off', level: 'warn', message: trouble, retryMs });
          await delay(retryMs, signal).catch(() => {});
        } finally {
          ready = Promise.withResolvers();
        }
      }
    },
    ready: () => ready.promise,
    async mark(token) {
      await db.asOwner('millrace_admin', (client) =>
        client.query("insert into _millrace.change_queue (kind, new_row) values ('mark', $1)", [token]),
      );
    },
    async letGo() {
      await followTables(db, 'none');
      await db.asOwner('millrace_admin', empty);
    },
    holdsTooMuch: async () => (await db.asOwner('millrace_admin', sizeOfQueue)) > maxQueueBytes(),
    trouble: () => trouble,
  };
}

async function nextRows(db: Pick<Db, 'asOwner'>, place: string, id: string): Promise<readonly QueueRow[]> {
  return db.asOwner('millrace_admin', async (client) => {
    await client.query('select _millrace.place_changes()');
    // Ordered by the columns: the bare names would mean the texts beside `select`, in which 10 comes before 9.
    const { rows } = await client.query<QueueRow>(
      `select queue.place::text, queue.id::text, kind, described, new_row, old_row,
         to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
       from _millrace.change_queue as queue where (queue.place, queue.id) > ($1, $2)
       order by queue.place, queue.id limit ${maxRead}`,
      [place, id],
    );
    return rows;
  });
}

async function newestPlace(db: Pick<Db, 'asOwner'>): Promise<bigint> {
  return db.asOwner('millrace_admin', async (client) => {
    const { rows } = await client.query<{ place: string }>(
      "select nextval('_millrace.change_places')::text as place",
    );
    return BigInt(rows[0]!.place);
  });
}

/**
 * Empties the table, and gives what it takes then. Whoever writes to it, perhaps for long, is not waited for: others would have to wait behind that. Then
 * its rows are deleted, and their place is used again.
 */
async function empty(client: Parameters<Parameters<Db['asOwner']>[1]>[0]): Promise<number> {
  await client.query(
    `do $$ begin
       set local lock_timeout = '100ms';
       truncate _millrace.change_queue;
     exception when lock_not_available then
       delete from _millrace.change_queue;
     end $$`,
  );
  return sizeOfQueue(client);
}

async function sizeOfQueue(client: Parameters<Parameters<Db['asOwner']>[1]>[0]): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    `select pg_catalog.pg_total_relation_size('_millrace.change_queue')::text as bytes`,
  );
  return Number(rows[0]!.bytes);
}

/** The size of the table; one that is empty but large is made small first: PGlite has nobody who does that. */
async function shrink(client: Parameters<Parameters<Db['asOwner']>[1]>[0]): Promise<number> {
  const { rows } = await client.query<{ bytes: string; empty: boolean }>(
    `select pg_catalog.pg_total_relation_size('_millrace.change_queue')::text as bytes,
       not exists (select from _millrace.change_queue) as empty`,
  );
  const bytes = Number(rows[0]!.bytes);
  if (!rows[0]!.empty || bytes < shrinkFromBytes) return bytes;
  await client.query(
    `do $$ begin
       set local lock_timeout = '100ms';
       lock table _millrace.change_queue in access exclusive mode;
       if not exists (select from _millrace.change_queue) then truncate _millrace.change_queue; end if;
     exception when lock_not_available then null;
     end $$`,
  );
  return 0;
}

/** Nothing wakes the reader: a NOTIFY in each transaction of everybody would have their commits wait for each other. */
const pollMs = 50;
/** A table that is added to the publication is followed within this time. */
const followEveryMs = 1_000;
const tidyEveryMs = 5_000;
const retryMs = 500;
const maxRead = 1_000;
const maxDescribed = 1_000;
const shrinkFromBytes = 8 * 1024 * 1024;
