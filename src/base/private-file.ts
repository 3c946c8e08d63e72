// In charge of: files with secrets: whole or not at all, and for this user alone.
import { randomUUID } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from './errors.ts';
import { syncPath } from './sync-path.ts';

/** Writes a file that only this user may read. Whoever reads meanwhile sees the old one or the new one; after a crash, too. */
export function writePrivately(path: string, text: string): Promise<void> {
  return writeBeside(path, text, async (beside) => rename(beside, path));
}

/** The same for a file that must not be there yet; false, and nothing is written, when it is. */
export async function makePrivately(path: string, text: string): Promise<boolean> {
  try {
    await writeBeside(path, text, async (beside) => {
      // A link takes no other file's place, which a rename does.
      await link(beside, path);
      await rm(beside);
    });
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function writeBeside(
  path: string,
  text: string,
  putInPlace: (beside: string) => Promise<void>,
): Promise<void> {
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await putInPlace(beside);
    await syncPath(dirname(path));
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
