// In charge of: putting our extensions where a PostgreSQL of ours looks for them, so that `create extension` finds them as it finds its own.
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { digestOfFiles, loadExtensionFiles } from './files.ts';

/** Since 18 a server looks for extensions in other folders, too. Source: PostgreSQL 18 release notes, `extension_control_path`. */
export const pathSince = 18;

/**
 * Writes the files into `<stateFolder>/extensions` and gives the value of `extension_control_path`. The server's own come
 * first, so that a real build of an extension is used where there is one. Undefined where a server has no such parameter,
 * and where the folder's name cannot stand in a list of paths.
 */
export async function placeInState(stateFolder: string, major: number): Promise<string | undefined> {
  const folder = join(stateFolder, 'extensions');
  if (major < pathSince || folder.includes(delimiter)) return undefined;
  await placeInto(join(folder, 'extension'));
  await chmod(folder, 0o755);
  return ['$system', folder].join(delimiter);
}

/** Writes the files into a folder `extension`, where they are not there yet or of another version of this program. */
export async function placeInto(folder: string): Promise<void> {
  const digest = await digestOfFiles();
  if ((await readFile(join(folder, stamp), 'utf8').catch(() => undefined)) === digest) return;
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await chmod(folder, 0o755);
  // The stamp comes last: a start that is killed on the way is done again.
  for (const { name, text } of [...(await loadExtensionFiles()), { name: stamp, text: digest }]) {
    const path = join(folder, name);
    const draft = join(folder, `${name}.${randomUUID()}.new`);
    try {
      await writeFile(draft, text, { mode: 0o644, flag: 'wx' });
      await chmod(draft, 0o644);
      await rename(draft, path);
    } finally {
      await rm(draft, { force: true });
    }
  }
}

const stamp = 'millrace.sha256';
