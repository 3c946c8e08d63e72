// In charge of: what a command of the command line is, and what it gets when it runs.
import type { FlagName } from './flags.ts';
import type { Options } from './options.ts';

/** What a command gets: the command line, the environment, and where it stands. */
export interface Invocation {
  readonly options: Options;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly currentFolder: string;
  /** What stands for the process where the command does not have one to itself. Default: the process's own log and signals. */
  readonly host?: Host | undefined;
}

export interface Host {
  /** Takes lines of the log. */
  log(text: string): void;
  /** Asks the command to end, as a signal of the system does. */
  readonly ending: AbortSignal;
}

export interface Command {
  readonly sentence: string;
  /** The words behind the command, as a help shows them: `[name]`. */
  readonly usage?: string;
  readonly examples: readonly string[];
  /** How many words may follow the command. Default: none. */
  readonly words?: number;
  /** The first of those words, when they are of a list: what a shell offers. */
  readonly actions?: readonly string[];
  /** The flags that it takes beside those that every command takes. */
  readonly flags?: readonly FlagName[];
  /** Resolves with the exit code. */
  readonly run: (invocation: Invocation) => Promise<number>;
}
