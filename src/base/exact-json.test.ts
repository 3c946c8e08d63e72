// In charge of: numbers that come out of JSON as they went in.
import { expect, it } from 'vitest';
import { isNumberAsWritten, parseExactly } from './exact-json.ts';

it.each([
  '12345678901234567890',
  '9007199254740993',
  '-9007199254740993',
  '1.0',
  '-0.50',
  '123456789.123456789',
  '1e3',
  '-1.5E+2',
])('%s stands as it stood, wherever it is', (number) => {
  for (const text of [number, `[${number}]`, `{"a":{"b":[true,${number},"1.0"]}}`])
    expect(JSON.stringify(parseExactly(text))).toBe(text);
  expect(isNumberAsWritten(parseExactly(number))).toBe(true);
});

it('everything else is what JSON.parse makes of it', () => {
  const text = '{"a":[1,-2.5,0.1,"9007199254740993",null,true,"3e4"],"at":1700000000000}';
  expect(parseExactly(text)).toEqual(JSON.parse(text));
  expect(parseExactly('[9007199254740993,7]')).toEqual([expect.anything(), 7]);
  expect(isNumberAsWritten({ rawJSON: '1.0' })).toBe(false);
  expect(() => parseExactly('{"a":1.0')).toThrow(SyntaxError);
});
