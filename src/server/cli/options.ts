// In charge of: the command line as values. Flags beat the environment, which beats config.toml.
import { parseArgs } from 'node:util';
import { OperatorError } from '../../base/errors.ts';

export interface Options {
  readonly command: string;
  /** What follows the command and is no flag: `keys new`. */
  readonly rest: readonly string[];
  readonly project: string | undefined;
  readonly data: string | undefined;
  readonly pgBin: string | undefined;
  readonly only: string | undefined;
  readonly production: boolean;
  readonly json: boolean;
  readonly yes: boolean;
  readonly help: boolean;
  readonly version: boolean;
  readonly seed: boolean;
  /** A backend elsewhere, for the commands that go over the operator plane. */
  readonly url: string | undefined;
  /** What an operator token may do, separated by commas. */
  readonly scopes: string | undefined;
  /** `90d`, or `never`. */
  readonly expires: string | undefined;
  readonly limit: string | undefined;
  /** What a new key is: its name, the role that it gives, and what it is narrowed to. */
  readonly name: string | undefined;
  readonly role: string | undefined;
  readonly services: readonly string[];
  readonly tables: readonly string[];
  readonly addresses: readonly string[];
  /** How long a replaced key stays valid: `24h`. */
  readonly overlap: string | undefined;
  /** What a new signing key is for, or the file that it is in. */
  readonly algorithm: string | undefined;
  readonly importFile: string | undefined;
  /** A signing key is to sign although it was announced just now. */
  readonly now: boolean;
  /** The JWT secret is to end, and the legacy API keys with it. */
  readonly endLegacyKeys: boolean;
  /** Flags that are settings, under their setting's key. */
  readonly settings: ReadonlyMap<string, string>;
}

/** Flags that stand for a setting. */
const settingFlags = {
  host: 'api.host',
  port: 'api.port',
  'db-host': 'db.host',
  'db-port': 'db.port',
  'log-level': 'log.level',
} as const;

/** @throws OperatorError for a flag that does not exist or lacks its value. */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  const settings = new Map<string, string>();
  for (const [name, key] of Object.entries(settingFlags)) {
    // Sound: every flag of settingFlags is declared as text below.
    const value = values[name as keyof typeof settingFlags];
    if (value !== undefined) settings.set(key, value);
  }
  const [command = '', ...rest] = positionals;
  return {
    command,
    rest,
    settings,
    project: values.project,
    data: values.data,
    pgBin: values['pg-bin'],
    only: values.only,
    production: values.production ?? false,
    json: values.json ?? false,
    yes: values.yes ?? false,
    help: values.help ?? false,
    version: values.version ?? false,
    seed: !(values['no-seed'] ?? false),
    url: values.url,
    scopes: values.scopes,
    expires: values.expires,
    limit: values.limit,
    name: values.name,
    role: values.role,
    services: values.service ?? [],
    tables: values.table ?? [],
    addresses: values.address ?? [],
    overlap: values.overlap,
    algorithm: values.algorithm,
    importFile: values.import,
    now: values.now ?? false,
    endLegacyKeys: values['end-legacy-keys'] ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        project: { type: 'string' },
        data: { type: 'string' },
        'pg-bin': { type: 'string' },
        only: { type: 'string' },
        host: { type: 'string' },
        port: { type: 'string' },
        'db-host': { type: 'string' },
        'db-port': { type: 'string' },
        'log-level': { type: 'string' },
        production: { type: 'boolean' },
        json: { type: 'boolean' },
        yes: { type: 'boolean', short: 'y' },
        'no-seed': { type: 'boolean' },
        url: { type: 'string' },
        scopes: { type: 'string' },
        expires: { type: 'string' },
        limit: { type: 'string' },
        name: { type: 'string' },
        role: { type: 'string' },
        service: { type: 'string', multiple: true },
        table: { type: 'string', multiple: true },
        address: { type: 'string', multiple: true },
        overlap: { type: 'string' },
        algorithm: { type: 'string' },
        import: { type: 'string' },
        now: { type: 'boolean' },
        'end-legacy-keys': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    });
  } catch (error) {
    // parseArgs names the flag; its second sentence is about `--` and confuses here.
    const message = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new OperatorError(`${message}.`, '`millrace --help` lists commands and flags.', error);
  }
}
