// In charge of: reading TAP as prove does.
import { describe, expect, it } from 'vitest';
import { parseTap } from './tap.ts';

const read = (text: string) => parseTap(text.split('\n'));

describe('parseTap', () => {
  it('reads plan, tests, directives and what a failure says', () => {
    const result = read(
      '1..4\nok 1 - first # and \\# more\n(1 row)\nnot ok 2 - second\n# Failed test 2: "second"\n#   have: 1\nnot ok 3 - third # TODO later\nok 4 # skip no time',
    );
    expect(result).toMatchObject({ planned: 4, problems: [], passed: false });
    expect(result.tests.map(({ description, directive }) => [description, directive])).toEqual([
      ['first # and # more', undefined],
      ['second', undefined],
      ['third', { kind: 'todo', reason: 'later' }],
      ['', { kind: 'skip', reason: 'no time' }],
    ]);
    expect(result.failed.map(({ number }) => number)).toEqual([2]);
    expect(result.tests[1]!.diagnostics).toEqual(['# Failed test 2: "second"', '#   have: 1']);
  });

  it.each<[string, string, readonly string[]]>([
    ['no plan', 'ok 1', ['No plan found in TAP output']],
    ['too few', '1..3\nok 1', ['Bad plan.  You planned 3 tests but ran 1.']],
    ['two plans', '1..1\nok 1\n1..1', ['More than one plan found in TAP output']],
    [
      'out of order',
      '1..2\nok 2\nok 1',
      [
        'Tests out of sequence.  Found (2) but expected (1)',
        'Tests out of sequence.  Found (1) but expected (2)',
      ],
    ],
    ['nothing', '', ['No plan found in TAP output']],
  ])('names the problem: %s', (_, text, problems) => {
    const result = read(text);
    expect(result).toMatchObject({ problems, passed: false });
  });

  it('takes a plan at the end, a skipped file, a todo that passes, and a bail out', () => {
    expect(read('ok 1\nok 2\n1..2').passed).toBe(true);
    expect(read('1..0 # SKIP no tables')).toMatchObject({ skippedAll: 'no tables', passed: true });
    expect(read('1..1\nok 1 - x # TODO later').unexpected).toHaveLength(1);
    expect(read('1..2\nok 1\nBail out!  no database\nok 2')).toMatchObject({
      bailOut: 'no database',
      passed: false,
      problems: [],
    });
  });
});
