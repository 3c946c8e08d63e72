// In charge of: how a setting is declared. Once, with its environment name, default, unit and sentence; the reference page is made from it.

export interface Setting<T> {
  /** The path in config.toml: `api.max_rows`. Also its name at run time and in the reference. */
  readonly key: string;
  /** The environment variables that set it, first found first; also those that Supabase's own images read. */
  readonly env: readonly string[];
  readonly default: T;
  /** `seconds`, `bytes`, `rows`, … Empty for words and switches. */
  readonly unit: string;
  /** One sentence for the reference page. */
  readonly sentence: string;
  /** Whether it takes effect while the program runs; others are read at start. */
  readonly live: boolean;
  /** Its value opens something: it is never shown, neither by the operator plane nor in a complaint. */
  readonly secret: boolean;
  /** Text (environment) or a TOML value (file, run time) → the value; undefined when it is not one. */
  readonly parse: (raw: unknown) => T | undefined;
  /** What `parse` accepts, for the complaint: `a whole number from 1 to 65535`. */
  readonly expects: string;
  /** For a table of values: a sentence for each that is wrong, with its key. */
  readonly complaints?: ((raw: unknown) => readonly string[]) | undefined;
}

/** A table of settings: the name in code → its declaration. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** The values of a table of settings. */
export type ValuesOf<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never;
};

interface Facts<T> {
  readonly key: string;
  readonly env?: readonly string[];
  readonly default: T;
  readonly unit?: string;
  readonly sentence: string;
  readonly live?: boolean;
  readonly secret?: boolean;
}

function declare<T>(facts: Facts<T>, expects: string, parse: Setting<T>['parse']): Setting<T> {
  return {
    key: facts.key,
    env: facts.env ?? [],
    default: facts.default,
    unit: facts.unit ?? '',
    sentence: facts.sentence,
    live: facts.live ?? false,
    secret: facts.secret ?? false,
    expects,
    parse,
  };
}

/** A whole number within bounds. */
export function wholeNumber(
  facts: Facts<number> & { readonly min?: number; readonly max?: number },
): Setting<number> {
  const min = facts.min ?? 0;
  const max = facts.max ?? Number.MAX_SAFE_INTEGER;
  const expects =
    max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min}` : `a whole number from ${min} to ${max}`;
  return declare(facts, expects, (raw) => {
    const value = typeof raw === 'string' && /^-?\d+$/.test(raw.trim()) ? Number(raw) : raw;
    return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : undefined;
  });
}

/** A switch: true or false, in the environment also 1 and 0. */
export function flag(facts: Facts<boolean>): Setting<boolean> {
  return declare(facts, 'true or false', (raw) => {
    if (typeof raw === 'boolean') return raw;
    const word = typeof raw === 'string' ? raw.toLowerCase() : undefined;
    if (word === 'true' || word === '1') return true;
    if (word === 'false' || word === '0') return false;
    return undefined;
  });
}

/** Free text. */
export function text(facts: Facts<string>): Setting<string> {
  return declare(facts, 'text', (raw) => (typeof raw === 'string' ? raw : undefined));
}

/** One of a few words. */
export function oneOf<const W extends string>(facts: Facts<W>, words: readonly W[]): Setting<W> {
  return declare(facts, `one of ${words.join(', ')}`, (raw) => words.find((word) => word === raw));
}

/** A list of words: an array in TOML, separated by commas in the environment. */
export function list(facts: Facts<readonly string[]>): Setting<readonly string[]> {
  return declare(facts, 'a list of words', (raw) => {
    if (Array.isArray(raw)) return raw.every((item) => typeof item === 'string') ? raw : undefined;
    if (typeof raw !== 'string') return undefined;
    return raw.trim() === '' ? [] : raw.split(',').map((item) => item.trim());
  });
}

/** A setting that can say itself, with the key and the value within it, what is wrong: the whole of a table would be too much to read. */
export function explained<T>(
  complaints: (raw: unknown) => readonly string[],
  setting: Setting<T>,
): Setting<T> {
  return { ...setting, complaints };
}

/** Anything with a parser of its own: durations, sizes, addresses. */
export function parsed<T>(
  facts: Facts<T>,
  expects: string,
  parse: (raw: unknown) => T | undefined,
): Setting<T> {
  return declare(facts, expects, parse);
}
