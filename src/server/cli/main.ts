// In charge of: the command `millrace`: runs a command line, and turns what it throws into a sentence and an exit code.
import { errorCode } from '../../base/errors.ts';
import { runCommandLine } from './run.ts';
import { sayFailure } from './say-failure.ts';

// Whoever reads our output may have read enough; see sayFailure.
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
  process.exitCode = sayFailure(error);
}
