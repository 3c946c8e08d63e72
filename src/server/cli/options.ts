// In charge of: the command line as values. Flags beat the environment, which beats config.toml.
import { parseArgs } from 'node:util';
import { errorCode, OperatorError } from '../../base/errors.ts';

import { type Flag, type FlagName, flagTable } from './flags.ts';
import { nearestWord } from './nearest-word.ts';
import { toOwnWords } from './own-words.ts';

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
  readonly user: string | undefined;
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
  /** The flags that were given, in order, none twice. */
  readonly given: readonly FlagName[];
  /** Any other flag of `flags.ts`: its text, its list (commas separate, too), or whether it was given. */
  text(name: FlagName): string | undefined;
  list(name: FlagName): readonly string[];
  has(name: FlagName): boolean;
}

/** Flags that stand for a setting. */
const settingFlags = {
  host: 'api.host',
  port: 'api.port',
  'db-host': 'db.host',
  'db-port': 'db.port',
  'log-level': 'log.level',
} as const;

/** @throws OperatorError for a flag that does not exist, with the nearest one, or that lacks its value. */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  const text = (name: FlagName): string | undefined => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  const many = (name: FlagName): readonly string[] => {
    const value = values[name];
    return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
  };
  const has = (name: FlagName): boolean => values[name] !== undefined && values[name] !== false;
  const settings = new Map<string, string>(has('debug') ? [['log.level', 'debug']] : []);
  for (const [name, key] of Object.entries(settingFlags)) {
    // Sound: every name of settingFlags is a flag.
    const value = text(name as keyof typeof settingFlags);
    if (value !== undefined) settings.set(key, value);
  }
  const [command = '', ...rest] = toOwnWords(positionals);
  return {
    command,
    rest,
    settings,
    // Sound: parseArgs gives no name that the table does not have.
    given: Object.keys(values) as FlagName[],
    text,
    list: (name) =>
      many(name)
        .flatMap((item) => item.split(','))
        .map((item) => item.trim())
        .filter((item) => item !== ''),
    has,
    project: text('project') ?? text('workdir'),
    data: text('data'),
    pgBin: text('pg-bin'),
    only: text('only'),
    production: has('production'),
    json: has('json'),
    yes: has('yes'),
    help: has('help'),
    version: has('version'),
    seed: !has('no-seed'),
    url: text('url'),
    scopes: text('scopes'),
    expires: text('expires'),
    limit: text('limit'),
    name: text('name'),
    role: text('role'),
    user: text('user'),
    services: many('service'),
    tables: many('table'),
    addresses: many('address'),
    overlap: text('overlap'),
    algorithm: text('algorithm'),
    importFile: text('import'),
    now: has('now'),
    endLegacyKeys: has('end-legacy-keys'),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: parserOptions(flagTable()) });
  } catch (error) {
    if (errorCode(error) === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw unknownFlag(args, error);
    // parseArgs names the flag; its second sentence is about `--` and confuses here.
    const message = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new OperatorError(`${message}.`, '`millrace --help` lists commands and flags.', error);
  }
}

function parserOptions(table: Readonly<Record<string, Flag>>) {
  return Object.fromEntries(
    Object.entries(table).map(([name, { kind, short }]) => [
      name,
      {
        type: kind === 'switch' ? ('boolean' as const) : ('string' as const),
        multiple: kind === 'list',
        ...(short !== undefined && { short }),
      },
    ]),
  );
}

function unknownFlag(args: readonly string[], cause: unknown): OperatorError {
  const names = Object.keys(flagTable());
  const given = args.find((word) => word.startsWith('-') && !isKnown(word)) ?? '';
  const name = given.replace(/=.*$/s, '');
  const near = nearestWord(names, name.replace(/^-+/, ''));
  return new OperatorError(
    `There is no flag "${name}".`,
    near === undefined
      ? '`millrace --help` lists commands, `millrace COMMAND --help` its flags.'
      : `Perhaps you meant --${near}.`,
    cause,
  );
}

function isKnown(word: string): boolean {
  const table = flagTable();
  if (word.startsWith('--')) return Object.hasOwn(table, word.slice(2).replace(/=.*$/s, ''));
  return Object.values(table).some(({ short }) => short !== undefined && short === word[1]);
}
