// In charge of: which project a command is about.
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OperatorError } from '../../base/errors.ts';
import type { Options } from './options.ts';

const exampleName = 'tool-library';

/**
 * `--project`, else the current folder when it holds `supabase/`; in a checkout of Millrace itself the example.
 * @throws OperatorError when there is none.
 */
export async function findProjectFolder(options: Options, currentFolder: string): Promise<string> {
  if (options.project !== undefined) {
    const folder = resolve(currentFolder, options.project);
    if (await isFolder(join(folder, 'supabase'))) return folder;
    const missing = (await isFolder(folder)) ? 'holds no folder "supabase"' : 'does not exist';
    throw new OperatorError(
      `The project folder "${folder}" ${missing}.`,
      'Give the folder that holds supabase/ with --project DIR; `supabase init` makes one.',
    );
  }
  if (await isFolder(join(currentFolder, 'supabase'))) return currentFolder;
  const checkout = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
  const example = join(checkout, 'examples', exampleName);
  if (resolve(currentFolder) === checkout && (await isFolder(join(example, 'supabase')))) return example;
  throw new OperatorError(
    `There is no folder "supabase" in "${currentFolder}".`,
    'Run this in a project, give one with --project DIR, or make one with `supabase init`.',
  );
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ?? false;
}
