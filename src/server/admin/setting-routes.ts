// In charge of: live settings on the operator plane: what holds, where it comes from, who changed it; and changing it.
import { Fault } from '../../base/errors.ts';
import type { Db } from '../../engine/db/db.ts';
import type { LiveSettings, Origin } from '../../engine/settings/live.ts';
import type { StoredSettings } from '../../engine/settings/stored.ts';
import { readObject } from './answers.ts';
import { record } from './record.ts';
import type { AdminRoute } from './route.ts';

export interface SettingSources {
  readonly settings: LiveSettings;
  readonly stored: StoredSettings;
  readonly db: Pick<Db, 'asOwner'>;
}

interface LastChange {
  readonly by: string;
  readonly at: string;
}

export function settingRoutes({ settings, stored, db }: SettingSources): readonly AdminRoute[] {
  const find = (key: string) => settings.origins().find((origin) => origin.key === key);
  return [
    {
      method: 'GET',
      path: '/settings',
      scope: 'read',
      sentence: 'Every setting: its value, where that comes from, and who changed it last.',
      async answer(c) {
        const changes = await lastChanges(db);
        return c.json({
          settings: settings.origins().map((origin) => describe(origin, changes.get(origin.key))),
        });
      },
    },
    {
      method: 'GET',
      path: '/settings/:key',
      scope: 'read',
      sentence: 'One setting.',
      async answer(c) {
        const key = c.req.param('key') ?? '';
        const origin = find(key) ?? unknown(key);
        return c.json(describe(origin, (await lastChanges(db)).get(key)));
      },
    },
    {
      method: 'PUT',
      path: '/settings/:key',
      scope: 'settings',
      sentence:
        'Set a live setting: {"value": …}. It is in force when this is answered, on other processes a moment later.',
      async answer(c) {
        const key = c.req.param('key') ?? '';
        const origin = find(key) ?? unknown(key);
        const { value } = await readObject(c);
        refuseUnlessLive(origin);
        if (value === undefined || value === null) {
          throw new Fault({
            status: 422,
            code: 'invalid_setting',
            message: 'The body has no "value".',
            hint: `Send {"value": …}: ${origin.setting.expects}. DELETE takes a value back.`,
          });
        }
        await stored.set(key, value, c.get('operator').name, (client, { before }) =>
          record(c, client, 'settings.set', detailsOf(origin, before, value)),
        );
        return c.json(describe(find(key) ?? unknown(key), (await lastChanges(db)).get(key)));
      },
    },
    {
      method: 'DELETE',
      path: '/settings/:key',
      scope: 'settings',
      sentence:
        'Take back what was set at run time: the value of the file, the environment or the default holds again.',
      async answer(c) {
        const key = c.req.param('key') ?? '';
        const origin = find(key);
        await stored.set(key, undefined, c.get('operator').name, async (client, { before }) => {
          // What an older version kept under a name that is gone can still be taken away.
          if (before === undefined && origin === undefined) unknown(key);
          if (before !== undefined)
            await record(c, client, 'settings.reset', detailsOf(origin ?? { key }, before, undefined));
        });
        const now = find(key);
        if (now === undefined) return c.json({ key, value: null, layer: null });
        return c.json(describe(now, (await lastChanges(db)).get(key)));
      },
    },
  ];
}

function unknown(key: string): never {
  throw new Fault({
    status: 404,
    code: 'unknown_setting',
    message: `"${key}" is not a setting.`,
    hint: 'GET /admin/v1/settings lists every setting; docs/settings.md explains them.',
  });
}

function refuseUnlessLive({ key, setting }: Origin): void {
  if (setting.live) return;
  const name = setting.env[0];
  throw new Fault({
    status: 409,
    code: 'read_at_start',
    message: `"${key}" is read at start and cannot be set at run time.`,
    hint: `Set it in supabase/config.toml${name === undefined ? '' : ` or as ${name}`}, and start again.`,
  });
}

/** What a client sees of a setting. A secret's value is only said to be there. */
function describe({ key, setting, layer, value }: Origin, changed: LastChange | undefined) {
  const facts = {
    layer,
    unit: setting.unit,
    expects: setting.expects,
    live: setting.live,
    secret: setting.secret,
    env: setting.env,
    sentence: setting.sentence,
    changed: changed ?? null,
  };
  return setting.secret
    ? { key, value: null, default: null, ...facts }
    : { key, value, default: setting.default, ...facts };
}

/** What the record keeps: the value that was kept before, or else the one that was in force. */
function detailsOf(origin: Origin | { readonly key: string }, before: unknown, after: unknown) {
  const { key } = origin;
  if (!('setting' in origin)) return { key, before: null, after: null, unknown: true };
  if (origin.setting.secret) return { key, before: null, after: null, secret: true };
  return {
    key,
    before:
      before === undefined
        ? { value: origin.value, layer: origin.layer }
        : { value: before, layer: 'run time' },
    after: after === undefined ? null : { value: after, layer: 'run time' },
  };
}

/** Who changed each setting last, as the record has it, or for what came another way the table itself. */
async function lastChanges(db: Pick<Db, 'asOwner'>): Promise<ReadonlyMap<string, LastChange>> {
  const { rows } = await db.asOwner('millrace_admin', (client) =>
    client.query<LastChange & { key: string }>(
      `select distinct on (key) key, by, to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
       from (
         (select distinct on (details ->> 'key') details ->> 'key' as key, operator as by, at
          from _millrace.operator_changes where action in ('settings.set', 'settings.reset')
          order by details ->> 'key', id desc)
         union all
         select key, changed_by, changed_at from _millrace.settings) as change
       order by key, change.at desc`,
    ),
  );
  return new Map(rows.map(({ key, by, at }) => [key, { by, at }]));
}
