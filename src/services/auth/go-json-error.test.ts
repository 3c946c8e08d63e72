// In charge of: the words in which Go refuses a text that is no JSON. What Go 1.26 answers stands here as its scanner gives it.
import { describe, expect, it } from 'vitest';
import { scanJson, wrongType } from './go-json-error.ts';

const scan = (text: string) => scanJson(Buffer.from(text));
const invalid = (message: string) => `invalid character ${message}`;

describe('scanJson', () => {
  it.each([
    '{}',
    ' [ ] ',
    '{"a" : [1, -0.5e+10, true, false, null, "\\u00e9\\n", {"b":{}}]}\n',
    '0',
    '12',
    '1E5',
    '"é"',
  ])('finds nothing wrong with %s', (text) => {
    expect(scan(text)).toEqual({ kind: 'value' });
    expect(() => JSON.parse(text)).not.toThrow();
  });

  it.each([
    ['x', invalid("'x' looking for beginning of value")],
    ['<html>', invalid("'<' looking for beginning of value")],
    ['[1,]', invalid("']' looking for beginning of value")],
    ['{"a":}', invalid("'}' looking for beginning of value")],
    ['{a:1}', invalid("'a' looking for beginning of object key string")],
    ["{'a':1}", invalid("'\\'' looking for beginning of object key string")],
    ['{"a":1,}', invalid("'}' looking for beginning of object key string")],
    ['{"a" 1}', invalid("'1' after object key")],
    ['{"a":1 "b":2}', invalid("'\"' after object key:value pair")],
    ['[1 2]', invalid("'2' after array element")],
    ['["a\nb"]', invalid("'\\n' in string literal")],
    ['["a\u0001b"]', invalid("'\\x01' in string literal")],
    ['["\\x"]', invalid("'x' in string escape code")],
    ['["\\u12g4"]', invalid("'g' in \\u hexadecimal character escape")],
    ['-x', invalid("'x' in numeric literal")],
    ['[1.x]', invalid("'x' after decimal point in numeric literal")],
    ['[1e]', invalid("']' in exponent of numeric literal")],
    ['[trux]', invalid("'x' in literal true (expecting 'e')")],
    ['[fxlse]', invalid("'x' in literal false (expecting 'a')")],
    ['[nulx]', invalid("'x' in literal null (expecting 'l')")],
    // The first byte of two, as a character of its own.
    ['é', invalid("'Ã' looking for beginning of value")],
    ['\u00a0', invalid("'Â' looking for beginning of value")],
    ['\\', invalid("'\\\\' looking for beginning of value")],
    ['\u007f', invalid("'\\x7f' looking for beginning of value")],
    [`${'['.repeat(10_001)}`, invalid("'[' exceeded max depth")],
  ])('says where %s goes wrong', (text, message) => {
    expect(scan(text)).toEqual({ kind: 'wrong', message });
    expect(() => JSON.parse(text)).toThrow();
  });

  it('shows a byte that is no character of its own by its number', () => {
    expect(scanJson(Buffer.from([0x80]))).toEqual({
      kind: 'wrong',
      message: invalid("'\\u0080' looking for beginning of value"),
    });
  });

  it.each([
    ['', 'unexpected end of JSON input'],
    [' ', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{"a"', 'unexpected end of JSON input'],
    ['{"a":"b', 'unexpected end of JSON input'],
    ['[1', 'unexpected end of JSON input'],
    // Go tries a space at the end, which these have no place for.
    ['tru', invalid("' ' in literal true (expecting 'e')")],
    ['-', invalid("' ' in numeric literal")],
    ['"\\', invalid("' ' in string escape code")],
  ])('says that %j is over too early', (text, message) => {
    expect(scan(text)).toEqual({ kind: 'short', message });
  });

  it.each([
    ['{} x', 3, invalid("'x' after top-level value")],
    ['{}{}', 2, invalid("'{' after top-level value")],
    ['[1]]', 3, invalid("']' after top-level value")],
    ['1 2', 2, invalid("'2' after top-level value")],
  ])('knows where the value of %s ends', (text, valueBytes, message) => {
    expect(scan(text)).toEqual({ kind: 'more', valueBytes, message });
    expect(() => JSON.parse(text.slice(0, valueBytes))).not.toThrow();
  });
});

describe('wrongType', () => {
  it('names the value, the place and the type', () => {
    expect([
      wrongType(7, 'SignupParams', 'email', 'string'),
      wrongType([], 'SignupParams', '', ''),
      wrongType(true, 'OtpParams', 'data', 'map[string]interface {}'),
      wrongType({}, 'captchaSecurity', 'gotrue_meta_security.captcha_token', 'string'),
    ]).toEqual([
      'json: cannot unmarshal number into Go struct field SignupParams.email of type string',
      'json: cannot unmarshal array into Go value of type api.SignupParams',
      'json: cannot unmarshal bool into Go struct field OtpParams.data of type map[string]interface {}',
      'json: cannot unmarshal object into Go struct field captchaSecurity.gotrue_meta_security.captcha_token of type string',
    ]);
  });
});
