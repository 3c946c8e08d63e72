// In charge of: that a changed schema reaches the API, also where Postgres cannot say so.
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyOf } from '../src/engine/catalog/catalog.ts';
import { openCatalog } from '../src/engine/catalog/source.ts';
import { openCatalogVersion } from '../src/engine/catalog/version.ts';
import type { Database } from '../src/engine/db/database.ts';
import { openCatalogReload } from '../src/server/catalog-reload.ts';
import { openTestDatabase, type TestDatabase } from './harness/database.ts';

let test: TestDatabase;
let database: Database;
let version: () => Promise<string>;
beforeAll(async () => {
  test = await openTestDatabase();
  database = await test.open();
  version = await openCatalogVersion(database.db, 'authenticator');
  await test.run(`
    create table public.films (id int primary key, title text);
    create view public.old_films as select id, title from public.films;
    create function public.double(n int) returns int language sql as 'select n * 2';
    create type public.mood as enum ('good', 'bad');
    create domain public.score as int;
  `);
});
afterAll(async () => {
  await database?.close();
  await test?.[Symbol.asyncDispose]();
});

const openTestCatalog = () =>
  openCatalog({
    db: database.db,
    reader: 'authenticator',
    scope: () => ({ schemas: ['public'], extraSearchPath: [], hoistedSettings: [] }),
    observe: () => {},
  });

describe("the catalog's version", () => {
  it.each([
    'create table public.actors (id int primary key)',
    'alter table public.films add column year int',
    'alter table public.films rename column year to released',
    'alter table public.films alter column released type numeric(4)',
    'alter table public.films alter column title set not null',
    `alter table public.films alter column title set default 'untitled'`,
    'alter table public.films add column actor_id int references public.actors (id)',
    'alter table public.films drop constraint films_actor_id_fkey',
    'alter table public.films drop column actor_id',
    'alter table public.actors rename to players',
    `create or replace view public.old_films as select id, 'x'::text as title from public.films`,
    'create or replace function public.double(n int) returns int language sql stable as $$ select n + n $$',
    'alter function public.double(int) rename to twice',
    'create function public.double(n text) returns text language sql as $$ select n || n $$',
    'drop function public.double(text)',
    `comment on column public.films.title is 'What it is called.'`,
    `comment on function public.twice(int) is 'Two times.'`,
    `alter type public.mood add value 'middling'`,
    'alter domain public.score set not null',
    `alter role authenticated in database current set statement_timeout = '9s'`,
    'create schema more',
    'drop table public.players',
  ])('is another one after: %s', async (sql) => {
    const before = await version();
    await test.run(sql.replace('current', test.name));
    expect(await version()).not.toBe(before);
  });

  it('stays the same while only rows change, and for what no other session sees', async () => {
    await test.run('insert into public.films (id, title) select n, n::text from generate_series(1, 1000) n');
    const before = await version();
    await test.run(`
      update public.films set title = title || '!';
      create index on public.films (title);
      analyze public.films;
      create temporary table mine (id int primary key, title text default '');
      create function pg_temp.mine() returns int language sql as 'select 1';
    `);
    await test.run('vacuum public.films');
    expect(await version()).toBe(before);
  });

  it('sees a change whose transaction began before one that was seen already', async () => {
    const [early, late] = [new pg.Client(test.login('postgres')), new pg.Client(test.login('postgres'))];
    await Promise.all([early.connect(), late.connect()]);
    try {
      await early.query('begin; create table public.early (id int)');
      await late.query('create table public.late (id int)');
      const between = await version();
      await early.query('commit');
      expect(await version()).not.toBe(between);
    } finally {
      await Promise.all([early.end(), late.end()]);
    }
  });
});

describe('a changed schema', () => {
  it('is heard of where Postgres says so', async () => {
    const catalog = await openTestCatalog();
    const reload = await openCatalogReload({
      db: database.db,
      catalog,
      listener: database.listener,
      reader: 'authenticator',
      observe: () => {},
    });
    expect(reload.asks).toBe(false);
    await test.run('create table public.heard (id int)');
    await expect
      .poll(() => catalog.now().relations.has(keyOf({ schema: 'public', name: 'heard' })))
      .toBe(true);
    await reload.close();
  });

  it.each<[string, () => Promise<Database['listener']>]>([
    ['behind a transaction pooler', async () => undefined],
    [
      'without the event triggers',
      async () => {
        await test.run('drop event trigger pgrst_ddl_watch', 'supabase_admin');
        return database.listener;
      },
    ],
  ])('is asked for %s', async (where, listener) => {
    const name = where.replaceAll(' ', '_');
    const catalog = await openTestCatalog();
    let asked = 0;
    const reload = await openCatalogReload({
      db: {
        asOwner(owner, run) {
          asked += 1;
          return database.db.asOwner(owner, run);
        },
      },
      catalog,
      listener: await listener(),
      reader: 'authenticator',
      observe: () => {},
      askEveryMs: 20,
    });
    expect(reload.asks).toBe(true);
    await test.run(`create table public.${name} (id int)`);
    await expect.poll(() => catalog.now().relations.has(keyOf({ schema: 'public', name }))).toBe(true);
    const asksMore = async () => {
      const before = asked;
      await expect.poll(() => asked).toBeGreaterThan(before + 3);
    };
    // A change between the question and the reload is read twice; after that nothing has changed, and it is left as it is.
    await asksMore();
    const current = catalog.now();
    await test.run(`insert into public.${name} values (1)`);
    await asksMore();
    expect(catalog.now()).toBe(current);
    await reload.close();
  });

  it('is no reason to fail when the database is away', async () => {
    const catalog = await openTestCatalog();
    const complaints: unknown[] = [];
    const reload = await openCatalogReload({
      db: {
        asOwner: (owner, run) =>
          complaints.length < 2 ? Promise.reject(new Error('away')) : database.db.asOwner(owner, run),
      },
      catalog,
      listener: undefined,
      reader: 'authenticator',
      observe: (observation) => complaints.push(observation),
      askEveryMs: 20,
    });
    await test.run('create table public.afterwards (id int)');
    await expect
      .poll(() => catalog.now().relations.has(keyOf({ schema: 'public', name: 'afterwards' })))
      .toBe(true);
    expect(complaints).toEqual([
      { kind: 'catalog.ask_failed', level: 'warn', message: 'away' },
      { kind: 'catalog.ask_failed', level: 'warn', message: 'away' },
    ]);
    await reload.close();
  });
});
