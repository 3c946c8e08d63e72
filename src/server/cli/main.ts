// In charge of: the command `millrace`. Finds the command, runs it, and turns what it throws into a sentence and an exit code.
import { errorCode, OperatorError } from '../../base/errors.ts';
import { packageVersion } from '../version.ts';
import { keys } from './commands/keys.ts';
import { migrate } from './commands/migrate.ts';
import { reset } from './commands/reset.ts';
import { start } from './commands/start.ts';
import { status } from './commands/status.ts';
import { stop } from './commands/stop.ts';
import { type Options, parseOptions } from './options.ts';

/** What a command gets: the command line, the environment, and where it stands. */
export interface Invocation {
  readonly options: Options;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly currentFolder: string;
}

interface Command {
  readonly sentence: string;
  readonly examples: readonly string[];
  /** Resolves with the exit code. */
  readonly run: (invocation: Invocation) => Promise<number>;
}

const commands: Readonly<Record<string, Command>> = {
  start: {
    sentence: 'Run the backend of a project until Ctrl-C: database, migrations, API.',
    examples: [
      'millrace start',
      'millrace start --project ../my-app --port 4000',
      'millrace start --json | head -1',
      'PGRST_DB_URI=postgres://… millrace start --only rest   (in the place of a PostgREST process)',
    ],
    run: start,
  },
  stop: {
    sentence: 'Stop the backend of a project and wait until it is down.',
    examples: ['millrace stop'],
    run: stop,
  },
  status: {
    sentence: 'Show URLs and keys of the running backend.',
    examples: ['millrace status', 'millrace status --json'],
    run: status,
  },
  keys: {
    sentence: 'Show the keys of a project; `keys new` makes a set of secrets for production.',
    examples: ['millrace keys', 'millrace keys new > .env.production'],
    run: keys,
  },
  migrate: {
    sentence: 'Apply the migrations that the database does not have yet.',
    examples: ['millrace migrate', 'DATABASE_URL=postgres://… millrace migrate'],
    run: migrate,
  },
  reset: {
    sentence: 'Empty the database of a project, then migrate and seed it. Asks first.',
    examples: ['millrace reset', 'millrace reset --yes --no-seed'],
    run: reset,
  },
};

const flags = `Flags
  --project DIR     the folder that holds supabase/ (default: here)
  --port N          the HTTP port (default: 54321; 0: any free one)
  --host ADDRESS    what the HTTP port listens on (default: 127.0.0.1)
  --db-port N       the database port (default: 54322; 0: any free one)
  --db-host ADDRESS what the database port listens on (default: 127.0.0.1)
  --data DIR        where the state lives (default: .millrace in the project)
  --pg-bin DIR      use an installed PostgreSQL's bin folder
  --only rest       the Data API alone over PGRST_DB_URI, with PostgREST's settings and nothing else
  --production      refuse what is only for development
  --log-level WORD  debug, info, warn, error, silent
  --json            print one line for programs; logs go to standard error
  --yes, -y         do not ask
  --no-seed         reset: leave the seed files out
  --help, -h        this text, or a command's
  --version, -v     the version`;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.version) {
    console.log(packageVersion());
    return 0;
  }
  const command = Object.hasOwn(commands, options.command) ? commands[options.command] : undefined;
  if (command && options.help) {
    console.log(
      [command.sentence, '', 'Examples', ...command.examples.map((line) => `  ${line}`), '', flags].join(
        '\n',
      ),
    );
    return 0;
  }
  if (command && options.rest.length > mostWords(options)) {
    throw new OperatorError(
      `"${options.command}" takes no "${options.rest.join(' ')}".`,
      'Another project than the one here is given with --project DIR.',
    );
  }
  if (command) return command.run({ options, environment: process.env, currentFolder: process.cwd() });
  if (options.command === '' || options.command === 'help') {
    console.log(help());
    return options.command === '' && !options.help ? 1 : 0;
  }
  throw new OperatorError(
    `There is no command "${options.command}".`,
    `Commands: ${Object.keys(commands).join(', ')}.`,
  );
}

/** How many words may follow a command: `keys new`, and PostgREST's configuration file. */
function mostWords({ command, only }: Options): number {
  return command === 'keys' || (command === 'start' && only !== undefined) ? 1 : 0;
}

function help(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(
    ([name, { sentence }]) => `  ${name.padEnd(width)}  ${sentence}`,
  );
  return ['millrace: the backend of an application as one program', '', 'Commands', ...lines, '', flags].join(
    '\n',
  );
}

// Whoever reads our output may have read enough (`millrace keys new | head -1`); that is no failure of ours.
process.stdout.on('error', (error) => {
  if (errorCode(error) !== 'EPIPE') throw error;
});
try {
  const code = await main();
  // Said out loud: a reader of our output that has gone, or a timer of a library, must not keep a stopped server alive.
  process.stdout.write('', () => process.exit(code));
} catch (error) {
  if (error instanceof OperatorError)
    console.error(error.hint ? `${error.message}\n${error.hint}` : error.message);
  else console.error(error);
  process.exitCode = 1;
}
