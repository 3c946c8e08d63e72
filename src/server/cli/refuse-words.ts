// In charge of: words that stand where none may.
import { OperatorError } from '../../base/errors.ts';

/** @throws OperatorError when there is one. */
export function refuseWords(command: string, words: readonly string[]): void {
  if (words.length === 0) return;
  throw new OperatorError(
    `"${command}" takes no "${words.join(' ')}".`,
    `\`millrace ${command.split(' ')[0]} --help\` shows what it takes.`,
  );
}
