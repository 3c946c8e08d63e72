// In charge of: errors of the server as libpq words them.
import { describe, expect, it } from 'vitest';
import { renderAsLibpq } from './libpq-message.ts';

const failed = (more: object) => Object.assign(new Error('it failed'), { severity: 'ERROR', ...more });

describe('an error as libpq words it', () => {
  it.each<[string, unknown, string, string]>([
    ['with nothing more', failed({}), 'select 1', 'ERROR:  it failed\n'],
    [
      'with detail, hint and context',
      failed({ detail: 'a', hint: 'b', where: 'c' }),
      'select 1',
      'ERROR:  it failed\nDETAIL:  a\nHINT:  b\nCONTEXT:  c\n',
    ],
    [
      'with a place in the second line, behind a tab and a letter of two bytes',
      failed({ position: '12' }),
      'select 1;\n\tüx',
      'ERROR:  it failed\nLINE 2:  üx\n         ^\n',
    ],
    [
      'with a place in a long line, which is cut around it',
      failed({ position: '101' }),
      `${'x'.repeat(100)}y${'z'.repeat(100)}`,
      `ERROR:  it failed\nLINE 1: ...${'x'.repeat(50)}y${'z'.repeat(9)}...\n${' '.repeat(11 + 50)}^\n`,
    ],
    [
      'with a place in the query of a function',
      failed({ internalPosition: '8', internalQuery: 'select nothing' }),
      'select f()',
      'ERROR:  it failed\nLINE 1: select nothing\n               ^\nQUERY:  select nothing\n',
    ],
    ['that is none of the server', new Error('connection lost'), 'select 1', 'connection lost'],
  ])('%s', (_, error, command, expected) => {
    expect(renderAsLibpq(error, command)).toBe(expected);
  });
});
