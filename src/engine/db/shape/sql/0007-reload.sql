-- DDL tells every process that the catalog has changed: NOTIFY pgrst, 'reload schema'. Only a superuser can make event triggers.
-- skip when: to_regprocedure('extensions.pgrst_ddl_watch()') is not null or not (select rolsuper from pg_roles where rolname = current_user)
-- Source: supabase/postgres migrations/db/migrations/20260923021047_update_pgrst_watch_triggers.sql and its test
-- nix/tests/expected/pgrst_watch_triggers.out; PostgREST docs "Schema Cache", "Automatic Schema Cache Reloading".

-- Both answer with one NOTIFY a command. Left out, as upstream: what is temporary, and what happens inside the schemas
-- of the services, which no Data API shows. A trigger has no schema of its own, but its identity ends with its table's.
create function extensions.pgrst_ddl_watch() returns event_trigger
  language plpgsql set search_path = ''
  as $$
begin
  if exists (
    select from pg_catalog.pg_event_trigger_ddl_commands() as command
    where (
        command.command_tag = any (array[
          'CREATE SCHEMA', 'ALTER SCHEMA',
          'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE',
          'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE',
          'CREATE VIEW', 'ALTER VIEW', 'CREATE MATERIALIZED VIEW', 'ALTER MATERIALIZED VIEW',
          'CREATE FUNCTION', 'ALTER FUNCTION', 'CREATE TYPE', 'ALTER TYPE', 'CREATE RULE', 'COMMENT'
        ])
        and coalesce(command.schema_name, '') <> all (array['pg_temp', 'auth', 'realtime', '_realtime', 'storage', '_millrace'])
      )
      or (
        command.command_tag = 'CREATE TRIGGER'
        and command.object_identity !~ ' on (pg_temp|auth|realtime|_realtime|storage|_millrace)\.'
      )
  ) then
    notify pgrst, 'reload schema';
  end if;
end
$$;
comment on function extensions.pgrst_ddl_watch() is 'Says that the catalog has changed, after CREATE and ALTER.';

create function extensions.pgrst_drop_watch() returns event_trigger
  language plpgsql set search_path = ''
  as $$
begin
  if exists (
    select from pg_catalog.pg_event_trigger_dropped_objects() as dropped
    where not dropped.is_temporary
      and (
        (
          dropped.object_type = any (array[
            'schema', 'table', 'foreign table', 'view', 'materialized view', 'function', 'type', 'rule'
          ])
          and coalesce(dropped.schema_name, '') <> all (array['auth', 'realtime', '_realtime', 'storage', '_millrace'])
        )
        or (
          dropped.object_type = 'trigger'
          and dropped.object_identity !~ ' on (pg_temp|auth|realtime|_realtime|storage|_millrace)\.'
        )
      )
  ) then
    notify pgrst, 'reload schema';
  end if;
end
$$;
comment on function extensions.pgrst_drop_watch() is 'Says that the catalog has changed, after DROP.';

create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch();
