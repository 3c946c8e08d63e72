// In charge of: settings that were changed while the program runs. They live in `_millrace.settings`, and every process hears of a change.
import { Fault } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../db/db.ts';
import type { Fanout } from '../db/fanout.ts';
import type { LiveSettings } from './live.ts';

export interface StoredSettings {
  /** Keeps a value, or takes it back with `undefined`; it is in force here when this resolves, elsewhere a moment later. `by`: who changed it. */
  set(key: string, value: unknown, by: string): Promise<void>;
  close(): void;
}

const channel = 'settings';

/** Puts the stored values in force and follows their changes. */
export async function openStoredSettings(
  settings: LiveSettings,
  db: Pick<Db, 'asOwner'>,
  fanout: Fanout,
  observe: Observe,
): Promise<StoredSettings> {
  async function load(): Promise<void> {
    const { rows } = await db.asOwner('millrace_admin', (client) =>
      client.query<{ key: string; value: unknown }>('select key, value from _millrace.settings'),
    );
    for (const sentence of settings.setStored(new Map(rows.map(({ key, value }) => [key, value])))) {
      observe({ kind: 'settings.ignored', level: 'warn', message: sentence });
    }
  }

  const stop = fanout.subscribe(channel, () => {
    load().catch((error: unknown) => observe({ kind: 'settings.load_failed', level: 'error', error }));
  });
  await load();
  return {
    async set(key, value, by) {
      const complaint = value === undefined ? undefined : settings.complaint(key, value);
      if (complaint !== undefined) {
        throw new Fault({
          status: 400,
          code: 'invalid_setting',
          message: complaint,
          hint: 'docs/settings.md lists every setting.',
        });
      }
      await db.asOwner('millrace_admin', async (client) => {
        await client.query('begin');
        if (value === undefined) await client.query('delete from _millrace.settings where key = $1', [key]);
        else {
          await client.query(
            `insert into _millrace.settings (key, value, changed_by) values ($1, $2, $3)
             on conflict (key) do update set value = excluded.value, changed_at = now(), changed_by = excluded.changed_by`,
            [key, JSON.stringify(value), by],
          );
        }
        await fanout.publish(channel, { key, by }, client);
        await client.query('commit');
      });
      await load();
    },
    close: stop,
  };
}
