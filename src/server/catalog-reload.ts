// In charge of: when the catalog is read again, and the settings that stand in the database. When Postgres says that it has changed; where it cannot say so, by asking.
import { errorMessage } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import { delay } from '../base/time.ts';
import type { CatalogSource } from '../engine/catalog/source.ts';
import { openCatalogVersion } from '../engine/catalog/version.ts';
import type { Db, LoginRole } from '../engine/db/db.ts';
import type { Listener } from '../engine/db/listener.ts';

export interface CatalogReloadOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly catalog: CatalogSource;
  /** Undefined behind a transaction pooler. */
  readonly listener: Listener | undefined;
  /** Puts the settings in force that stand in the database now. Unset: none are read there. */
  readonly reloadSettings?: () => Promise<void>;
  readonly reader: LoginRole;
  readonly observe: Observe;
  /** The channel of the words. Unset: `pgrst`. */
  readonly channel?: string;
  /** How often Postgres is asked, where it has to be. `never`: people say it. */
  readonly askEveryMs?: number | 'never';
}

export interface CatalogReload {
  /** Whether Postgres is asked, because it cannot be heard or has nobody who says it. */
  readonly asks: boolean;
  /** What the words say, said by something else: a signal. */
  schema(): void;
  config(): void;
  close(): Promise<void>;
}

const askEveryMsDefault = 3_000;

/**
 * Keeps the catalog up to date. `notify pgrst` is heard in any case where there is a session for it, as people send it by
 * hand; without the event triggers that send it after DDL, which only a superuser can make, nobody else does.
 * Source of the channel and its words: PostgREST docs, "Schema Cache Reloading" and "Configuration Reloading".
 */
export async function openCatalogReload(options: CatalogReloadOptions): Promise<CatalogReload> {
  const { db, catalog, listener, reloadSettings, reader, observe } = options;
  const { askEveryMs = askEveryMsDefault } = options;
  // What went wrong is observed where it happened; the catalog that was there stays.
  const schema = () => void catalog.reload().catch(() => {});
  // With the settings it may have changed what is exposed, and what holds for roles.
  const config = () => void (reloadSettings?.() ?? Promise.resolve()).then(schema);
  listener?.listen(
    options.channel ?? 'pgrst',
    (word) => {
      if (word === '' || word === 'reload schema') schema();
      else if (word === 'reload config') config();
    },
    config,
  );
  await listener?.ready;
  if (askEveryMs === 'never' || (listener && (await saysSo(db, reader))))
    return { asks: false, schema, config, close: async () => {} };

  const version = await openCatalogVersion(db, reader);
  const closing = new AbortController();
  let known: string | undefined;
  const ask = async () => {
    const found = await version();
    if (found === known) return;
    // In this order: what changes between the two is another version the next time. Settings of roles are part of it.
    await reloadSettings?.();
    await catalog.reload();
    known = found;
  };
  const asking = (async () => {
    while (!closing.signal.aborted) {
      await ask().catch((error: unknown) =>
        observe({ kind: 'catalog.ask_failed', level: 'warn', message: errorMessage(error) }),
      );
      // Closing ends the wait; there is nothing to report then.
      await delay(askEveryMs, closing.signal).catch(() => {});
    }
  })();
  return {
    asks: true,
    schema,
    config,
    async close() {
      closing.abort();
      await asking;
    },
  };
}

/** Whether the database tells of DDL by itself. The names are Supabase's. */
async function saysSo(db: Pick<Db, 'asOwner'>, reader: LoginRole): Promise<boolean> {
  const { rows } = await db.asOwner(reader, (client) =>
    client.query<{ count: number }>(
      `select count(*)::int as count from pg_catalog.pg_event_trigger
       where evtname in ('pgrst_ddl_watch', 'pgrst_drop_watch') and evtenabled <> 'D'`,
    ),
  );
  return rows[0]?.count === 2;
}
