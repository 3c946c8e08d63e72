// In charge of: where a project's state lives. `.millrace/` in the project; where root's Postgres, which runs as another user, cannot reach that: under /var/lib/millrace.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { errorCode, errorMessage, OperatorError } from '../../../base/errors.ts';
import { isRoot, unprivilegedUser, userOfNumber } from './os-user.ts';
import { type RunAs, run } from './process.ts';

export interface StateFolder {
  /** Absolute, without links. */
  readonly path: string;
  /** PostgreSQL's own folder in it. It may not be there yet. */
  readonly dataFolder: string;
  /** Whom PostgreSQL runs as, when not as us. */
  readonly runAs: RunAs | undefined;
  /** Where copies of PostgreSQL's programs go. */
  readonly copiesFolder: string;
  readonly notices: readonly string[];
}

/** `state.json`, which says what a state folder is. Other parts may add keys. */
export interface StateFile {
  readonly format: number;
  readonly engine?: string;
  readonly major?: number;
  readonly version?: string;
  /** Where the socket is, for tools beside the server. */
  readonly socketFolder?: string;
  readonly port?: number;
  /** The fingerprint of the vault's key. */
  readonly vaultKey?: string;
  /** The state itself lives there; this file only points. */
  readonly movedTo?: string;
}

export interface StatePlace {
  /** The folder that holds `supabase/`. */
  readonly project: string;
  /** `--data DIR` */
  readonly data?: string | undefined;
  /** Root's own place; another in tests. */
  readonly systemFolder?: string | undefined;
}

export const stateFormat = 1;
const systemFolderDefault = '/var/lib/millrace';
/** `sun_path` has room for 104 bytes on macOS and 108 on Linux, one of which ends the text. */
const maxSocketPathBytes = 100;
const longestSocketName = '/.s.PGSQL.65535.lock';

/** Where the state of a project is or would be, without making anything: for `stop`, `status` and their like. */
export async function findStateFolder(place: StatePlace): Promise<string> {
  const own = resolve(place.data ?? join(place.project, '.millrace'));
  const pointed = (await readStateFile(own))?.movedTo;
  // The project may be another user's to write, so the pointer leads to where only root can make folders, or nowhere.
  if (pointed !== undefined && dirname(pointed) === (place.systemFolder ?? systemFolderDefault))
    return pointed;
  if (place.data === undefined && isRoot() && (await readStateFile(own)) === undefined) {
    const moved = await movedFolder(place);
    if ((await readStateFile(moved)) !== undefined) return moved;
  }
  return own;
}

/**
 * Makes or finds the state folder, closed to others, and settles whom PostgreSQL runs as.
 * @throws OperatorError when it cannot be made or reached, when it is of a newer format, or when `--data` names a folder with something else in it.
 */
export async function openStateFolder(place: StatePlace): Promise<StateFolder> {
  // The project itself is not made: a misspelt --project should be heard of.
  if (place.data === undefined && !existsSync(place.project)) {
    throw new OperatorError(
      `The folder "${resolve(place.project)}" does not exist.`,
      'Make it, or correct its name.',
    );
  }
  const wanted = await findStateFolder(place);
  if (!isRoot()) return finish(wanted, place, undefined, []);
  const systemFolder = place.systemFolder ?? systemFolderDefault;
  const moved = await movedFolder(place);
  const first = await tryAsRoot(wanted, place);
  if (!(first instanceof OperatorError)) return finish(wanted, place, first, []);
  // A folder that was named is obeyed or refused; the state of a project may move.
  if (place.data !== undefined || wanted === moved) throw first;
  await makeSystemFolder(systemFolder);
  const runAs = await tryAsRoot(moved, place);
  if (runAs instanceof OperatorError) throw runAs;
  // The pointer tells an ordinary user's later start where the data is; a read-only project does without.
  await writePointer(wanted, moved).catch(() => {});
  return finish(moved, place, runAs, [
    `The state of this project is in "${moved}", because the user "${runAs.name}", as whom root's PostgreSQL runs, cannot reach "${wanted}".`,
  ]);
}

/** Makes the folder reachable for the user that root's Postgres runs as, and tries it. */
async function tryAsRoot(folder: string, place: StatePlace): Promise<RunAs | OperatorError> {
  try {
    await makeFolder(folder, place);
  } catch (error) {
    // Read-only, or closed even to root: another place may do. The rest is for a person to see.
    if (error instanceof OperatorError && ['EROFS', 'EACCES', 'EPERM'].includes(errorCode(error.cause) ?? ''))
      return error;
    throw error;
  }
  const dataFolder = join(folder, 'db');
  const owner = (await stat(dataFolder).catch(() => undefined)) ?? (await stat(folder));
  // What an ordinary user made stays theirs: Postgres runs as them, and they can start it themselves the next day.
  const runAs = owner.uid === 0 ? await unprivilegedUser() : await userOfNumber(owner.uid, owner.gid);
  const own = await stat(folder);
  if (own.uid === 0) {
    await chown(folder, 0, runAs.gid);
    await chmod(folder, 0o710);
  }
  const trial = await run('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], { runAs, timeoutMs: 10_000 });
  if (trial.code === 0) return runAs;
  return new OperatorError(
    `The folder "${folder}" cannot be reached by the user "${runAs.name}", as whom PostgreSQL runs when root starts it.`,
    'Give another folder with --data DIR, give every folder above it the x permission for others, or start as an ordinary user.',
  );
}

async function finish(
  folder: string,
  place: StatePlace,
  runAs: RunAs | undefined,
  notices: readonly string[],
): Promise<StateFolder> {
  if (runAs === undefined) await makeFolder(folder, place);
  const path = await realpath(folder);
  return {
    path,
    dataFolder: join(path, 'db'),
    runAs,
    copiesFolder: runAs === undefined ? path : (place.systemFolder ?? systemFolderDefault),
    notices,
  };
}

async function makeFolder(folder: string, place: StatePlace): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
    const link = await lstat(folder);
    if (isRoot() && link.isSymbolicLink() && link.uid !== 0) {
      throw new OperatorError(
        `"${folder}" is a link that another user made, and root does not follow it.`,
        'Give the folder that it leads to with --data DIR.',
      );
    }
    await refuseForeign(folder, place);
    if (!isRoot()) await chmod(folder, 0o700);
    await writeFile(join(folder, '.gitignore'), '*\n', { flag: 'wx' }).catch((error) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
    // A folder can refuse new files although its .gitignore is there: a read-only mount, another owner.
    const trial = join(folder, `lock.${randomUUID()}.new`);
    await writeFile(trial, '');
    await rm(trial);
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw stateFolderError(folder, error);
  }
}

/** What went wrong with a file of the state folder, as a sentence. */
export function stateFolderError(folder: string, error: unknown): OperatorError {
  const code = errorCode(error);
  const elsewhere = 'Give another folder with --data DIR';
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new OperatorError(
        `The disk that holds "${folder}" is full${code === 'EDQUOT' ? ' (your quota is used up)' : ''}.`,
        `Free some space and start again, or: ${elsewhere}.`,
        error,
      );
    case 'EROFS':
      return new OperatorError(
        `The folder "${folder}" is on a read-only file system.`,
        `${elsewhere}.`,
        error,
      );
    case 'EACCES':
    case 'EPERM':
      return new OperatorError(
        `The folder "${folder}" cannot be written by this user.`,
        `${elsewhere}, or start as the user that owns it.`,
        error,
      );
    case 'ENOTDIR':
    case 'EEXIST':
      return new OperatorError(`"${folder}" is a file, or lies below one.`, `${elsewhere}.`, error);
    default:
      return new OperatorError(
        `The folder "${folder}" cannot be used: ${errorMessage(error)}.`,
        `${elsewhere}.`,
        error,
      );
  }
}

/** `--data` may name any folder; one that holds something else is left alone. */
async function refuseForeign(folder: string, place: StatePlace): Promise<void> {
  const state = await readStateFile(folder);
  if (state !== undefined && state.format > stateFormat) {
    throw new OperatorError(
      `The state in "${folder}" has format ${state.format}; this Millrace knows ${stateFormat}.`,
      'Start the newer Millrace that made it.',
    );
  }
  if (place.data === undefined || state !== undefined) return;
  const names = await readdir(folder);
  if (names.includes('PG_VERSION')) {
    throw new OperatorError(
      `"${folder}" is a PostgreSQL data directory of somebody else's, not a state folder of Millrace.`,
      'Give an empty or a new folder with --data DIR. To use that database, start its own PostgreSQL and give DATABASE_URL.',
    );
  }
  // A start that was killed at once leaves these behind; a fresh volume has its lost+found.
  const foreign = names.find((name) => !/^(\.gitignore|lost\+found|lock\.\S+|db\.new-.+)$/.test(name));
  if (foreign !== undefined) {
    throw new OperatorError(
      `"${folder}" is not empty and is not a state folder of Millrace: it holds "${foreign}" and no state.json.`,
      'Give an empty or a new folder with --data DIR.',
    );
  }
}

async function makeSystemFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const { uid, mode } = await lstat(folder);
    if (uid !== 0 || (mode & 0o022) !== 0) {
      throw new OperatorError(
        `"${folder}" can be written by others than root.`,
        `Run: chown root "${folder}"; chmod 755 "${folder}"`,
      );
    }
  } catch (error) {
    throw error instanceof OperatorError ? error : stateFolderError(folder, error);
  }
}

async function movedFolder(place: StatePlace): Promise<string> {
  const project = await realpath(place.project).catch(() => resolve(place.project));
  const name =
    basename(project)
      .replaceAll(/[^\w.-]+/g, '-')
      .slice(0, 40) || 'project';
  return join(place.systemFolder ?? systemFolderDefault, `${name}-${shortHash(project)}`);
}

async function writePointer(folder: string, movedTo: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, '.gitignore'), '*\n');
  await writeStateFile(folder, { format: stateFormat, movedTo });
}

export async function readStateFile(folder: string): Promise<StateFile | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, 'state.json'), 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'format' in parsed) return parsed as StateFile;
  } catch {
    // Falls through to the same sentence.
  }
  throw new OperatorError(
    `"${join(folder, 'state.json')}" cannot be read as the state of a Millrace.`,
    'Restore it from a backup, or remove it: the next start writes it anew.',
  );
}

/** Whole or not at all: it is written beside and renamed. */
export async function writeStateFile(folder: string, state: StateFile): Promise<void> {
  const draft = join(folder, `lock.${randomUUID()}.new`);
  await writeFile(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o644 });
  await rename(draft, join(folder, 'state.json'));
}

/**
 * The folder of the socket: in the state folder when the path is short enough, else in the system's folder for temporary files,
 * where only the owner that we expect is trusted.
 */
export async function openSocketFolder(state: StateFolder): Promise<string> {
  const uid = state.runAs?.uid ?? process.getuid?.() ?? 0;
  const name = `millrace-${uid}-${shortHash(state.path)}`;
  // Root's TMPDIR may be closed to the user that Postgres runs as.
  const candidates = [
    join(state.path, 'run'),
    ...(state.runAs === undefined ? [join(tmpdir(), name)] : []),
    join('/tmp', name),
  ].filter((path) => Buffer.byteLength(path + longestSocketName) <= maxSocketPathBytes);
  let failure: unknown = new OperatorError(
    `"${state.path}" is too long a path for the database's socket.`,
    'Give a shorter one with --data DIR.',
  );
  for (const folder of candidates) {
    try {
      await makeSocketFolder(folder, uid, state.runAs);
      return folder;
    } catch (error) {
      failure = error instanceof OperatorError ? error : stateFolderError(folder, error);
    }
  }
  throw failure;
}

async function makeSocketFolder(folder: string, uid: number, runAs: RunAs | undefined): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error) => {
    if (errorCode(error) !== 'EEXIST') throw error;
  });
  // Also that of a start that was killed between these two lines.
  if (runAs !== undefined && (await lstat(folder)).uid === 0) await lchown(folder, runAs.uid, runAs.gid);
  const found = await lstat(folder);
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new OperatorError(
      `"${folder}", which should hold the database's socket, is open to other users or belongs to one.`,
      'Remove it, or use a shorter path for the state with --data DIR.',
    );
  }
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10);
}
