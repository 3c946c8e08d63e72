// In charge of: what may have been a rename, and how one is said.
import { describe, expect, it } from 'vitest';
import type { Member } from './plan.ts';
import { findAnswered, nameOf, parseRenaming, questionsOf, renameStatement } from './renames.ts';

const table = (name: string): Member => ({ kind: 'table', schema: 'public', table: name });
const column = (name: string, type = 'text', of = 'films'): Member => ({
  kind: 'column',
  schema: 'public',
  table: of,
  column: name,
  type,
});
const asked = (removed: readonly Member[], added: readonly Member[]) =>
  questionsOf({ removed, added }).map(({ from, to }) => `${nameOf(from)} → ${nameOf(to)}`);

describe('questionsOf', () => {
  it.each<[string, readonly Member[], readonly Member[], readonly string[]]>([
    [
      'a column of the same type',
      [column('name')],
      [column('title')],
      ['public.films.name → public.films.title'],
    ],
    [
      'a column that may have got another type at once',
      [column('length')],
      [column('minutes', 'integer')],
      ['public.films.length → public.films.minutes'],
    ],
    [
      'a column of its type first, however near the name of another is',
      [column('year'), column('title')],
      [column('years', 'integer'), column('made')],
      ['public.films.year → public.films.made', 'public.films.title → public.films.years'],
    ],
    ['no column of another table', [column('name')], [column('title', 'text', 'posters')], []],
    [
      'the nearer of two names',
      [column('name')],
      [column('summary'), column('names')],
      ['public.films.name → public.films.names'],
    ],
    ['each once', [column('a'), column('b')], [column('c')], ['public.films.a → public.films.c']],
    [
      'a table with mostly the same columns, and not its columns again',
      [table('film'), column('id', 'int', 'film'), column('name', 'text', 'film')],
      [table('films'), column('id', 'int'), column('name'), column('year', 'int')],
      ['public.film → public.films'],
    ],
    [
      'no table with other columns',
      [
        table('film'),
        column('id', 'int', 'film'),
        column('name', 'text', 'film'),
        column('x', 'int', 'film'),
      ],
      [
        table('logs'),
        column('id', 'int', 'logs'),
        column('line', 'text', 'logs'),
        column('at', 'date', 'logs'),
      ],
      [],
    ],
  ])('asks about %s', (_, removed, added, expected) => {
    expect(asked(removed, added)).toEqual(expected);
  });
});

describe('--rename', () => {
  const found = { removed: [table('film'), column('name')], added: [table('movies'), column('title')] };

  it.each([
    ['film:movies', 'alter table "public"."film" rename to "movies";'],
    ['public.film:public.movies', 'alter table "public"."film" rename to "movies";'],
    ['films.name:title', 'alter table "public"."films" rename column "name" to "title";'],
    ['public.films.name:public.films.title', 'alter table "public"."films" rename column "name" to "title";'],
  ])('%s is %s', (text, statement) => {
    const answer = findAnswered(parseRenaming(text), found);
    expect(answer && renameStatement(answer)).toBe(statement);
  });

  it.each(['film:title', 'name:title', 'nowhere:movies'])('%s fits nothing', (text) => {
    expect(findAnswered(parseRenaming(text), found)).toBeUndefined();
  });

  it('has two halves', () => {
    expect(() => parseRenaming('film')).toThrow('--rename "film" is not of the form OLD:NEW.');
  });
});
