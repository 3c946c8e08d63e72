// In charge of: proving how a script is cut: into pieces as psql does, and into transactions.
import { describe, expect, it } from 'vitest';
import { scriptPieces } from './script.ts';
import { type Lessons, noLessons, unitsOf } from './units.ts';

describe('scriptPieces', () => {
  const shown = (text: string) =>
    scriptPieces(text).map((piece) => {
      const sql = text.slice(piece.start, piece.end);
      return piece.kind === 'copy'
        ? [sql, piece.data]
        : piece.kind === 'command'
          ? { command: piece.name }
          : sql;
    });

  it('leaves out comments between statements and semicolons', () => {
    expect(shown('-- a;\n/* b /* ; */ */ select 1 -- c;\n ; ;\nselect 2')).toEqual([
      'select 1 -- c;',
      'select 2',
    ]);
  });
  it('cuts as Postgres does where the CLI does not', () => {
    expect(shown('select ((1)); select 2')).toEqual(['select ((1))', 'select 2']);
    expect(shown("select 'a\\'; select 2")).toEqual(["select 'a\\'", 'select 2']);
  });
  it('follows a switch of standard_conforming_strings', () => {
    expect(
      shown(
        "set standard_conforming_strings to off; select 'a\\';'; set standard_conforming_strings = on; select '\\';",
      ),
    ).toEqual([
      'set standard_conforming_strings to off',
      "select 'a\\';'",
      'set standard_conforming_strings = on',
      "select '\\'",
    ]);
  });
  it('takes the data of COPY … FROM stdin out', () => {
    expect(
      shown(
        'copy t (a) from stdin;\n1;\n\\.\nselect 1;\ncopy "from" to stdout;\ncopy t from stdin with csv;\r\na\r\n\\.\r\nselect 2',
      ),
    ).toEqual([
      ['copy t (a) from stdin', '1;\n'],
      'select 1',
      'copy "from" to stdout',
      ['copy t from stdin with csv', 'a\r\n'],
      'select 2',
    ]);
  });
  it('takes COPY without data, and data without an end', () => {
    expect(shown('copy t from stdin;\n\\.\nselect 1')).toEqual([['copy t from stdin', ''], 'select 1']);
    expect(shown('copy t from stdin;\n1\n2')).toEqual([['copy t from stdin', '1\n2']]);
  });
  it('finds commands of psql between statements only', () => {
    expect(shown('\\restrict abc\nselect 1; \\echo a;b\nselect \\x')).toEqual([
      { command: '\\restrict' },
      'select 1',
      { command: '\\echo' },
      'select \\x',
    ]);
  });
  it('leaves what is not closed to Postgres', () => {
    for (const text of ["select 'a;", 'select "a;', 'select $$a;', 'select (1;', '/* a; b']) {
      expect(shown(text).length).toBeLessThanOrEqual(1);
    }
  });
});

describe('unitsOf', () => {
  const cut = (text: string, lessons: Partial<Lessons> = {}, done = 0) =>
    unitsOf(scriptPieces(text), { ...noLessons, ...lessons }, done).map(
      ({ from, to, kind }) => `${kind} ${from}-${to}`,
    );

  it('is one transaction for most scripts', () => {
    expect(cut('create table t (id int); savepoint s; rollback to s; insert into t values (1)')).toEqual([
      'ours 0-4',
    ]);
  });
  it('keeps the script’s own transactions', () => {
    expect(cut('begin; a; commit')).toEqual(['theirs 0-3']);
    expect(cut('a; start transaction; b; rollback; c; begin; d; end; e')).toEqual([
      'ours 0-1',
      'theirs 1-4',
      'ours 4-5',
      'theirs 5-8',
      'ours 8-9',
    ]);
  });
  it('ends a transaction at a COMMIT that has no BEGIN', () => {
    expect(cut('a; commit; b')).toEqual(['ours 0-1', 'ours 2-3']);
  });
  it('lets stand alone what must', () => {
    const alone = [
      'create unique index concurrently i on t (a)',
      'drop index concurrently i',
      'reindex table concurrently t',
      'vacuum',
      'alter system set a = 1',
      'cluster',
      'create database d',
    ];
    for (const statement of alone)
      expect(cut(`a; ${statement}; b`)).toEqual(['ours 0-1', 'alone 1-2', 'ours 2-3']);
    for (const statement of [
      'refresh materialized view concurrently v',
      'create index i on concurrently (a)',
      'drop table "index"',
    ]) {
      expect(cut(`a; ${statement}; b`)).toEqual(['ours 0-3']);
    }
  });
  it('learns what else must, and goes on in the middle', () => {
    expect(cut('a; b; c', { alone: new Set([1]) })).toEqual(['ours 0-1', 'alone 1-2', 'ours 2-3']);
    expect(cut("alter type t add value 'a'; b; c", { commitEnumValues: true })).toEqual([
      'ours 0-1',
      'ours 1-3',
    ]);
    expect(cut('a; b; vacuum; c', { separate: true })).toEqual([
      'ours 0-1',
      'ours 1-2',
      'alone 2-3',
      'ours 3-4',
    ]);
    expect(cut('a; vacuum; b', {}, 2)).toEqual(['ours 2-3']);
  });
  it('makes no unit of commands and comments', () => {
    expect(cut('\\restrict a\n-- nothing\n')).toEqual([]);
  });
});
