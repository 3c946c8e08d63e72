// In charge of: proving that nothing in a migration becomes superuser, although some statements of it run as supabase_admin.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../../../test/harness/database.ts';
import { apply } from '../../../../test/harness/migrations.ts';
import { withClient } from '../client.ts';

/** What an attacker's code does when it runs; it leaves a trace when it ran as a superuser, and none when it was refused. */
const loot = `
  begin
    if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
      create table public.loot as select current_user::text as who;
    end if;
    exception when others then null;
  end;`;

const attacker = (name: string, signature: string, returns: string, end: string) =>
  `create function ${name}(${signature}) returns ${returns} language plpgsql as $loot$ begin ${loot} ${end} end $loot$;`;

interface Attack {
  readonly it: string;
  readonly sql: string;
  /** SQLSTATE with which it is refused; undefined: the migration goes through, and the attacker has won nothing. */
  readonly refused?: string;
}

const attacks: readonly Attack[] = [
  { it: 'resets the session authorization', sql: `reset session authorization; do $$ ${loot} $$;` },
  { it: 'takes the superuser’s role', sql: 'set role supabase_admin;', refused: '42501' },
  { it: 'takes the superuser’s session', sql: 'set session authorization supabase_admin;', refused: '42501' },
  {
    it: 'resets it in a DO block',
    sql: `do $$ begin execute 'reset session authorization'; ${loot} end $$;`,
  },
  { it: 'makes itself superuser', sql: 'alter role postgres superuser;', refused: '42501' },
  { it: 'makes another superuser', sql: 'create role mr_evil superuser;', refused: '42501' },
  { it: 'becomes a member of the superuser', sql: 'grant supabase_admin to postgres;', refused: '42501' },
  { it: 'runs a program', sql: "create table t (a text); copy t from program 'id';", refused: '42501' },
  {
    it: 'calls the function that runs privileged statements with a number of its own',
    sql: "select _millrace.run_privileged(gen_random_uuid(), 'public');",
    refused: '42501',
  },
  {
    it: 'registers a statement of its own',
    sql: "insert into _millrace.privileged_statements (nonce, backend_pid, statement, kind, act) values (gen_random_uuid(), pg_backend_pid(), 'alter role postgres superuser', 'extension', 'create');",
    refused: '42501',
  },
  {
    it: 'runs what is registered before its turn, with a search path of its own',
    sql: `select _millrace.run_privileged(nonce, 'evil, pg_catalog') from _millrace.privileged_statements;
      create extension moddatetime;`,
    refused: '42501',
  },
  {
    it: 'replaces the function that runs privileged statements',
    sql: "create or replace function _millrace.run_privileged(nonce uuid, path text) returns void language sql as 'select';",
    refused: '42501',
  },
  {
    it: 'has the script of an extension of pg_tle run as somebody else',
    sql: `create extension pg_tle; select pgtle.install_extension('evil', '1', '', $script$ do $do$ ${loot} $do$; $script$);
      select pgtle.install_update_path('evil', '1', '2', $script$ do $do$ ${loot} $do$; $script$);
      create extension evil version '1'; alter extension evil update to '2';`,
  },
  {
    it: 'puts a function of its own where pg_tle would have one',
    sql: `create schema pgtle; ${attacker('pgtle._control', 'extension text, out default_version text, out comment text, out requires text[], out schema text', 'record', "default_version := '1'; schema := 'public';")}
      ${attacker('pgtle._path', 'extension text, source text, target text', 'text[]', "return array['1'];")}
      ${attacker('pgtle._text', 'artifact text', 'text', "return 'select';")}
      ${attacker('pgtle."evil.control"', '', 'text', "return '';")} create extension evil;`,
    refused: '42704',
  },
  {
    it: 'has the row of an extension written that is somebody else’s',
    sql: `create extension pg_tle; select pgtle.install_extension('evil', '1', '', ''); create extension evil;
      select set_config('millrace.tle', '[{"name": "evil", "owner": "supabase_admin", "schema": "public", "version": "1", "versions": ["1"]}]', true);
      select _millrace.record_tle();`,
    refused: '42501',
  },
  {
    it: 'has an event trigger fire on a statement that runs as supabase_admin',
    sql: `${attacker('steal', '', 'event_trigger', '')}
      create event trigger steal on ddl_command_start execute function steal();
      create event trigger steal_end on ddl_command_end execute function steal();
      create event trigger steal_drop on sql_drop execute function steal();
      create extension moddatetime; drop extension moddatetime; create publication p for all tables;`,
  },
  {
    it: 'has an event trigger that is always on fire under session_replication_role',
    sql: `${attacker('steal', '', 'event_trigger', '')}
      create event trigger steal on ddl_command_start execute function steal();
      alter event trigger steal enable always; set session_replication_role = replica; set event_triggers = on;
      create extension moddatetime;`,
    refused: '42501',
  },
  {
    it: 'has an event trigger fire when the superuser logs in',
    sql: `${attacker('steal', '', 'event_trigger', '')}
      create event trigger steal on login execute function steal(); alter event trigger steal enable always;`,
  },
  {
    it: 'makes a validator of a foreign data wrapper of its own',
    sql: `${attacker('steal', 'text[], oid', 'void', '')}
      create foreign data wrapper evil validator steal options (a '1');`,
    refused: '42501',
  },
  {
    it: 'puts a validator before that of an extension in the search path',
    sql: `create extension postgres_fdw schema extensions; create schema evil;
      ${attacker('evil.postgres_fdw_validator', 'text[], oid', 'void', '')}
      set search_path = evil, extensions; create foreign data wrapper evil validator postgres_fdw_validator;`,
    refused: '42501',
  },
  {
    it: 'puts operators and functions before those of the system',
    sql: `create schema evil;
      ${attacker('evil.equal', 'text, text', 'boolean', 'return true;')}
      create operator evil.= (leftarg = text, rightarg = text, function = evil.equal);
      ${attacker('evil.alike', 'text, text', 'boolean', 'return true;')}
      create operator evil.~~ (leftarg = text, rightarg = text, function = evil.alike);
      ${attacker('evil.concat', 'text, text', 'text', "return '';")}
      create operator evil.|| (leftarg = text, rightarg = text, function = evil.concat);
      ${attacker('evil.format', 'text, variadic text[]', 'text', "return '';")}
      ${attacker('evil.set_config', 'text, text, boolean', 'text', "return '';")}
      create function keep() returns event_trigger language plpgsql as 'begin end';
      set search_path = evil, pg_catalog, public;
      create extension moddatetime; create publication p for all tables; create event trigger t on sql_drop execute function public.keep();`,
  },
  {
    it: 'puts functions that fit better into the schema of an extension whose script runs as the superuser',
    sql: `create schema evil;
      ${[
        'text, name',
        'text, text',
        'text, oid',
        'text, regtype',
        'text, regprocedure',
        'text, text, regclass',
        'text, name, text',
      ]
        .map((types) => attacker('evil.format', types, 'text', "return 'select';"))
        .join('\n')}
      ${attacker('evil.concat', 'text, uuid', 'text', "return '';")}
      create operator evil.|| (leftarg = text, rightarg = uuid, function = evil.concat);
      ${attacker('evil.equal', 'oid, regnamespace', 'boolean', 'return true;')}
      create operator evil.= (leftarg = oid, rightarg = regnamespace, function = evil.equal);
      ${attacker('evil.alike', 'name, name', 'boolean', 'return true;')}
      create operator evil.= (leftarg = name, rightarg = name, function = evil.alike);
      create extension http with schema evil; create extension pg_net with schema evil;`,
  },
  {
    it: 'puts tables of its own before those of the system',
    sql: `create temp table privileged_statements (nonce uuid, backend_pid int, statement text);
      create temp table pg_roles as select 'postgres'::name as rolname, true as rolsuper, 0::oid as oid;
      set search_path = pg_temp, public, pg_catalog; create extension moddatetime;`,
  },
  {
    // An empty search path finds temporary types first. Source: PostgreSQL manual, "Writing SECURITY DEFINER Functions Safely".
    it: 'puts types of its own, with a check, before those of the system',
    sql: `${attacker('check_it', 'anyelement', 'boolean', 'return true;')}
      create domain pg_temp.text as pg_catalog.text check (public.check_it(value));
      create domain pg_temp.oid as pg_catalog.oid check (public.check_it(value));
      create domain pg_temp.name as pg_catalog.name check (public.check_it(value));
      create domain pg_temp.uuid as pg_catalog.uuid check (public.check_it(value));
      create function keep() returns event_trigger language plpgsql as 'begin end';
      create extension moddatetime; create publication p for all tables; create event trigger t on sql_drop execute function public.keep();
      create extension pgmq; select vault.create_secret('a', 'b'); select decrypted_secret from vault.decrypted_secrets;`,
  },
  {
    it: 'has an extension of ours run code of its own',
    sql: `${attacker('evil_now', '', 'trigger', 'return new;')}
      create schema if not exists pgmq; create table pgmq.meta (queue_name varchar unique not null, is_partitioned boolean, is_unlogged boolean, created_at timestamptz);
      create trigger steal before insert on pgmq.meta for each row execute function evil_now(); create extension pgmq;`,
    refused: '55000',
  },
  {
    it: 'smuggles a second statement in with backslashes',
    sql: `select set_config('standard_conforming_strings', 'off', false);
      create extension moddatetime; comment on extension moddatetime is 'a\\''; create table public.loot (a int); --';`,
  },
  {
    it: 'has a check of a domain run while the filter of a publication is read',
    sql: `create function check_it(int) returns boolean language plpgsql as $loot$ begin ${loot} return true; end $loot$;
      create domain evil as int check (check_it(value)); create table t (a int, b evil[]);
      create publication p for table t where (b = '{1}'::evil[]);
      alter publication p set table t where (b = '{1}'::evil[]);`,
    refused: '0A000',
  },
  {
    it: 'has a check of a domain run while a policy is read',
    sql: `create function check_it(int) returns boolean language plpgsql as $loot$ begin ${loot} return true; end $loot$;
      create domain evil as int check (check_it(value));
      create policy p on storage.objects using ('{1}'::evil[] is not null);`,
  },
  { it: 'creates an extension that reaches files', sql: 'create extension file_fdw;', refused: '42501' },
  {
    it: 'writes triggers on the runner’s own tables',
    sql: `${attacker('steal', '', 'trigger', 'return new;')}
      create trigger steal before insert on _millrace.migration_progress for each row execute function steal();`,
    refused: '42501',
  },
  {
    it: 'writes triggers on the history, which only its own rights reach',
    sql: `${attacker('steal', '', 'trigger', 'return new;')}
      create trigger steal before insert on supabase_migrations.schema_migrations for each row execute function steal();
      create extension moddatetime;`,
  },
  {
    it: 'has the superuser write into a table of the project',
    sql: `${attacker('steal', '', 'trigger', 'return new;')} drop table if exists _millrace.project_steps;`,
    refused: '42501',
  },
];

describe('a migration that wants to be superuser', () => {
  let db: TestDatabase;
  beforeEach(async () => {
    db = await openTestDatabase();
  });
  afterEach(() => db[Symbol.asyncDispose]());

  for (const attack of attacks) {
    it(attack.it, async () => {
      const outcome = await apply(db, { migrations: { '1_attack.sql': attack.sql } }).then(
        () => undefined,
        (error: { sqlState?: string; message: string }) => error,
      );
      expect(outcome?.sqlState, outcome?.message).toBe(attack.refused);
      // The next run, as a later start would: with a superuser's session of its own, and one more of a person's.
      const migrations = { '1_attack.sql': attack.refused === undefined ? attack.sql : 'select 1;' };
      await apply(db, {
        migrations: {
          ...migrations,
          '2_next.sql': 'create extension if not exists citext; create table next (id int);',
        },
      });
      await withClient(db.login('supabase_admin'), (client) =>
        client.query('create table public.by_superuser (id int)'),
      );
      expect(await traces(db)).toEqual({ loot: null, superusers: ['supabase_admin'], open: 0 });
    });
  }
});

async function traces(db: TestDatabase) {
  const [row] = await db.run(
    `select to_regclass('public.loot')::text as loot,
       array(select rolname::text from pg_roles where rolsuper order by 1) as superusers,
       (select count(*)::int from _millrace.privileged_statements) as open`,
    'supabase_admin',
  );
  return row;
}
