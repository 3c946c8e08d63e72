// In charge of: running the program's commands within the test's own process: what they are given and what they print, as a shell has it.
import { AsyncLocalStorage } from 'node:async_hooks';
import { format } from 'node:util';
import type { Host } from '../../src/server/cli/command.ts';
import { runCommandLine } from '../../src/server/cli/run.ts';
import { sayFailure } from '../../src/server/cli/say-failure.ts';

/** Who takes what a command prints. */
export interface Output {
  out(text: string): void;
  error(text: string): void;
}

export interface Place {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly currentFolder: string;
  readonly host?: Host | undefined;
}

/** The process has one standard output: each command's part of it is told by where it was called from, so that several can run at once. */
const outputs = new AsyncLocalStorage<Output>();

/** Runs a command line as src/server/cli/main.ts does. Resolves with the exit code. */
export function runInProcess(args: readonly string[], place: Place, output: Output): Promise<number> {
  divertOutput();
  return outputs.run(output, () => runCommandLine(args, place).catch(sayFailure));
}

/** Vitest may have put a console of its own in the place of ours since the last file. */
function divertOutput(): void {
  divert(console, 'log', (output, words) => output.out(`${format(...words)}\n`));
  divert(console, 'error', (output, words) => output.error(`${format(...words)}\n`));
  divert(process.stdout, 'write', (output, words) => {
    output.out(String(words[0]));
    // The rest is an encoding, a callback, or both.
    const done = words.at(-1);
    if (typeof done === 'function') done();
    return true;
  });
}

const diverted = new WeakSet<object>();

function divert<K extends string>(
  // biome-ignore lint/suspicious/noExplicitAny: three functions that have only their being called in common
  owner: Record<K, any>,
  name: K,
  take: (output: Output, words: readonly unknown[]) => unknown,
): void {
  if (diverted.has(owner[name])) return;
  const usual = owner[name].bind(owner);
  const chosen = (...words: unknown[]) => {
    const output = outputs.getStore();
    return output === undefined ? usual(...words) : take(output, words);
  };
  diverted.add(chosen);
  owner[name] = chosen;
}
