// In charge of: the data of a new database. Initdb is done once on a machine; what it made is kept as a template, and copied from then on.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { syncPath } from '../../../base/sync-path.ts';
import type { StateFolder } from '../postgres/state-folder.ts';
import { userCacheFolder } from '../template/cache-folder.ts';
import { copyFolder } from '../template/copy-folder.ts';
import { wholeMark } from './folder.ts';

/** Where templates and unpacked extensions are: one place for all projects of a user, or the project's own state. */
export async function openCacheFolder(state: StateFolder): Promise<string> {
  // Root has a place of its own already.
  if (state.runAs !== undefined) return state.copiesFolder;
  const folder = userCacheFolder();
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = await stat(folder);
    // What others may write there would be run here.
    if (uid === process.getuid?.() && (mode & 0o022) === 0) return folder;
  } catch {
    // A home that is not there or cannot be written: the project's own folder does as well.
  }
  return state.copiesFolder;
}

/**
 * Makes a data folder from the template, and that first by `make` when there is none. `durable`: its files are on the disk before it counts as whole.
 */
export async function makeData(
  dataFolder: string,
  template: string,
  durable: boolean,
  make: (folder: string) => Promise<void>,
): Promise<void> {
  if (!existsSync(template)) await makeTemplate(template, make);
  await rm(dataFolder, { recursive: true, force: true });
  copyFolder(template, dataFolder);
  if (durable) {
    for (const name of await readdir(dataFolder, { recursive: true })) await syncPath(join(dataFolder, name));
  }
  await writeFile(join(dataFolder, wholeMark), '', { mode: 0o600 });
  if (durable) await syncPath(dataFolder);
}

/** Made beside and renamed, so that one that is there is whole. */
async function makeTemplate(template: string, make: (folder: string) => Promise<void>): Promise<void> {
  const draft = `${template}.${randomUUID()}.new`;
  try {
    await mkdir(draft, { recursive: true, mode: 0o700 });
    await make(draft);
    await rename(draft, template);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another start was faster.
    if (!existsSync(template)) throw error;
  }
}
