// In charge of: `millrace migrate new`: an empty migration, or one with what comes on standard input.
import { fstatSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Invocation } from '../command.ts';
import { noName, planMigrations, writeMigrations } from '../new-migration.ts';
import { findProjectFolder } from '../project-folder.ts';
import { refuseWords } from '../refuse-words.ts';

export async function newMigration(invocation: Invocation, words: readonly string[]): Promise<number> {
  const { options, currentFolder } = invocation;
  const [name = '', ...more] = words;
  refuseWords('migrate new', more);
  if (name.trim() === '') throw noName();
  const project = await findProjectFolder(options, currentFolder);
  const migrations = await planMigrations(project, name, [await textOfPipe()], new Date());
  await writeMigrations(project, migrations);
  const path = migrations[0]!.path;
  console.log(options.json ? JSON.stringify({ path }) : `wrote ${path}`);
  return 0;
}

/** A terminal is not waited for, and neither is a standard input that nobody gave. */
async function textOfPipe(): Promise<string> {
  const input = fstatSync(0);
  return input.isFIFO() || input.isFile() || input.isSocket() ? text(process.stdin) : '';
}
