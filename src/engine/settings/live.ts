// In charge of: the values of settings while the program runs. default < config.toml < environment < command line <
// database < run time.
import { OperatorError } from '../../base/errors.ts';
import type { Setting, Settings, ValuesOf } from '../../base/settings.ts';

/** Where a value came from, the weakest first. */
export type Layer = 'default' | 'config.toml' | 'environment' | 'command line' | 'database' | 'run time';

/** The values of one table of settings, as they are now. */
export interface Live<V> {
  now(): V;
  /** Calls `listener` after each change; the result ends that. */
  onChange(listener: (values: V) => void): () => void;
}

export interface SettingsSources {
  /** config.toml as a tree, `env()` already put in. */
  readonly file: Readonly<Record<string, unknown>>;
  /** Where a key stands in the file: `, line 12, column 9`; nothing when it is not known. */
  readonly placeInFile?: ((key: string) => string) | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Flags that stand for a setting: key → text. */
  readonly commandLine?: ReadonlyMap<string, string>;
  /** What was set at run time and kept in the database: key → value. */
  readonly stored?: ReadonlyMap<string, unknown>;
}

export interface LiveSettings {
  /** The live values of a table of settings. */
  of<S extends Settings>(table: S): Live<ValuesOf<S>>;
  /** Why a value cannot be set at run time, in a sentence; undefined when it can. */
  complaint(key: string, raw: unknown): string | undefined;
  /** Puts the values that are set at run time in place, all at once; listeners hear of tables that changed. Unknown keys and wrong values are named in the result and left out. */
  setStored(stored: ReadonlyMap<string, unknown>): readonly string[];
  /** The same for what stands in the database under the names of environment variables: PostgREST's in-database configuration. */
  setInDatabase(variables: ReadonlyMap<string, string>): readonly string[];
  /** The environment anew, as a file gives it that was read again: what is live among it holds from now on. With a wrong value nothing changes, and the result says what is wrong. */
  setEnvironment(environment: SettingsSources['environment']): readonly string[];
  /** Sentences about file keys that a stronger layer hides; for the start. */
  shadowed(): readonly string[];
  /** Every setting with its value and where that comes from, for `/admin/v1`. The values of secret ones are in it. */
  origins(): readonly Origin[];
}

export interface Origin {
  readonly key: string;
  readonly setting: Setting<unknown>;
  readonly layer: Layer;
  readonly value: unknown;
}

interface Resolved {
  readonly value: unknown;
  readonly layer: Layer;
}

/**
 * Opens all tables of settings at once.
 * @throws OperatorError with every complaint in one message: a value that is not what its setting expects.
 */
export function openSettings(tables: readonly Settings[], sources: SettingsSources): LiveSettings {
  let stored = sources.stored ?? new Map<string, unknown>();
  let inDatabase: ReadonlyMap<string, string> = new Map();
  let liveEnvironment = sources.environment;
  const complaints: string[] = [];
  for (const setting of everySetting(tables)) resolve(setting, complaints);
  if (complaints.length > 0) {
    throw new OperatorError(
      complaints.length === 1
        ? complaints[0]!
        : `${complaints.length} settings are wrong:\n- ${complaints.join('\n- ')}`,
      'docs/settings.md lists every setting with what it takes.',
    );
  }
  const opened = new Map<Settings, { values: unknown; listeners: Set<(values: never) => void> }>();

  function resolve(setting: Setting<unknown>, complain: string[]): Resolved {
    let found: Resolved = { value: setting.default, layer: 'default' };
    const take = (raw: unknown, layer: Layer, place: string | (() => string)) => {
      const value = setting.parse(raw);
      if (value === undefined)
        complain.push(...complaintsAbout(setting, raw, typeof place === 'string' ? place : place()));
      else found = { value, layer };
    };
    const inFile = readKey(sources.file, setting.key);
    if (inFile !== undefined)
      take(
        inFile,
        'config.toml',
        () => `"${setting.key}" in config.toml${sources.placeInFile?.(setting.key) ?? ''}`,
      );
    const environment = setting.live ? liveEnvironment : sources.environment;
    const name = setting.env.find((candidate) => environment[candidate] !== undefined);
    if (name !== undefined) take(environment[name], 'environment', `The environment variable ${name}`);
    const flag = sources.commandLine?.get(setting.key);
    if (flag !== undefined) take(flag, 'command line', `The flag for "${setting.key}"`);
    const variable = setting.env.find((candidate) => inDatabase.has(candidate));
    if (variable !== undefined)
      take(inDatabase.get(variable), 'database', `The value of ${variable} in the database`);
    if (setting.live && stored.has(setting.key))
      take(stored.get(setting.key), 'run time', `"${setting.key}" set at run time`);
    return found;
  }

  function complaint(key: string, raw: unknown): string | undefined {
    const setting = [...everySetting(tables)].find((candidate) => candidate.key === key);
    if (!setting) return `"${key}" is not a setting.`;
    if (!setting.live) return `"${key}" is read at start and cannot be set at run time.`;
    if (setting.parse(raw) !== undefined) return undefined;
    return complaintsAbout(setting, raw, `"${key}" set at run time`).join(' ');
  }

  function valuesOf(table: Settings): Record<string, unknown> {
    const ignored: string[] = [];
    return Object.fromEntries(
      Object.entries(table).map(([name, setting]) => [name, resolve(setting, ignored).value]),
    );
  }

  function entryOf(table: Settings) {
    const known = opened.get(table);
    if (known) return known;
    const entry = { values: valuesOf(table) as unknown, listeners: new Set<(values: never) => void>() };
    opened.set(table, entry);
    return entry;
  }

  function refresh(): void {
    for (const [table, entry] of opened) {
      const values = valuesOf(table);
      if (JSON.stringify(values) === JSON.stringify(entry.values)) continue;
      entry.values = values;
      for (const listener of entry.listeners) listener(values as never);
    }
  }

  return {
    of<S extends Settings>(table: S): Live<ValuesOf<S>> {
      const entry = entryOf(table);
      return {
        // Sound: valuesOf() ran every setting's own parser or took its default.
        now: () => entry.values as ValuesOf<S>,
        onChange(listener) {
          entry.listeners.add(listener as (values: never) => void);
          return () => entry.listeners.delete(listener as (values: never) => void);
        },
      };
    },
    complaint,
    setStored(next) {
      const wrong: string[] = [];
      const accepted = new Map<string, unknown>();
      for (const [key, raw] of next) {
        const sentence = complaint(key, raw);
        if (sentence === undefined) accepted.set(key, raw);
        else wrong.push(sentence);
      }
      stored = accepted;
      refresh();
      return wrong;
    },
    setInDatabase(variables) {
      const wrong: string[] = [];
      const accepted = new Map<string, string>();
      for (const [name, raw] of variables) {
        const setting = [...everySetting(tables)].find(({ env }) => env.includes(name));
        if (!setting) wrong.push(`${name} in the database is no setting here.`);
        else if (!setting.live) wrong.push(`${name} is read at start and cannot be set in the database.`);
        else if (setting.parse(raw) !== undefined) accepted.set(name, raw);
        else wrong.push(...complaintsAbout(setting, raw, `${name} in the database`));
      }
      inDatabase = accepted;
      refresh();
      return wrong;
    },
    setEnvironment(environment) {
      const before = liveEnvironment;
      liveEnvironment = environment;
      const wrong: string[] = [];
      // Every other layer was looked through when it came.
      for (const setting of everySetting(tables)) resolve(setting, wrong);
      if (wrong.length > 0) liveEnvironment = before;
      else refresh();
      return wrong;
    },
    shadowed() {
      const sentences: string[] = [];
      for (const setting of everySetting(tables)) {
        const { layer } = resolve(setting, []);
        if (
          readKey(sources.file, setting.key) === undefined ||
          layer === 'config.toml' ||
          layer === 'default' ||
          // Whoever typed the flag knows.
          layer === 'command line'
        )
          continue;
        const variable = setting.env.find((name) => sources.environment[name] !== undefined);
        const by =
          layer === 'environment' ? `the environment variable ${variable}` : `a value from the ${layer}`;
        sentences.push(`"${setting.key}" in config.toml is hidden by ${by}.`);
      }
      return sentences;
    },
    origins() {
      // Two tables may name one setting; it is one for whoever looks.
      const byKey = new Map([...everySetting(tables)].map((setting) => [setting.key, setting]));
      return [...byKey.values()].map((setting) => ({ key: setting.key, setting, ...resolve(setting, []) }));
    },
  };
}

/** A raw value as a complaint quotes it. */
function shown(setting: Setting<unknown>, raw: unknown): string {
  return setting.secret ? 'something (a secret, not shown)' : JSON.stringify(raw);
}

/** What is wrong with a value: of a table of values each one that is, else the whole. */
function complaintsAbout(setting: Setting<unknown>, raw: unknown, place: string): readonly string[] {
  const each = setting.complaints?.(raw) ?? [];
  return each.length > 0 ? each : [`${place} is ${shown(setting, raw)}, but must be ${setting.expects}.`];
}

function* everySetting(tables: readonly Settings[]): Iterable<Setting<unknown>> {
  for (const table of tables) yield* Object.values(table);
}

/** The value at a dotted key, `db.seed.enabled`. */
export function readKey(tree: Readonly<Record<string, unknown>>, key: string): unknown {
  let value: unknown = tree;
  for (const part of key.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return value;
}
