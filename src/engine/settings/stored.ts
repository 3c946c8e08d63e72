// In charge of: settings that were changed while the program runs. They live in `_millrace.settings`, and every process hears of a change.
import type { PoolClient } from 'pg';
import { errorMessage, Fault } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { delay } from '../../base/time.ts';
import type { Db } from '../db/db.ts';
import type { DatabaseFanout } from '../db/fanout.ts';
import type { LiveSettings } from './live.ts';

/** A value that was kept; undefined where there was or is none. */
export interface StoredChange {
  readonly before: unknown;
  readonly after: unknown;
}

export interface StoredSettings {
  /**
   * Keeps a value, or takes it back with `undefined`; it is in force here when this resolves, elsewhere a moment later. `by`: who changed it.
   * `note` runs in the same transaction: what it throws undoes the change.
   * @throws Fault `invalid_setting` for a key or a value that cannot be set
   */
  set(
    key: string,
    value: unknown,
    by: string,
    note?: (client: PoolClient, change: StoredChange) => Promise<void>,
  ): Promise<void>;
  close(): void;
}

const channel = 'settings';
const firstRetryMs = 250;
const lastRetryMs = 10_000;
/** A change waits for another one of the same key no longer than this. */
const changeMs = 5_000;

/** Puts the stored values in force and follows their changes. */
export async function openStoredSettings(
  settings: LiveSettings,
  db: Pick<Db, 'asOwner'>,
  fanout: DatabaseFanout,
  observe: Observe,
): Promise<StoredSettings> {
  const closing = new AbortController();
  let started = 0;
  let inForce = 0;

  async function load(): Promise<void> {
    started += 1;
    const turn = started;
    const { rows } = await db.asOwner('millrace_admin', (client) =>
      client.query<{ key: string; value: unknown }>('select key, value from _millrace.settings'),
    );
    // Two loads may overtake each other; what was read earlier must not come in force later.
    if (turn < inForce) return;
    inForce = turn;
    for (const sentence of settings.setStored(new Map(rows.map(({ key, value }) => [key, value])))) {
      observe({ kind: 'settings.ignored', level: 'warn', message: sentence });
    }
  }

  let following = false;
  let again = false;
  /** A change that was heard of is read until that works: without it an old value would stay in force until the next change. */
  async function follow(): Promise<void> {
    again = true;
    if (following) return;
    following = true;
    let waitMs = firstRetryMs;
    while (again && !closing.signal.aborted) {
      again = false;
      try {
        await load();
        waitMs = firstRetryMs;
      } catch (error) {
        observe({ kind: 'settings.load_failed', level: 'error', message: errorMessage(error) });
        again = true;
        // Closing ends the wait; there is nothing to report then.
        await delay(waitMs, closing.signal).catch(() => {});
        waitMs = Math.min(waitMs * 2, lastRetryMs);
      }
    }
    following = false;
  }

  // A reset of the database is heard here, too: the shape's last file publishes it.
  const stop = fanout.subscribe(channel, () => void follow());
  await load();
  return {
    async set(key, value, by, note) {
      const complaint = value === undefined ? undefined : settings.complaint(key, value);
      if (complaint !== undefined) {
        throw new Fault({
          status: 422,
          code: 'invalid_setting',
          message: complaint,
          hint: 'docs/settings.md lists every setting.',
        });
      }
      await db.asOwner('millrace_admin', async (client) => {
        await client.query(`begin; set local statement_timeout = ${changeMs}`);
        // One change of a key at a time, so that `before` is true.
        await client.query('select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext($1))', [
          `millrace setting ${key}`,
        ]);
        const { rows } = await client.query<{ value: unknown }>(
          'select value from _millrace.settings where key = $1',
          [key],
        );
        if (value === undefined) await client.query('delete from _millrace.settings where key = $1', [key]);
        else {
          await client.query(
            `insert into _millrace.settings (key, value, changed_by) values ($1, $2, $3)
             on conflict (key) do update set value = excluded.value, changed_at = now(), changed_by = excluded.changed_by`,
            [key, JSON.stringify(value), by],
          );
        }
        await note?.(client, { before: rows[0]?.value, after: value });
        await fanout.publish(channel, { key, by }, client);
        await client.query('commit');
      });
      await load();
    },
    close() {
      stop();
      closing.abort();
    },
  };
}
