// In charge of: the command `millrace`. Finds the command, runs it, and turns what it throws into a sentence and an exit code.
import { errorCode, OperatorError } from '../../base/errors.ts';
import { packageVersion } from '../version.ts';
import { changes } from './commands/changes.ts';
import { keys } from './commands/keys.ts';
import { masterKey } from './commands/master-key.ts';
import { migrate } from './commands/migrate.ts';
import { operators } from './commands/operators.ts';
import { reset } from './commands/reset.ts';
import { settings } from './commands/settings.ts';
import { signingKeys } from './commands/signing-keys.ts';
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
    sentence:
      'Show the keys of a project; make, list, rotate and revoke more; `keys new`: secrets for production.',
    examples: [
      'millrace keys',
      'millrace keys new > .env.production',
      'millrace keys create deploy-bot --role service_role --service rest --expires 90d',
      'millrace keys create shop --role anon --table shop_ --table billing. --address 203.0.113.0/24',
      'millrace keys list',
      'millrace keys rotate deploy-bot --overlap 24h',
      'millrace keys revoke deploy-bot',
    ],
    run: keys,
  },
  'signing-keys': {
    sentence: 'Show, announce, rotate and revoke the keys that sign tokens.',
    examples: [
      'millrace signing-keys list',
      'millrace signing-keys standby',
      'millrace signing-keys standby --algorithm RS256',
      'millrace signing-keys standby --import signing-key.json',
      'millrace signing-keys rotate',
      'millrace signing-keys revoke 3a18cfe2-7226-43b0-bbb4-7c5242f2406e',
      'millrace signing-keys standby 3a18cfe2-7226-43b0-bbb4-7c5242f2406e   (takes it back)',
    ],
    run: signingKeys,
  },
  'master-key': {
    sentence: 'Show where the master key is that wraps secrets in the database; put a new one in its place.',
    examples: ['millrace master-key', 'millrace master-key rotate'],
    run: masterKey,
  },
  settings: {
    sentence: 'List, read, set and reset the settings of the running backend.',
    examples: [
      'millrace settings',
      'millrace settings get api.max_rows',
      'millrace settings set api.max_rows 500',
      'millrace settings reset api.max_rows',
      'MILLRACE_OPERATOR_TOKEN=mro_… millrace settings --url https://api.example.com',
    ],
    run: settings,
  },
  operators: {
    sentence: 'Make, list and revoke tokens that operate the backend from afar.',
    examples: [
      'millrace operators',
      'millrace operators create prometheus --scopes metrics --expires never',
      'millrace operators create ada@laptop --scopes read,settings --expires 30d',
      'millrace operators revoke 7',
    ],
    run: operators,
  },
  changes: {
    sentence: 'Show what operators changed, who and when.',
    examples: ['millrace changes', 'millrace changes --limit 200 --json'],
    run: changes,
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
  --url URL         keys, signing-keys, settings, operators, changes: a backend elsewhere, with MILLRACE_OPERATOR_TOKEN
  --scopes LIST     operators create: some of read, settings, keys, metrics, operators
  --expires WORD    operators create: 90d (the default), another number of days, or never; keys create: the same (default: never)
  --limit N         changes: how many (default: 50)
  --role NAME       keys create: the role that the key gives
  --service NAME    keys create: a service that it is for; again for more (default: all)
  --table PREFIX    keys create: what tables and functions that it is for begin with; again for more (default: all)
  --address CIDR    keys create: where its clients are; again for more (default: anywhere)
  --overlap TIME    keys rotate: how long the replaced key stays valid (default: 24h)
  --algorithm WORD  signing-keys standby: ES256 (the default), RS256, EdDSA or HS256
  --import FILE     signing-keys standby: a private JWK, as \`supabase gen signing-key\` writes it
  --now             signing-keys rotate: although the key was announced less than 20 minutes ago
  --end-legacy-keys signing-keys revoke legacy: the legacy API keys end with the JWT secret
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

/** How many words may follow a command: `settings set KEY VALUE`, and PostgREST's configuration file. */
function mostWords({ command, only }: Options): number {
  if (command === 'start') return only === undefined ? 0 : 1;
  return Object.hasOwn(wordsAfter, command) ? wordsAfter[command]! : 0;
}

const wordsAfter: Readonly<Record<string, number>> = {
  keys: 2,
  'signing-keys': 2,
  'master-key': 1,
  settings: 3,
  operators: 2,
};

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
