// In charge of: what the tests of this folder share: folders that other users can reach, starts in processes of their own, questions to a server.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { isRoot, unprivilegedUser } from './os-user.ts';
import { identityOf, isAlive, neutralFolder, type RunAs, run } from './process.ts';
import type { PostgresOptions } from './supervisor.ts';

/** A fresh folder whose name has a space. Every user can reach it, and `owner` can write it. */
export async function makeFolder(owner?: RunAs): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'millrace-test-'));
  await chmod(base, 0o755);
  const folder = join(base, 'my project');
  await mkdir(folder);
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
  return folder;
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(join(folder, '..'), { recursive: true, force: true, maxRetries: 5 });
}

/** Another user than root whom root can run Node as; undefined, with the reason printed, when there is none. */
export async function ordinaryUser(): Promise<RunAs | undefined> {
  if (!isRoot()) return undefined;
  const runAs = await unprivilegedUser();
  const reached = await run(process.execPath, [import.meta.filename], { runAs, timeoutMs: 10_000 });
  if (reached.code === 0) return runAs;
  process.stderr.write(
    `Skipped as "${runAs.name}", who cannot reach Node or this checkout: ${reached.stderr.slice(0, 200)}\n`,
  );
  return undefined;
}

export interface Ready {
  readonly version: string;
  readonly stateFolder: string;
  readonly processId: number;
  readonly notices: readonly string[];
  readonly login: pg.ClientConfig;
}

export interface Refused {
  readonly message: string;
  readonly hint: string | null;
}

export interface StartedProcess {
  readonly child: ChildProcess;
  /** What came of it; rejects when the process ends without a word. */
  readonly outcome: Promise<{ readonly ready?: Ready; readonly refused?: Refused }>;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

/** `openPostgres` in a process of its own. */
export function startProcess(
  options: Omit<PostgresOptions, 'observe' | 'password'>,
  runAs?: RunAs,
): StartedProcess {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'one-start.ts'), JSON.stringify({ password: 'postgres', ...options })],
    // An empty environment: no HOME, no TMPDIR.
    { cwd: neutralFolder(), env: {}, stdio: ['ignore', 'pipe', 'pipe'], ...identityOf(runAs) },
  );
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  const outcome = new Promise<{ ready?: Ready; refused?: Refused }>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      const said = JSON.parse(line) as { ready?: Ready; refused?: Refused };
      if (said.ready !== undefined || said.refused !== undefined) resolve(said);
    });
    void ended.then((how) => reject(new Error(`The start ended with ${how}: ${complaint}`)));
  });
  // A process that is killed on purpose has no outcome, and nobody asks.
  outcome.catch(() => {});
  return { child, outcome, ended };
}

/** One column of one row. */
export async function askValue(login: pg.ClientConfig, sql: string): Promise<unknown> {
  const client = new pg.Client(login);
  // A server that is killed breaks the connection as well as the query; the query tells.
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

/** Resolves when no process has that number any more; the test's own bound ends a wait in vain. */
export async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Resolves when `look` finds something. */
export async function until<T>(look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
