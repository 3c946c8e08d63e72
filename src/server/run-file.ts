// In charge of: what a running backend leaves for `status` and `stop`: a file in the state folder that only its owner can read.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, OperatorError } from '../base/errors.ts';
import { writePrivately } from '../base/private-file.ts';
import { isAlive, processStart } from '../engine/db/postgres/process.ts';

/** The names that `supabase status -o json` uses, and ours. */
export type StatusReport = Readonly<Record<string, string | number>>;

/** A process. A number alone could be a later one's, so the time of its start belongs to it. */
export interface ProcessName {
  readonly pid: number;
  readonly start: string;
}

interface RunFile extends ProcessName {
  readonly production: boolean;
  readonly report: StatusReport;
}

const fileName = 'run.json';

export async function writeRunFile(
  stateFolder: string,
  report: StatusReport,
  production: boolean,
): Promise<void> {
  const content: RunFile = { pid: process.pid, start: processStart(process.pid) ?? '', production, report };
  const path = join(stateFolder, fileName);
  // With DATABASE_URL nobody has made the folder yet.
  if ((await mkdir(stateFolder, { recursive: true, mode: 0o700 })) !== undefined) {
    await writeFile(join(stateFolder, '.gitignore'), '*\n');
  }
  // Whole or not at all: `status` may read at any moment, and several may start at once over one database.
  await writePrivately(path, JSON.stringify(content));
}

/** The backend that runs on this state folder; undefined when none does. @throws OperatorError when this user may not look. */
export async function findRunning(stateFolder: string): Promise<RunFile | undefined> {
  let content: RunFile;
  try {
    // Sound: only writeRunFile writes this file, and whole.
    content = JSON.parse(await readFile(join(stateFolder, fileName), 'utf8')) as RunFile;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    if (errorCode(error) !== 'EACCES') throw error;
    throw new OperatorError(
      `The state in "${stateFolder}" belongs to another user and cannot be read by this one.`,
      'Ask as the user that started the backend, or as root.',
      error,
    );
  }
  return lives(content) ? content : undefined;
}

export function lives({ pid, start }: ProcessName): boolean {
  return isAlive(pid) && (processStart(pid) ?? '') === start;
}

export async function removeRunFile(stateFolder: string): Promise<void> {
  await rm(join(stateFolder, fileName), { force: true });
}
