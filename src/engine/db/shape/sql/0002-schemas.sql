-- The schemas, what may be done in them, and the default privileges of what is made in them later.
-- A schema that is there keeps its owner and its privileges.
-- Source: supabase/postgres, the same files as for the roles; supabase/cli apps/cli-go/internal/db/start/templates.

-- The database: an embedded one belongs to postgres. Somebody else's keeps its owner.
do $database$
declare
  name text := current_database();
begin
  if current_setting('millrace.external', true) is distinct from 'true' then
    execute format('alter database %I owner to postgres', name);
  end if;
  execute format('grant all on database %I to postgres, dashboard_user', name);
  execute format('grant create on database %I to supabase_auth_admin, supabase_realtime_admin', name);
end
$database$;

do $schemas$
declare
  wanted record;
  grantee text;
begin
  for wanted in
    select * from (values
      -- name, owner (null: who bootstraps; project: postgres or who stands in for it), may use, may hand its use on, may do all
      ('auth',                null::text,  '{anon,authenticated,service_role,postgres,supabase_realtime_admin}'::text[], '{}'::text[], '{supabase_auth_admin,dashboard_user}'::text[]),
      ('storage',             null,        '{anon,authenticated,service_role}', '{postgres}',                               '{supabase_storage_admin,dashboard_user}'),
      ('realtime',            null,        '{anon,authenticated,service_role}', '{postgres}',                               '{}'),
      ('extensions',          'project',   '{anon,authenticated,service_role,supabase_realtime_admin}', '{}',               '{dashboard_user,postgres}'),
      ('vault',               null,        '{postgres,service_role}', '{}',                                                 '{}'),
      ('graphql',             null,        '{anon,authenticated,service_role}', '{postgres}',                               '{}'),
      ('graphql_public',      null,        '{anon,authenticated,service_role}', '{postgres}',                               '{}'),
      ('supabase_migrations', 'project',   '{}', '{}',                                                                      '{}'),
      ('supabase_functions',  null,        '{postgres,anon,authenticated,service_role}', '{}',                              '{supabase_functions_admin}'),
      ('pgbouncer',           'pgbouncer', '{}', '{}',                                                                      '{}')
    ) as schema (name, owner, use, hand_on, all_of_it)
  loop
    continue when exists (select from pg_catalog.pg_namespace where nspname = wanted.name);
    execute format('create schema %I', wanted.name)
      || case
        when wanted.owner = 'project' then format(' authorization %I', _millrace.project_role())
        when _millrace.may_become(wanted.owner) then format(' authorization %I', wanted.owner)
        else ''
      end;
    foreach grantee in array wanted.use loop
      execute format('grant usage on schema %I to %I', wanted.name, grantee);
    end loop;
    foreach grantee in array wanted.hand_on loop
      execute format('grant usage on schema %I to %I with grant option', wanted.name, grantee);
    end loop;
    foreach grantee in array wanted.all_of_it loop
      execute format('grant all on schema %I to %I', wanted.name, grantee);
    end loop;
    if wanted.name = 'realtime' then
      grant all on schema realtime to supabase_realtime_admin with grant option;
    end if;
  end loop;
end
$schemas$;

grant usage on schema public to postgres, anon, authenticated, service_role;
grant create, usage on schema public to supabase_realtime_admin;
do $public$
begin
  -- In somebody else's database postgres is not the database's owner, so it needs the right by name.
  if not pg_catalog.has_schema_privilege('postgres', 'public', 'create') then
    grant create on schema public to postgres;
  end if;
end
$public$;

-- Default privileges, of the roles that were made here; who had a role before has decided about its own.
do $defaults$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('postgres',            'public',         'postgres, anon, authenticated, service_role', ''),
      ('supabase_admin',      'public',         'postgres, anon, authenticated, service_role', ''),
      ('postgres',            'storage',        'postgres, anon, authenticated, service_role', ''),
      ('supabase_auth_admin', 'auth',           'postgres, dashboard_user',                    ''),
      ('supabase_admin',      'realtime',       'postgres, dashboard_user',                    ''),
      ('supabase_admin',      'extensions',     'postgres',                                    ' with grant option'),
      ('supabase_admin',      'graphql',        'postgres, anon, authenticated, service_role', ''),
      ('supabase_admin',      'graphql_public', 'postgres, anon, authenticated, service_role', ''),
      ('supabase_admin',      'supabase_functions', 'postgres, anon, authenticated, service_role', '')
    ) as acl (role, schema, grantees, hand_on)
    where exists (select from _millrace.roles where name = role)
      and pg_catalog.pg_has_role(current_user, role, 'usage')
  loop
    execute format('alter default privileges for role %I in schema %I grant all on tables to %s%s', wanted.role, wanted.schema, wanted.grantees, wanted.hand_on);
    execute format('alter default privileges for role %I in schema %I grant all on sequences to %s%s', wanted.role, wanted.schema, wanted.grantees, wanted.hand_on);
    execute format('alter default privileges for role %I in schema %I grant all on functions to %s%s', wanted.role, wanted.schema, wanted.grantees, wanted.hand_on);
  end loop;
end
$defaults$;

-- Extensions that upstream installs and that these binaries have: a trusted one by whoever may create in the database, others by a superuser.
do $extensions$
declare
  wanted record;
begin
  for wanted in
    select distinct available.name
    from pg_catalog.pg_available_extension_versions as available
    where available.name in ('pgcrypto', 'uuid-ossp', 'pg_stat_statements')
      and not exists (select from pg_catalog.pg_extension where extname = available.name)
      and ((select rolsuper from pg_catalog.pg_roles where rolname = current_user) or available.trusted)
      and pg_catalog.has_schema_privilege(current_user, 'extensions', 'create')
    order by available.name
  loop
    execute format('create extension if not exists %I with schema extensions', wanted.name);
  end loop;
end
$extensions$;
do $extension_grants$
begin
  if exists (select from _millrace.roles where name = 'dashboard_user') then
    grant all on all tables in schema extensions to postgres with grant option;
    grant all on all routines in schema extensions to postgres with grant option;
    grant all on all tables in schema extensions to dashboard_user;
    grant all on all routines in schema extensions to dashboard_user;
  end if;
end
$extension_grants$;

do $publication$
begin
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
    if pg_catalog.has_database_privilege(_millrace.project_role(), current_database(), 'create') then
      execute format('alter publication supabase_realtime owner to %I', _millrace.project_role());
    end if;
  end if;
end
$publication$;

-- What a superuser alone can give.
do $privileged$
begin
  if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    grant execute on function pg_catalog.pg_reload_conf() to postgres;
    grant set on parameter log_min_messages to supabase_realtime_admin;
  end if;
end
$privileged$;
