// In charge of: when the catalog is read again. When Postgres says that it has changed; where it cannot say so, by asking.
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
  readonly reader: LoginRole;
  readonly observe: Observe;
  /** How often Postgres is asked, where it has to be. */
  readonly askEveryMs?: number;
}

export interface CatalogReload {
  /** Whether Postgres is asked, because it cannot be heard or has nobody who says it. */
  readonly asks: boolean;
  close(): Promise<void>;
}

const askEveryMsDefault = 3_000;

/**
 * Keeps the catalog up to date. `notify pgrst` is heard in any case where there is a session for it, as people send it by
 * hand; without the event triggers that send it after DDL, which only a superuser can make, nobody else does.
 * Source of the channel and its words: PostgREST docs, "Schema Cache Reloading" and "Configuration Reloading".
 */
export async function openCatalogReload(options: CatalogReloadOptions): Promise<CatalogReload> {
  const { db, catalog, listener, reader, observe } = options;
  // What went wrong is observed where it happened; the catalog that was there stays.
  const reload = () => void catalog.reload().catch(() => {});
  listener?.listen('pgrst', (word) => (word === 'reload config' ? undefined : reload()), reload);
  await listener?.ready;
  if (listener && (await saysSo(db, reader))) return { asks: false, close: async () => {} };

  const version = await openCatalogVersion(db, reader);
  const closing = new AbortController();
  let known: string | undefined;
  const ask = async () => {
    const found = await version();
    if (found === known) return;
    // In this order: what changes between the two is another version the next time.
    await catalog.reload();
    known = found;
  };
  const asking = (async () => {
    while (!closing.signal.aborted) {
      await ask().catch((error: unknown) =>
        observe({ kind: 'catalog.ask_failed', level: 'warn', message: errorMessage(error) }),
      );
      // Closing ends the wait; there is nothing to report then.
      await delay(options.askEveryMs ?? askEveryMsDefault, closing.signal).catch(() => {});
    }
  })();
  return {
    asks: true,
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
