// In charge of: proving that a project's files reach a real database, whatever is in them.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import { apply, migrationsOf } from '../../../../test/harness/migrations.ts';
import type { Observation } from '../../../base/observe.ts';
import { pendingMigrations } from './apply.ts';
import { ScriptError } from './failure.ts';

const history =
  'select version, name, statements from supabase_migrations.schema_migrations order by version';
const nothingOpen = 'select count(*)::int as open from _millrace.migration_progress';

/** Files that real projects have. Each is applied to a database of its own; `check` must give `gives`. */
const works: readonly {
  it: string;
  migrations: Record<string, string>;
  check: string;
  gives: unknown;
  units?: number;
}[] = [
  {
    it: 'several statements, one transaction',
    migrations: {
      '20240101000000_films.sql':
        'create table films (id int primary key);\ninsert into films values (1), (2);',
    },
    check: 'select count(*)::int as n from films',
    gives: [{ n: 2 }],
    units: 1,
  },
  {
    it: 'a version without 14 digits',
    migrations: { '1_a.sql': 'alter table t add b int', '002_b.sql': 'create table t (id int)' },
    check:
      'select string_agg(version, \' \' order by version collate "C") as v from supabase_migrations.schema_migrations',
    gives: [{ v: '002 1' }],
  },
  {
    it: 'an empty file',
    migrations: { '1_empty.sql': '-- nothing yet\n' },
    check: history,
    gives: [{ version: '1', name: 'empty', statements: ['-- nothing yet'] }],
  },
  {
    it: 'its own BEGIN and COMMIT around everything',
    migrations: { '1_t.sql': 'BEGIN;\ncreate table t (id int);\ninsert into t values (1);\nCOMMIT;' },
    check: 'select count(*)::int as n from t',
    gives: [{ n: 1 }],
    units: 1,
  },
  {
    it: 'an end in a comment, without a semicolon',
    migrations: { '1_t.sql': 'create table t (id int);\ninsert into t values (1) -- done' },
    check: 'select count(*)::int as n from t',
    gives: [{ n: 1 }],
    units: 1,
  },
  {
    it: 'several transactions of its own, with statements between them',
    migrations: {
      '1_t.sql':
        'begin; create table t (id int); commit;\ninsert into t values (1);\nstart transaction; insert into t values (2); end;\ninsert into t values (3);',
    },
    check: 'select count(*)::int as n from t',
    gives: [{ n: 3 }],
    units: 4,
  },
  {
    it: 'a transaction that it rolls back itself',
    migrations: {
      '1_t.sql':
        'create table t (id int); begin; insert into t values (1); rollback; insert into t values (2);',
    },
    check: 'select array_agg(id) as ids from t',
    gives: [{ ids: [2] }],
    units: 3,
  },
  {
    it: 'CREATE INDEX CONCURRENTLY and VACUUM',
    migrations: {
      '1_t.sql':
        'create table t (id int);\ncreate unique index concurrently t_id on t (id);\ninsert into t values (1);\nvacuum t;\ndrop index concurrently t_id;',
    },
    check: 'select count(*)::int as n from t',
    gives: [{ n: 1 }],
    units: 5,
  },
  {
    it: 'REINDEX (CONCURRENTLY), which only Postgres recognises as standing alone',
    migrations: {
      '1_t.sql':
        'create table t (id int); create index i on t (id); reindex (concurrently) index i; insert into t values (1);',
    },
    check: 'select count(*)::int as n from t',
    gives: [{ n: 1 }],
    units: 3,
  },
  {
    it: 'a new value of an enum, used in the same file',
    migrations: {
      '1_mood.sql': "create type mood as enum ('sad'); create table t (m mood);",
      '2_happy.sql': "alter type mood add value 'happy';\ninsert into t values ('happy');",
    },
    check: 'select m::text from t',
    gives: [{ m: 'happy' }],
    units: 2,
  },
  {
    it: 'a procedure that commits',
    migrations: {
      '1_p.sql':
        'create table t (id int);\ncreate procedure p() language plpgsql as $$ begin insert into t values (1); commit; insert into t values (2); end $$;\ncall p();',
    },
    check: 'select count(*)::int as n from t',
    gives: [{ n: 2 }],
    units: 2,
  },
  {
    it: 'the directive of a diff that wants no transaction',
    migrations: {
      '1_t.sql': '-- pg-delta: transaction=false\ncreate table t (id int);\ninsert into t values (1);',
    },
    check: 'select count(*)::int as n from t',
    gives: [{ n: 1 }],
    units: 2,
  },
  {
    it: 'the head and tail of a dump, and nothing of it in the next file',
    migrations: {
      '1_dump.sql': [
        '\\restrict 6Zq3nWmJQ0aXo9',
        'SET statement_timeout = 0;',
        "SET client_encoding = 'UTF8';",
        'SET standard_conforming_strings = on;',
        "SELECT pg_catalog.set_config('search_path', '', false);",
        'SET check_function_bodies = false;',
        'SET xmloption = content;',
        'SET row_security = off;',
        'CREATE TABLE public.films (id integer NOT NULL);',
        'RESET ALL;',
        '\\unrestrict 6Zq3nWmJQ0aXo9',
      ].join('\n'),
      '2_next.sql':
        "select pg_catalog.set_config('search_path', '', false); set role anon; create temp table leak (id int);",
      '3_last.sql':
        "create table found as select to_regclass('films')::text as films, to_regclass('leak')::text as leak, current_user::text as who, current_setting('row_security') as rows;",
    },
    check: 'select * from found',
    gives: [{ films: 'films', leak: null, who: 'postgres', rows: 'on' }],
  },
  {
    it: 'what asks the catalog by the bare name of a constraint or an index',
    migrations: {
      '1_roles.sql': `create table roles (id int);
        do $$ begin
          if not exists (select from pg_constraint where conname = 'roles_pkey') then
            alter table roles add constraint roles_pkey primary key (id);
          end if;
          if not exists (select from pg_class where relname = 'events_at_idx') then
            create table events (at timestamptz);
            create index events_at_idx on events (at);
          end if;
        end $$;
        create table members (role int references roles);`,
    },
    check: "select to_regclass('events_at_idx')::text as idx",
    gives: [{ idx: 'events_at_idx' }],
  },
  {
    it: 'a dump of a project that had pgsodium from its start',
    migrations: {
      '1_remote.sql': 'create table t (id int);',
      '2_data.sql':
        'insert into "pgsodium"."key" (id) select gen_random_uuid() where false;\nSELECT pg_catalog.setval(\'"pgsodium"."key_key_id_seq"\', 7, false);',
    },
    check:
      "select extversion as version, nextval('pgsodium.key_key_id_seq')::int as next from pg_extension where extname = 'pgsodium'",
    gives: [{ version: 'absent', next: 7 }],
  },
  {
    it: 'functions of extensions that hosted projects have from their start',
    migrations: {
      '1_token.sql': `create function token() returns text language sql as $$ select extensions.sign('{"a":1}'::json, 'secret') $$;
        grant execute on function graphql.resolve to anon;
        create extension if not exists pg_cron with schema extensions;`,
    },
    check:
      "select token() like 'ey%' as signed, (select extnamespace::regnamespace::text from pg_extension where extname = 'pg_cron') as cron",
    gives: [{ signed: true, cron: 'pg_catalog' }],
  },
  {
    it: 'an extension in the one schema that it can be in, which nobody made',
    migrations: {
      '1_remote.sql': 'CREATE EXTENSION IF NOT EXISTS "pgsodium" WITH SCHEMA "pgsodium";',
      '2_version.sql': 'create extension pgmq with schema pgmq version "1.4.4" cascade;',
    },
    check:
      "select extname as name, extnamespace::regnamespace::text as schema from pg_extension where extname in ('pgsodium', 'pgmq') order by 1",
    gives: [
      { name: 'pgmq', schema: 'pgmq' },
      { name: 'pgsodium', schema: 'pgsodium' },
    ],
  },
  {
    it: 'COPY … FROM stdin, with semicolons and quotes in the data',
    migrations: {
      '1_copy.sql':
        "create table t (id int, name text);\nCOPY public.t (id, name) FROM stdin;\n1\tit's; \\\\ fine\n2\t\\N\n\\.\n\ninsert into t values (3, 'é😀');\nCOPY t FROM stdin WITH (FORMAT csv);\n4,\"a;b\"\n\\.\n",
    },
    check: 'select * from t order by id',
    gives: [
      { id: 1, name: "it's; \\ fine" },
      { id: 2, name: null },
      { id: 3, name: 'é😀' },
      { id: 4, name: 'a;b' },
    ],
    units: 1,
  },
  {
    it: 'strings of an old dump, in which \\ escapes',
    migrations: {
      '1_old.sql':
        "create table t (a text);\nset standard_conforming_strings = off;\ninsert into t values ('it\\'s; here');\ninsert into t values ('b');",
    },
    check: 'select a from t order by a',
    gives: [{ a: 'b' }, { a: "it's; here" }],
    units: 1,
  },
  {
    it: 'functions in every kind of quotes',
    migrations: {
      '1_f.sql':
        "create function a() returns int language sql begin atomic; select case when true then 1 end; end;\ncreate function b() returns int language plpgsql as $_$ begin return 2; -- ;\nend; $_$;\ncreate function c() returns text language sql as 'select '';''';",
    },
    check: 'select a(), b(), c()',
    gives: [{ a: 1, b: 2, c: ';' }],
    units: 1,
  },
  {
    it: 'policies and triggers on the tables of auth and storage',
    migrations: {
      '1_p.sql':
        "create policy read_all on storage.objects for select using (bucket_id = 'public');\nalter policy read_all on storage.objects to anon;\ncreate function f() returns trigger language plpgsql as $$ begin return new; end $$;\ncreate trigger on_user after insert on auth.users for each row execute function f();\ndrop trigger on_user on auth.users;\ncomment on policy read_all on storage.objects is 'all';",
    },
    check:
      "select policyname, roles::text[] from pg_policies where schemaname = 'storage' and policyname = 'read_all'",
    gives: [{ policyname: 'read_all', roles: ['anon'] }],
  },
  {
    it: 'session_replication_role, also from a DO block',
    migrations: {
      '1_r.sql':
        "create table t (r text); set session_replication_role = replica; insert into t values (current_setting('session_replication_role')); reset session_replication_role; do $$ begin set local session_replication_role = replica; end $$;",
    },
    check: 'select r from t',
    gives: [{ r: 'replica' }],
  },
  {
    it: 'extensions that need a superuser, with comments on them',
    migrations: {
      '1_e.sql':
        "create extension if not exists moddatetime with schema extensions;\ncomment on extension moddatetime is 'times';\ncreate extension citext schema public;\ndrop extension citext;\ncreate extension postgres_fdw;\ncreate server s foreign data wrapper postgres_fdw;",
    },
    check:
      "select extname::text, extowner::regrole::text as owner from pg_extension where extname in ('moddatetime', 'postgres_fdw') union all select fdwname, fdwowner::regrole::text from pg_foreign_data_wrapper",
    gives: [
      { extname: 'moddatetime', owner: 'postgres' },
      { extname: 'postgres_fdw', owner: 'postgres' },
      { extname: 'postgres_fdw', owner: 'postgres' },
    ],
  },
  {
    it: 'an extension that one file creates and a DO block of the next moves to another schema',
    migrations: {
      '1_e.sql':
        'create extension pg_net; create extension moddatetime; create extension if not exists dblink;',
      '2_e.sql':
        'do $$ begin drop extension pg_net cascade; create extension pg_net with schema extensions; drop extension moddatetime; drop extension dblink; end $$;',
    },
    check:
      "select extnamespace::regnamespace::text as schema from pg_extension where extname in ('pg_net', 'moddatetime', 'dblink')",
    gives: [{ schema: 'extensions' }],
  },
  {
    it: 'what a dump of a hosted project creates and no plain PostgreSQL has',
    migrations: {
      '1_h.sql':
        'CREATE EXTENSION IF NOT EXISTS "pg_graphql" WITH SCHEMA "graphql";\nCREATE EXTENSION IF NOT EXISTS "supabase_vault" WITH SCHEMA "vault";\nCOMMENT ON EXTENSION "pg_graphql" IS \'GraphQL\';\nALTER SCHEMA "public" OWNER TO "pg_database_owner";\nCOMMENT ON SCHEMA "public" IS \'standard public schema\';\ncreate table t (id int);\nALTER TABLE "public"."t" OWNER TO "postgres";\nALTER PUBLICATION "supabase_realtime" OWNER TO "postgres";\nGRANT USAGE ON SCHEMA "public" TO "anon";\nALTER DEFAULT PRIVILEGES FOR ROLE "postgres" IN SCHEMA "public" GRANT ALL ON TABLES TO "service_role";',
    },
    check: 'select count(*)::int as n from t',
    gives: [{ n: 0 }],
  },
  {
    it: 'an event trigger and a publication of all tables, which belong to postgres then',
    migrations: {
      '1_e.sql':
        'create table seen (tag text);\ncreate function f() returns event_trigger language plpgsql as $$ begin insert into public.seen values (tg_tag); end $$;\ncreate event trigger e on ddl_command_end execute function f();\ncreate table t (id int);\ncreate publication everything for all tables;\nalter event trigger e disable;',
    },
    check:
      "select (select evtowner::regrole::text from pg_event_trigger where evtname = 'e') as trigger, (select pubowner::regrole::text from pg_publication where pubname = 'everything') as publication, (select array_agg(tag) from seen) as seen",
    gives: [{ trigger: 'postgres', publication: 'postgres', seen: ['CREATE TABLE'] }],
  },
  {
    it: 'tables in the realtime publication',
    migrations: {
      '1_r.sql': 'create table t (id int primary key); alter publication supabase_realtime add table t;',
    },
    check: "select tablename from pg_publication_tables where pubname = 'supabase_realtime'",
    gives: [{ tablename: 't' }],
  },
];

describe('applyProject', () => {
  for (const scenario of works) {
    it(scenario.it, async () => {
      await using db = await openTestDatabase();
      const events: Observation[] = [];
      const { migrations } = scenario;

      const report = await apply(db, { migrations }, {}, events);

      expect(report.migrations.map(({ path }) => path.slice(20)).sort()).toEqual(
        Object.keys(migrations).sort(),
      );
      expect(await db.run(scenario.check)).toEqual(scenario.gives);
      expect(await db.run(nothingOpen)).toEqual([{ open: 0 }]);
      const last = events.findLast(({ kind }) => kind === 'migrations.applied');
      if (scenario.units !== undefined) expect(last).toMatchObject({ units: scenario.units });
      // Once more: there is nothing to do.
      expect(await apply(db, { migrations })).toMatchObject({ migrations: [], seeds: [] });
    });
  }

  it('sets a role of the API, and refuses parameters that would load code', async () => {
    await using db = await openTestDatabase();
    const inDatabase = `in database ${db.name}`;
    await apply(db, {
      migrations: {
        '1_r.sql': `alter role authenticator ${inDatabase} set pgrst.db_schemas = 'public, api'; alter role anon ${inDatabase} set statement_timeout = '1s';`,
      },
    });
    const set = await db.run(
      'select setrole::regrole::text as role, setconfig from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = current_database()) order by 1',
    );
    expect(set).toEqual([
      { role: 'anon', setconfig: ['statement_timeout=1s'] },
      { role: 'authenticator', setconfig: ['pgrst.db_schemas=public, api'] },
    ]);
    const refused = apply(
      db,
      {
        migrations: {
          '1_r.sql': '',
          '2_x.sql': `alter role anon ${inDatabase} set session_preload_libraries = 'x';`,
        },
      },
      { drift: 'warn' },
    );
    await expect(refused).rejects.toMatchObject({ sqlState: '42501' });
  });
});

describe('a script that is refused', () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await openTestDatabase();
  });
  afterAll(() => db[Symbol.asyncDispose]());

  it('says file, line, column, statement, message and hint, and leaves nothing behind', async () => {
    const text =
      'create table kept_out (id int);\n\n-- é😀 to count characters\ninsert into\n  kept_out values (1, misspelled);\nselect 1;';
    const error = await refusal(apply(db, { migrations: { '1_bad.sql': text } }));
    expect(error).toMatchObject({
      name: 'OperatorError',
      file: 'supabase/migrations/1_bad.sql',
      line: 5,
      column: 23,
      sqlState: '42703',
      statement: 'insert into\n  kept_out values (1, misspelled)',
      message:
        '"supabase/migrations/1_bad.sql" failed at line 5, column 23: column "misspelled" does not exist (42703)\n\ninsert into\n  kept_out values (1, misspelled)',
      hint: 'Nothing of the file was applied.',
    });
    expect(await db.run("select to_regclass('kept_out') as there")).toEqual([{ there: null }]);
    expect(await db.run(history)).toEqual([]);
  });

  it('finds the statement when Postgres gives no position', async () => {
    const text =
      'create table t (id int primary key);\ninsert into t values (1);\ninsert into t\n  values (1);\nselect 1;';
    const error = await refusal(apply(db, { migrations: { '1_bad.sql': text } }));
    expect(error).toMatchObject({
      line: 3,
      column: 1,
      sqlState: '23505',
      statement: 'insert into t\n  values (1)',
    });
    expect(error.message).toContain('Detail: Key (id)=(1) already exists.');
  });

  it('finds the place in a statement that ran as supabase_admin', async () => {
    const text =
      'create table t (id int);\ncreate event trigger e on ddl_command_end execute function missing_function();';
    const error = await refusal(apply(db, { migrations: { '1_bad.sql': text } }));
    expect(error).toMatchObject({ line: 2, sqlState: '42883' });
  });

  it('says it when the end of the transaction fails', async () => {
    const text =
      'create table t (id int primary key);\ncreate table u (id int references t deferrable initially deferred);\ninsert into u values (1);';
    const error = await refusal(apply(db, { migrations: { '1_bad.sql': text } }));
    expect(error.message).toMatch(
      /^"supabase\/migrations\/1_bad.sql" failed at its end: .*violates foreign key/,
    );
    expect(await db.run("select to_regclass('u') as there")).toEqual([{ there: null }]);
  });

  it('says what helps when the server lacks an extension', async () => {
    const error = await refusal(apply(db, { migrations: { '1_bad.sql': 'create extension vector' } }));
    expect(error.message).toContain('extension "vector" is not available');
    expect(error.hint).toContain('--pg-bin');
  });

  it('refuses what only psql can do, and a transaction without an end', async () => {
    await expect(
      apply(db, { migrations: { '1_i.sql': 'select 1;\n\\i other.sql\n' } }),
    ).rejects.toMatchObject({
      message:
        '"supabase/migrations/1_i.sql" line 2 holds "\\i other.sql", which is a command of psql and no SQL.',
    });
    await expect(apply(db, { migrations: { '1_b.sql': 'begin; select 1;' } })).rejects.toMatchObject({
      message: '"supabase/migrations/1_b.sql" begins a transaction that it does not end.',
    });
  });

  it('keeps what was applied before it; the next run goes on', async () => {
    await using own = await openTestDatabase();
    const first = { '1_a.sql': 'create table a (id int)' };
    await refusal(apply(own, { migrations: { ...first, '2_b.sql': 'nonsense' } }));
    const report = await apply(own, { migrations: { ...first, '2_b.sql': 'create table b (id int)' } });
    expect(report.migrations.map(({ version }) => version)).toEqual(['2']);
  });
});

describe('a script that cannot run in one transaction', () => {
  const text = (third: string) =>
    `create table t (id int);\ninsert into t values (1), (1);\nvacuum t;\n${third};\ninsert into t values (2);`;

  it('goes on behind the last statement that is done', async () => {
    await using db = await openTestDatabase();
    const error = await refusal(
      apply(db, { migrations: { '1_t.sql': text('insert into missing values (1)') } }),
    );
    expect(error).toMatchObject({ line: 4, sqlState: '42P01' });
    expect(error.hint).toBe(
      'The file cannot run in one transaction: its first 3 statements are done and will not run again; the next run goes on with what follows.',
    );
    expect(await db.run(history)).toEqual([]);

    const fixed = text('select 1');
    await apply(db, { migrations: { '1_t.sql': fixed } });
    expect(await db.run('select array_agg(id) as ids from t')).toEqual([{ ids: [1, 1, 2] }]);
    expect(
      await db.run('select array_length(statements, 1) as n from supabase_migrations.schema_migrations'),
    ).toEqual([{ n: 5 }]);
    expect(await db.run(nothingOpen)).toEqual([{ open: 0 }]);
  });

  it('refuses to go on when what is done was changed', async () => {
    await using db = await openTestDatabase();
    await refusal(apply(db, { migrations: { '1_t.sql': text('nonsense') } }));
    const changed = text('select 1').replace('(1), (1)', '(1)');
    await expect(apply(db, { migrations: { '1_t.sql': changed } })).rejects.toMatchObject({
      message: '"supabase/migrations/1_t.sql" was changed in its first 3 statements, which are done already.',
    });
  });

  it('leaves no invalid index behind', async () => {
    await using db = await openTestDatabase();
    const index = (values: string) =>
      `create table t (id int);\ninsert into t values ${values};\ncreate unique index concurrently t_id on t (id);`;
    const error = await refusal(apply(db, { migrations: { '1_t.sql': index('(1), (1)') } }));
    expect(error).toMatchObject({ line: 3, sqlState: '23505' });
    expect(await db.run("select to_regclass('t_id') as there")).toEqual([{ there: null }]);
    await db.run('delete from t where ctid = (select min(ctid) from t)');
    await apply(db, { migrations: { '1_t.sql': index('(1), (1)') } });
    expect(await db.run("select indisvalid from pg_index where indexrelid = 't_id'::regclass")).toEqual([
      { indisvalid: true },
    ]);
  });

  /** A run that was killed: what it had done, what it was doing, and what is left of that. */
  const killed: readonly { it: string; left: string; done: number }[] = [
    { it: 'before the statement had an effect', left: 'select 1', done: 1 },
    {
      it: 'while it ran',
      left: "create unique index t_id on t (id); update pg_index set indisvalid = false where indexrelid = 't_id'::regclass",
      done: 1,
    },
    { it: 'after it, before that was written down', left: 'create unique index t_id on t (id)', done: 1 },
  ];
  for (const scenario of killed) {
    it(`goes on after a kill ${scenario.it}`, async () => {
      await using db = await openTestDatabase();
      const rest = 'create unique index concurrently t_id on t (id);\ninsert into t values (7)';
      await refusal(apply(db, { migrations: { '1_t.sql': 'create table t (id int);\nvacuum missing' } }));
      await db.run('update _millrace.migration_progress set running = 1', 'supabase_admin');
      await db.run(scenario.left, 'supabase_admin');
      await apply(db, { migrations: { '1_t.sql': `create table t (id int);\n${rest}` } });
      expect(
        await db.run(
          "select indisvalid, (select count(*)::int from t) as n from pg_index where indexrelid = 't_id'::regclass",
        ),
      ).toEqual([{ indisvalid: true, n: 1 }]);
    });
  }
});

describe('roles.sql, seeds and the vault', () => {
  it('runs in the CLI’s order, once', async () => {
    await using db = await openTestDatabase();
    const seed = "insert into t values (1, 'a;b');\ninsert into t values (2, null);";
    const project = {
      roles: 'create schema made_by_roles;',
      migrations: { '1_t.sql': 'create table made_by_roles.x (id int); create table t (id int, name text);' },
      seeds: { 'supabase/seed.sql': seed },
      vault: [{ name: 'key', value: 'secret' }],
    };
    const events: Observation[] = [];
    const report = await apply(db, project, {}, events);
    expect(report).toMatchObject({
      rolesApplied: true,
      seeds: [{ path: 'supabase/seed.sql', act: 'seeded' }],
    });
    expect(events.filter(({ kind }) => kind === 'migrations.applying').map(({ file }) => file)).toEqual([
      'supabase/roles.sql',
      'supabase/migrations/1_t.sql',
      'supabase/seed.sql',
    ]);
    expect(await db.run('select * from supabase_migrations.seed_files')).toEqual([
      { path: 'supabase/seed.sql', hash: createHash('sha256').update(seed).digest('hex') },
    ]);
    const again = await apply(db, {
      ...project,
      seeds: { 'supabase/seed.sql': 'insert into t values (3);' },
    });
    expect(again).toMatchObject({ rolesApplied: false, migrations: [], seeds: [] });
    const secrets = 'select name, decrypted_secret as secret from vault.decrypted_secrets';
    expect(await db.run(secrets)).toEqual([{ name: 'key', secret: 'secret' }]);
    const migrations = { ...project.migrations, '2_t.sql': 'select 1;' };
    await apply(db, { ...project, migrations, vault: [{ name: 'key', value: 'changed' }] });
    expect(await db.run(secrets)).toEqual([{ name: 'key', secret: 'changed' }]);
  });

  it('updates the digest of a changed seed and runs a new one, when asked', async () => {
    await using db = await openTestDatabase();
    const migrations = { '1_t.sql': 'create table t (id int);' };
    await apply(db, { migrations, seeds: { 'supabase/a.sql': 'insert into t values (1)' } });
    const seeds = {
      'supabase/a.sql': 'insert into t values (10)',
      'supabase/b.sql': 'insert into t values (2)',
    };
    expect((await apply(db, { migrations, seeds }, { includeSeed: true })).seeds).toEqual([
      { path: 'supabase/a.sql', act: 'digest updated' },
      { path: 'supabase/b.sql', act: 'seeded' },
    ]);
    expect(await db.run('select array_agg(id) as ids from t')).toEqual([{ ids: [1, 2] }]);
  });

  it('says it when roles.sql changed, and applies it when asked', async () => {
    await using db = await openTestDatabase();
    await apply(db, { roles: 'create schema a;' });
    const said = await apply(db, { roles: 'create schema b;' });
    expect(said.warnings).toEqual([
      '"supabase/roles.sql" changed after it was applied. Apply it with: millrace migrate --include-roles',
    ]);
    expect(await apply(db, { roles: 'create schema b;' }, { includeRoles: true })).toMatchObject({
      rolesApplied: true,
      warnings: [],
    });
  });

  it('goes on with the seeds when the first start ended before them', async () => {
    await using db = await openTestDatabase();
    const project = { roles: 'create schema once;', migrations: { '1_t.sql': 'create table t (id int);' } };
    await refusal(apply(db, { ...project, seeds: { 'supabase/seed.sql': 'nonsense' } }));
    const report = await apply(db, {
      ...project,
      seeds: { 'supabase/seed.sql': 'insert into t values (1)' },
    });
    expect(report).toMatchObject({ rolesApplied: false, migrations: [], seeds: [{ act: 'seeded' }] });
  });

  it('leaves roles and seeds alone in a database that others have filled', async () => {
    await using db = await openTestDatabase();
    await db.run(
      "insert into supabase_migrations.schema_migrations (version, name, statements) values ('1', 't', '{select 1}')",
    );
    const report = await apply(db, {
      roles: 'nonsense',
      migrations: { '1_t.sql': 'select 1;', '2_u.sql': 'select 2;' },
      seeds: { 'supabase/seed.sql': 'nonsense' },
    });
    expect(report).toMatchObject({
      rolesApplied: false,
      migrations: [{ version: '2' }],
      seeds: [],
      warnings: [],
    });
  });
});

describe('a server where nobody is superuser for us', () => {
  it('runs every statement plainly', async () => {
    await using db = await openTestDatabase();
    await db.run('grant create, usage on schema _millrace to postgres', 'supabase_admin');
    const logins = { postgres: db.login('postgres') };
    const migrations = { '1_e.sql': 'create extension citext; vacuum; create table t (a citext);' };
    expect(await apply(db, { migrations }, { logins })).toMatchObject({
      elevated: 0,
      migrations: [{ version: '1' }],
    });
    expect(
      await db.run("select extowner::regrole::text as owner from pg_extension where extname = 'citext'"),
    ).toEqual([{ owner: 'postgres' }]);
    const trigger =
      'create function f() returns event_trigger language plpgsql as $$ begin end $$; create event trigger e on sql_drop execute function f();';
    await expect(
      apply(db, { migrations: { ...migrations, '2_t.sql': trigger } }, { logins }),
    ).rejects.toMatchObject({ sqlState: '42501' });
  });

  it('runs as the superuser where the project’s own role is one', async () => {
    await using db = await openTestDatabase();
    const logins = { postgres: db.login('supabase_admin'), admin: db.login('supabase_admin') };
    const report = await apply(
      db,
      { migrations: { '1_e.sql': 'create extension moddatetime; create publication p for all tables;' } },
      { logins },
    );
    expect(report).toMatchObject({ elevated: 0, migrations: [{ version: '1' }] });
  });
});

describe('files and history that do not fit', () => {
  it('names a migration that was edited', async () => {
    await using db = await openTestDatabase();
    await apply(db, { migrations: { '1_t.sql': 'create table t (id int); -- one' } });
    const { warnings } = await apply(db, { migrations: { '1_t.sql': 'create table t (id bigint); -- one' } });
    expect(warnings).toEqual([
      '"supabase/migrations/1_t.sql" changed after it was applied: the database still has what was in it then. Put the change into a new migration, or start over with: millrace reset. When the database is as the file says already, record that: millrace migrate repair --status applied 1',
    ]);
    const same = await apply(db, { migrations: { '1_t.sql': '\ncreate table t (id int) ;; -- one' } });
    // What the CLI records has no white space around statements, so a change there is none.
    expect(same.warnings).toEqual([]);
  });

  it('refuses one that is older than the last, unless asked', async () => {
    await using db = await openTestDatabase();
    await apply(db, { migrations: { '2_b.sql': 'select 2;' } });
    const migrations = {
      '1_a.sql': 'create table a (id int)',
      '2_b.sql': 'select 2;',
      '3_c.sql': 'create table c (id int)',
    };
    await expect(apply(db, { migrations })).rejects.toMatchObject({
      message:
        '"supabase/migrations/1_a.sql" would have to be inserted before the last migration of the database, 2.',
    });
    expect(await apply(db, { migrations }, { drift: 'warn' })).toMatchObject({
      migrations: [{ version: '3' }],
      warnings: [expect.stringContaining('1_a.sql')],
    });
    expect(await apply(db, { migrations }, { includeAll: true })).toMatchObject({
      migrations: [{ version: '1' }],
      warnings: [],
    });
  });

  it('refuses a database that is ahead of the files', async () => {
    await using db = await openTestDatabase();
    await apply(db, { migrations: { '1_a.sql': 'select 1;', '2_b.sql': 'select 2;' } });
    await expect(apply(db, { migrations: { '1_a.sql': 'select 1;' } })).rejects.toMatchObject({
      message: 'The database has migrations that the project does not: 2.',
    });
  });

  it('refuses two files of one version', async () => {
    await using db = await openTestDatabase();
    await expect(
      apply(db, { migrations: { '1_a.sql': 'select 1;', '1_b.sql': 'select 2;' } }),
    ).rejects.toMatchObject({
      message: '"supabase/migrations/1_a.sql" and "supabase/migrations/1_b.sql" have the same version, "1".',
    });
  });

  it('tells what is pending without touching anything', async () => {
    await using db = await openTestDatabase();
    await apply(db, { migrations: { '2_b.sql': 'select 2;', '3_c.sql': 'select 3;' } });
    const found = await pendingMigrations({
      logins: { postgres: db.login('postgres') },
      observe: () => {},
      migrations: migrationsOf({ '1_a.sql': '', '2_b.sql': 'select 22;', '4_d.sql': '' }),
    });
    expect({
      pending: found.pending.map(({ version }) => version),
      outOfOrder: found.outOfOrder.map(({ version }) => version),
      missing: found.missing,
      edited: found.edited.map(({ version }) => version),
    }).toEqual({ pending: ['1', '4'], outOfOrder: ['1'], missing: ['3'], edited: ['2'] });
  });
});

describe('two processes at once', () => {
  it('run each file once', async () => {
    await using db = await openTestDatabase();
    const migrations = Object.fromEntries(
      Array.from({ length: 10 }, (_, n) => [
        `${n + 1}_t.sql`,
        `create table t${n} (id int); select pg_sleep(0.01);`,
      ]),
    );
    const seeds = { 'supabase/seed.sql': 'insert into t0 values (1)' };
    const [a, b, c] = await Promise.all([1, 2, 3].map(() => apply(db, { migrations, seeds })));
    expect(a!.migrations.length + b!.migrations.length + c!.migrations.length).toBe(10);
    expect(await db.run('select count(*)::int as n from t0')).toEqual([{ n: 1 }]);
  });

  it('stops waiting and running when told to', async () => {
    await using db = await openTestDatabase();
    const controller = new AbortController();
    const events: Observation[] = [];
    const running = apply(
      db,
      { migrations: { '1_t.sql': 'create table t (id int); select pg_sleep(60);' } },
      {
        signal: controller.signal,
        observe: (event) => {
          events.push(event);
          if (event.kind === 'migrations.applying') controller.abort();
        },
      },
    );
    await expect(running).rejects.toBeDefined();
    expect(await db.run("select to_regclass('t') as there")).toEqual([{ there: null }]);
  });
});

async function refusal(promise: Promise<unknown>): Promise<ScriptError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ScriptError);
  return error as ScriptError;
}
