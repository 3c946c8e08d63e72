// In charge of: starting over: the project's database is made anew, and the roles go back to what they were.
import pg from 'pg';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { ident, literal } from '../ident.ts';
import { type ApplyOptions, type ApplyReport, applyProject } from './apply.ts';
import { createDatabase, loadDatabaseFacts } from './database-facts.ts';
import { loadSql } from './session.ts';

export interface ResetOptions extends ApplyOptions {
  /** A superuser's login to the project's database. Undefined: there is none, and what the project made is dropped instead. */
  readonly admin: pg.ClientConfig | undefined;
  /** A superuser's login where there is one and the database cannot be made anew all the same: it drops the extensions. */
  readonly extensionOwner?: pg.ClientConfig | undefined;
  /** Brings the new database into Supabase's shape. */
  readonly bootstrap: () => Promise<void>;
}

export interface ResetReport extends ApplyReport {
  /** `recreated`: the database is a new one. `emptied`: what the project had made was dropped. */
  readonly way: 'recreated' | 'emptied';
}

/**
 * Throws away everything in the project's database and applies the project from the beginning, seeds included.
 *
 * Where we are superuser the database is dropped and made again: nothing that a project can do to a database survives that, while
 * a list of objects to drop is never complete. Roles belong to the cluster: those that the project made are dropped, those of the
 * platform get back the attributes, settings and memberships that they had before the project's first script. Elsewhere what
 * `postgres` owns is dropped, as `supabase db reset --remote` does.
 * Source: supabase/cli apps/cli-go/internal/db/reset/reset.go, pkg/migration/queries/drop.sql.
 */
export async function resetProject(options: ResetOptions): Promise<ResetReport> {
  const { admin, observe } = options;
  const way = admin === undefined ? 'emptied' : 'recreated';
  observe({ kind: 'migrations.resetting', way });
  if (admin === undefined) {
    if (options.extensionOwner !== undefined) await runSql(options.extensionOwner, 'drop-extensions');
    await runSql(options.logins.postgres, 'empty');
  } else await recreate(admin, observe);
  await options.bootstrap();
  return { way, ...(await applyProject({ ...options, drift: 'refuse' })) };
}

async function runSql(login: pg.ClientConfig, name: string): Promise<void> {
  await using client = await connect(login);
  await client.query(await loadSql(name));
}

async function recreate(admin: pg.ClientConfig, observe: Observe): Promise<void> {
  const name = admin.database;
  if (name === undefined) throw new OperatorError('The login for a reset names no database.');
  const baseline = await readBaseline(admin);
  await using client = await connect({ ...admin, database: 'template1' });
  const facts = await loadDatabaseFacts(client, name);
  try {
    await client.query(`alter database ${ident(name)} allow_connections false`);
    await dropSlots(client, name);
    await client.query(`drop database ${ident(name)} with (force)`);
  } catch (error) {
    await client.query(`alter database ${ident(name)} allow_connections true`).catch(() => {});
    throw new OperatorError(
      `The database "${name}" could not be dropped: ${errorMessage(error)}`,
      'It is as it was. Close what works in it, and try again.',
      error,
    );
  }
  await client.query(createDatabase(name, facts));
  await restoreRoles(client, baseline, observe);
}

interface BaselineRow {
  readonly role: string;
  readonly attributes: Readonly<Record<string, boolean | number>>;
  readonly settings: readonly string[];
  readonly member_of: readonly (readonly [role: string, grantor: string])[];
}

/** Undefined when the database has none: it was never migrated, or what keeps it is gone. */
async function readBaseline(admin: pg.ClientConfig): Promise<readonly BaselineRow[] | undefined> {
  await using client = await connect(admin);
  const there = await client.query<{ there: boolean }>(
    "select to_regclass('_millrace.role_baseline') is not null as there",
  );
  if (there.rows[0]?.there !== true) return undefined;
  const { rows } = await client.query<BaselineRow>(
    'select role, attributes, settings, member_of from _millrace.role_baseline',
  );
  return rows.length === 0 ? undefined : rows;
}

/** A slot keeps its database from being dropped. Its user is told to go and given a moment. */
async function dropSlots(client: pg.Client, database: string): Promise<void> {
  await client.query(
    `select pg_terminate_backend(active_pid, ${slotTimeoutMs}) from pg_catalog.pg_replication_slots
     where database = $1 and active_pid is not null`,
    [database],
  );
  await client.query(
    'select pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots where database = $1',
    [database],
  );
}

/** Puts the roles back. What cannot be is said, and is in nobody's way: the next script that needs the name says so. */
async function restoreRoles(
  client: pg.Client,
  baseline: readonly BaselineRow[] | undefined,
  observe: Observe,
): Promise<void> {
  if (baseline === undefined) return;
  const attempt = async (sql: string): Promise<void> => {
    try {
      await client.query(sql);
    } catch (error) {
      observe({
        kind: 'migrations.warning',
        level: 'warn',
        message: `"${sql}" failed: ${errorMessage(error)}`,
      });
    }
  };
  const kept = new Map(baseline.map((row) => [row.role, row]));
  const now = await client.query<BaselineRow>(await loadSql('roles'));
  for (const { role, member_of: memberOf } of now.rows) {
    const was = kept.get(role);
    if (was === undefined) continue;
    for (const [granted, grantor] of memberOf) {
      const isNew = !was.member_of.some(([a, b]) => a === granted && b === grantor);
      if (isNew)
        await attempt(`revoke ${ident(granted)} from ${ident(role)} granted by ${ident(grantor)} cascade`);
    }
  }
  for (const { role } of now.rows) {
    if (!kept.has(role)) await attempt(`drop role ${ident(role)}`);
  }
  for (const was of baseline) {
    const is = now.rows.find(({ role }) => role === was.role);
    if (is === undefined) continue;
    if (JSON.stringify(is.attributes) !== JSON.stringify(was.attributes)) await attempt(alterRole(was));
    if (JSON.stringify(is.settings) === JSON.stringify(was.settings)) continue;
    await attempt(`alter role ${ident(was.role)} reset all`);
    for (const setting of was.settings) await attempt(alterSetting(was.role, setting));
  }
}

function alterRole({ role, attributes }: BaselineRow): string {
  const words = Object.entries(attributes).map(([name, value]) =>
    typeof value === 'number' ? `${name} ${value}` : value ? name : `no${name}`,
  );
  return `alter role ${ident(role)} with ${words.join(' ')}`;
}

/** A setting stands in the catalog as `name=value`; a list's value is a list already. */
function alterSetting(role: string, setting: string): string {
  const at = setting.indexOf('=');
  const name = setting.slice(0, at).split('.').map(ident).join('.');
  const value = setting.slice(at + 1);
  return `alter role ${ident(role)} set ${name} to ${listSettings.has(setting.slice(0, at)) ? value : literal(value)}`;
}

async function connect(login: pg.ClientConfig): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ ...login, application_name: 'millrace reset' });
  client.on('error', () => {});
  await client.connect();
  return Object.assign(client, {
    [Symbol.asyncDispose]: () => client.end(),
  });
}

const slotTimeoutMs = 5_000;
/** Settings whose value is a list of names: quoting it whole would make one name of it. */
const listSettings: ReadonlySet<string> = new Set([
  'search_path',
  'session_preload_libraries',
  'local_preload_libraries',
  'temp_tablespaces',
]);
