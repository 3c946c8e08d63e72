// In charge of: that a file, or the names in a folder, are on the disk.
import { open } from 'node:fs/promises';
import { errorCode } from './errors.ts';

/** The name of a file is its folder's to keep. Where a folder cannot be opened or synced (Windows), it is left to the system. */
export async function syncPath(path: string): Promise<void> {
  try {
    const opened = await open(path, 'r');
    try {
      await opened.sync();
    } finally {
      await opened.close();
    }
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP'].includes(errorCode(error) ?? '')) throw error;
  }
}
