// In charge of: what a command line says when it fails.
import { errorCode, OperatorError } from '../../base/errors.ts';
import { paint } from './paint.ts';

/** Says it on standard error and gives the exit code. */
export function sayFailure(error: unknown): number {
  if (error instanceof OperatorError) {
    console.error(paint('red', error.message, process.stderr));
    if (error.hint) console.error(error.hint);
    return 1;
  }
  // Whoever reads our output has read enough (`millrace keys new | head -1`); that is no failure of ours.
  if (errorCode(error) === 'EPIPE') return 0;
  console.error(error);
  return 1;
}
