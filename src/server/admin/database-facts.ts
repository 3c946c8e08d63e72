// In charge of: what a scrape asks the database. Bounded in time, one question at a time, and no scrape fails by it.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { DatabaseUnavailable, type Db } from '../../engine/db/db.ts';

export interface DatabaseFacts {
  readonly up: boolean;
  /** Undefined when the database did not say in time. */
  readonly sizeBytes: number | undefined;
  readonly slots: readonly SlotFacts[];
  /** Every lease that there is, whoever holds it. */
  readonly leases: readonly string[];
}

export interface SlotFacts {
  readonly name: string;
  readonly active: boolean;
  /** WAL that the server keeps for this slot. */
  readonly walBytes: number;
}

const timeoutMs = 2_000;
const maxRows = 100;
const nothing = { sizeBytes: undefined, slots: [], leases: [] };

/** Gives the function that asks. It resolves within two seconds, and never rejects. */
export function openDatabaseFacts(db: Pick<Db, 'asOwner'>, observe: Observe): () => Promise<DatabaseFacts> {
  let asking: Promise<DatabaseFacts> | undefined;
  return async () => {
    // A question that hangs is not asked a second time beside itself: its connection is one of few.
    asking ??= ask(db, observe).finally(() => {
      asking = undefined;
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<DatabaseFacts>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, { up: false, ...nothing });
    });
    const facts = await Promise.race([asking, late]);
    clearTimeout(timer);
    return facts;
  };
}

async function ask(db: Pick<Db, 'asOwner'>, observe: Observe): Promise<DatabaseFacts> {
  try {
    return await db.asOwner('millrace_admin', async (client) => {
      await client.query(`begin read only; set local statement_timeout = ${timeoutMs}`);
      const { rows } = await client.query<{
        size: string;
        slots: { name: string; active: boolean; bytes: number | null }[];
        leases: string[];
      }>(question, [maxRows]);
      await client.query('commit');
      const row = rows[0]!;
      const slots = row.slots.map(({ name, active, bytes }) => ({ name, active, walBytes: bytes ?? 0 }));
      return { up: true, sizeBytes: Number(row.size), slots, leases: row.leases };
    });
  } catch (error) {
    if (error instanceof DatabaseUnavailable) return { up: false, ...nothing };
    // It answered, if only with an error: it is up.
    observe({ kind: 'metrics.database_failed', level: 'warn', message: errorMessage(error) });
    return { up: true, ...nothing };
  }
}

// Source of the view and the functions: PostgreSQL 18 manual, 53.20 "pg_replication_slots", 9.28.3 "Backup Control Functions".
const question = `
select pg_catalog.pg_database_size(pg_catalog.current_database())::text as size,
  (select coalesce(json_agg(json_build_object('name', slot.slot_name, 'active', slot.active, 'bytes', slot.bytes)), '[]')
   from (select slot_name, active, pg_catalog.pg_wal_lsn_diff(
           case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_lsn() end,
           restart_lsn) as bytes
         from pg_catalog.pg_replication_slots order by slot_name limit $1) as slot) as slots,
  array(select name from _millrace.leases order by name limit $1) as leases`;
