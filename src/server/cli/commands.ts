// In charge of: the commands that there are.
import type { Command } from './command.ts';
import { changes } from './commands/changes.ts';
import { completionOf } from './commands/completion.ts';
import { diffCommand } from './commands/diff.ts';
import { dumpCommand } from './commands/dump.ts';
import { engineCommand } from './commands/engine.ts';
import { exportCommand } from './commands/export.ts';
import { genCommand } from './commands/gen.ts';
import { importCommand } from './commands/import.ts';
import { inspectCommand } from './commands/inspect.ts';
import { keys } from './commands/keys.ts';
import { lintCommand } from './commands/lint.ts';
import { masterKey } from './commands/master-key.ts';
import { migrateCommand } from './commands/migrate.ts';
import { operators } from './commands/operators.ts';
import { pullCommand } from './commands/pull.ts';
import { reset } from './commands/reset.ts';
import { settings } from './commands/settings.ts';
import { signingKeys } from './commands/signing-keys.ts';
import { start } from './commands/start.ts';
import { status } from './commands/status.ts';
import { stop } from './commands/stop.ts';
import { testCommand } from './commands/test.ts';

export const commands: Readonly<Record<string, Command>> = {
  start: {
    sentence: 'Run the backend of a project until Ctrl-C: database, migrations, API.',
    examples: [
      'millrace start',
      'millrace start --project ../my-app --port 4000',
      'millrace start --json | head -1',
      'PGRST_DB_URI=postgres://… millrace start --only rest   (in the place of a PostgREST process)',
    ],
    flags: ['only'],
    words: 1,
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
    usage: '[new | create NAME | list | rotate NAME | revoke NAME]',
    examples: [
      'millrace keys',
      'millrace keys new > .env.production',
      'millrace keys create deploy-bot --role service_role --service rest --expires 90d',
      'millrace keys create shop --role anon --table shop_ --table billing. --address 203.0.113.0/24',
      'millrace keys list',
      'millrace keys rotate deploy-bot --overlap 24h',
      'millrace keys revoke deploy-bot',
    ],
    words: 2,
    actions: ['new', 'create', 'list', 'rotate', 'revoke'],
    flags: ['name', 'role', 'service', 'table', 'address', 'expires', 'overlap', 'url'],
    run: keys,
  },
  'signing-keys': {
    sentence: 'Show, announce, rotate and revoke the keys that sign tokens.',
    usage: '[list | standby [ID] | rotate | revoke ID]',
    examples: [
      'millrace signing-keys list',
      'millrace signing-keys standby',
      'millrace signing-keys standby --algorithm RS256',
      'millrace signing-keys standby --import signing-key.json',
      'millrace signing-keys rotate',
      'millrace signing-keys revoke 3a18cfe2-7226-43b0-bbb4-7c5242f2406e',
      'millrace signing-keys standby 3a18cfe2-7226-43b0-bbb4-7c5242f2406e   (takes it back)',
    ],
    words: 2,
    actions: ['list', 'standby', 'rotate', 'revoke'],
    flags: ['algorithm', 'import', 'now', 'end-legacy-keys', 'url'],
    run: signingKeys,
  },
  'master-key': {
    sentence: 'Show where the master key is that wraps secrets in the database; put a new one in its place.',
    usage: '[rotate]',
    examples: ['millrace master-key', 'millrace master-key rotate'],
    words: 1,
    actions: ['rotate'],
    run: masterKey,
  },
  settings: {
    sentence: 'List, read, set and reset the settings of the running backend.',
    usage: '[get KEY | set KEY VALUE | reset KEY]',
    examples: [
      'millrace settings',
      'millrace settings get api.max_rows',
      'millrace settings set api.max_rows 500',
      'millrace settings reset api.max_rows',
      'MILLRACE_OPERATOR_TOKEN=mro_… millrace settings --url https://api.example.com',
    ],
    words: 3,
    actions: ['get', 'set', 'reset'],
    flags: ['url'],
    run: settings,
  },
  operators: {
    sentence: 'Make, list and revoke tokens that operate the backend from afar.',
    usage: '[create NAME | revoke ID]',
    examples: [
      'millrace operators',
      'millrace operators create prometheus --scopes metrics --expires never',
      'millrace operators create ada@laptop --scopes read,settings --expires 30d',
      'millrace operators revoke 7',
    ],
    words: 2,
    actions: ['list', 'create', 'revoke'],
    flags: ['scopes', 'expires', 'url'],
    run: operators,
  },
  changes: {
    sentence: 'Show what operators changed, who and when.',
    examples: ['millrace changes', 'millrace changes --limit 200 --json'],
    flags: ['limit', 'url'],
    run: changes,
  },
  migrate: migrateCommand,
  reset: {
    sentence: 'Empty the database of a project, then migrate and seed it. Asks first.',
    examples: ['millrace reset', 'millrace reset --yes --no-seed'],
    flags: ['no-seed'],
    run: reset,
  },
  engine: engineCommand,
  diff: diffCommand,
  pull: pullCommand,
  dump: dumpCommand,
  export: exportCommand,
  import: importCommand,
  gen: genCommand,
  inspect: inspectCommand,
  lint: lintCommand,
  test: testCommand,
  completion: completionOf(() => commands),
};
