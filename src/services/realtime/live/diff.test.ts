// In charge of: what two answers of one read differ in.
import { describe, expect, it } from 'vitest';
import { answered, difference, NotFollowable } from './diff.ts';

const of = (rows: readonly object[], primaryKey = ['id']) => answered(JSON.stringify(rows), primaryKey);
const [one, two, three] = [
  { id: 1, a: 'x' },
  { id: 2, a: 'y' },
  { id: 3, a: 'z' },
];

describe('the difference of two answers', () => {
  it.each([
    ['nothing', [one, two], [one, two], undefined],
    ['a new row', [one], [one, two], { upserts: ['{"id":2,"a":"y"}'], removes: [], order: ['[1]', '[2]'] }],
    [
      'another row',
      [one, two],
      [one, { ...two, a: 'q' }],
      { upserts: ['{"id":2,"a":"q"}'], removes: [], order: undefined },
    ],
    ['a row less', [one, two, three], [one, three], { upserts: [], removes: ['[2]'], order: ['[1]', '[3]'] }],
    ['another order', [one, two], [two, one], { upserts: [], removes: [], order: ['[2]', '[1]'] }],
    ['everything', [one], [three], { upserts: ['{"id":3,"a":"z"}'], removes: ['[1]'], order: ['[3]'] }],
    ['no rows any more', [one], [], { upserts: [], removes: ['[1]'], order: [] }],
  ])('is %s', (_name, before, after, expected) => {
    expect(difference(of(before), of(after))).toEqual(expected);
  });

  it('goes by all columns of a key', () => {
    const key = ['a', 'b'];
    const before = of([{ a: 1, b: 2, c: 0 }], key);
    const after = of(
      [
        { a: 1, b: 3, c: 0 },
        { a: 1, b: 2, c: 1 },
      ],
      key,
    );
    expect(difference(before, after)).toEqual({
      upserts: ['{"a":1,"b":3,"c":0}', '{"a":1,"b":2,"c":1}'],
      removes: [],
      order: ['[1,3]', '[1,2]'],
    });
  });

  it('tells numbers apart that JavaScript takes for one, and says them as they are', () => {
    const rows = '[{"id":9007199254740993,"a":1.10},{"id":9007199254740992,"a":1.0}]';
    const before = answered(rows, ['id']);
    expect(before.size).toBe(2);
    expect(difference(before, answered(rows.replace('1.10', '1.1'), ['id']))).toEqual({
      upserts: ['{"id":9007199254740993,"a":1.1}'],
      removes: [],
      order: undefined,
    });
  });

  it('needs the key', () => {
    expect(() => of([{ a: 1 }])).toThrow(NotFollowable);
  });
});
