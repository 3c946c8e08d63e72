// In charge of: a whole backend for a test: the program itself, as its own process, on a project in a temporary folder.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { giveData } from './made-data.ts';

export const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const cli = join(checkout, 'bin', 'millrace.mjs');

/** What `start --json` prints. */
export interface Report {
  readonly API_URL: string;
  readonly REST_URL: string;
  readonly DB_URL: string;
  /** Left out in production. */
  readonly MAILPIT_URL?: string;
  readonly INBUCKET_URL?: string;
  readonly PUBLISHABLE_KEY: string;
  readonly SECRET_KEY: string;
  readonly ANON_KEY: string;
  readonly SERVICE_ROLE_KEY: string;
  readonly JWT_SECRET: string;
  readonly ENGINE: string;
  readonly READY_MS: number;
  readonly PID: number;
}

export interface RunningBackend extends AsyncDisposable {
  readonly report: Report;
  readonly process: ChildProcess;
  /** What it wrote to standard error so far: its log. */
  log(): string;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<number | string>;
}

export interface Finished {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Where the log goes: kept for `log()`, or thrown away where reading it would disturb a measurement. */
  readonly log?: 'keep' | 'discard';
  /** The start makes its data itself, where which engine it chooses is what is tested. */
  readonly ownData?: boolean;
  /** How long a start, or a command, may take before it is ended. */
  readonly timeoutMs?: number;
}

/** Ports of its own, so that many can run at once. */
const freePorts = ['--port', '0', '--db-port', '0'];
/** `MILLRACE_TEST_ENGINE=pglite npm test -- test/supabase-js.test.ts` runs the same stories on another engine. */
const onEngine = (args: readonly string[], env: RunOptions['env']): readonly string[] =>
  process.env.MILLRACE_TEST_ENGINE === undefined ||
  args.includes('--engine') ||
  env?.DATABASE_URL !== undefined
    ? []
    : ['--engine', process.env.MILLRACE_TEST_ENGINE];
const defaultTimeoutMs = 60_000;
/** As `npm start`: `nodeFlags` of bin/run-ts.mjs. */
const nodeFlags = ['--max-semi-space-size=16'];
/** PGlite makes its data itself, and takes its time. */
const patience = process.env.MILLRACE_TEST_ENGINE === undefined ? 1 : 5;
/** How long a start may take. */
export const patienceOf = ({ timeoutMs = defaultTimeoutMs }: RunOptions): number => patience * timeoutMs;

/** Only what a shell has: the variables of the machine that runs the tests are not the test's. */
export function environmentOf({ env }: RunOptions): Readonly<Record<string, string | undefined>> {
  const { PATH, HOME, LANG } = process.env;
  // No second port for the inbox: the one of config.toml is one for all, and tests run beside each other.
  return { PATH, HOME, LANG, MILLRACE_INBOX_PORT: '0', ...env };
}

/** Starts the program and waits until it says that it is ready. Rejects with its output when it ends before that. */
export async function startBackend(
  project: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<RunningBackend> {
  return untilReady(run(await startWords(project, args, options), options), options);
}

/** The command line of a start; the data that most starts would make is made here. */
export async function startWords(
  project: string,
  args: readonly string[],
  options: RunOptions,
): Promise<readonly string[]> {
  if (isUsual(args, options)) await giveData(project, args[args.indexOf('--data') + 1 || args.length]);
  return ['start', '--json', '--project', project, ...freePorts, ...onEngine(args, options.env), ...args];
}

function isUsual(args: readonly string[], { env, uid, ownData }: RunOptions): boolean {
  const elsewhere = ['--pg-bin', '--engine', '--production'];
  const isElsewhere = [...args, ...onEngine(args, env)].some((arg) => elsewhere.includes(arg));
  return ownData !== true && uid === undefined && env?.DATABASE_URL === undefined && !isElsewhere;
}

/** The same for the Data API alone, in the place of a PostgREST process. */
export async function startOnlyRest(
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<RunningBackend> {
  return untilReady(run(['start', '--json', '--only', 'rest', ...args], options), options);
}

async function untilReady(child: ChildProcess, options: RunOptions): Promise<RunningBackend> {
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  const line = new Promise<string>((resolve) =>
    createInterface({ input: child.stdout! }).once('line', resolve),
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceOf(options));
  const first = await Promise.race([line, ended]);
  clearTimeout(timer);
  if (typeof first === 'number' || !first.startsWith('{'))
    throw new Error(`the backend ended with ${first}:\n${stderr}`);
  const stop = async () => {
    child.kill('SIGTERM');
    return ended;
  };
  return {
    report: JSON.parse(first) as Report,
    process: child,
    log: () => stderr,
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await stop();
    },
  };
}

/** Starts the program and waits for nothing: whoever asks ends it. */
export function startOnly(project: string): ChildProcess {
  return run(['start', '--json', '--project', project, ...freePorts], { log: 'discard' });
}

/** Runs a command of the program to its end. */
export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = run(args, options);
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? defaultTimeoutMs);
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  return { code: code ?? signal, stdout, stderr };
}

function run(args: readonly string[], options: RunOptions): ChildProcess {
  const { log, cwd, uid, gid } = options;
  const child = spawn(process.execPath, [...nodeFlags, cli, ...args], {
    stdio: ['ignore', 'pipe', log === 'discard' ? 'ignore' : 'pipe'],
    env: environmentOf(options),
    cwd,
    uid,
    gid,
  });
  // A test run that is cut short leaves no backend behind.
  const onExit = () => child.kill('SIGTERM');
  process.once('exit', onExit);
  child.once('exit', () => process.off('exit', onExit));
  return child;
}

/** A project folder in a place of its own; removed by `await using`. `files` are written below it. */
export async function makeProject(
  files: Readonly<Record<string, string>>,
  from?: string,
): Promise<{ readonly folder: string } & AsyncDisposable> {
  const outer = await mkdtemp(join(tmpdir(), 'mr project '));
  // Root's Postgres runs as another user, who has to get through.
  await chmod(outer, 0o755);
  const folder = join(outer, 'project');
  await mkdir(join(folder, 'supabase'), { recursive: true });
  if (from) await cp(from, folder, { recursive: true, filter: (source) => !source.includes('.millrace') });
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return {
    folder,
    [Symbol.asyncDispose]: () => rm(outer, { recursive: true, force: true }),
  };
}
