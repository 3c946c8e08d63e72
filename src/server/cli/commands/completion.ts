// In charge of: `millrace completion bash|zsh|fish`.
import { OperatorError } from '../../../base/errors.ts';
import type { Command, Invocation } from '../command.ts';
import { renderCompletion, shells } from '../completion.ts';

/** `all` is asked when it runs: this command is among them. */
export function completionOf(all: () => Readonly<Record<string, Command>>): Command {
  return {
    sentence: 'Print a script that teaches a shell the commands and flags.',
    usage: shells.join('|'),
    examples: [
      'source <(millrace completion bash)',
      'source <(millrace completion zsh)',
      'millrace completion fish > ~/.config/fish/completions/millrace.fish',
    ],
    words: 1,
    actions: shells,
    async run({ options }: Invocation) {
      const shell = shells.find((name) => name === options.rest[0]);
      if (shell === undefined) {
        throw new OperatorError(
          options.rest[0] === undefined
            ? 'Which shell is the script for?'
            : `There is no completion for "${options.rest[0]}".`,
          `Say one of ${shells.join(', ')}.`,
        );
      }
      process.stdout.write(renderCompletion(shell, all()));
      return 0;
    },
  };
}
