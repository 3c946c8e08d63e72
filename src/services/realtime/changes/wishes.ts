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

export interface WishChecker {
  /** @throws SubscriptionRefused, DatabaseUnavailable */
  check(wish: Wish, caller: Caller): Promise<void>;
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

  const ask = async (caller: Caller, text: string, params: readonly string[]) =>
    (await db.as(caller, { statement: { text, params }, settings, readOnly: true })).rows[0]?.[0];

  async function checkFilter(caller: Caller, table: TableFacts, filter: Filter): Promise<void> {
    const column = table.columnOf.get(filter.column);
    if (column === undefined || !table.roles.get(caller.role)?.selectable.has(filter.column))
      throw raised(`invalid column for filter ${filter.column}`);
    switch (filter.op) {
      case 'in':
        return checkList(caller, column, filter);
      case 'is':
        return checkKeyword(column, filter);
      case 'like':
      case 'ilike':
      case 'match':
      case 'imatch':
        return checkPattern(caller, column, filter);
      default:
        await ask(caller, `select $1::text::${column.type} is null`, [filter.value]);
        await ask(caller, `select ${compileFilter(filter, column, `null::${column.type}`, '$1::text')}`, [
          filter.value,
        ]);
    }
  }

  async function checkList(caller: Caller, column: ColumnFacts, filter: Filter): Promise<void> {
    const count = await ask(caller, `select pg_catalog.cardinality($1::text::${column.type}[])`, [
      filter.value,
    ]);
    if (Number(count) > maxInValues)
      throw raised(`too many values for \`in\` filter. Maximum ${maxInValues}`);
    await ask(caller, `select ${compileFilter(filter, column, `null::${column.type}`, '$1::text')}`, [
      filter.value,
    ]);
  }

  async function checkPattern(caller: Caller, column: ColumnFacts, filter: Filter): Promise<void> {
    try {
      await ask(caller, `select ${compileFilter(filter, column, `null::${column.type}`, `null::text`)}`, []);
    } catch (error) {
      if (errorCode(error) !== '42883') throw error;
      throw raised(`operator ${filter.op} requires a text-compatible column type, got ${column.type}`);
    }
    if (filter.op !== 'match' && filter.op !== 'imatch') return;
    // The one part of Postgres's regular expressions whose time grows without bound, in a question that others wait for.
    if (/\\[1-9]/.test(filter.value))
      throw raised(`invalid regular expression for ${filter.op} filter: back references are not supported`);
    try {
      await ask(caller, `select '' ~ $1::text`, [filter.value]);
    } catch (error) {
      if (error instanceof DatabaseUnavailable) throw error;
      throw raised(`invalid regular expression for ${filter.op} filter: ${errorMessage(error)}`);
    }
  }

  return {
    async check(wish, caller) {
      const oids = await tablesOf(wish);
      if (oids.length === 0)
        throw refusal(wish, 'Please check Realtime is enabled for the given connect parameters');
      try {
        // The role exists, and may be taken.
        await ask(caller, 'select 1', []);
        if (wish.filters.length === 0 && wish.select === undefined) return;
        const { tables } = await facts.prepare(oids, new Set([caller.role]));
        for (const oid of oids) {
          const table = tables.get(oid);
          if (table === undefined) continue;
          for (const filter of wish.filters) await checkFilter(caller, table, filter);
          for (const column of wish.select ?? []) {
            if (!table.roles.get(caller.role)?.selectable.has(column))
              throw raised(`invalid column for select ${column}`);
          }
        }
      } catch (error) {
        const told = exceptionOf(error);
        if (told === undefined) throw error;
        throw refusal(
          wish,
          'An exception happened so please check your connect parameters',
          `. Exception: ${told}`,
        );
      }
    },
  };
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
