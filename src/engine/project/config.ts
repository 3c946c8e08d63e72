// In charge of: `supabase/config.toml`: found, read whole, its `env(NAME)` filled in.
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { OperatorError } from '../../base/errors.ts';
import { type ConfigSection, type ConfigValue, isSection, valueAt } from './config-values.ts';
import { type Environment, loadEnvironment } from './dotenv.ts';
import { decryptValue, isEncrypted, privateKeys } from './dotenvx.ts';
import { readIfThere } from './read-file.ts';
import { chooseRemote } from './remotes.ts';
import { type Position, tomlPositions } from './toml-lines.ts';

export interface ProjectConfig {
  /** The folder that holds `supabase/`, absolute. */
  readonly project: string;
  /** `supabase/config.toml`, absolute; undefined when the project has none: every setting has its default. */
  readonly file: string | undefined;
  /** Names the project on this machine: `project_id`, else the folder's name; letters, digits, `_`, `.`, `-` only. */
  readonly id: string;
  /** The whole file, with `env(NAME)` filled in, what dotenvx encrypted opened, and the chosen remote laid over it. */
  readonly root: ConfigSection;
  /** The shell's environment and what the `.env` files add to it. */
  readonly environment: Environment;
  /** Keys whose `env(NAME)` names a variable that is not set: they keep the text `env(NAME)`. */
  readonly unset: readonly { readonly key: string; readonly variable: string }[];
  /** Sentences to be said once. */
  readonly notices: readonly string[];
  /** The value at a path, `db.seed.enabled`; undefined when it is not in the file. */
  value(path: string): ConfigValue | undefined;
  /** The section at a path; empty when it is not in the file. */
  section(path: string): ConfigSection;
  /** Where the value of a path stands in the file: `, line 12, column 9`; empty when it does not stand there. */
  place(path: string): string;
}

/**
 * Reads the configuration of a project. `MILLRACE_REMOTE` names a remote, or `SUPABASE_PROJECT_ID` is the ref of one. A project without a `config.toml`, or without `supabase/`, has an empty one.
 * @throws OperatorError when the file is not TOML, with line, column and what was expected; or when it or an `.env` file cannot be read.
 */
export async function loadConfig(project: string, shell: Environment): Promise<ProjectConfig> {
  const folder = resolve(project);
  const file = join(folder, 'supabase', 'config.toml');
  const text = await readIfThere(file);
  const environment = await loadEnvironment(folder, shell);
  const unset: { key: string; variable: string }[] = [];
  const parsed = text === undefined ? {} : parseToml(text, 'supabase/config.toml');
  const remote = chooseRemote(parsed, {
    named: environment.MILLRACE_REMOTE || undefined,
    ref: environment.SUPABASE_PROJECT_ID || undefined,
  });
  const root = fill(remote.root, environment, unset);
  const id = root.project_id;
  let positions: ReadonlyMap<string, Position> | undefined;
  return {
    project: folder,
    file: text === undefined ? undefined : file,
    id: cleanId(typeof id === 'string' && id !== '' ? id : basename(folder)),
    root,
    environment,
    unset,
    notices: [
      ...(await noticesOf(folder, text !== undefined)),
      ...(remote.path === undefined ? [] : [`config.toml: [${remote.path}] is laid over the rest.`]),
    ],
    place(path) {
      // Read only when something is wrong.
      positions ??= tomlPositions(text ?? '');
      const own = remote.path === undefined ? undefined : positions.get(`${remote.path}.${path}`);
      const found = own ?? positions.get(path);
      return found === undefined ? '' : `, line ${found.line}, column ${found.column}`;
    },
    value: (path) => valueAt(root, path),
    section: (path) => sectionAt(root, path),
  };
}

/**
 * The keys of the file that nobody acts on, sorted: what is not in `acted` and not below or above one of its keys. A `*` in
 * `acted` stands for any one name: `functions.*.verify_jwt`. `name.**` takes everything below `name`.
 */
export function unknownKeys(config: ProjectConfig, acted: Iterable<string>): readonly string[] {
  const patterns = [...acted].map((key) => key.split('.'));
  const unknown: string[] = [];
  const walk = (section: ConfigSection, path: readonly string[]): void => {
    for (const [key, value] of Object.entries(section)) {
      const here = [...path, key];
      if (patterns.some((pattern) => matches(pattern, here))) continue;
      if (isSection(value)) walk(value, here);
      else unknown.push(here.join('.'));
    }
  };
  walk(config.root, []);
  return unknown.sort();
}

function sectionAt(root: ConfigSection, path: string): ConfigSection {
  const value = valueAt(root, path);
  return isSection(value) ? value : {};
}

/** Parses TOML. `file` is as people know it. */
export function parseToml(text: string, file: string): ConfigSection {
  try {
    // Sound: smol-toml gives tables, arrays, strings, numbers, booleans and dates; its dates are Dates.
    return parse(text.replace(/^\ufeff/, '')) as ConfigSection;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first, ...block] = error.message.split('\n');
    const reason = (first ?? '').replace(/^Invalid TOML document: /, '');
    throw new OperatorError(
      [`"${file}" is not valid TOML at line ${error.line}, column ${error.column}: ${reason}.`, ...block]
        .join('\n')
        .trimEnd(),
      'Correct the line; the format is described at https://toml.io.',
      error,
    );
  }
}

/**
 * Fills in `env(NAME)`: a string that is nothing else, wherever it stands, when the variable is set and not empty. Otherwise
 * the text stays as it is. Numbers, switches and lists come out as text, which settings read like the environment's.
 * Source: supabase/cli apps/cli-go/pkg/config/decode_hooks.go, `LoadEnvHook`.
 */
function fill(
  root: ConfigSection,
  environment: Environment,
  unset: { key: string; variable: string }[],
): ConfigSection {
  const visit = (value: ConfigValue, path: string): ConfigValue => {
    if (typeof value === 'string' && isEncrypted(value)) {
      const keys = privateKeys(environment);
      // Without a key it is left as it is, and whoever reads it says so.
      if (keys.length === 0) return value;
      const opened = decryptValue(value, keys);
      if (opened !== undefined) return opened;
      throw new OperatorError(
        `"${path}" in supabase/config.toml is encrypted for another key than those of DOTENV_PRIVATE_KEY.`,
        'Set the key that it was encrypted for, or encrypt it again: dotenvx set …',
      );
    }
    if (typeof value === 'string') {
      const variable = /^env\((.*)\)$/.exec(value)?.[1];
      if (variable === undefined) return value;
      const found = environment[variable];
      if (found !== undefined && found !== '') return found;
      unset.push({ key: path, variable });
      return value;
    }
    if (Array.isArray(value)) return value.map((item: ConfigValue, at) => visit(item, `${path}.${at}`));
    return isSection(value) ? visitSection(value, `${path}.`) : value;
  };
  const visitSection = (section: ConfigSection, prefix: string): ConfigSection =>
    Object.fromEntries(Object.entries(section).map(([key, value]) => [key, visit(value, prefix + key)]));
  // Those that were not chosen are nobody's.
  const { remotes, ...rest } = root;
  return { ...visitSection(rest, ''), ...(remotes !== undefined && { remotes }) };
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  if (pattern.at(-1) === '**') {
    const above = pattern.slice(0, -1);
    return path.length > above.length && above.every((key, at) => key === '*' || key === path[at]);
  }
  return pattern.length === path.length && pattern.every((key, at) => key === '*' || key === path[at]);
}

/** Source: supabase/cli apps/cli-go/pkg/config/config.go, `sanitizeProjectId`. */
function cleanId(id: string): string {
  return id
    .replace(/[^a-zA-Z0-9_.-]+/g, '_')
    .replace(/^[_.-]+/, '')
    .slice(0, idLimit);
}

async function noticesOf(project: string, hasToml: boolean): Promise<readonly string[]> {
  const notices: string[] = [];
  for (const name of ['config.json', 'config.jsonc']) {
    const there = await stat(join(project, 'supabase', name)).then(
      (found) => found.isFile(),
      () => false,
    );
    if (there) {
      notices.push(
        `"supabase/${name}" is not read${hasToml ? '; "supabase/config.toml" is' : ': write "supabase/config.toml" instead'}.`,
      );
    }
  }
  return notices;
}

const idLimit = 40;
