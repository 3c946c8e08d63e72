// In charge of: rows in text format taken apart, as a real server writes them.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import { parseRecord } from './record-text.ts';

let test: TestDatabase;
beforeAll(async () => {
  test = await openTestDatabase();
});
afterAll(() => test[Symbol.asyncDispose]());

it.each([
  [[null]],
  [['']],
  [['a']],
  [[null, null]],
  [['', null, '']],
  [[null, 'b']],
  [['a', null]],
  [['say "hello"', 'back\\slash', 'com,ma', '(paren)', ' space ', 'line\nbreak', '"', '\\', '""\\\\']],
  [['{"a": [1, "x\\"y"]}', '{"{1,2}","b c"}', '(1,"a ""b""",)']],
])('%j', async (values: (string | null)[]) => {
  const literal = (value: string | null) =>
    value === null
      ? 'null'
      : `e'${value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n')}'`;
  const rows = await test.run(`select row(${values.map(literal).join(', ')})::text as text`);
  expect(parseRecord(String(rows[0]!.text))).toEqual(values);
});
