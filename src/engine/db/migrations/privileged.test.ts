// In charge of: proving which statements are recognised, each refused one beside its allowed twin.
import { beforeAll, describe, expect, it } from 'vitest';
import { loadParser } from './parser.ts';
import { isCandidate, recognise } from './privileged.ts';
import { scriptPieces } from './script.ts';

/** What `supabase_admin` runs. */
const recognised: readonly string[] = [
  'create extension citext',
  'create extension if not exists "uuid-ossp" with schema extensions cascade',
  'alter extension citext update',
  'alter extension citext set schema extensions',
  'drop extension if exists citext, hstore cascade',
  "comment on extension citext is 'text'",
  "create event trigger e on ddl_command_end when tag in ('CREATE TABLE') execute function public.f()",
  'create publication p for all tables',
  'create publication p for tables in schema public, private',
  'alter publication p add tables in schema public',
  'create foreign data wrapper w handler h validator v',
  "alter role anon set statement_timeout = '3s'",
  'alter user "authenticator" set pgrst.db_schemas = \'public\'',
  'alter role authenticated in database postgres reset statement_timeout',
  'CREATE /* c */ EXTENSION -- d\n citext',
];

/** What `postgres` runs, however much it looks like the above. */
const plain: readonly string[] = [
  'alter extension citext add function f()',
  'create publication p for table t',
  "create publication p for table t where (a = '{1}'::evil[])",
  'create publication p for table t, tables in schema public',
  'alter publication p add table t',
  'alter publication p owner to postgres',
  "alter foreign data wrapper w options (add a '1')",
  'alter role postgres superuser',
  'alter role supabase_admin set search_path = evil',
  'alter role all set search_path = evil',
  'alter role current_user set search_path = evil',
  'alter role anon reset all',
  'alter role anon login',
  'create policy p on storage.objects using (true)',
  'drop trigger t on auth.users',
  'set session_replication_role = replica',
  'grant supabase_admin to postgres',
  'do $$ begin create extension citext; end $$',
  'create extension citext; alter role postgres superuser',
  'create extension',
];

/** About extensions that no hosted project has elevated: `postgres` runs these, too, in other words where pg_tle has the extension. */
const ofPostgres: readonly string[] = [
  'create extension file_fdw',
  'create extension adminpack',
  'create extension "basejump-supabase_test_helpers" version \'0.0.6\'',
  'drop extension citext, file_fdw',
  'alter extension "supabase-dbdev" update',
  "comment on extension file_fdw is 'x'",
];

describe('recognise', () => {
  beforeAll(loadParser);
  const candidates = (statement: string) => scriptPieces(statement).filter(isCandidate);

  for (const statement of recognised) {
    it(`supabase_admin: ${statement}`, () => {
      expect(candidates(statement)).toHaveLength(1);
      expect(recognise(statement)).toBeDefined();
    });
  }
  for (const statement of plain) {
    it(`postgres: ${statement}`, () => expect(recognise(statement)).toBeUndefined());
  }
  for (const statement of ofPostgres) {
    it(`postgres, perhaps in other words: ${statement}`, () =>
      expect(recognise(statement)?.kind).toBe('text extension'));
  }
  it('gives what run_privileged looks at again', () => {
    expect(recognise('create event trigger e on sql_drop execute function "a.b".f()')).toEqual({
      kind: 'event trigger',
      act: 'create',
      name: 'e',
      function: '"a.b"."f"',
    });
    expect(recognise('alter role anon set Statement_Timeout to 1')).toEqual({
      kind: 'role setting',
      act: 'alter',
      name: 'statement_timeout',
    });
  });
  it('gives what a CREATE and a DROP EXTENSION say beside the name', () => {
    expect(
      recognise('create extension if not exists "http" with schema "extensions" version \'1.6\''),
    ).toEqual({
      kind: 'extension',
      act: 'create',
      name: 'http',
      options: { schema: 'extensions', version: '1.6', mayExist: true, cascades: false },
    });
    expect(recognise("alter extension citext update to '1.6'")).toEqual({
      kind: 'extension',
      act: 'alter',
      name: 'citext',
      updates: true,
      updatesTo: '1.6',
    });
    expect(recognise('drop extension if exists citext, hstore cascade')).toEqual({
      kind: 'extension',
      act: 'drop',
      name: undefined,
      names: ['citext', 'hstore'],
      cascades: true,
    });
  });
});
