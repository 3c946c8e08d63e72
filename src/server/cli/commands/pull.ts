// In charge of: `millrace pull`: what the database has beyond the migrations becomes a migration, recorded as applied.
import { OperatorError } from '../../../base/errors.ts';
import { withClient } from '../../../engine/db/client.ts';
import { compare, ensureHistory, loadHistory } from '../../../engine/db/migrations/history.ts';
import { markApplied } from '../../../engine/db/migrations/repair.ts';
import { loadProjectFiles } from '../../../engine/project/files.ts';
import type { Invocation } from '../command.ts';
import { findDifference } from '../difference.ts';
import { type NewMigration, planMigrations, removeMigrations, writeMigrations } from '../new-migration.ts';
import { type Target, withTarget } from '../target.ts';

export async function pull(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const [name = 'remote_schema'] = options.rest;
  return withTarget(invocation, async (target) => {
    await refuseDrift(target);
    const { texts, notices } = await findDifference(invocation, target, target.opening, false);
    for (const notice of notices) target.opening.progress(`- ${notice}`);
    const project = target.prepared.project.project;
    const migrations = await planMigrations(project, name, texts, new Date());
    if (migrations.length > 0) await writeApplied(target, project, migrations);
    const files = migrations.map(({ path }) => path);
    if (options.json) console.log(JSON.stringify({ files }));
    else if (files.length === 0) console.log('Nothing to pull: the migrations make this schema.');
    else console.log(files.map((file) => `wrote ${file} and recorded it as applied`).join('\n'));
    return 0;
  });
}

/**
 * What is pending here would come out as something to drop.
 * Source: supabase/cli apps/cli-go/internal/db/pull/pull.go, `assertRemoteInSync`.
 */
async function refuseDrift({ prepared, login }: Target): Promise<void> {
  const files = await loadProjectFiles(prepared.project);
  const history = await withClient(login, (client) => loadHistory(client));
  const { pending, missing } = compare(files.migrations, history);
  if (pending.length === 0 && missing.length === 0) return;
  throw new OperatorError(
    pending.length > 0
      ? `The database does not have every migration: "${pending[0]!.path}" is pending.`
      : `The database has migrations that the project does not: ${missing.join(', ')}.`,
    pending.length > 0
      ? `Apply it first (millrace migrate), or record it as applied (millrace migrate repair --status applied ${pending[0]!.version}).`
      : `Get the files (git pull, or millrace migrate fetch), or record them as not applied: millrace migrate repair --status reverted ${missing.join(' ')}`,
  );
}

/** Files and history have all of them or none: a file that is not recorded would be applied to the database that it was made of. */
async function writeApplied(
  { login }: Target,
  project: string,
  migrations: readonly NewMigration[],
): Promise<void> {
  await withClient(login, async (client) => {
    await ensureHistory(client);
    // What ends before the commit is rolled back by the server, as the session ends.
    await client.query('begin');
    for (const migration of migrations) await markApplied(client, migration, migration.text);
    await writeMigrations(project, migrations);
    try {
      await client.query('commit');
    } catch (error) {
      await removeMigrations(project, migrations);
      throw error;
    }
  });
}
