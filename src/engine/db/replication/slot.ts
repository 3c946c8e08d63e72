// In charge of: the replication slot: the place in the write-ahead log up to which the database knows that we are done with it.
import type { ClientBase } from 'pg';
import { parsePlace } from './position.ts';

export interface Slot {
  readonly name: string;
  /** Undefined: there is none. `lost`: there is one, but the log that it needs is gone. */
  readonly state: 'ready' | 'lost' | undefined;
  /** The session that reads by it. */
  readonly activePid: number | undefined;
  /** How much of the log is kept because of it. */
  readonly heldBytes: number;
}

/**
 * Looks at the slot of the session's database. Its name has the database's number and not its name: a reset puts another database in
 * the place of this one, under the same name, before the slot of the old one is gone.
 */
export async function findSlot(client: Pick<ClientBase, 'query'>): Promise<Slot> {
  const { rows } = await client.query<{
    name: string;
    wal_status: string | null;
    there: boolean;
    active_pid: number | null;
    held: string | null;
  }>(
    `select wanted.name, slot.slot_name is not null as there, slot.wal_status, slot.active_pid,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), slot.restart_lsn)::text as held
     from (select 'millrace_changes_' || oid as name from pg_catalog.pg_database where datname = pg_catalog.current_database()) as wanted
     left join pg_catalog.pg_replication_slots as slot on slot.slot_name = wanted.name`,
  );
  const { name, there, wal_status: status, active_pid: pid, held } = rows[0]!;
  const state = !there ? undefined : status === 'lost' ? 'lost' : 'ready';
  return { name, state, activePid: pid ?? undefined, heldBytes: Number(held ?? 0) };
}

/** Makes the slot; what is committed from the place on that this gives can be read by it. Waits for the transactions that are open. */
export async function makeSlot(client: Pick<ClientBase, 'query'>, name: string): Promise<bigint> {
  const { rows } = await client.query<{ lsn: string }>(
    `select lsn::text from pg_catalog.pg_create_logical_replication_slot('${name}', 'pgoutput')`,
  );
  return parsePlace(rows[0]!.lsn);
}

/** Whoever reads by the slot is a process that is dead or has lost the lease: its session ends. */
export async function takeSlot(client: Pick<ClientBase, 'query'>, name: string): Promise<void> {
  await client.query(
    `select pg_catalog.pg_terminate_backend(active_pid, ${sessionEndsWithinMs}) from pg_catalog.pg_replication_slots
     where slot_name = '${name}' and active_pid is not null`,
  );
}

/** Removes the slot, whoever reads by it; does nothing where there is none. */
export async function dropSlot(client: Pick<ClientBase, 'query'>, name: string): Promise<void> {
  await takeSlot(client, name);
  await client.query(
    `select pg_catalog.pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots where slot_name = '${name}'`,
  );
}

/**
 * Removes slots of ours in this database that nobody reads by, apart from `own`; gives their names. Whoever calls this reads for all processes of the
 * database. A data folder that was copied has had another number for it.
 */
export async function dropStraySlots(
  client: Pick<ClientBase, 'query'>,
  own: string | undefined,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select slot_name::text as name, pg_catalog.pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots
     where database = pg_catalog.current_database() and slot_name ~ '^millrace_changes_[0-9]+$' and not active and slot_name <> '${own ?? ''}'`,
  );
  return rows.map(({ name }) => name);
}

const sessionEndsWithinMs = 5_000;
