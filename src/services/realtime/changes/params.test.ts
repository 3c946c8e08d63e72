// In charge of: what upstream makes of the entries of `postgres_changes`, with its sentences.
// Source: supabase/realtime lib/extensions/postgres_cdc_rls/subscriptions.ex (doctests), test/realtime/extensions/cdc_rls/subscriptions_test.exs.
import { describe, expect, it } from 'vitest';
import { describeWish, parseWish } from './params.ts';
import { SubscriptionRefused } from './refused.ts';

const filtersOf = (filter: string) =>
  parseWish({ schema: 'public', table: 'test', filter }).filters.map(({ column, op, value, negate }) => [
    column,
    op,
    value,
    negate,
  ]);

function refusalOf(params: unknown): string {
  try {
    parseWish(params);
  } catch (error) {
    if (error instanceof SubscriptionRefused) return error.message;
    throw error;
  }
  return 'not refused';
}

describe('a wish', () => {
  it.each([
    [{ schema: 'public', table: 'messages' }, '*', 'public', 'messages', undefined],
    [{ schema: 'public' }, '*', 'public', '*', undefined],
    [{ table: 'messages' }, '*', 'public', 'messages', undefined],
    [{ schema: '*', event: 'insert' }, 'INSERT', '*', '*', undefined],
    [{ schema: 'app', table: 't', event: 'TRUNCATE' }, '*', 'app', 't', undefined],
    [{ schema: 'app', table: 't', select: ['a', 1, 'b'] }, '*', 'app', 't', ['a', 'b']],
    [{ schema: 'app', table: 't', select: [] }, '*', 'app', 't', undefined],
  ])('%j', (params, event, schema, table, select) => {
    expect(parseWish(params)).toEqual({ event, schema, table, filters: [], select });
  });

  it.each([
    ['id=eq.5', [['id', 'eq', '5', false]]],
    ['', []],
    ['   ', []],
    [
      'id=gt.0,id=lt.100',
      [
        ['id', 'gt', '0', false],
        ['id', 'lt', '100', false],
      ],
    ],
    [
      'id=in.(1,2,3),details=eq.active',
      [
        ['id', 'in', '{1,2,3}', false],
        ['details', 'eq', 'active', false],
      ],
    ],
    ['subject=not.like.hey%', [['subject', 'like', 'hey%', true]]],
    [
      'a=eq.x),b=eq.y),c=eq.z',
      [
        ['a', 'eq', 'x)', false],
        ['b', 'eq', 'y)', false],
        ['c', 'eq', 'z', false],
      ],
    ],
    [`name=eq.O'Brien "x"`, [['name', 'eq', `O'Brien "x"`, false]]],
    [
      'name=eq."a,b",id=gt.0',
      [
        ['name', 'eq', 'a,b', false],
        ['id', 'gt', '0', false],
      ],
    ],
    ['name=eq."a.b:c(d)"', [['name', 'eq', 'a.b:c(d)', false]]],
    [String.raw`name=eq."she said \"hi\""`, [['name', 'eq', 'she said "hi"', false]]],
    [String.raw`path=eq."C:\\tmp"`, [['path', 'eq', String.raw`C:\tmp`, false]]],
    ['name=not.neq."a,b"', [['name', 'neq', 'a,b', true]]],
    ['name=eq.""', [['name', 'eq', '', false]]],
    ['tags=in.("a,b","c,d")', [['tags', 'in', '{"a,b","c,d"}', false]]],
    ['name=eq."unterminated', [['name', 'eq', '"unterminated', false]]],
    ['name=eq."ab"cd', [['name', 'eq', '"ab"cd', false]]],
    [
      'desc=eq.5" tall,id=gt.0',
      [
        ['desc', 'eq', '5" tall', false],
        ['id', 'gt', '0', false],
      ],
    ],
  ])('with the filter %s', (filter, filters) => {
    expect(filtersOf(filter)).toEqual(filters);
  });

  it.each([
    [{ table: 't', schema: 's', filter: 'subject=foo.hey' }, 'Error parsing `filter` params: ["foo", "hey"]'],
    [{ table: 't', schema: 's', filter: 'undefined' }, 'Error parsing `filter` params: ["undefined"]'],
    [
      { table: 't', schema: 's', filter: 'id=in.1' },
      'Error parsing `filter` params: `in` filter value must be wrapped by parentheses',
    ],
    [
      { table: 't', schema: 's', filter: 'id=gt.0,' },
      'Error parsing `filter` params: filter must not contain empty segments (check for extra commas)',
    ],
    [
      {},
      'No subscription params provided. Please provide at least a `schema` or `table` to subscribe to: %{}',
    ],
    [
      { schema: 'public', table: { a: null }, n: 1 },
      'No subscription params provided. Please provide at least a `schema` or `table` to subscribe to: %{"n" => 1, "schema" => "public", "table" => %{"a" => nil}}',
    ],
    [
      { user_token: 'x' },
      'No subscription params provided. Please provide at least a `schema` or `table` to subscribe to: <redacted>',
    ],
    [
      { schema: '*', table: 't', select: ['a'] },
      'Column selection is not supported for wildcard subscriptions. Provide an explicit schema and table name.',
    ],
    [
      { schema: 's', table: 't', select: 'a' },
      'Error parsing `select` params: expected a list of column name strings, e.g. select: ["col1", "col2"]',
    ],
    [
      { schema: 's', table: 't', filter: Array.from({ length: 101 }, () => 'a=eq.1').join(',') },
      'Error parsing `filter` params: filter must not have more than 100 conditions',
    ],
    [
      { schema: 's', table: 't', filter: `a=eq.${'x'.repeat(16 * 1024)}` },
      'Error parsing `filter` params: filter must not be longer than 16384 characters',
    ],
  ])('%j is refused', (params, sentence) => {
    expect(refusalOf(params)).toBe(sentence);
  });

  it('is named in refusals as upstream names it', () => {
    const wish = parseWish({ schema: 'public', table: 'test', filter: 'subject=eq.hey', select: ['a'] });
    expect(describeWish(wish)).toBe(
      '[event: *, schema: public, table: test, filters: [{"subject", "eq", "hey", false}], select: ["a"]]',
    );
  });
});
