// In charge of: what is read from a database: keys and relationships also through views, functions, and that no privilege is needed for it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../test/harness/database.ts';
import { withClient } from '../db/client.ts';
import { type Catalog, relationshipsOf } from './catalog.ts';
import { loadCatalog, readStatements } from './load.ts';

let test: TestDatabase;
let catalog: Catalog;

beforeAll(async () => {
  test = await openTestDatabase();
  await test.run(`
    create schema hidden;
    create domain public.email as text check (value like '%@%');
    create type public.mood as enum ('low', 'high');
    create table hidden.people (id int primary key, "odd (name)" text);
    create table public.teams (id int primary key, lead int unique references hidden.people, contact public.email, mood public.mood);
    create table public.members (
      team_id int references public.teams, person_id int references hidden.people, role text,
      primary key (team_id, person_id)
    );
    create view public.people as select p.id, p."odd (name)" as name, p.id + 1 as next from hidden.people p;
    create view public.friends as select id as friend_id, name from public.people where id > 0;
    create function public.greet(who text, loud bool default false, variadic rest int[] default '{}') returns text
      language sql set statement_timeout = '1s' as $$ select who $$;
    create function public.cut(flags bit, out ok bool) language sql as $$ select true $$;
    create function public.hooked() returns trigger language plpgsql as $$ begin return new; end $$;
  `);
  const sql = await readStatements();
  // Nobody's role: every right is taken from it but the right to connect.
  catalog = await withClient(test.login('authenticator'), (client) =>
    loadCatalog(client, sql, {
      schemas: ['public'],
      extraSearchPath: [],
      hoistedSettings: ['statement_timeout'],
    }),
  );
});

afterAll(() => test?.[Symbol.asyncDispose]());

const relation = (name: string) => catalog.relations.get(`public\0${name}`)!;
const between = (table: string, target: string) =>
  relationshipsOf(catalog, { schema: 'public', name: table }, 'public')
    .filter((relationship) => relationship.target.name === target)
    .map(({ kind }) => kind);

describe('relations', () => {
  it('have the types of their columns, through domains and enums', () => {
    const { columns } = relation('teams');
    expect(columns.get('contact')).toMatchObject({
      type: 'text',
      nominalType: 'public.email',
      nullable: true,
    });
    expect(columns.get('mood')).toMatchObject({ type: 'public.mood', enum: ['low', 'high'] });
  });

  it('of hidden schemas are not there', () => {
    expect([...catalog.relations.values()].map(({ schema }) => schema)).not.toContain('hidden');
  });

  it('say what can be written', () => {
    expect(relation('teams')).toMatchObject({
      insertable: true,
      updatable: true,
      deletable: true,
      isView: false,
    });
    expect(relation('people')).toMatchObject({ insertable: true, isView: true });
  });
});

describe('views', () => {
  it('have the primary key of the table whose key they show, also through another view', () => {
    expect(relation('people').primaryKey).toEqual(['id']);
    expect(relation('friends').primaryKey).toEqual(['friend_id']);
  });

  it('stand in for the hidden table they show', () => {
    expect(between('teams', 'people')).toEqual(['one-to-one', 'many-to-many']);
    expect(between('members', 'friends')).toEqual(['many-to-one']);
    expect(between('friends', 'members')).toEqual(['one-to-many']);
  });
});

describe('functions', () => {
  it('have parameters with defaults, and the settings that are hoisted', () => {
    const [greet] = catalog.routines.get('public\0greet')!;
    expect(greet).toMatchObject({
      hasVariadic: true,
      settings: [['statement_timeout', '1s']],
      parameters: [
        { name: 'who', required: true },
        { name: 'loud', required: false },
        { name: 'rest', required: false, variadic: true },
      ],
    });
  });

  it('take what would be cut by a length of one', () => {
    expect(catalog.routines.get('public\0cut')?.[0]?.parameters).toEqual([
      { name: 'flags', type: 'bit', castType: 'bit varying', required: true, variadic: false },
    ]);
  });

  it('of triggers are not there', () => {
    expect(catalog.routines.has('public\0hooked')).toBe(false);
  });
});
