// In charge of: `millrace migrate fetch`: writes the migrations that stand in the history and have no file.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../../../base/errors.ts';
import { withClient } from '../../../engine/db/client.ts';
import { loadRecorded } from '../../../engine/db/migrations/repair.ts';
import { loadProjectFiles } from '../../../engine/project/files.ts';
import type { Invocation } from '../command.ts';
import { refuseWords } from '../refuse-words.ts';
import { withTarget } from '../target.ts';

/** Source: supabase/cli apps/cli-go/internal/migration/fetch/fetch.go: the statements with their semicolons. */
export async function fetchMigrations(invocation: Invocation, words: readonly string[]): Promise<number> {
  refuseWords('migrate fetch', words);
  const written = await withTarget(invocation, async ({ prepared, login }) => {
    const folder = 'supabase/migrations';
    const { project } = prepared.project;
    const { migrations } = await loadProjectFiles(prepared.project);
    const known = new Set(migrations.map(({ version }) => version));
    const recorded = await withClient(login, loadRecorded);
    await mkdir(join(project, folder), { recursive: true });
    const paths: string[] = [];
    for (const { version, name, statements } of recorded.filter((one) => !known.has(one.version))) {
      const path = `${folder}/${fileName(version, name)}`;
      const text = `${statements.join(';\n')};\n`;
      await writeFile(join(project, path), text, { flag: 'wx' });
      paths.push(path);
    }
    return paths;
  });
  if (invocation.options.json) console.log(JSON.stringify({ files: written }));
  else if (written.length === 0) console.log('Every migration of the history has its file.');
  else console.log(written.map((path) => `wrote ${path}`).join('\n'));
  return 0;
}

/** The history is a table that others write to: nothing of it leads out of the folder. @throws OperatorError */
function fileName(version: string, name: string): string {
  const file = `${version}_${name}.sql`;
  if (/^\d+_[^/\\\0]*\.sql$/.test(file)) return file;
  throw new OperatorError(
    `The history holds a migration called "${file}", which is no name of a file.`,
    'Correct it in supabase_migrations.schema_migrations.',
  );
}
