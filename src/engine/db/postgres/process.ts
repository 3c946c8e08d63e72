// In charge of: other processes of this machine: running one to its end within bounds, and telling whether a number still means the same process.
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { parse } from 'node:path';
import { errorCode } from '../../../base/errors.ts';

/** An operating-system user to run a child as. Only root can become somebody else. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it could not be started at all (`ENOENT`, `EACCES`). */
  readonly notStarted: string | undefined;
  readonly timedOut: boolean;
}

/** A child says no more than this of each stream; the rest is dropped. */
const maxOutputChars = 64 * 1024;

/** Runs a program to its end. Never throws for what the program does; `timeoutMs` ends it by force. */
export function run(
  file: string,
  args: readonly string[],
  options: {
    readonly runAs?: RunAs | undefined;
    readonly timeoutMs: number;
    readonly environment?: Environment | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      env: childEnvironment(options.environment),
      cwd: neutralFolder(),
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
      ...identityOf(options.runAs),
    });
    let stdout = '';
    let stderr = '';
    let notStarted: string | undefined;
    let timedOut = false;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout = (stdout + chunk).slice(-maxOutputChars);
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr = (stderr + chunk).slice(-maxOutputChars);
    });
    const kill = () => child.kill('SIGKILL');
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, options.timeoutMs);
    options.signal?.addEventListener('abort', kill, { once: true });
    child.on('error', (error) => {
      notStarted ??= errorCode(error) ?? error.message;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', kill);
      resolve({ code, signal, stdout, stderr, notStarted, timedOut });
    });
  });
}

/** What `spawn` needs to become `runAs`; nothing when that is nobody else than us. */
export function identityOf(runAs: RunAs | undefined): { uid?: number; gid?: number } {
  return runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid };
}

/** Ours, or what Windows cannot do without of it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment of a Postgres process. Not ours: ours may hold keys, and PG… variables would change what Postgres does.
 * TZ spares initdb its search for the time zone; messages are read by us, so they are in English.
 */
export function childEnvironment(environment: Environment | undefined): NodeJS.ProcessEnv {
  if (process.platform !== 'win32') return { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' };
  const kept: NodeJS.ProcessEnv = { LC_ALL: 'C', TZ: 'UTC' };
  for (const name of ['PATH', 'Path', 'SystemRoot', 'TEMP', 'TMP', 'ComSpec', 'PATHEXT']) {
    const value = environment?.[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/** A folder that every user can stand in. */
export function neutralFolder(): string {
  return parse(process.execPath).root;
}

/** Another number after each boot of the machine; empty where the start times of processes are absolute anyway. */
export function bootId(): string {
  return process.platform === 'linux' ? readTextOr('/proc/sys/kernel/random/boot_id', '').trim() : '';
}

/** Process numbers mean something only within this: another container has others. Empty where there is no such thing. */
export function processSpace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/**
 * When a process started, in whatever unit the system has, for comparing only; undefined when there is none of that number.
 * A process that has ended and only waits to be collected does not count.
 */
export function processStart(pid: number): string | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (process.platform === 'linux') {
    const stat = readTextOr(`/proc/${pid}/stat`, '');
    // The name in parentheses may hold anything, so the fields are counted from the last one. Source: proc_pid_stat(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return stat === '' || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
  const ask: [string, string[]] =
    process.platform === 'win32'
      ? ['powershell.exe', ['-NoProfile', '-Command', `(Get-Process -Id ${pid}).StartTime.ToFileTimeUtc()`]]
      : ['ps', ['-o', 'lstart=', '-p', String(pid)]];
  try {
    const text = execFileSync(ask[0], ask[1], {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text.trim() === '' ? undefined : text.trim();
  } catch {
    return undefined;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || processStart(pid) !== undefined;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

function readTextOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
