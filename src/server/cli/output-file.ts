// In charge of: where a command's SQL goes: to the standard output, or to a file that is there whole or not at all.
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { errorMessage, OperatorError } from '../../base/errors.ts';

/**
 * Gives `work` what it writes to, and the file its name when `work` is done. Opened first: a path that leads nowhere is said before a database
 * is started for it. Nobody else may read it, as it holds the project's rows.
 * @throws OperatorError when there can be no such file.
 */
export async function withOutput<T>(
  path: string | undefined,
  work: (out: Writable) => Promise<T>,
): Promise<T> {
  if (path === undefined) return work(process.stdout);
  const there = await stat(path).catch(() => undefined);
  // A pipe or a device takes what it is given, and is no name to be given to another file.
  const isPlain = there === undefined || there.isFile();
  const draft = isPlain ? `${path}.${process.pid}.new` : path;
  const out = (await openDraft(path, draft, isPlain ? 'wx' : 'w')).createWriteStream();
  // What fails while nobody writes is thrown by `finished`.
  out.on('error', () => {});
  try {
    const result = await work(out);
    out.end();
    await finished(out);
    if (isPlain) await rename(draft, path);
    return result;
  } finally {
    out.destroy();
    if (isPlain) await rm(draft, { force: true });
  }
}

async function openDraft(path: string, draft: string, flags: 'wx' | 'w'): Promise<FileHandle> {
  try {
    return await open(draft, flags, 0o600);
  } catch (error) {
    throw new OperatorError(
      `The file "${path}" cannot be written: ${errorMessage(error)}.`,
      'Make its folder, or name a file that this user may write.',
      error,
    );
  }
}
