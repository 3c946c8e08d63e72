// In charge of: one command line: finds its command, refuses what that does not take, and runs it.
import { OperatorError } from '../../base/errors.ts';
import { packageVersion } from '../version.ts';
import type { Command, Invocation } from './command.ts';
import { commands } from './commands.ts';
import { flagTable } from './flags.ts';
import { renderCommandHelp, renderHelp } from './help.ts';
import { nearestWord } from './nearest-word.ts';
import { type Options, parseOptions } from './options.ts';

/** Resolves with the exit code. @throws OperatorError with what is wrong and the next move. */
export async function runCommandLine(
  args: readonly string[],
  place: Omit<Invocation, 'options'>,
): Promise<number> {
  const options = parseOptions(args);
  if (options.version) {
    console.log(packageVersion());
    return 0;
  }
  const name = options.command === 'help' ? (options.rest[0] ?? '') : options.command;
  if (name === '') {
    console.log(renderHelp(commands));
    return options.command === '' && !options.help ? 1 : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw unknownCommand(name);
  if (options.help || options.command === 'help') {
    console.log(renderCommandHelp(name, command));
    return 0;
  }
  refuseWhatItDoesNotTake(command, options);
  return command.run({ ...place, options });
}

function unknownCommand(name: string): OperatorError {
  const near = nearestWord(Object.keys(commands), name);
  return new OperatorError(
    `There is no command "${name}".`,
    near === undefined
      ? `Commands: ${Object.keys(commands).join(', ')}.`
      : `Perhaps you meant \`millrace ${near}\`.`,
  );
}

/** @throws OperatorError for a word too many, and for a flag of another command. */
function refuseWhatItDoesNotTake(command: Command, { command: name, rest, given, only }: Options): void {
  // The word behind `start` is PostgREST's configuration file.
  const words = name === 'start' && only === undefined ? 0 : (command.words ?? 0);
  if (rest.length > words) {
    throw new OperatorError(
      `"${name}" takes no "${rest.slice(words === 0 ? 0 : words).join(' ')}".`,
      words === 0
        ? 'Another project than the one here is given with --project DIR.'
        : `\`millrace ${name} --help\` shows what it takes.`,
    );
  }
  const own: readonly string[] = command.flags ?? [];
  const foreign = given.find((flag) => flagTable()[flag]!.general !== true && !own.includes(flag));
  if (foreign === undefined) return;
  const takers = Object.entries(commands).filter(([, { flags = [] }]) => flags.includes(foreign));
  throw new OperatorError(
    `"${name}" takes no flag --${foreign}.`,
    takers.length === 0
      ? `\`millrace ${name} --help\` lists its flags.`
      : `It belongs to ${takers.map(([taker]) => `\`millrace ${taker}\``).join(', ')}.`,
  );
}
