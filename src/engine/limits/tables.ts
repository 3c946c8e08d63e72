// In charge of: rules and quotas as they stand in config.toml, read strictly: a mistyped key must not make a rule that limits nothing.
import { parseRate } from './rate.ts';

export type LimitBy = 'route' | 'address' | 'caller' | 'key';
export type OnStoreFailure = 'allow' | 'refuse';

interface Scope {
  readonly by: LimitBy;
  /** A prefix or a pattern; undefined: every path. */
  readonly path?: string;
  /** In capitals; undefined: every method. */
  readonly methods?: readonly string[];
  readonly onStoreFailure: OnStoreFailure;
}

export interface NamedRule extends Scope {
  /** `30/m` */
  readonly rate: string;
}

export interface NamedQuota extends Scope {
  readonly per: 'day' | 'month';
  readonly amount: number;
}

type Table = Readonly<Record<string, unknown>>;
type Read<T> = (name: string, table: Table) => T | Wrong;

/** What is wrong with one key of a table. */
export interface Wrong {
  readonly key: string;
  readonly value: unknown;
  readonly expects: string;
}

/** What the headers call `gateway.limits.per_address` and its kin. */
const reserved: ReadonlySet<string> = new Set(['address', 'caller', 'key']);

/** More rules than this are a mistake: each costs every request a little. */
export const maxRules = 64;

/** The table with each entry read; undefined when one is wrong. */
export function parseTable<T extends object>(
  raw: unknown,
  read: Read<T>,
): Readonly<Record<string, T>> | undefined {
  const entries: [string, T][] = [];
  if (!isTable(raw) || Object.keys(raw).length > maxRules) return undefined;
  for (const [name, value] of Object.entries(raw)) {
    const entry = readEntry(name, value, read);
    if (isWrong(entry)) return undefined;
    entries.push([name, entry]);
  }
  return Object.fromEntries(entries);
}

/** A sentence for each entry that `parseTable` refuses, with the key, the value and what it should be. `prefix`: `gateway.quotas`. */
export function complaintsAbout<T extends object>(
  prefix: string,
  raw: unknown,
  read: Read<T>,
): readonly string[] {
  if (!isTable(raw)) return [`"${prefix}" is ${JSON.stringify(raw)}, but must be a table.`];
  const count = Object.keys(raw).length;
  if (count > maxRules) return [`"${prefix}" has ${count} entries, but may have ${maxRules}.`];
  return Object.entries(raw).flatMap(([name, value]) => {
    const entry = readEntry(name, value, read);
    if (!isWrong(entry)) return [];
    const key = [prefix, name, entry.key].filter((part) => part !== '').join('.');
    return [`"${key}" is ${JSON.stringify(entry.value) ?? 'missing'}, but must be ${entry.expects}.`];
  });
}

export function ruleOf(_name: string, table: Table): NamedRule | Wrong {
  const scope = scopeOf(table, ['rate']);
  if (isWrong(scope)) return scope;
  const { rate } = table;
  if (typeof rate !== 'string' || !parseRate(rate))
    return { key: 'rate', value: rate, expects: 'a rate such as "30/m", up to a day' };
  return { ...scope, rate: rate.trim() };
}

export function quotaOf(_name: string, table: Table): NamedQuota | Wrong {
  const scope = scopeOf(table, ['per', 'amount']);
  if (isWrong(scope)) return scope;
  const { per, amount } = table;
  if (per !== 'day' && per !== 'month') return { key: 'per', value: per, expects: '"day" or "month"' };
  if (typeof amount !== 'number' || !Number.isInteger(amount) || amount < 1 || amount > 1e12)
    return { key: 'amount', value: amount, expects: 'a whole number from 1' };
  return { ...scope, per, amount };
}

function readEntry<T extends object>(name: string, value: unknown, read: Read<T>): T | Wrong {
  // The name stands in a structured field and in a row: letters that are themselves in both.
  if (!/^[\w-]{1,64}$/.test(name))
    return { key: '', value: name, expects: 'a name of up to 64 letters, digits, "_" and "-"' };
  if (reserved.has(name))
    return { key: '', value: name, expects: 'another name: the general limits are called that' };
  if (!isTable(value)) return { key: '', value, expects: 'a table' };
  return read(name, value);
}

function scopeOf(table: Table, more: readonly string[]): Scope | Wrong {
  const known = ['by', 'path', 'methods', 'on_store_failure', ...more];
  const unknown = Object.keys(table).find((key) => !known.includes(key));
  if (unknown !== undefined)
    return { key: unknown, value: table[unknown], expects: `left out: the keys are ${known.join(', ')}` };
  const { by, path, methods, on_store_failure: failure = 'allow' } = table;
  if (by !== 'route' && by !== 'address' && by !== 'caller' && by !== 'key')
    return { key: 'by', value: by, expects: 'one of route, address, caller, key' };
  if (failure !== 'allow' && failure !== 'refuse')
    return { key: 'on_store_failure', value: failure, expects: '"allow" or "refuse"' };
  if (path !== undefined && !(typeof path === 'string' && path.startsWith('/')))
    return { key: 'path', value: path, expects: 'a path that begins with "/"' };
  if (methods !== undefined && !isWords(methods))
    return { key: 'methods', value: methods, expects: 'a list of methods such as ["POST"]' };
  return {
    by,
    ...(path === undefined ? {} : { path }),
    ...(methods === undefined ? {} : { methods: methods.map((method) => method.toUpperCase()) }),
    onStoreFailure: failure,
  };
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function isWords(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((word) => typeof word === 'string' && /^[A-Za-z]{1,32}$/.test(word))
  );
}

function isWrong(value: object): value is Wrong {
  return 'expects' in value;
}
