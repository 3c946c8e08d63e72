// In charge of: a whole backend for a test, in the test's own process: the same commands as in ./backend.ts, without a start of Node for each,
// which is more than half of what a start costs. Tests of the process itself (signals, kills, memory, other users) take ./backend.ts.
import { readFile } from 'node:fs/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import {
  environmentOf,
  type Finished,
  type RunOptions as ProgramOptions,
  patienceOf,
  type Report,
  type RunningBackend as RunningProgram,
  startWords,
} from './backend.ts';
import { type Output, type Place, runInProcess } from './here.ts';

export { checkout, type Finished, makeProject, type Report } from './backend.ts';

export type RunningBackend = Omit<RunningProgram, 'process'>;
export type RunOptions = Omit<ProgramOptions, 'uid' | 'gid'>;

/** Starts the backend and waits until it says that it is ready. Rejects with its output when it ends before that. */
export async function startBackend(
  project: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<RunningBackend> {
  return untilReady(await startWords(project, args, options), options);
}

/** The same for the Data API alone, in the place of a PostgREST process. */
export async function startOnlyRest(
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<RunningBackend> {
  return untilReady(['start', '--json', '--only', 'rest', ...args], options);
}

async function untilReady(words: readonly string[], options: RunOptions): Promise<RunningBackend> {
  const ending = new AbortController();
  const line = Promise.withResolvers<string>();
  let [stdout, log] = ['', ''];
  const keep = (text: string) => {
    if (options.log !== 'discard') log += text;
  };
  const output: Output = {
    out(text) {
      stdout += text;
      if (stdout.includes('\n')) line.resolve(stdout.slice(0, stdout.indexOf('\n')));
    },
    error: keep,
  };
  const host = { log: keep, ending: ending.signal };
  let hasEnded = false;
  const trustAgain = await trustMore(options.env?.NODE_EXTRA_CA_CERTS);
  const ended = runInProcess(words, { ...placeOf(options), host }, output).finally(() => {
    hasEnded = true;
    trustAgain();
  });
  const timer = setTimeout(() => ending.abort(new Error('not ready in time')), patienceOf(options));
  const first = await Promise.race([line.promise, ended]);
  clearTimeout(timer);
  if (typeof first === 'number' || !first.startsWith('{'))
    throw new Error(`the backend ended with ${first}:\n${log}`);
  const stop = async () => {
    ending.abort(new Error('stopped by the test'));
    return ended;
  };
  return {
    // Sound: what `start --json` prints.
    report: JSON.parse(first) as Report,
    log: () => log,
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      if (!hasEnded) await stop();
    },
  };
}

/** What Node does at its start for a file of certificates. Gives the way back. */
async function trustMore(file: string | undefined): Promise<() => void> {
  if (file === undefined) return () => {};
  const usual = getCACertificates();
  setDefaultCACertificates([...usual, await readFile(file, 'utf8')]);
  return () => setDefaultCACertificates(usual);
}

/** Runs a command of the program to its end. */
export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  let [stdout, stderr] = ['', ''];
  const error = (text: string) => {
    stderr += text;
  };
  const out = (text: string) => {
    stdout += text;
  };
  const code = await runInProcess(
    args,
    // Whoever runs a command to its end never ends it.
    { ...placeOf(options), host: { log: error, ending: new AbortController().signal } },
    { out, error },
  );
  return { code, stdout, stderr };
}

function placeOf(options: RunOptions): Place {
  return { environment: environmentOf(options), currentFolder: options.cwd ?? process.cwd() };
}
