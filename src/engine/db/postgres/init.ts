// In charge of: a new data folder. It is made beside and renamed when it is whole, so that a start that is killed in the middle leaves nothing that the next one trips over.
import { randomBytes } from 'node:crypto';
import { lchown, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { syncPath } from '../../../base/sync-path.ts';
import type { Binaries } from './binaries.ts';
import { diskFull } from './failures.ts';
import { type Ended, type Environment, run } from './process.ts';
import { type StateFolder, stateFolderError } from './state-folder.ts';

/** Makes the data of a folder that has none, in another way than by initdb. */
export type MakeData = (state: StateFolder, binaries: Binaries) => Promise<void>;

const initdbWithinMs = 120_000;

/**
 * The major version of the data in a folder; undefined when there is none yet.
 * @throws OperatorError when the folder holds something else.
 */
export async function readDataMajor(dataFolder: string): Promise<number | undefined> {
  let names: string[];
  try {
    names = await readdir(dataFolder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw stateFolderError(dataFolder, error);
  }
  if (names.length === 0) return undefined;
  const major = Number.parseInt(await readFile(join(dataFolder, 'PG_VERSION'), 'utf8').catch(() => ''), 10);
  if (Number.isInteger(major)) return major;
  throw new OperatorError(
    `"${dataFolder}" is not empty and holds no PostgreSQL data: there is no PG_VERSION beside "${names[0]}".`,
    'Move that folder away, or give another one with --data DIR.',
  );
}

/** What earlier starts were killed over. The lock is held, so nobody works on it; an initdb that still runs ends with its folder. */
export async function removeUnfinished(state: StateFolder): Promise<void> {
  for (const name of await readdir(state.path)) {
    if (/^db\.new-/.test(name))
      await rm(join(state.path, name), { recursive: true, force: true, maxRetries: 5 }).catch(() => {});
  }
}

/**
 * Makes the data folder: UTF-8, sorting by ICU's `en-US`, checksums, one superuser `supabase_admin`, passwords by SCRAM.
 * @throws OperatorError when the disk is full, or with what initdb said.
 */
export async function initData(
  state: StateFolder,
  binaries: Binaries,
  options: {
    readonly superuserPassword: string | undefined;
    /** Data that nobody will miss: not written through to the disk, and with a small write-ahead log. */
    readonly throwAway?: boolean | undefined;
    readonly environment?: Environment | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { runAs, dataFolder } = state;
  const fresh = join(state.path, `db.new-${randomBytes(6).toString('hex')}`);
  const passwordFile = `${fresh}.password`;
  try {
    // Made by us and given away: the state folder itself is not theirs to write.
    await mkdir(fresh, { mode: 0o700 });
    if (runAs !== undefined) await lchown(fresh, runAs.uid, runAs.gid);
    if (options.superuserPassword !== undefined) {
      await writeFile(passwordFile, options.superuserPassword, { mode: 0o600, flag: 'wx' });
      if (runAs !== undefined) await lchown(passwordFile, runAs.uid, runAs.gid);
    }
    const attempt = (ctype: string): Promise<Ended> =>
      run(
        binaries.initdb,
        [
          '-D',
          fresh,
          '--username=supabase_admin',
          '--encoding=UTF8',
          '--locale-provider=icu',
          '--icu-locale=en-US',
          '--locale=C',
          `--lc-ctype=${ctype}`,
          '--data-checksums',
          '--auth-local=peer',
          '--auth-host=scram-sha-256',
          '--no-instructions',
          ...(options.throwAway === true ? ['--no-sync', '--wal-segsize=1'] : []),
          ...(options.superuserPassword === undefined ? [] : [`--pwfile=${passwordFile}`]),
        ],
        { runAs, timeoutMs: initdbWithinMs, environment: options.environment, signal: options.signal },
      );
    // What counts as a letter outside ASCII; macOS and old systems have no C.UTF-8.
    let ended = await attempt(process.platform === 'linux' ? 'C.UTF-8' : 'C');
    if (ended.code !== 0 && /invalid locale name/.test(ended.stderr)) ended = await attempt('C');
    options.signal?.throwIfAborted();
    if (ended.code !== 0) throw explainInit(ended, state.path);
    await rmdir(dataFolder).catch((error) => {
      if (errorCode(error) !== 'ENOENT') throw error;
    });
    await rename(fresh, dataFolder);
    await syncPath(dirname(dataFolder));
  } catch (error) {
    await rm(fresh, { recursive: true, force: true, maxRetries: 5 }).catch(() => {});
    throw error instanceof OperatorError || options.signal?.aborted
      ? error
      : stateFolderError(state.path, error);
  } finally {
    await rm(passwordFile, { force: true }).catch(() => {});
  }
}

function explainInit(ended: Ended, folder: string): OperatorError {
  const said = `${ended.stderr}\n${ended.stdout}`;
  const what = 'The new database could not be made';
  if (/No space left on device|Disk quota exceeded/.test(said)) return diskFull(folder, what);
  if (ended.timedOut)
    return new OperatorError(
      `${what}: initdb did not end within ${initdbWithinMs / 1000} seconds.`,
      `Look at the disk that holds "${folder}".`,
    );
  if (/could not change permissions|Operation not permitted/.test(said)) {
    return new OperatorError(
      `${what}: the file system of "${folder}" does not keep owners and permissions.`,
      "Give a folder on the machine's own disk with --data DIR.",
    );
  }
  const reason = ended.stderr
    .split('\n')
    .filter((line) => /error|FATAL|PANIC|not found|cannot/i.test(line))
    .map((line) =>
      line.replace(/^\S*initdb(\.exe)?: (error: )?/, '').replace(/^.*?(FATAL|PANIC|ERROR):\s+/, ''),
    )[0];
  return new OperatorError(
    `${what}: initdb said: ${reason ?? ended.notStarted ?? ended.signal ?? `exit code ${ended.code}`}.`.replace(
      /\.\.$/,
      '.',
    ),
    `Nothing was left behind in "${folder}" (${basename(folder)}); the next start tries again.`,
  );
}
