// In charge of: starting over: the project's database is made anew, and the roles go back to what they were.
import type pg from 'pg';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { withClient } from '../client.ts';
import { exchangeDatabases, makeDatabase } from '../exchange-databases.ts';
import { type ApplyOptions, type ApplyReport, applyProject } from './apply.ts';
import { finishReset, leaveBaseline, readBaseline } from './reset-roles.ts';
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
 * Where we are superuser another database takes its place: nothing that a project can do to a database survives that, while
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
  const sql = await loadSql(name);
  await withClient({ ...login, application_name: 'millrace reset' }, (client) => client.query(sql));
}

/** Broken off at any place, the project's database is there, as it was or new; what is left to do then, its next start does. */
async function recreate(admin: pg.ClientConfig, observe: Observe): Promise<void> {
  const name = admin.database;
  if (name === undefined) throw new OperatorError('The login for a reset names no database.');
  const login = (database: string) => ({ ...admin, database, application_name: 'millrace reset' });
  const fresh = `${name}_reset`;
  const baseline = await withClient(login(name), readBaseline);
  await makeDatabase(login, fresh, name);
  await withClient(login(fresh), (client) => leaveBaseline(client, baseline));
  observe({ kind: 'migrations.reset_made', level: 'debug', database: fresh });
  try {
    await exchangeDatabases(login, fresh, name);
  } catch (error) {
    throw new OperatorError(
      `The database "${name}" could not be replaced: ${errorMessage(error)}`,
      'It is as it was. Close what works in it, and try again.',
      error,
    );
  }
  observe({ kind: 'migrations.reset_exchanged', level: 'debug', database: name });
  await withClient(login(name), (client) => finishReset(client, observe));
}
