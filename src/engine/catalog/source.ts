// In charge of: the catalog of the moment. It is read at the start and again when told; who asks gets the last whole one.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { oneAtATime } from '../../base/one-at-a-time.ts';
import { delay } from '../../base/time.ts';
import type { Db, LoginRole } from '../db/db.ts';
import type { Catalog } from './catalog.ts';
import { type CatalogScope, loadCatalog, loadTimezones, readStatements } from './load.ts';

export interface CatalogSource {
  now(): Catalog;
  /** The names of time zones that Postgres knows; read when somebody first wants them. They never change while a server runs. */
  timezones(): Promise<ReadonlySet<string>>;
  /** Called after each reload with the catalog in place. Returns how to stop. */
  onChange(listener: () => void): () => void;
  /**
   * Reads the catalog again. Calls while a reload runs share one that starts after it, so that none misses a change.
   * When it fails the catalog that was there stays, and it is tried again by itself until it holds.
   */
  reload(): Promise<void>;
  /** Ends what is still to be tried again. */
  close(): void;
}

export interface CatalogOptions {
  readonly db: Pick<Db, 'asOwner'>;
  /** Who reads; what every role may read is enough. */
  readonly reader: LoginRole;
  /** Asked at each reload, as settings change while the program runs. */
  readonly scope: () => CatalogScope;
  readonly observe: Observe;
}

// Source of waiting longer each time: PostgREST 14.12, src/PostgREST/AppState.hs (retryingSchemaCacheLoad), which goes from 1 s to 32 s.
const firstRetryMs = 100;
const lastRetryMs = 5_000;

/** Reads the catalog for the first time. @throws what the database threw. */
export async function openCatalog(options: CatalogOptions): Promise<CatalogSource> {
  const sql = await readStatements();
  const load = async () => {
    const startedAt = performance.now();
    const catalog = await options.db.asOwner(options.reader, (client) =>
      loadCatalog(client, sql, options.scope()),
    );
    options.observe({
      kind: 'catalog.loaded',
      level: 'debug',
      relations: catalog.relations.size,
      routines: catalog.routines.size,
      tookMs: performance.now() - startedAt,
    });
    return catalog;
  };

  let current = await load();
  let timezones: Promise<ReadonlySet<string>> | undefined;
  const listeners = new Set<() => void>();
  const closing = new AbortController();
  let isRetrying = false;
  let retryMs = firstRetryMs;

  const reloadOnce = async () => {
    try {
      current = await load();
      retryMs = firstRetryMs;
    } catch (error) {
      options.observe({
        kind: 'catalog.reload-failed',
        level: 'error',
        message: errorMessage(error),
        retryMs,
      });
      void retryLater();
      throw error;
    }
    for (const listener of listeners) listener();
  };

  const retryLater = async () => {
    if (isRetrying) return;
    isRetrying = true;
    const waitMs = retryMs;
    retryMs = Math.min(2 * retryMs, lastRetryMs);
    // Closing ends the wait; there is nothing to report then.
    await delay(waitMs, closing.signal).catch(() => {});
    isRetrying = false;
    // When it fails again that has been observed, and the next try is on its way.
    if (!closing.signal.aborted) await reload().catch(() => {});
  };

  const reload = oneAtATime(reloadOnce);

  return {
    now: () => current,
    timezones() {
      timezones ??= options.db
        .asOwner(options.reader, (client) => loadTimezones(client, sql))
        .catch((error) => {
          // For the next one the database may be there again.
          timezones = undefined;
          throw error;
        });
      return timezones;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    reload,
    close: () => closing.abort(),
  };
}
