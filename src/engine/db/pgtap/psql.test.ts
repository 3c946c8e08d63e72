// In charge of: what is read of psql, as psql reads it.
import { describe, expect, it } from 'vitest';
import { commandWords, interpolate } from './psql.ts';

const variables = new Map([
  ['id', '7'],
  ['who', "O'Hara"],
  ['a_table', 'films "old"'],
]);

describe('interpolate', () => {
  for (const [text, wanted] of [
    ['select :id', 'select 7'],
    ["select :'who', :id::int", "select 'O''Hara', 7::int"],
    ['select * from :"a_table"', 'select * from "films ""old"""'],
    ["select ':id', \":id\", $$:id$$, $q$:id$q$, E'\\':id' -- :id", undefined],
    ['select /* :id */ a[1:2], :nobody, now()::text', undefined],
    ["select ':id' || :id || ':id'", "select ':id' || 7 || ':id'"],
    ['select $$ a $$ || :id || $$ b $$', 'select $$ a $$ || 7 || $$ b $$'],
    ['select :{?id}, :{?nobody}', 'select TRUE, FALSE'],
  ] as const) {
    it(text, () => expect(interpolate(text, variables)).toBe(wanted ?? text));
  }
});

describe('commandWords', () => {
  for (const [text, wanted] of [
    ['name value', ['name', 'value']],
    ["name 'a b' c", ['name', 'a b', 'c']],
    ["hex '\\'ff\\'' 'it''s'", ['hex', "'ff'", "it's"]],
    ["t '\\t\\x41\\101'", ['t', '\tAA']],
    ["x :id :'who' a:id", ['x', '7', "'O''Hara'", 'a7']],
    ['', []],
    ['d `date`', undefined],
  ] as const) {
    it(text === '' ? 'nothing' : text, () => expect(commandWords(text, variables)).toEqual(wanted));
  }
});
