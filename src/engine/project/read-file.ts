// In charge of: files that a project may have or not.
import { readFile } from 'node:fs/promises';
import { errorCode, OperatorError } from '../../base/errors.ts';

/**
 * The text of a file; undefined when there is none. `shown` is how people know it.
 * @throws OperatorError when it is there and cannot be read.
 */
export async function readIfThere(path: string, shown = path): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new OperatorError(
      `"${shown}" cannot be read (${code ?? 'unknown error'}).`,
      'Make it readable for this user, or remove it.',
      error,
    );
  }
}
