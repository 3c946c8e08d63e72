// In charge of: choosing how the changes of this database can be read, and opening the feed of them.

import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Clock } from '../../../base/time.ts';
import type { Database } from '../database.ts';
import type { Fanout } from '../fanout.ts';
import type { Leases } from '../leases.ts';
import type { PostgresServer } from '../postgres/server.ts';
import type { ChangeFeed } from './feed.ts';
import { followTables } from './follow-tables.ts';
import { openFeed } from './open-feed.ts';
import { publications } from './publications.ts';
import { openReplicationSource } from './reader.ts';
import { openSharedSource } from './shared.ts';
import { dropStraySlots } from './slot.ts';
import { openTriggerSource } from './trigger-source.ts';

export interface ChangeFeedOptions {
  readonly server: Pick<PostgresServer, 'engine' | 'directLogin'>;
  readonly database: Pick<Database, 'db' | 'listener'>;
  readonly leases: Leases;
  /** Whether other processes work on the same database. */
  readonly isShared: boolean;
  /** What carries changes to other processes beside the table; undefined: nothing. */
  readonly broker?: Fanout | undefined;
  readonly maxSlotBytes: () => number;
  readonly observe: Observe;
  readonly now: Clock;
}

export interface OpenedChanges {
  readonly changes: ChangeFeed;
  /** Sentences for whoever starts the program. */
  readonly notices: readonly string[];
  close(): Promise<void>;
}

export async function openChangeFeed({
  server,
  database: { db, listener },
  leases,
  isShared,
  broker,
  maxSlotBytes,
  observe,
  now,
}: ChangeFeedOptions): Promise<OpenedChanges> {
  const obstacle = await findObstacle(server, db);
  // Sound: without a direct way there is an obstacle.
  const login = () => server.directLogin(reader)!;
  const own =
    obstacle === undefined
      ? openReplicationSource({ db, login, maxSlotBytes, observe })
      : openTriggerSource({ db, maxQueueBytes: maxSlotBytes, observe });
  // Left by a start that had to read by triggers.
  if (obstacle === undefined) await followTables(db, 'none');
  // Left by one that could read the log: it would hold that back for ever.
  const left = obstacle === undefined || server.engine === 'pglite' ? [] : await letGoOfSlots(db, observe);
  const source = isShared ? openSharedSource({ source: own, db, leases, listener, broker, observe }) : own;
  const changes = openFeed({ source, observe, now, lookEveryMs: isShared ? lookEveryMs : undefined });
  const notices =
    // Of a pooler the server's own notices say it.
    obstacle === undefined || server.directLogin(reader) === undefined
      ? []
      : [
          `Realtime reads changes by triggers on the tables of the publication "supabase_realtime", because ${obstacle}.`,
        ];
  const deaf = server.engine === 'pglite' ? undefined : await findDeafness(db);
  const unbounded = obstacle === undefined ? await findUnboundedLog(db) : undefined;
  return {
    changes,
    notices: [...notices, ...left, ...[deaf, unbounded].filter((notice) => notice !== undefined)],
    close: () => changes.close(),
  };
}

/** Gives a sentence where it may not. */
async function letGoOfSlots(
  db: Pick<Database['db'], 'asOwner'>,
  observe: Observe,
): Promise<readonly string[]> {
  try {
    const slots = await db.asOwner(reader, (client) => dropStraySlots(client, undefined));
    if (slots.length > 0) observe({ kind: 'changes.slots_dropped', level: 'warn', slots });
    return [];
  } catch (error) {
    return [
      `A replication slot "millrace_changes_…" of this database holds back the server's log, and nobody reads by it; it cannot be dropped (${errorMessage(error)}). Drop it as a superuser: select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'millrace_changes_%' and database = current_database() and not active.`,
    ];
  }
}

/** A server that keeps its log for a slot until its disk is full. While a process of ours runs, `realtime.max_slot_wal` bounds that. */
async function findUnboundedLog(db: Pick<Database['db'], 'asOwner'>): Promise<string | undefined> {
  const { rows } = await db.asOwner('millrace_admin', (client) =>
    client.query<{ size: string }>("select pg_catalog.current_setting('max_slot_wal_keep_size') as size"),
  );
  return rows[0]!.size === '-1'
    ? "This server keeps its write-ahead log without a bound for a replication slot that nobody reads by, as realtime's is while no Millrace runs. Set one (alter system set max_slot_wal_keep_size = '4GB'; select pg_reload_conf();), or drop the slot when you stop for good."
    : undefined;
}

/** What is not heard, because the messages of realtime are somebody else's. */
async function findDeafness(db: Pick<Database['db'], 'asOwner'>): Promise<string | undefined> {
  return db.asOwner('millrace_admin', async (client) => {
    const { rows } = await client.query<{ owner: string }>(
      `select pg_catalog.pg_get_userbyid(relowner) as owner from pg_catalog.pg_class
       where relname = 'messages' and relnamespace = (select oid from pg_catalog.pg_namespace where nspname = 'realtime')
         and pg_catalog.pg_get_userbyid(relowner) <> $1
         and not exists (select from pg_catalog.pg_publication where pubname = $2)`,
      [reader, publications[1]],
    );
    const owner = rows[0]?.owner;
    return owner === undefined
      ? undefined
      : `Realtime does not hear what the database sends (realtime.send, realtime.broadcast_changes): the table realtime.messages belongs to "${owner}". Give it to ${reader} (alter table realtime.messages owner to ${reader}) and start again.`;
  });
}

const lookEveryMs = 10_000;
/** It may replicate, and is no superuser. */
const reader = 'supabase_realtime_admin';

/** What keeps us from logical replication; undefined: nothing. */
async function findObstacle(
  server: ChangeFeedOptions['server'],
  db: Pick<Database['db'], 'asOwner'>,
): Promise<string | undefined> {
  if (server.engine === 'pglite') return 'PGlite has no replication';
  if (server.directLogin(reader) === undefined)
    return 'only a transaction pooler leads to the server, and DIRECT_URL is not set';
  const { level, may } = await db.asOwner('millrace_admin', async (client) => {
    const { rows } = await client.query<{ level: string; may: boolean }>(
      `select pg_catalog.current_setting('wal_level') as level,
         exists (select from pg_catalog.pg_roles where rolname = $1 and (rolreplication or rolsuper)) as may`,
      [reader],
    );
    return rows[0]!;
  });
  if (level !== 'logical') return `the server has wal_level = ${level}, and not "logical"`;
  return may ? undefined : `the role "${reader}" lacks the attribute REPLICATION`;
}
