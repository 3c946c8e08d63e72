// In charge of: filters that are tested here give what Postgres gives for them, and others are left to it.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import type { TableFacts } from './facts.ts';
import { compileFilter, conditionsOn } from './filters.ts';
import { type FilterOp, filterOps } from './params.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
});

const types = {
  text: {
    oid: '25',
    found: ['red', 'Red', '', 'a%b', 'ab', 'axb', 'ünï', null],
    wanted: ['red', '', 'a%', '%b', 'a%b%', '%', 'r_d'],
  },
  integer: { oid: '23', found: ['1', '-7', '2147483647', '0', null], wanted: ['1', '-7', '0', '12'] },
  bigint: { oid: '20', found: ['9007199254740993', '1', null], wanted: ['9007199254740992', '1'] },
  boolean: { oid: '16', found: ['t', 'f', null], wanted: ['true', 'f', 'TRUE'] },
  uuid: {
    oid: '2950',
    found: ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b', null],
    wanted: ['00000000-0000-4000-8000-00000000000A'],
  },
};

function tableOf(type: string, oid: string): TableFacts {
  const column = {
    name: 'c',
    typeName: type,
    type,
    typeOid: oid,
    base: oid,
    kind: 'b',
    element: null,
    elementKind: null,
    delimiter: null,
    isBuiltIn: true,
    hasJsonCast: false,
    isDeterministic: true,
    isKey: false,
    generated: null,
  };
  return { columns: [column], columnOf: new Map([['c', column]]) } as unknown as TableFacts;
}

test.each(Object.entries(types))(
  '%s: what is tested here is what Postgres says',
  async (type, { oid, found, wanted }) => {
    const table = tableOf(type, oid);
    const cases: { readonly sql: string; readonly here: boolean; readonly name: string }[] = [];
    for (const op of filterOps) {
      for (const value of valuesFor(op, type, wanted)) {
        for (const negate of [false, true]) {
          const filter = { column: 'c', op, value, negate };
          const test = conditionsOn(table, [filter])?.[0]?.test;
          if (test === undefined) continue;
          for (const row of found) {
            const operand = row === null ? `null::${type}` : `'${row}'::${type}`;
            const sql =
              op === 'is'
                ? `${operand} is ${negate ? 'not ' : ''}${value}`
                : compileFilter(filter, table.columns[0]!, operand, `'${value}'::text`);
            cases.push({
              sql,
              here: test(row),
              name: `${String(row)} ${negate ? 'not ' : ''}${op} ${value}`,
            });
          }
        }
      }
    }
    const [row] = await database.run(
      `select array[${cases.map(({ sql }) => `coalesce(${sql}, false)`).join(', ')}] as said`,
    );
    const said = row?.['said'] as boolean[];
    expect(cases.map(({ name, here }) => `${name}: ${here}`)).toEqual(
      cases.map(({ name }, at) => `${name}: ${said[at]}`),
    );
    expect(cases.length).toBeGreaterThan(20);
  },
);

function valuesFor(op: FilterOp, type: string, wanted: readonly string[]): readonly string[] {
  if (op === 'in') return [`{${wanted.filter((value) => value !== '').join(',')}}`, `{${wanted[0]}}`];
  if (op === 'is') return type === 'boolean' ? ['null', 'true', 'false', 'unknown'] : ['null'];
  const isPattern = ['like', 'ilike', 'match', 'imatch'].includes(op);
  return isPattern && type !== 'text' ? [] : wanted;
}
