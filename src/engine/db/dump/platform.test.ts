// In charge of: whose each object of a dump is, and how a dump is cut into objects.
import { describe, expect, it } from 'vitest';
import { type DumpEntry, parseDump, renderEntries } from './entries.ts';
import { projectEntries } from './platform.ts';

const facts = { triggers: new Set(['users on_auth_user_created']) };
const entry = (
  kind: string,
  schema: string | undefined,
  name: string,
  ...statements: string[]
): DumpEntry => ({
  kind,
  schema,
  name,
  owner: 'postgres',
  statements: statements.length === 0 ? ['select 1;'] : statements,
});

describe('of a dump', () => {
  it.each<[what: string, entry: DumpEntry, statements: readonly string[]]>([
    ['a table of the project', entry('TABLE', 'public', 'films'), ['select 1;']],
    ['a schema of the project', entry('SCHEMA', undefined, 'shop'), ['select 1;']],
    ['a policy on files', entry('POLICY', 'storage', 'objects mine'), ['select 1;']],
    [
      'a trigger on users that calls the project',
      entry('TRIGGER', 'auth', 'users on_auth_user_created'),
      ['select 1;'],
    ],
    [
      'an extension',
      entry(
        'EXTENSION',
        undefined,
        'citext',
        'CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA extensions;',
      ),
      ['CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA extensions;'],
    ],
    [
      'an extension without the schema that it makes itself',
      entry('EXTENSION', undefined, 'pgmq', 'CREATE EXTENSION IF NOT EXISTS pgmq WITH SCHEMA pgmq;'),
      ['CREATE EXTENSION IF NOT EXISTS pgmq;'],
    ],
    [
      'a table of the publication',
      entry('PUBLICATION TABLE', 'public', 'supabase_realtime films'),
      ['select 1;'],
    ],
    [
      'an owner of the project',
      entry('TABLE', 'public', 'films', 'ALTER TABLE public.films OWNER TO "Odd ""Role";'),
      ['ALTER TABLE public.films OWNER TO "Odd ""Role";'],
    ],
    [
      'what a platform’s role owns, as postgres’s',
      entry(
        'TABLE',
        'public',
        'films',
        'CREATE TABLE public.films ();',
        'ALTER TABLE public.films OWNER TO supabase_admin;',
      ),
      ['CREATE TABLE public.films ();'],
    ],
    [
      'grants of the owner alone',
      entry(
        'ACL',
        'public',
        'TABLE films',
        'GRANT SELECT ON TABLE public.films TO anon;',
        'SET SESSION AUTHORIZATION reporter;',
        'GRANT ALL ON TABLE public.films TO anon;',
        'RESET SESSION AUTHORIZATION;',
      ),
      ['GRANT SELECT ON TABLE public.films TO anon;'],
    ],
    [
      'default privileges of postgres',
      entry(
        'DEFAULT ACL',
        'public',
        'x',
        'ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO anon;',
      ),
      ['ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO anon;'],
    ],
  ])('comes along: %s', (_, given, statements) => {
    expect(projectEntries([given], facts).flatMap((kept) => kept.statements)).toEqual(statements);
  });

  it.each<[what: string, entry: DumpEntry]>([
    ['Millrace’s own tables', entry('TABLE', '_millrace', 'secrets')],
    ['the platform’s tables', entry('TABLE', 'auth', 'users')],
    ['the platform’s triggers', entry('TRIGGER', 'storage', 'objects update_objects_updated_at')],
    ['the platform’s schemas', entry('SCHEMA', undefined, 'auth')],
    ['grants on them', entry('ACL', undefined, 'SCHEMA auth')],
    ['grants on the catalog', entry('ACL', 'pg_catalog', 'FUNCTION pg_reload_conf()')],
    ['comments that need an owner', entry('COMMENT', undefined, 'EXTENSION citext')],
    [
      'what writes changes down for those who listen',
      entry('TRIGGER', 'public', 'films millrace_note_change'),
    ],
    ['the platform’s publication', entry('PUBLICATION', undefined, 'supabase_realtime')],
    [
      'event triggers of the platform',
      entry(
        'EVENT TRIGGER',
        undefined,
        'x',
        'CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();',
      ),
    ],
    [
      'default privileges of the superuser',
      entry(
        'DEFAULT ACL',
        'public',
        'x',
        'ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public GRANT ALL ON TABLES TO anon;',
      ),
    ],
    ['policies where a project writes none', entry('POLICY', 'cron', 'job cron_job_policy')],
  ])('stays: %s', (_, given) => {
    expect(projectEntries([given], facts)).toEqual([]);
  });

  it('grants on schemas come before what is handed to those that they are for', () => {
    const entries = [
      entry('SCHEMA', undefined, 'shop'),
      entry('TABLE', 'shop', 'things'),
      entry('ACL', undefined, 'SCHEMA shop'),
    ];
    expect(projectEntries(entries, facts).map(({ kind }) => kind)).toEqual(['SCHEMA', 'ACL', 'TABLE']);
  });

  it('a line in the body of a function that looks like a head is none', () => {
    const text = `SET statement_timeout = 0;

--
-- Name: odd; "Näme(integer); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public."odd; ""Näme"(integer) RETURNS void LANGUAGE plpgsql AS $_$
begin
--
-- Name: users; Type: TABLE; Schema: auth; Owner: supabase_admin
--
  drop table auth.users;
end $_$;
ALTER FUNCTION public."odd; ""Näme"(integer) OWNER TO postgres;

SET default_tablespace = '';

--
-- Name: films; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.films ();
`;
    const entries = parseDump(text);
    expect(
      entries.map(({ kind, schema, name, statements }) => ({ kind, schema, name, count: statements.length })),
    ).toEqual([
      { kind: 'FUNCTION', schema: 'public', name: 'odd; "Näme(integer)', count: 2 },
      { kind: 'TABLE', schema: 'public', name: 'films', count: 1 },
    ]);
    expect(parseDump(renderEntries(entries))).toEqual(entries);
  });
});
