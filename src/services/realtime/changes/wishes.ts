// In charge of: whether a wish can be fulfilled for whoever asks: a published table, columns that the role may read, values that their types take.
// Source: supabase/realtime realtime.subscription_check_filters, lib/extensions/postgres_cdc_rls/subscriptions.ex create (the sentences).
import { readFile } from 'node:fs/promises';
import { errorCode, errorMessage } from '../../../base/errors.ts';
import { DatabaseUnavailable, type Db, type LoginRole } from '../../../engine/db/db.ts';
import type { Caller } from '../../../engine/identity/caller.ts';
import type { ColumnFacts, FactsSource, TableFacts } from './facts.ts';
import { compileFilter } from './filters.ts';
import { maxInValues } from './limits.ts';
import { describeWish, type Filter, type Wish } from './params.ts';
import { SubscriptionRefused } from './refused.ts';
import { unlessLocked } from './retrying.ts';

export interface WishChecker {
  /**
   * All of one channel; the first that cannot be fulfilled is told of. However many filters there are, a few questions are asked.
   * @throws SubscriptionRefused, DatabaseUnavailable
   */
  check(wishes: readonly Wish[], caller: Caller): Promise<void>;
}

/** A filter on one of the tables that its wish is about. */
interface Used {
  readonly wish: Wish;
  readonly table: TableFacts;
  readonly filter: Filter;
}

/** An expression that Postgres can give a value for where the filter is good. */
interface Probe {
  /** @param value SQL of type text */
  readonly sql: (value: string) => string;
  /** Undefined: it does not depend on the filter's value. */
  readonly value?: string;
  readonly isGood?: (answer: string | null) => boolean;
  /** What is told instead of Postgres's own words; undefined: these. */
  readonly sentence?: (error: unknown) => string | undefined;
}

export async function openWishChecker(parts: {
  readonly db: Pick<Db, 'as' | 'asOwner'>;
  readonly facts: FactsSource;
  readonly reader: LoginRole;
  readonly publication: string;
  readonly settings: readonly (readonly [name: string, value: string])[];
}): Promise<WishChecker> {
  const { db, facts, reader, publication, settings } = parts;
  const targetsSql = await readFile(new URL('./sql/targets.sql', import.meta.url), 'utf8');

  async function tablesOf({ schema, table }: Wish): Promise<readonly string[]> {
    const named = (name: string) => (name === '*' ? null : name);
    const { rows } = await db.asOwner(reader, (client) =>
      client.query<{ oid: string }>(targetsSql, [publication, named(schema), named(table)]),
    );
    return rows.map(({ oid }) => oid);
  }

  async function ask(caller: Caller, probes: readonly Probe[]): Promise<readonly (string | null)[]> {
    const params: string[] = [];
    const values = probes.map(({ sql, value }) =>
      sql(value === undefined ? 'null::text' : `$${params.push(value)}::text`),
    );
    const text = `select ${values.map((one) => `(${one})::text`).join(', ')}`;
    const work = { statement: { text, params }, settings, readOnly: true };
    const { rows } = await unlessLocked(db.as(caller, work));
    return rows[0]!;
  }

  /** All in one question, and in smaller ones where it fails, until the first is found that it fails for. */
  async function checkFilters(used: readonly Used[], caller: Caller, until: number): Promise<void> {
    const [first] = used;
    if (first === undefined) return;
    if (performance.now() > until) throw refusal(first.wish, 'Its filters take too long to be looked at');
    if (used.length === 1) return checkFilter(first, caller);
    try {
      const probes = used.flatMap((one) => probesOf(one, caller));
      for (let at = 0; at < probes.length; at += maxProbes) {
        const some = probes.slice(at, at + maxProbes);
        const answers = await ask(caller, some);
        if (!some.every(({ isGood }, n) => isGood?.(answers[n]!) ?? true)) throw raised('one of them');
      }
    } catch (error) {
      if (exceptionOf(error) === undefined) throw error;
      const half = used.length >> 1;
      await checkFilters(used.slice(0, half), caller, until);
      await checkFilters(used.slice(half), caller, until);
    }
  }

  /** Alone, so that what is wrong with it is told. */
  async function checkFilter(used: Used, caller: Caller): Promise<void> {
    try {
      for (const probe of probesOf(used, caller)) {
        const sentence = await sentenceOn(probe, caller);
        if (sentence !== undefined) throw raised(sentence);
      }
    } catch (error) {
      throw worded(used.wish, error);
    }
  }

  /** @throws what Postgres says, where nothing else is told instead */
  async function sentenceOn(probe: Probe, caller: Caller): Promise<string | undefined> {
    const { isGood, sentence } = probe;
    try {
      const [answer] = await ask(caller, [probe]);
      return isGood?.(answer!) === false ? sentence?.(undefined) : undefined;
    } catch (error) {
      const told = error instanceof DatabaseUnavailable ? undefined : sentence?.(error);
      if (told === undefined) throw error;
      return told;
    }
  }

  /** Of one channel: what is the same for several of its wishes is asked once. */
  function openTables(caller: Caller) {
    const known = new Map<string, Promise<readonly string[]>>();
    const prepared = new Map<string, Promise<readonly TableFacts[]>>();
    let role: Promise<unknown> | undefined;
    const once = <T>(of: Map<string, Promise<T>>, { schema, table }: Wish, make: () => Promise<T>) => {
      const name = JSON.stringify([schema, table]);
      const made = of.get(name) ?? make();
      of.set(name, made);
      return made;
    };
    const oids = (wish: Wish) => once(known, wish, () => tablesOf(wish));
    return {
      oids,
      /** The role exists, and may be taken. */
      mayBe() {
        role ??= ask(caller, [{ sql: () => '1' }]);
        return role;
      },
      facts: (wish: Wish) =>
        once(prepared, wish, async () => {
          const wanted = await oids(wish);
          const { tables } = await unlessLocked(facts.prepare(wanted, new Set([caller.role])));
          return wanted.flatMap((oid) => tables.get(oid) ?? []);
        }),
    };
  }

  /** What has to be asked about a wish, written down; what is wrong without that. @throws SubscriptionRefused */
  async function gather(
    wish: Wish,
    caller: Caller,
    tables: ReturnType<typeof openTables>,
    used: Used[],
  ): Promise<void> {
    if ((await tables.oids(wish)).length === 0)
      throw refusal(wish, 'Please check Realtime is enabled for the given connect parameters');
    try {
      await tables.mayBe();
      if (wish.filters.length === 0 && wish.select === undefined) return;
      for (const table of await tables.facts(wish)) {
        for (const filter of wish.filters) used.push({ wish, table, filter });
        for (const column of wish.select ?? []) {
          if (!table.roles.get(caller.role)?.selectable.has(column))
            throw raised(`invalid column for select ${column}`);
        }
      }
    } catch (error) {
      throw worded(wish, error);
    }
  }

  return {
    async check(wishes, caller) {
      const tables = openTables(caller);
      const used: Used[] = [];
      const until = performance.now() + maxCheckMs;
      try {
        for (const wish of wishes) await gather(wish, caller, tables, used);
      } catch (error) {
        // What is wrong before that is told first.
        await checkFilters(used, caller, until);
        throw error;
      }
      await checkFilters(used, caller, until);
    },
  };
}

/** Others wait meanwhile. */
const maxCheckMs = 10_000;
/** Of one statement. Its list has no more than 1,664 expressions. */
const maxProbes = 500;

/** @throws Raised where it needs no question */
function probesOf({ table, filter }: Used, { role }: Caller): readonly Probe[] {
  const { op, value } = filter;
  const column = table.columnOf.get(filter.column);
  if (column === undefined || !table.roles.get(role)?.selectable.has(filter.column))
    throw raised(`invalid column for filter ${filter.column}`);
  const nothing = `null::${column.type}`;
  const compared = (operand: string) => compileFilter(filter, column, nothing, operand);
  switch (op) {
    case 'in':
      return [
        {
          sql: (text) => `pg_catalog.cardinality(${text}::${column.type}[])`,
          value,
          isGood: (count) => Number(count) <= maxInValues,
          sentence: (error) =>
            error === undefined ? `too many values for \`in\` filter. Maximum ${maxInValues}` : undefined,
        },
        { sql: compared, value },
      ];
    case 'is':
      checkKeyword(column, filter);
      return [];
    case 'like':
    case 'ilike':
    case 'match':
    case 'imatch':
      return probesOfPattern(column, filter, compared);
    default:
      return [
        { sql: (text) => `${text}::${column.type} is null`, value },
        { sql: compared, value },
      ];
  }
}

function probesOfPattern(
  column: ColumnFacts,
  { op, value }: Filter,
  compared: (operand: string) => string,
): readonly Probe[] {
  const operator: Probe = {
    sql: compared,
    sentence: (error) =>
      errorCode(error) === '42883'
        ? `operator ${op} requires a text-compatible column type, got ${column.type}`
        : undefined,
  };
  if (op !== 'match' && op !== 'imatch') return [operator];
  const wrong = (why: string) => `invalid regular expression for ${op} filter: ${why}`;
  const pattern: Probe = {
    sql: (text) => `'' ~ ${text}`,
    value,
    sentence: (error) => wrong(errorMessage(error)),
  };
  // The one part of Postgres's regular expressions whose time grows without bound, in a question that others wait for.
  if (!/\\[1-9]/.test(value)) return [operator, pattern];
  return [
    operator,
    { sql: () => 'null', isGood: () => false, sentence: () => wrong('back references are not supported') },
  ];
}

/** What is told of a wish; what is nothing of Postgres's stays as it is. */
function worded(wish: Wish, error: unknown): unknown {
  const told = exceptionOf(error);
  return told === undefined
    ? error
    : refusal(wish, 'An exception happened so please check your connect parameters', `. Exception: ${told}`);
}

function checkKeyword(column: ColumnFacts, { value }: Filter): void {
  if (!['null', 'true', 'false', 'unknown'].includes(value))
    throw raised('invalid value for is filter: must be null, true, false, or unknown');
  if (value !== 'null' && column.type !== 'boolean')
    throw raised(`is ${value} filter requires a boolean column, got ${column.type}`);
}

function refusal(wish: Wish, why: string, exception = ''): SubscriptionRefused {
  return new SubscriptionRefused(
    `Unable to subscribe to changes with given parameters. ${why}: ${describeWish(wish)}${exception}`,
  );
}

/** What upstream's trigger raises. */
class Raised extends Error {
  readonly code = 'P0001';
}

function raised(message: string): Raised {
  return new Raised(message);
}

/** As upstream's driver words it; undefined: nothing of Postgres's. */
function exceptionOf(error: unknown): string | undefined {
  const code = errorCode(error);
  if (error instanceof DatabaseUnavailable || code === undefined) return undefined;
  const name = conditionNames[code];
  return `ERROR ${code}${name === undefined ? '' : ` (${name})`} ${errorMessage(error)}`;
}

/** Source: PostgreSQL docs, "PostgreSQL Error Codes". */
const conditionNames: Readonly<Record<string, string>> = {
  P0001: 'raise_exception',
  '22P02': 'invalid_text_representation',
  '22P03': 'invalid_binary_representation',
  '22003': 'numeric_value_out_of_range',
  '22007': 'invalid_datetime_format',
  '22008': 'datetime_field_overflow',
  '22023': 'invalid_parameter_value',
  '22025': 'invalid_escape_sequence',
  '2201B': 'invalid_regular_expression',
  '23514': 'check_violation',
  '42501': 'insufficient_privilege',
  '42704': 'undefined_object',
  '42883': 'undefined_function',
};
