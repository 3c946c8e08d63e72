// In charge of: a PostgreSQL that outlived the Node process that started it. It is stopped before the next start; nothing else ever is.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import { delay } from '../../../base/time.ts';
import { isAlive } from './process.ts';

const pollEveryMs = 10;
/** Fast shutdown writes a checkpoint; after this the server is told to stop without one, which costs a recovery. */
const fastWithinMs = 10_000;
const immediateWithinMs = 5_000;

/**
 * Stops every process of a Postgres on `dataFolder`. The caller holds the folder's lock, so it is nobody's.
 * Gives back how many there were. @throws OperatorError when they do not end.
 */
export async function stopLeftovers(dataFolder: string, signal?: AbortSignal): Promise<number> {
  const postmaster = leftPostmaster(dataFolder);
  const first = postmaster === undefined ? findPostgresOn(dataFolder) : [postmaster];
  if (first.length === 0) return 0;
  // Without its postmaster a session ends by itself as soon as it looks up from its query; it is not waited for.
  const steps: readonly (readonly [NodeJS.Signals, number])[] =
    postmaster === undefined
      ? [
          ['SIGQUIT', 500],
          ['SIGKILL', immediateWithinMs],
        ]
      : [
          ['SIGINT', fastWithinMs],
          ['SIGQUIT', immediateWithinMs],
          ['SIGKILL', immediateWithinMs],
        ];
  for (const [kill, withinMs] of steps) {
    const targets = [
      ...new Set([
        ...first,
        ...(postmaster === undefined || kill === 'SIGKILL' ? findPostgresOn(dataFolder) : []),
      ]),
    ];
    for (const pid of targets) send(pid, kill);
    for (let waitedMs = 0; waitedMs < withinMs; waitedMs += pollEveryMs) {
      if (!first.some(isAlive) && findPostgresOn(dataFolder).length === 0) return first.length;
      await delay(pollEveryMs, signal);
    }
  }
  throw new OperatorError(
    `A PostgreSQL that an earlier start left behind on "${dataFolder}" (process ${first.join(', ')}) does not stop.`,
    `End it by hand: kill -9 ${first.join(' ')}`,
  );
}

/** The process that `postmaster.pid` names, when it lives and is really a Postgres on this folder: numbers are used again. */
export function leftPostmaster(dataFolder: string): number | undefined {
  const pid = readPid(join(dataFolder, 'postmaster.pid'));
  return pid !== undefined && isAlive(pid) && isPostgresOn(pid, dataFolder) ? pid : undefined;
}

/**
 * Removes a `postmaster.pid` and a socket's lock that name a process which is no Postgres of ours: PostgreSQL itself goes by the number
 * alone, and would refuse to start until that stranger ends, or until somebody has heard of the end of one that was killed (a zombie: the
 * first process of many containers never asks). Those that name nobody it puts right itself.
 */
export function removeMisleading(dataFolder: string, socketFolder: string | undefined): void {
  const locks =
    socketFolder === undefined
      ? []
      : readdirSync(socketFolder)
          .filter((name) => /^\.s\.PGSQL\.\d+\.lock$/.test(name))
          .map((name) => join(socketFolder, name));
  for (const file of [join(dataFolder, 'postmaster.pid'), ...locks]) {
    const pid = readPid(file);
    if (pid !== undefined && isTaken(pid) && !(isAlive(pid) && isPostgresOn(pid, dataFolder)))
      rmSync(file, { force: true });
  }
}

/** As PostgreSQL asks it: a zombie counts. Source: src/backend/utils/init/miscinit.c `CreateLockFile`. */
function isTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Every Postgres process stands in its data folder. Only Linux tells; elsewhere the postmaster's file has to do. */
function findPostgresOn(dataFolder: string): readonly number[] {
  if (process.platform !== 'linux') return [];
  const folder = realFolder(dataFolder);
  if (folder === undefined) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && standsIn(pid, folder) && isAlive(pid));
}

function isPostgresOn(pid: number, dataFolder: string): boolean {
  if (process.platform === 'linux') {
    const folder = realFolder(dataFolder);
    return folder !== undefined && standsIn(pid, folder);
  }
  const ask: readonly [string, readonly string[]] =
    process.platform === 'win32'
      ? [
          'powershell.exe',
          [
            '-NoProfile',
            '-Command',
            `(Get-CimInstance Win32_Process -Filter 'ProcessId=${pid}').CommandLine`,
          ],
        ]
      : ['ps', ['-o', 'command=', '-p', String(pid)]];
  try {
    const line = execFileSync(ask[0], [...ask[1]], {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return line.includes('postgres') && line.includes(dataFolder);
  } catch {
    return false;
  }
}

/** Once for all processes that are looked at: there are hundreds. */
function realFolder(dataFolder: string): string | undefined {
  try {
    return realpathSync(dataFolder);
  } catch {
    return undefined;
  }
}

/** Whether a process is a Postgres that stands in `folder`, a path without links. */
function standsIn(pid: number, folder: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/cwd`) !== folder) return false;
    // A shell or an editor may stand in the same folder.
    return /\/postgres( \(deleted\))?$/.test(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    return false;
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended, which is what was wanted.
  }
}
