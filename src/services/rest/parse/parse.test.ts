// In charge of: the query string's grammar: what each parameter may say, and what is said of those that say something else.
// The complaints are those that PostgREST gives. Source: PostgREST 14.12, the examples in src/PostgREST/ApiRequest/QueryParams.hs.
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../base/errors.ts';
import { inShape, parseConditions, parseFilter } from './filter.ts';
import { splitValueList } from './lexemes.ts';
import { parseAccept, parseMediaType, renderMediaType } from './media-type.ts';
import { parseOrder } from './order.ts';
import { parsePreferences, renderPreferences } from './prefer.ts';
import { canonicalQuery, splitQuery } from './query-string.ts';
import { rootRange } from './range.ts';
import { maxDepth, parseSelect } from './select.ts';

/** The place and the expectation of a refusal. */
function complaint(parse: () => unknown): readonly [string, string | null] {
  try {
    parse();
  } catch (error) {
    if (error instanceof Fault) return [/\(line.*$/.exec(error.message)?.[0] ?? error.message, error.details];
    throw error;
  }
  throw new Error('it parsed');
}

describe('select', () => {
  const plain = { aggregate: undefined, aggregateCast: undefined, cast: undefined, alias: undefined };
  const column = (name: string) => ({ kind: 'field', field: { name, path: [] }, ...plain });

  it('names columns, with alias, cast and JSON path', () => {
    expect(parseSelect('id,writer:name::text,facts->pages')).toEqual([
      column('id'),
      { ...column('name'), alias: 'writer', cast: 'text' },
      {
        kind: 'field',
        field: { name: 'facts', path: [{ asText: false, kind: 'key', operand: 'pages' }] },
        ...plain,
      },
    ]);
  });

  it('embeds, with alias, hint and kind of join, to any depth up to a bound', () => {
    expect(parseSelect('a:books!fk!inner(id),...authors(*)')).toEqual([
      {
        kind: 'embed',
        relation: 'books',
        alias: 'a',
        hint: 'fk',
        join: 'inner',
        spread: false,
        select: [column('id')],
      },
      {
        kind: 'embed',
        relation: 'authors',
        alias: undefined,
        hint: undefined,
        join: undefined,
        spread: true,
        select: [column('*')],
      },
    ]);
    const nested = (depth: number) => `${'a('.repeat(depth)}id${')'.repeat(depth)}`;
    expect(parseSelect(nested(maxDepth))).toHaveLength(1);
    expect(() => parseSelect(nested(maxDepth + 1))).toThrow(Fault);
  });

  it.each([
    [
      'id,clients(name[])',
      '(line 1, column 16)',
      'unexpected \'[\' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input',
    ],
    [
      'data->>-78xy',
      '(line 1, column 11)',
      'unexpected \'x\' expecting digit, "->", "::", ".", "," or end of input',
    ],
    [
      'name!hint',
      '(line 1, column 5)',
      'unexpected \'!\' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input',
    ],
  ])('refuses %s', (text, place, expectation) => {
    expect(complaint(() => parseSelect(text))).toEqual([place, expectation]);
  });
});

describe('filters', () => {
  it('take the value as it is, and lists apart', () => {
    expect(parseFilter('a.b', 'not.eq.x.y', 3)).toEqual({
      path: ['a'],
      item: {
        field: { name: 'b', path: [] },
        negated: true,
        operation: { kind: 'compare', operator: '=', quantifier: undefined, value: { text: 'x.y', at: 3 } },
      },
    });
    expect(parseFilter('id', 'in.(1,"a,b",c)', 4).item.operation).toEqual({
      kind: 'in',
      list: { text: '', at: 4 },
      values: ['1', 'a,b', 'c'],
    });
  });

  it.each([
    ['noop.0', '(line 1, column 1)', 'unexpected "o" expecting "not" or operator (eq, gt, ...)'],
    ['fts().value', '(line 1, column 5)', 'unexpected ")" expecting operator (eq, gt, ...)'],
    ['eq().value', '(line 1, column 4)', 'unexpected ")" expecting operator (eq, gt, ...)'],
    ['is().value', '(line 1, column 3)', 'unexpected "(" expecting operator (eq, gt, ...)'],
  ])('refuse %s', (text, place, expectation) => {
    expect(complaint(() => parseFilter('id', text, inShape))).toEqual([place, expectation]);
  });

  it.each([
    [
      'or',
      '()',
      '(line 1, column 4)',
      'unexpected ")" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)',
    ],
    ['or', '(id.in.1,2,id.eq.3)', '(line 1, column 10)', 'unexpected "1" expecting "("'],
    ['or', ')(', '(line 1, column 3)', 'unexpected ")" expecting "("'],
    ['and', '(ord(id.eq.1,id.eq.1),id.eq.2)', '(line 1, column 7)', 'unexpected "d" expecting "("'],
    [
      'or',
      '(id.eq.1,not.xor(id.eq.2,id.eq.3))',
      '(line 1, column 16)',
      'unexpected "x" expecting logic operator (and, or)',
    ],
  ])('refuse %s=%s', (key, text, place, expectation) => {
    expect(complaint(() => parseConditions(key, text))).toEqual([place, expectation]);
  });
});

describe('order', () => {
  it('names columns of its own and of embeds', () => {
    expect(parseOrder('books.order', 'year.desc.nullslast,authors(name)')).toEqual({
      path: ['books'],
      item: [
        { relation: undefined, field: { name: 'year', path: [] }, direction: 'desc', nulls: 'last' },
        { relation: 'authors', field: { name: 'name', path: [] }, direction: undefined, nulls: undefined },
      ],
    });
  });

  it.each([
    ['id.ac', '(line 1, column 4)', 'unexpected "c" expecting "asc", "desc", "nullsfirst" or "nullslast"'],
    ['id.descc', '(line 1, column 8)', 'unexpected \'c\' expecting delimiter (.), "," or end of input'],
    ['id.asc.nlsfst', '(line 1, column 8)', 'unexpected "l" expecting "nullsfirst" or "nullslast"'],
    ['id.nullslasttt', '(line 1, column 13)', 'unexpected \'t\' expecting "," or end of input'],
    [
      'clients(name,id)',
      '(line 1, column 8)',
      'unexpected \'(\' expecting letter, digit, "-", "->>", "->", delimiter (.), "," or end of input',
    ],
  ])('refuses %s', (text, place, expectation) => {
    expect(complaint(() => parseOrder('order', text))).toEqual([place, expectation]);
  });
});

describe('ranges', () => {
  it.each([
    [undefined, undefined, undefined, { offset: 0, limit: undefined }],
    ['5', undefined, undefined, { offset: 0, limit: 5 }],
    ['5', '10', undefined, { offset: 10, limit: 5 }],
    [undefined, undefined, '5-9', { offset: 5, limit: 5 }],
    ['10', undefined, '5-', { offset: 5, limit: 5 }],
    ['0', undefined, '5-9', { offset: 0, limit: 0 }],
    [undefined, undefined, 'nonsense', { offset: 0, limit: undefined }],
  ])('limit=%s offset=%s Range: %s', (limit, offset, header, expected) => {
    expect(rootRange(limit, offset, header)).toEqual(expected);
  });

  it.each([
    ['-1', undefined, undefined, 'Limit should be greater than or equal to zero.'],
    [
      undefined,
      undefined,
      '9-5',
      'The lower boundary must be lower than or equal to the upper boundary in the Range header.',
    ],
  ])('refuse limit=%s offset=%s Range: %s', (limit, offset, header, details) => {
    expect(complaint(() => rootRange(limit, offset, header))[1]).toBe(details);
  });
});

describe('Prefer', () => {
  const zones = new Set(['Europe/Warsaw']);

  it('hears the first of two, and lists what it does not know', () => {
    const heard = parsePreferences(
      'count=exact, tx=rollback,tx=commit, nonsense, timezone=Mars',
      zones,
      true,
    );
    expect(heard).toMatchObject({
      count: 'exact',
      tx: 'rollback',
      timezone: undefined,
      invalid: ['nonsense', 'timezone=Mars'],
    });
  });

  it('does not hear tx unless it is allowed', () => {
    expect(parsePreferences('tx=rollback', zones, false)).toMatchObject({ tx: undefined, invalid: [] });
  });

  it('renders what was applied; max-affected only when strict', () => {
    expect(parsePreferences('timezone=+05:30', zones, true)).toMatchObject({
      timezone: '+05:30',
      invalid: [],
    });
    expect(parsePreferences('timezone=05:30:15', zones, true)).toMatchObject({ timezone: undefined });
    const heard = parsePreferences('max-affected=5, timezone=Europe/Warsaw', zones, true);
    expect(renderPreferences(heard)).toBe('timezone=Europe/Warsaw');
    expect(renderPreferences({ ...heard, handling: 'strict' })).toBe(
      'handling=strict, timezone=Europe/Warsaw, max-affected=5',
    );
  });
});

describe('media types', () => {
  it.each([
    [
      'application/vnd.pgrst.plan+json; for="text/csv"; options=analyze|wal',
      'application/vnd.pgrst.plan+json; for="text/csv"; options=analyze|wal',
    ],
    ['ApplicatIon/vnd.PgRsT.object+json', 'application/vnd.pgrst.object+json'],
    ['application/vnd.pgrst.array+json;nulls=stripped', 'application/vnd.pgrst.array+json;nulls=stripped'],
    ['application/vnd.pgrst.array', 'application/json'],
    ['image/png', 'image/png'],
  ])('%s', (text, rendered) => {
    expect(renderMediaType(parseMediaType(text))).toBe(rendered);
  });

  it('are taken by quality, then by how much they say', () => {
    const names = parseAccept('text/csv;q=0.5, */*;q=0.5, application/json').map(renderMediaType);
    expect(names).toEqual(['application/json', 'text/csv', '*/*']);
  });
});

describe('the query string', () => {
  it('reads plus as a space, and leaves a broken escape as it is', () => {
    expect(splitQuery('a=b+c&d=%zz&e=%C3%A9&flag')).toEqual([
      { key: 'a', value: 'b c' },
      { key: 'd', value: '%zz' },
      { key: 'e', value: 'é' },
    ]);
  });

  it('is told back sorted and escaped', () => {
    expect(canonicalQuery("b=1&a=(x y)'&a=2")).toBe('a=%28x%20y%29%27&a=2&b=1');
  });
});

describe('a list of values', () => {
  it.each([
    ['(1,2)', ['1', '2']],
    ['()', ['']],
    ['("a,b","c\\"d",e"f)', ['a,b', 'c"d', 'e"f']],
    ['1,2', undefined],
    ['(1,2', undefined],
  ])('%s', (text, values) => {
    expect(splitValueList(text)).toEqual(values);
  });
});
