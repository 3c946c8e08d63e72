// In charge of: settings that stand in the database, as PostgREST keeps them: `alter role authenticator set pgrst.db_schemas = '…'`,
// or set by a function. Source: PostgREST 14.12, src/PostgREST/Config/Database.hs; docs/references/configuration.rst "In-Database Configuration".
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Db, LoginRole } from '../db/db.ts';
import { ident } from '../db/ident.ts';
import type { LiveSettings } from './live.ts';

/** `pgrst.<name>`; the environment variable of the same setting is `PGRST_<NAME>`. */
const names = [
  'client_error_verbosity',
  'db_aggregates_enabled',
  'db_anon_role',
  'db_extra_search_path',
  'db_hoisted_tx_settings',
  'db_max_rows',
  'db_plan_enabled',
  'db_pre_request',
  'db_prepared_statements',
  'db_root_spec',
  'db_schemas',
  'db_tx_end',
  'jwt_aud',
  'jwt_cache_max_entries',
  'jwt_role_claim_key',
  'jwt_secret',
  'jwt_secret_is_base64',
  'openapi_mode',
  'openapi_security_active',
  'openapi_server_proxy_uri',
  'server_cors_allowed_origins',
  'server_timing_enabled',
  'server_trace_header',
  'url_use_legacy_target_names',
];

/** PostgREST heeds it from the next reload on; here at once. */
const preConfigName = 'db_pre_config';

export interface InDatabaseOptions {
  readonly settings: Pick<LiveSettings, 'setInDatabase'>;
  readonly db: Pick<Db, 'asOwner'>;
  /** Whose settings are read: the role that requests log in as. */
  readonly reader: LoginRole;
  /** A function that sets more of them by `set_config`; they yield to those of the role. Empty: none. Asked at each load; the role's `pgrst.db_pre_config` comes before it. */
  readonly preConfig: () => string;
  readonly observe: Observe;
}

/** Gives the function that puts in force what stands in the database now. What is wrong there is said and left out; it never throws. */
export function openInDatabaseSettings(options: InDatabaseOptions): () => Promise<void> {
  const { settings, db, reader, preConfig, observe } = options;
  return async () => {
    try {
      const found = await db.asOwner(reader, async (client) => {
        await client.query('begin read only');
        const { rows } = await client.query<{ name: string; value: string }>(ofRole, [
          [...names, preConfigName],
        ]);
        const set = new Map(rows.map(({ name, value }) => [name, value]));
        const byFunction = await setByFunction(client, set.get(preConfigName) ?? preConfig());
        await client.query('rollback');
        set.delete(preConfigName);
        return new Map([...byFunction, ...set]);
      });
      const variables = [...found].map(([name, value]) => [`PGRST_${name.toUpperCase()}`, value] as const);
      for (const message of settings.setInDatabase(new Map(variables)))
        observe({ kind: 'settings.ignored', level: 'error', message });
      observe({ kind: 'settings.loaded', level: 'debug', names: [...found.keys()] });
    } catch (error) {
      observe({ kind: 'settings.load_failed', level: 'error', message: errorMessage(error) });
    }
  };
}

type Client = Parameters<Parameters<Db['asOwner']>[1]>[0];

async function setByFunction(
  client: Client,
  name: string,
): Promise<readonly (readonly [name: string, value: string])[]> {
  if (name === '') return [];
  const dot = name.indexOf('.');
  const call = dot < 0 ? ident(name) : `${ident(name.slice(0, dot))}.${ident(name.slice(dot + 1))}`;
  await client.query(`select ${call}()`);
  const { rows } = await client.query<{ name: string; value: string | null }>(
    `select name, pg_catalog.current_setting('pgrst.' || name, true) as value from unnest($1::text[]) as name`,
    [names],
  );
  return rows.flatMap(({ name, value }) => (value === null || value === '' ? [] : [[name, value] as const]));
}

/** Those of the role in this database come before those of the role everywhere. A setting of the database alone has no effect. */
const ofRole = `
select distinct on (name) name, value
from (
  select s.setdatabase, split_part(substr(one, 7), '=', 1) as name, substr(one, strpos(one, '=') + 1) as value
  from pg_catalog.pg_db_role_setting s, unnest(s.setconfig) as one
  where s.setrole = (select oid from pg_catalog.pg_roles where rolname = current_user)
    and s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
    and one like 'pgrst.%') as setting
where name = any ($1::text[])
order by name, setdatabase desc`;
