// In charge of: the command `millrace`: runs a command line, and turns what it throws into a sentence and an exit code.
import { errorCode, OperatorError } from '../../base/errors.ts';
import { paint } from './paint.ts';
import { runCommandLine } from './run.ts';

// Whoever reads our output may have read enough (`millrace keys new | head -1`); that is no failure of ours.
process.stdout.on('error', (error) => {
  if (errorCode(error) !== 'EPIPE') throw error;
});
try {
  const code = await runCommandLine(process.argv.slice(2), {
    environment: process.env,
    currentFolder: process.cwd(),
  });
  // Said out loud: a reader of our output that has gone, or a timer of a library, must not keep a stopped server alive.
  process.stdout.write('', () => process.exit(code));
} catch (error) {
  if (error instanceof OperatorError) {
    console.error(paint('red', error.message, process.stderr));
    if (error.hint) console.error(error.hint);
    process.exitCode = 1;
  } else if (errorCode(error) !== 'EPIPE') {
    console.error(error);
    process.exitCode = 1;
  }
}
