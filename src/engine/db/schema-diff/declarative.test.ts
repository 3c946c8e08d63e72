// In charge of: declarative schema files: any order that works is found, and a circle is named.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import { applyDeclared } from './declarative.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await openTestDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

/** Each file by its name; a schema of its own for each test. */
function apply(files: Readonly<Record<string, string>>): Promise<void> {
  const logins = { postgres: db.login('postgres'), admin: db.login('supabase_admin') };
  const declared = Object.entries(files).map(([name, text]) => ({
    path: `supabase/schemas/${name}.sql`,
    text,
  }));
  return applyDeclared(logins, declared, () => {});
}

describe('applyDeclared', () => {
  it('puts a file off that needs what a later one makes', async () => {
    await apply({
      a_view: 'create view in_order.titles as select title from in_order.films;',
      b_films:
        'create table in_order.films (id int primary key, title text, director int references in_order.directors);',
      c_directors: 'create table in_order.directors (id int primary key);',
      d_schema: 'create schema in_order;',
    });
    expect(
      await db.run(
        "select count(*)::int as count from pg_class where relnamespace = 'in_order'::regnamespace and relkind in ('r', 'v')",
      ),
    ).toEqual([{ count: 3 }]);
  });

  it('names the circle, and the way out of it', async () => {
    const circle = apply({
      films: 'create table films (id int primary key, poster int references "posters");',
      posters: 'create table posters (id int primary key, shop int references public.shops);',
      shops: 'create table shops (id int primary key, best int references public.films);',
      free: 'create table free (id int primary key);',
    });
    await expect(circle).rejects.toMatchObject({
      name: 'OperatorError',
      message:
        'The declarative schema goes in a circle: "supabase/schemas/films.sql" needs public.posters of "supabase/schemas/posters.sql", "supabase/schemas/posters.sql" needs public.shops of "supabase/schemas/shops.sql", "supabase/schemas/shops.sql" needs public.films of "supabase/schemas/films.sql".',
      hint: 'Break it: put one of the references (a foreign key: alter table … add constraint …) into a file of its own behind both.',
    });
  });

  it('says what is missing when nobody makes it, and what is wrong when it is no order', async () => {
    await expect(apply({ one: 'create table lonely (id int references public.nowhere);' })).rejects.toThrow(
      '"supabase/schemas/one.sql" failed at line 1, column 1: relation "public.nowhere" does not exist (42P01)',
    );
    await expect(apply({ two: 'create tabel x ();' })).rejects.toThrow('syntax error at or near "tabel"');
  });
});
