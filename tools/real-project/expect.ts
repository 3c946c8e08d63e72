// In charge of: the list of refusals that are known, each with its reason; and whether it still fits.
import { readFile } from 'node:fs/promises';
import { OperatorError } from '../../src/base/errors.ts';

/** Everything that is given must fit. */
export interface Expected {
  readonly reason: string;
  readonly code?: string;
  /** The beginning of the file's path. */
  readonly file?: string;
  /** The table or function. */
  readonly target?: string;
  readonly as?: string;
  /** A part of the message. */
  readonly message?: string;
}

export interface Refusal {
  readonly file: string;
  readonly target: string;
  readonly as: string;
  readonly code: string;
  readonly message: string;
}

/** @throws OperatorError when the list is none, or an entry has no reason. */
export async function loadExpected(path: string | undefined): Promise<readonly Expected[]> {
  if (path === undefined) return [];
  const list: unknown = JSON.parse(await readFile(path, 'utf8'));
  const isEntry = (entry: unknown): entry is Expected =>
    typeof entry === 'object' &&
    entry !== null &&
    'reason' in entry &&
    typeof entry.reason === 'string' &&
    entry.reason !== '';
  if (!Array.isArray(list) || !list.every(isEntry))
    throw new OperatorError(
      `"${path}" is no list of expected refusals.`,
      'Write a list of objects with "reason" and any of "code", "file", "target", "as", "message".',
    );
  return list;
}

/** Pure. */
export function findExpected(expected: readonly Expected[], refusal: Refusal): Expected | undefined {
  return expected.find(
    ({ code, file, target, as, message }) =>
      (code === undefined || code === refusal.code) &&
      (file === undefined || refusal.file.startsWith(file)) &&
      (target === undefined || target === refusal.target) &&
      (as === undefined || as === refusal.as) &&
      (message === undefined || refusal.message.includes(message)),
  );
}
