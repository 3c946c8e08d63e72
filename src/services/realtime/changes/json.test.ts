// In charge of: values are told as `to_jsonb` tells them, also where Postgres is not asked.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import { openFacts } from './facts.ts';
import { toJsonOf } from './json.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
});

const values: readonly (readonly [type: string, ...values: string[]])[] = [
  ['smallint', '-1'],
  ['bigint', '9007199254740991'],
  ['numeric', '1.50', 'NaN', '-0.001', 'Infinity'],
  ['real', '0.1', '1e20', '-Infinity'],
  ['double precision', '1e-7', 'NaN'],
  ['boolean', 't', 'f'],
  ['text', 'a "b" \\ \n ü', ''],
  ['varchar(5)', 'abc'],
  ['char(4)', 'ab  '],
  ['date', '2026-11-30', 'infinity', '0044-03-15 BC'],
  ['time', '12:34:56.7'],
  ['timetz', '12:34:56+02'],
  ['timestamp', '2026-11-30 12:00:00.5', '-infinity', '0044-03-15 12:00:00 BC', '12026-01-01 00:00:00'],
  ['timestamptz', '2026-11-30 12:00:00.5+00', '0044-03-15 12:00:00+00 BC'],
  ['interval', '1 day 02:03:04'],
  ['uuid', '00000000-0000-4000-8000-00000000000a'],
  ['json', '{"a" : 1, "b": [null]}'],
  ['jsonb', '{"a": 1}', '"x"', '12'],
  ['inet', '10.0.0.1/8'],
  ['int4range', '[1,5)'],
  ['point', '(1,2)'],
  ['oid', '42'],
  ['bit(3)', '101'],
  ['money', '$1.00'],
  ['integer[]', '{1,NULL,3}', '{{1,2},{3,4}}', '[0:1]={5,6}', '{}'],
  ['text[]', String.raw`{a,"b,c",NULL,"NULL","x\"y\\z",""}`],
  ['timestamptz[]', '{"2026-11-30 12:00:00+00"}'],
  ['jsonb[]', String.raw`{"{\"a\": 1}",NULL}`],
  ['boolean[]', '{t,f}'],
  ['bytea[]', String.raw`{"\\xdead"}`],
];

test('each type', async () => {
  const columns = values.map(([type], at) => `c${at} ${type}`).join(', ');
  await database.run(`create table kinds (${columns}); alter publication supabase_realtime add table kinds`);
  await using opened = await openDatabaseOf(database);
  const facts = await openFacts({
    db: opened.db,
    reader: 'millrace_admin',
    publication: 'supabase_realtime',
  });
  const [row] = await database.run(`select 'kinds'::regclass::oid::text as oid`);
  const oid = String(row?.['oid']);
  const table = (await facts.prepare([oid], new Set(['anon']))).tables.get(oid);
  const here: string[] = [];
  const questions: string[] = [];
  values.forEach(([type, ...texts], at) => {
    const toJson = toJsonOf(table!.columns[at]!);
    for (const text of texts) {
      here.push(`${type} ${text}: ${JSON.stringify(JSON.parse(toJson!(text)))}`);
      questions.push(`to_jsonb('${text.replaceAll("'", "''")}'::${type})`);
    }
  });
  const [answer] = await database.run(
    `set timezone = 'UTC'; select json_build_array(${questions.join(', ')}) as said`,
  );
  const said = answer?.['said'] as readonly unknown[];
  const names = values.flatMap(([type, ...texts]) => texts.map((text) => `${type} ${text}`));
  expect(here).toEqual(names.map((name, at) => `${name}: ${JSON.stringify(said[at])}`));
});

async function openDatabaseOf(test: TestDatabase) {
  const opened = await test.open();
  return { db: opened.db, [Symbol.asyncDispose]: () => opened.close() };
}
