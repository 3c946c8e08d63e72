// In charge of: what pg_tle does and refuses, as SQL stories: extensions that are text in the database, created, updated and dropped.
import type { Story } from './stories.ts';

export const tleStories: readonly Story[] = [
  {
    it: 'pg_tle: an extension of its own is installed, created, and dropped with all that it made',
    migration: `create extension if not exists pg_tle; create extension if not exists pgtap with schema extensions;
      select pgtle.install_extension('acme-greetings', '1.0', 'Says "hello", and it''s \\ polite', $_text_$
\\echo Use "CREATE EXTENSION" to load this file. \\quit
create schema if not exists greetings;
create type greetings.mood as enum ('good', 'bad');
create table greetings.words (word text primary key);
insert into greetings.words values ('hello');
create function greet() returns text language sql as 'select word || '' from @extschema@ of @extowner@'' from greetings.words';
$_text_$, array['pgtap'], 'hellos');
      create extension "acme-greetings";`,
    ask: [
      {
        sql: `select name::text, default_version, superuser, trusted, relocatable, schema::text, requires::text[], comment
              from pgtle.available_extensions() where name = 'acme-greetings'`,
        rows: [
          {
            name: 'acme-greetings',
            default_version: '1.0',
            superuser: false,
            trusted: false,
            relocatable: false,
            schema: 'hellos',
            requires: ['pgtap', 'pg_tle'],
            comment: 'Says "hello", and it\'s \\ polite',
          },
        ],
      },
      { sql: 'select hellos.greet() is not null as said', rows: [{ said: true }] },
    ],
  },
  {
    it: 'pg_tle: what an extension makes is its own and its creator’s, and the catalog knows it',
    needsOwnServer: true,
    ask: [
      { sql: 'select hellos.greet() as said', rows: [{ said: 'hello from hellos of postgres' }] },
      {
        sql: `select extversion as version, extowner::regrole::text as owner, obj_description(oid) as comment
              from pg_extension where extname = 'acme-greetings'`,
        rows: [{ version: '1.0', owner: 'postgres', comment: 'Says "hello", and it\'s \\ polite' }],
      },
      {
        sql: `select pg_describe_object(classid, objid, 0) as member from pg_depend
              where refobjid = (select oid from pg_extension where extname = 'acme-greetings') and deptype = 'e'
                and (classid <> 'pg_type'::regclass or (select typtype from pg_type where oid = objid) = 'e') order by 1`,
        rows: [
          { member: 'function hellos.greet()' },
          { member: 'schema greetings' },
          { member: 'table greetings.words' },
          { member: 'type greetings.mood' },
        ],
      },
      {
        sql: 'drop function hellos.greet()',
        refused: ['2BP01', /because extension acme-greetings requires it/],
      },
      {
        sql: `select pgtle.uninstall_extension('acme-greetings')`,
        refused: ['2BP01', /other objects depend on it/],
      },
      {
        sql: `drop extension "acme-greetings"; select to_regtype('greetings.mood') is null and to_regproc('hellos.greet') is null as gone`,
        rows: [{ gone: true }],
      },
    ],
  },
  {
    it: 'pg_tle: an extension is dropped and created again in one file, in the schema that the statement names',
    migration: `drop extension if exists "acme-greetings"; select pgtle.set_extension_schema('acme-greetings', null);
      create schema other; create extension "acme-greetings" with schema other version '1.0'; create extension if not exists "acme-greetings";`,
    ask: [
      { sql: `select to_regproc('other.greet') is not null as there`, rows: [{ there: true }] },
      { sql: `select word from greetings.words`, rows: [{ word: 'hello' }] },
    ],
  },
  {
    it: 'pg_tle: an update goes by the fewest scripts, may drop what was there, and a version without a script of its own is reached',
    migration: `select pgtle.install_extension('steps', '1', 'Steps', 'create function step() returns int language sql as ''select 1''; create function old() returns int language sql as ''select 0''; create table kept (id int)');
      select pgtle.install_update_path('steps', '1', '2', 'create or replace function step() returns int language sql as ''select 2''');
      select pgtle.install_update_path('steps', '2', '3', 'create or replace function step() returns int language sql as ''select 3''; alter table kept add column n int; drop function old(); create function late() returns int language sql as ''select 9''');
      select pgtle.install_update_path('steps', '3', '1', 'drop function late(); create or replace function step() returns int language sql as ''select 1''; create function old() returns int language sql as ''select 0''');
      create extension steps schema public version '2';
      create table asked as select public.step() as at_two;
      select pgtle.set_default_version('steps', '3');
      alter extension steps update;`,
    ask: [
      { sql: 'select at_two, public.step() as now from asked', rows: [{ at_two: 2, now: 3 }] },
      {
        sql: `select version from pgtle.available_extension_versions() where name = 'steps' order by 1`,
        rows: [{ version: '1' }, { version: '2' }, { version: '3' }],
      },
      {
        sql: `select source, target, path from pgtle.extension_update_paths('steps') where source = '1' or target = '1' order by 1, 2`,
        rows: [
          { source: '1', target: '2', path: '1--2' },
          { source: '1', target: '3', path: '1--2--3' },
          { source: '2', target: '1', path: '2--3--1' },
          { source: '3', target: '1', path: '3--1' },
        ],
      },
      {
        sql: `select to_regproc('public.old') is null as dropped, to_regproc('public.late') is not null as made`,
        rows: [{ dropped: true, made: true }],
      },
    ],
  },
  {
    it: 'pg_tle: what an update made is the extension’s own',
    needsOwnServer: true,
    ask: [
      {
        sql: `select extversion as version, (select array_agg(pg_describe_object(classid, objid, 0) order by pg_describe_object(classid, objid, 0)) from pg_depend
                where refobjid = created.oid and deptype = 'e' and classid <> 'pg_type'::regclass) as members
              from pg_extension as created where extname = 'steps'`,
        rows: [{ version: '3', members: ['function late()', 'function step()', 'table kept'] }],
      },
    ],
  },
  {
    it: 'pg_tle: CASCADE creates what an extension needs, of the server and of pg_tle',
    migration: `select pgtle.install_extension('base-of-it', '1', 'Base', 'create function base() returns int language sql as ''select 1''', array['citext']);
      select pgtle.install_extension('top-of-it', '1', 'Top', 'create function top() returns citext language sql as ''select base()::text::citext''', array['base-of-it', 'citext']);
      create schema stack; create extension "top-of-it" schema stack cascade;`,
    ask: [{ sql: `set search_path = stack; select top()::text as top`, rows: [{ top: '1' }] }],
  },
  {
    it: 'pg_tle: what is in use, unknown, or the server’s own is refused as upstream refuses it',
    ask: [
      {
        sql: `select pgtle.install_extension('steps', '1', '', '')`,
        refused: ['42710', /^extension "steps" already installed$/],
      },
      {
        sql: `select pgtle.install_extension('citext', '9', '', '')`,
        refused: ['55000', /^control file already exists for the citext extension$/],
      },
      {
        sql: `select pgtle.install_extension('a/b', '1', '', '')`,
        refused: ['22023', /^invalid extension name: "a\/b"$/],
      },
      {
        sql: `select pgtle.install_extension('a', '1', '', 'select $_pgtle_i_$')`,
        refused: ['22023', /^invalid character in extension definition$/],
      },
      {
        sql: `select pgtle.install_extension(null, '1', '', '')`,
        refused: ['22004', /^"name" is a required argument$/],
      },
      {
        sql: `select pgtle.install_update_path('steps', '1', '2', '')`,
        refused: ['42710', /^extension "steps" update path "1-2" already installed$/],
      },
      {
        sql: `select pgtle.set_default_version('steps', '7')`,
        refused: ['42704', /^extension and version do not exist$/],
      },
      {
        sql: `select pgtle.uninstall_extension('nobody')`,
        refused: ['P0002', /^Extension nobody does not exist$/],
      },
      { sql: `select pgtle.uninstall_extension_if_exists('nobody') as done`, rows: [{ done: false }] },
      {
        sql: `select pgtle.uninstall_update_path('steps', '3', '1') as done`,
        rows: [{ done: true }],
      },
      {
        sql: `select pgtle.register_feature('now'::regproc, 'passcheck')`,
        refused: ['0A000', /real pg_tle/],
      },
    ],
  },
  {
    it: 'pg_tle: who may not sign extensions may read of them; nobody’s code runs when they are listed',
    ask: [
      {
        sql: `select pgtle.install_extension('mine', '1', '', '')`,
        as: 'authenticated',
        refused: ['42501', /^permission denied for function install_extension$/],
      },
      {
        sql: `create function pgtle."trap.control"() returns text language plpgsql as $$ begin raise exception 'it ran'; end $$;
              select count(*)::int as n from pgtle.available_extensions() where name = 'trap'`,
        rows: [{ n: 0 }],
      },
      {
        sql: `select count(*)::int as n from pgtle.available_extensions() where name = 'steps'`,
        as: 'anon',
        rows: [{ n: 1 }],
      },
    ],
  },
];
