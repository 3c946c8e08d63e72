// In charge of: proving which statements are recorded. The CLI itself is asked in test/cli.test.ts.
import { describe, expect, it } from 'vitest';
import { recordedStatements } from './recorded.ts';

/** Text and what the CLI 3.1 records of it. Those marked are its own ways, which Postgres does not share. */
const cases: readonly (readonly [it: string, text: string, statements: readonly string[]])[] = [
  ['cuts at semicolons and trims', ' select 1 ;;\n\n;select 2', ['select 1', 'select 2']],
  [
    'keeps comments with the statement behind them',
    '-- a;\nselect 1; /* b; */',
    ['-- a;\nselect 1', '/* b; */'],
  ],
  ['nests block comments', '/* a /* b; */ c; */ select 1;', ['/* a /* b; */ c; */ select 1']],
  ['keeps /*/ open', '/*/ a; */ select 1;', ['/*/ a; */ select 1']],
  [
    'leaves strings and names whole',
    `select ';''', "a;"";" ;select 2`,
    [`select ';''', "a;"";"`, 'select 2'],
  ],
  [
    'knows the backslashes of E strings',
    "select E'\\';', e'a\\\\'; select 2",
    ["select E'\\';', e'a\\\\'", 'select 2'],
  ],
  [
    'goes on with an E string on the next line',
    "select E'a' -- b\n '\\';'; select 2",
    ["select E'a' -- b\n '\\';'", 'select 2'],
  ],
  ['takes no backslash in other strings', "select '\\'; select 2", ["select '\\'", 'select 2']],
  ['leaves dollar quotes whole', 'do $$ a; $$; do $x$ b; $$; $x$;', ['do $$ a; $$', 'do $x$ b; $$; $x$']],
  ['sees no quote in a name with a dollar', 'select a$b$; select c$b$', ['select a$b$', 'select c$b$']],
  [
    'leaves the body of an SQL function whole',
    'create function f() begin atomic select case 1 end; select 2; end; select 3',
    ['create function f() begin atomic select case 1 end; select 2; end', 'select 3'],
  ],
  ['hides semicolons in parentheses', 'create rule r do (a; b); c', ['create rule r do (a; b)', 'c']],
  ['closes all parentheses with the first (its own way)', 'a (b (c); d); e', ['a (b (c)', 'd)', 'e']],
  ['hides what follows a backslash (its own way)', 'a \\; b; c', ['a \\; b', 'c']],
  ['ends a dollar quote in its own beginning (its own way)', 'a $$$; b', ['a $$$', 'b']],
  ['takes a byte order mark for white space', '\ufeffselect 1;', ['select 1']],
  ['keeps line ends as they are', 'a\r\nb;\r\nc', ['a\r\nb', 'c']],
  ['records nothing of nothing', ' \n;;\n', []],
];

describe('recordedStatements', () => {
  for (const [name, text, statements] of cases) {
    it(name, () => expect(recordedStatements(text)).toEqual(statements));
  }
});
