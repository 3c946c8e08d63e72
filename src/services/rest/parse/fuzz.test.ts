// In charge of: that no text whatever gets more out of the parsers than a value or a typed refusal. `SEED=42 npm test` runs the same texts again.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../base/errors.ts';
import { shapeOf } from '../shape.ts';
import { parseCsv } from './csv.ts';
import { inShape, parseConditions, parseFilter } from './filter.ts';
import { splitValueList } from './lexemes.ts';
import { parseAccept, parseMediaType } from './media-type.ts';
import { parseColumns, parseOrder } from './order.ts';
import { canonicalQuery, splitQuery } from './query-string.ts';
import { parseSelect } from './select.ts';

const seed = process.env.SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.SEED);
process.stderr.write(`SEED=${seed}\n`);
const runs = { seed, numRuns: 500 };

/** Texts made of what means something to the grammar, so that they get further than noise would. */
const grammar = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '(',
        ')',
        ',',
        '.',
        ':',
        '::',
        '"',
        '\\',
        '->',
        '->>',
        '!',
        '...',
        '*',
        '-',
        ' ',
        '{',
        '}',
        '\0',
      ),
      fc.constantFrom(
        'and',
        'or',
        'not',
        'eq',
        'in',
        'is',
        'null',
        'fts',
        'any',
        'inner',
        'count()',
        'sum()',
        'asc',
      ),
      fc.string({ maxLength: 4, unit: 'binary' }),
      fc.string({ maxLength: 4 }),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

function typed(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    expect((error as Fault).code).toMatch(/^PGRST1\d\d$/);
  }
}

describe('any text', () => {
  it.each<[string, (text: string) => unknown]>([
    ['select', parseSelect],
    ['a filter', (text) => parseFilter('id', text, inShape)],
    ["a filter's name", (text) => parseFilter(text, 'eq.1', inShape)],
    ['and', (text) => parseConditions('and', text)],
    ["and's name", (text) => parseConditions(text, '(id.eq.1)')],
    ['order', (text) => parseOrder('order', text)],
    ['columns', (text) => parseColumns('columns', text)],
    ['Accept', parseAccept],
    ['Content-Type', (text) => parseMediaType(text)],
    ['a query string', splitQuery],
    ['a canonical query string', canonicalQuery],
    ['CSV', parseCsv],
  ])('parses or is refused with a code, as %s', (_, parse) => {
    fc.assert(
      fc.property(grammar, (text) => typed(() => parse(text))),
      runs,
    );
  });
});

describe('a list of values', () => {
  it('is split as the grammar would parse it', () => {
    fc.assert(
      fc.property(grammar, (text) => {
        let parsed: readonly string[] | undefined;
        try {
          const { operation } = parseFilter('id', `in.${text}`, inShape).item;
          parsed = operation.kind === 'in' ? operation.values : undefined;
        } catch {
          parsed = undefined;
        }
        expect(splitValueList(text)).toEqual(parsed);
      }),
      runs,
    );
  });
});

describe('the shape of a request', () => {
  const wire = (path: string, query: string) => ({
    method: 'GET',
    path,
    query,
    headers: {},
    body: Buffer.alloc(0),
  });

  it('does not hold the values of filters', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const of = (value: string) =>
          shapeOf(wire('/t', `id=eq.${encodeURIComponent(value.toWellFormed())}`));
        expect(of(a).key).toBe(of(b).key);
        expect(of(a).values.at(-1)).toBe(a.toWellFormed());
      }),
      runs,
    );
  });

  it('is another one for other names', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (a, b, c, d) => {
        fc.pre(a.toWellFormed() !== c.toWellFormed() || b.toWellFormed() !== d.toWellFormed());
        const of = (name: string, select: string) =>
          shapeOf(
            wire(
              '/t',
              `x${encodeURIComponent(name.toWellFormed())}=is.null&select=${encodeURIComponent(select.toWellFormed())}`,
            ),
          ).key;
        expect(of(a, b)).not.toBe(of(c, d));
      }),
      runs,
    );
  });
});
