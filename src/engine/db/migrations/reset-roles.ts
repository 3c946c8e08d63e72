// In charge of: the roles at a reset. They go back to what they were before the project's first script, also when a reset broke off on the way.
import type { Client } from 'pg';
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { dropReplaced } from '../exchange-databases.ts';
import { ident, literal } from '../ident.ts';
import { loadSql } from './session.ts';

export interface BaselineRow {
  readonly role: string;
  readonly attributes: Readonly<Record<string, boolean | number>>;
  readonly settings: readonly string[];
  readonly member_of: readonly (readonly [role: string, grantor: string])[];
}

/** Empty when the database has none: it was never migrated. One that a reset left behind is the older one, and counts. */
export async function readBaseline(client: Client): Promise<readonly BaselineRow[]> {
  for (const table of [leftBehind, '_millrace.role_baseline']) {
    if (!(await isThere(client, table))) continue;
    const { rows } = await client.query<BaselineRow>(
      `select role, attributes, settings, member_of from ${table}`,
    );
    return rows;
  }
  return [];
}

/** Lays it down in the database that is to take the project's place: by it the next start sees that a reset broke off there. */
export async function leaveBaseline(client: Client, baseline: readonly BaselineRow[]): Promise<void> {
  await client.query(
    `create schema millrace_reset;
     create table ${leftBehind} (role text primary key, attributes jsonb not null, settings text[] not null, member_of jsonb not null)`,
  );
  for (const { role, attributes, settings, member_of: memberOf } of baseline)
    await client.query(`insert into ${leftBehind} values ($1, $2, $3, $4)`, [
      role,
      attributes,
      settings,
      JSON.stringify(memberOf),
    ]);
}

/**
 * Drops the database that a reset has replaced, and puts the roles back then: one that owns something there cannot be dropped before.
 * `client` is the superuser's, in the new database. Does nothing where no reset is under way.
 */
export async function finishReset(client: Client, observe: Observe): Promise<void> {
  if (!(await isThere(client, leftBehind))) return;
  await dropReplaced(client, client.database ?? '');
  await restoreRoles(client, await readBaseline(client), observe);
  await client.query('drop schema millrace_reset cascade');
}

async function isThere(client: Client, table: string): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>('select to_regclass($1) is not null as there', [
    table,
  ]);
  return rows[0]!.there;
}

/** Puts the roles back. What cannot be is said, and is in nobody's way: the next script that needs the name says so. */
async function restoreRoles(
  client: Client,
  baseline: readonly BaselineRow[],
  observe: Observe,
): Promise<void> {
  if (baseline.length === 0) return;
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

const leftBehind = 'millrace_reset.role_baseline';
/** Settings whose value is a list of names: quoting it whole would make one name of it. */
const listSettings: ReadonlySet<string> = new Set([
  'search_path',
  'session_preload_libraries',
  'local_preload_libraries',
  'temp_tablespaces',
]);
