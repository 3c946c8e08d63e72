// In charge of: `millrace migrate repair`: sets the history right without running anything.
import { OperatorError } from '../../../base/errors.ts';
import { withClient } from '../../../engine/db/client.ts';
import { ensureHistory, type MigrationFile } from '../../../engine/db/migrations/history.ts';
import { forgetAll, markApplied, markReverted } from '../../../engine/db/migrations/repair.ts';
import { loadProjectFiles } from '../../../engine/project/files.ts';
import { askYesNo, canAsk } from '../ask.ts';
import type { Invocation } from '../command.ts';
import { withTarget } from '../target.ts';

/** Without versions the whole history becomes what the project has. Source: supabase/cli apps/cli-go/internal/migration/repair/repair.go. */
export async function repairMigrations(invocation: Invocation, versions: readonly string[]): Promise<number> {
  const { options } = invocation;
  const status = options.text('status');
  if (status !== 'applied' && status !== 'reverted') {
    throw new OperatorError(
      status === undefined ? 'What is the history to say?' : `"${status}" is no status of a migration.`,
      'Say --status applied, or --status reverted.',
    );
  }
  const wrong = versions.find((version) => !/^\d+$/.test(version));
  if (wrong !== undefined)
    throw new OperatorError(
      `"${wrong}" is no version of a migration.`,
      'It is the digits before the first "_".',
    );
  const all = versions.length === 0;
  if (all && !(await isSure(options.yes, status))) {
    console.error('Nothing was changed.');
    return 1;
  }
  await withTarget(invocation, async ({ prepared, login }) => {
    const { migrations } = await loadProjectFiles(prepared.project);
    const files = all ? migrations : versions.map((version) => fileOf(version, migrations, status));
    await withClient(login, async (client) => {
      await ensureHistory(client);
      await client.query('begin');
      if (all) await forgetAll(client);
      if (status === 'reverted') await markReverted(client, versions);
      else
        for (const file of files) {
          if (file !== undefined)
            await markApplied(client, file, new TextDecoder().decode(await file.read()));
        }
      await client.query('commit');
    });
  });
  const shown = all ? 'the whole history' : versions.join(', ');
  console.log(
    options.json ? JSON.stringify({ versions, status }) : `The history says of ${shown}: ${status}.`,
  );
  return 0;
}

async function isSure(yes: boolean, status: string): Promise<boolean> {
  if (yes) return true;
  const what = status === 'applied' ? 'what the project has' : 'empty';
  if (!canAsk())
    throw new OperatorError(
      `Without versions the whole history becomes ${what}, and there is nobody to ask.`,
      'Name the versions, or say --yes if you mean it.',
    );
  return askYesNo(`Make the whole history of migrations ${what}?`);
}

/** A version that is to be applied must be there to be written down. */
function fileOf(
  version: string,
  migrations: readonly MigrationFile[],
  status: 'applied' | 'reverted',
): MigrationFile | undefined {
  const file = migrations.find((migration) => migration.version === version);
  if (file === undefined && status === 'applied') {
    throw new OperatorError(
      `There is no file "supabase/migrations/${version}_….sql".`,
      'What is recorded as applied is what stands in the file.',
    );
  }
  return file;
}
