// In charge of: one start in a process of its own, for tests that run it as another user, run two at once, or kill it.
//
// The first argument holds the options as JSON. Prints one line of JSON when ready or refused; stops on SIGTERM.
import { OperatorError } from '../../../base/errors.ts';
import { openPostgres, type PostgresOptions } from './supervisor.ts';

type Given = Omit<PostgresOptions, 'observe'>;

const options = JSON.parse(process.argv[2] ?? '{}') as Given;
// Every line is one write, so that a reader never sees half of it.
const say = (line: Readonly<Record<string, unknown>>) => process.stdout.write(`${JSON.stringify(line)}\n`);

try {
  const server = await openPostgres({
    ...options,
    observe: (observation) => {
      if (observation.kind !== 'postgres.log') say({ observation });
    },
  });
  process.once('SIGTERM', () => {
    void server.stop().then(() => process.exit(0));
  });
  process.once('SIGUSR2', () => {
    throw new Error('A bug, played.');
  });
  say({
    ready: {
      version: server.version,
      stateFolder: server.stateFolder,
      processId: server.processId,
      notices: server.notices,
      login: server.login('supabase_admin'),
    },
  });
} catch (error) {
  if (!(error instanceof OperatorError)) throw error;
  say({ refused: { message: error.message, hint: error.hint } });
  process.exitCode = 1;
}
