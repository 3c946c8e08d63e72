// In charge of: where the master key comes from: MILLRACE_MASTER_KEY, or a file in the state folder that is made at first start.
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorMessage, OperatorError } from '../../base/errors.ts';
import { makePrivately, writePrivately } from '../../base/private-file.ts';

export interface MasterKeys {
  readonly current: string;
  /** Those that may have wrapped something that is still there. */
  readonly previous: readonly string[];
  /** `MILLRACE_MASTER_KEY`, or the path of the file. */
  readonly from: string;
  /** Whether it is being changed: MILLRACE_MASTER_KEY_PREVIOUS is set, or the file holds an earlier one. */
  readonly isChanging: boolean;
  /** Whether it was made just now. */
  readonly isNew: boolean;
  /** What is in the file now, the current one first: another process of this folder may have changed it. */
  readonly read: () => Promise<readonly string[]>;
  /** Writes other keys in the place of these; undefined where they come from the environment. */
  readonly write: ((keys: Pick<MasterKeys, 'current' | 'previous'>) => Promise<void>) | undefined;
  /** Takes back a key that was made just now and has wrapped nothing. */
  readonly discard: () => Promise<void>;
}

export interface MasterKeyPlace {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stateFolder: string;
}

export const masterKeyFile = 'master-key';
/** 128 bits even where every character is one hexadecimal digit. */
const minCharacters = 32;
const newKeyBytes = 32;

/**
 * Finds the master key, or makes one. With MILLRACE_MASTER_KEY, a file that is there as well counts as a previous key, so that a
 * project can move from the one to the other.
 * @throws OperatorError for a key that is too short, and for a file that other users may read or that cannot be read or made.
 */
export async function findMasterKeys({ environment, stateFolder }: MasterKeyPlace): Promise<MasterKeys> {
  const path = join(stateFolder, masterKeyFile);
  const inFile = await readKeys(path);
  const given = environment.MILLRACE_MASTER_KEY;
  const before = environment.MILLRACE_MASTER_KEY_PREVIOUS;
  if (before) refuseShort(before, 'MILLRACE_MASTER_KEY_PREVIOUS');
  const earlier = before ? [before] : [];
  const read = async () => (await readKeys(path)) ?? [];
  if (given) {
    refuseShort(given, 'MILLRACE_MASTER_KEY');
    const previous = [...earlier, ...(inFile ?? [])].filter((key) => key !== given);
    const from = 'MILLRACE_MASTER_KEY';
    const isChanging = earlier.length > 0;
    return { current: given, previous, from, isChanging, isNew: false, read, write: undefined, discard };
  }
  const write: MasterKeys['write'] = ({ current, previous }) =>
    writePrivately(path, linesOf([current, ...previous]));
  const facts = { from: path, read, write };
  if (inFile !== undefined) return { ...facts, ...split(inFile, earlier), isNew: false, discard };
  const made = newMasterKey();
  try {
    await makeFolder(stateFolder);
    // Another start may be making one at this moment: then it is that one.
    if (await makePrivately(path, linesOf([made])))
      return { ...facts, ...split([made], earlier), isNew: true, discard: () => rm(path, { force: true }) };
  } catch (error) {
    throw new OperatorError(
      `The master key cannot be kept in "${path}": ${errorMessage(error)}.`,
      'Make the folder writable, or set MILLRACE_MASTER_KEY, for instance to the output of `openssl rand -hex 32`.',
      error,
    );
  }
  return { ...facts, ...split(await read(), earlier), isNew: false, discard };
}

const discard = async () => {};

export function newMasterKey(): string {
  return randomBytes(newKeyBytes).toString('base64url');
}

function split(
  keys: readonly string[],
  earlier: readonly string[],
): Pick<MasterKeys, 'current' | 'previous' | 'isChanging'> {
  const [current, ...others] = keys;
  if (current === undefined) throw new Error('a file of master keys without a key');
  const previous = [...others, ...earlier].filter((key) => key !== current);
  return { current, previous, isChanging: previous.length > 0 };
}

/** Its keys, the current one first; undefined when there is no file. */
async function readKeys(path: string): Promise<readonly string[] | undefined> {
  let text: string;
  try {
    const { mode } = await stat(path);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new OperatorError(
        `The master key in "${path}" can be read by other users of this machine.`,
        `Run: chmod 600 "${path}". Whoever has read it can open every secret in the database: see to a rotation then.`,
      );
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(
      `The master key in "${path}" cannot be read: ${errorMessage(error)}.`,
      'Start as the user that made it, or set MILLRACE_MASTER_KEY.',
      error,
    );
  }
  const keys = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (keys.length === 0) {
    throw new OperatorError(
      `"${path}" holds no master key.`,
      'Restore it from a backup: without it the secrets in the database cannot be read. Remove it only when there are none.',
    );
  }
  for (const key of keys) refuseShort(key, `"${path}"`);
  return keys;
}

function refuseShort(key: string, where: string): void {
  if (key.length >= minCharacters) return;
  throw new OperatorError(
    `The master key in ${where} has ${key.length} characters; it must have ${minCharacters} or more.`,
    'Take the output of `openssl rand -hex 32`.',
  );
}

function linesOf(keys: readonly string[]): string {
  return [
    '# The master key of this Millrace: without it the secrets in its database cannot be read. Back it up apart from the database.',
    ...keys,
    '',
  ].join('\n');
}

/** With DATABASE_URL there is no state folder yet. */
async function makeFolder(folder: string): Promise<void> {
  if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined)
    await writeFile(join(folder, '.gitignore'), '*\n');
}
