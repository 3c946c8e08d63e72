-- The roles, who may become whom, and the schema in which Millrace keeps its own state.
-- Only what is missing is made: a role that is there keeps its attributes, its settings, its password and its memberships.
-- Source: supabase/postgres migrations/db/init-scripts and migrations/db/migrations, as their outcome stands in
-- nix/tests/expected/roles.out and z_17_roles.out (2026-05). Left out on purpose: `session_preload_libraries`
-- (supautils and safeupdate are not in these binaries), `supabase_privileged_role` (it is a part of supautils).

do $first$
declare
  me pg_catalog.pg_roles;
begin
  select * into me from pg_catalog.pg_roles where rolname = current_user;
  if not exists (select from pg_catalog.pg_roles where rolname = 'millrace_admin') then
    execute 'create role millrace_admin with login inherit'
      || coalesce(format(' password %L', nullif(current_setting('millrace.verifiers', true), '')::jsonb ->> 'millrace_admin'), '');
    perform set_config('millrace.made', '{millrace_admin}', true);
  end if;
  -- Whoever is no superuser must be a member to hand objects to a role and to act in its name; who has CREATEROLE can be.
  if not me.rolsuper then
    execute 'grant millrace_admin to current_user'
      || case when current_setting('server_version_num')::int >= 160000 then ' with inherit true, set true' else '' end;
  end if;
end
$first$;

create schema _millrace authorization millrace_admin;
comment on schema _millrace is 'Millrace''s own state. Never exposed; left out of diff, dump and export.';

create table _millrace.migrations (
  name text primary key,
  checksum text not null,
  skipped boolean not null default false,
  applied_at timestamptz not null default now()
);
comment on table _millrace.migrations is 'The shape files that this database has taken in. Skipped: what the file makes was there before, or needs a superuser.';

create table _millrace.roles (
  name text primary key,
  created_at timestamptz not null default now()
);
comment on table _millrace.roles is 'The roles that Millrace made, in a server of its own all of them. It knows their passwords, and changes no others.';
create function _millrace.may_grant(role_name text) returns boolean
  language sql stable set search_path = ''
  as $$
    select me.rolsuper
        -- Before PostgreSQL 16 CREATEROLE alone sufficed.
        or (me.rolcreaterole and current_setting('server_version_num')::int < 160000 and not it.rolsuper)
        or pg_catalog.pg_has_role(me.oid, it.oid, 'member with admin option')
    from pg_catalog.pg_roles as me, pg_catalog.pg_roles as it
    where me.rolname = current_user and it.rolname = role_name
  $$;
comment on function _millrace.may_grant(text) is 'Whether the session may make others members of this role.';

create function _millrace.may_become(role_name text) returns boolean
  language sql stable set search_path = ''
  as $$
    select pg_catalog.pg_has_role(
      current_user, role_name, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end
    )
  $$;
comment on function _millrace.may_become(text) is 'Whether the session may act as this role, and hand things to it.';

create function _millrace.project_role() returns name
  language sql stable set search_path = ''
  as $$
    select case
      when exists (select from _millrace.roles where name = 'postgres') then 'postgres'
      else current_user
    end
  $$;
comment on function _millrace.project_role() is 'Who owns what a project makes: postgres, where Millrace made it; in a server with a postgres of its own the user that connects.';

-- The attributes in the last column need the right to hand them on; without it the role is made without them.
do $roles$
declare
  me pg_catalog.pg_roles;
  version int := current_setting('server_version_num')::int;
  verifiers jsonb := coalesce(nullif(current_setting('millrace.verifiers', true), ''), '{}')::jsonb;
  is_ours boolean := current_setting('millrace.external', true) is distinct from 'true';
  made text[] := coalesce(nullif(current_setting('millrace.made', true), ''), '{}')::text[];
  wanted record;
  attribute text;
  attributes text;
begin
  select * into me from pg_catalog.pg_roles where rolname = current_user;
  if is_ours or 'millrace_admin' = any (made) then
    insert into _millrace.roles (name) values ('millrace_admin');
  end if;
  for wanted in
    select * from (values
      ('anon',                       'nologin inherit',                         '{}'::text[]),
      ('authenticated',              'nologin inherit',                         '{}'),
      ('service_role',               'nologin inherit',                         '{bypassrls}'),
      ('authenticator',              'login noinherit',                         '{}'),
      ('postgres',                   'login inherit createdb createrole',       '{replication,bypassrls}'),
      ('supabase_admin',             'login inherit createdb createrole',       '{superuser,replication,bypassrls}'),
      ('supabase_auth_admin',        'login noinherit nocreaterole',            '{}'),
      ('supabase_storage_admin',     'login noinherit createrole',              '{}'),
      ('supabase_realtime_admin',    'login noinherit createrole',              '{replication}'),
      ('supabase_functions_admin',   'login noinherit createrole',              '{}'),
      ('supabase_replication_admin', 'login inherit',                           '{replication}'),
      ('supabase_etl_admin',         'login inherit',                           '{replication,bypassrls}'),
      ('supabase_read_only_user',    'login inherit',                           '{bypassrls}'),
      ('dashboard_user',             'nologin inherit createdb createrole',     '{replication}'),
      ('pgbouncer',                  'login inherit',                           '{}')
    ) as role (name, plain, privileged)
  loop
    if exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      if is_ours then
        insert into _millrace.roles (name) values (wanted.name);
      end if;
      continue;
    end if;
    attributes := wanted.plain;
    if not me.rolsuper and not me.rolcreatedb then
      attributes := replace(attributes, ' createdb', '');
    end if;
    foreach attribute in array wanted.privileged loop
      if me.rolsuper
        or (version >= 160000 and attribute = 'replication' and me.rolreplication)
        or (version >= 160000 and attribute = 'bypassrls' and me.rolbypassrls)
      then
        attributes := attributes || ' ' || attribute;
      end if;
    end loop;
    if verifiers ? wanted.name then
      attributes := attributes || format(' password %L', verifiers ->> wanted.name);
    end if;
    execute format('create role %I with %s', wanted.name, attributes);
    insert into _millrace.roles (name) values (wanted.name);
    made := made || wanted.name;
  end loop;
  -- In a server of our own initdb made supabase_admin; this is the first database there when nothing else was.
  if is_ours and 'anon' = any (made) and not 'supabase_admin' = any (made) then
    made := made || 'supabase_admin'::text;
    if verifiers ? 'supabase_admin' then
      execute format('alter role supabase_admin password %L', verifiers ->> 'supabase_admin');
    end if;
  end if;
  perform set_config('millrace.made', made::text, true);
  if not me.rolsuper then
    for wanted in
      select rolname as name from pg_catalog.pg_roles
      where rolname <> me.rolname
        and (
          exists (select from _millrace.roles where name = rolname)
          or rolname in ('supabase_auth_admin', 'supabase_storage_admin', 'supabase_realtime_admin', 'supabase_functions_admin')
        )
        and not _millrace.may_become(rolname)
        and _millrace.may_grant(rolname)
    loop
      execute format('grant %I to current_user', wanted.name)
        || case when version >= 160000 then ' with inherit true, set true' else '' end;
    end loop;
  end if;
end
$roles$;

-- Settings of a role are set once, with the role. The second list needs a superuser.
do $settings$
declare
  wanted record;
begin
  for wanted in
    select setting.* from (values
      ('anon',                    'statement_timeout',                   '''3s''',                             false),
      ('authenticated',           'statement_timeout',                   '''8s''',                             false),
      ('authenticator',           'statement_timeout',                   '''8s''',                             false),
      ('authenticator',           'lock_timeout',                        '''8s''',                             false),
      ('postgres',                'search_path',                         '"$user", public, extensions',        false),
      ('supabase_admin',          'search_path',                         '"$user", public, auth, extensions',  false),
      ('supabase_auth_admin',     'search_path',                         'auth',                               false),
      ('supabase_auth_admin',     'idle_in_transaction_session_timeout', '60000',                              false),
      ('supabase_storage_admin',  'search_path',                         'storage',                            false),
      ('supabase_realtime_admin', 'search_path',                         'realtime',                           false),
      ('supabase_functions_admin','search_path',                         'supabase_functions',                 false),
      ('supabase_read_only_user', 'default_transaction_read_only',       'on',                                 false),
      ('supabase_admin',          'log_statement',                       'none',                               true),
      ('supabase_auth_admin',     'log_statement',                       'none',                               true),
      ('supabase_storage_admin',  'log_statement',                       'none',                               true)
    ) as setting (role, name, value, privileged)
    where setting.role = any (current_setting('millrace.made')::text[])
      and (not setting.privileged or (select rolsuper from pg_catalog.pg_roles where rolname = current_user))
  loop
    execute format('alter role %I set %I to %s', wanted.role, wanted.name, wanted.value);
  end loop;
end
$settings$;

-- `rights`: with the privileges of the granted role but without becoming it (PostgreSQL 16 and later; before, membership is both).
-- postgres has them of the table owners, so that a migration can write a policy on storage.objects or a trigger on
-- auth.users. Upstream took these memberships back in 2025 and lets supautils do it instead.
do $memberships$
declare
  version int := current_setting('server_version_num')::int;
  wanted record;
  options text;
begin
  for wanted in
    select * from (values
      ('anon',                        'authenticator',              'plain'),
      ('authenticated',               'authenticator',              'plain'),
      ('service_role',                'authenticator',              'plain'),
      ('authenticator',               'supabase_storage_admin',     'plain'),
      ('anon',                        'supabase_realtime_admin',    'plain'),
      ('authenticated',               'supabase_realtime_admin',    'plain'),
      ('service_role',                'supabase_realtime_admin',    'plain'),
      ('anon',                        'postgres',                   'admin'),
      ('authenticated',               'postgres',                   'admin'),
      ('service_role',                'postgres',                   'admin'),
      ('authenticator',               'postgres',                   'admin'),
      ('pg_monitor',                  'postgres',                   'admin'),
      ('pg_read_all_data',            'postgres',                   'admin'),
      ('pg_signal_backend',           'postgres',                   'admin'),
      ('pg_create_subscription',      'postgres',                   'plain'),
      ('supabase_auth_admin',         'postgres',                   'rights'),
      ('supabase_storage_admin',      'postgres',                   'rights'),
      ('supabase_realtime_admin',     'postgres',                   'rights'),
      ('supabase_functions_admin',    'postgres',                   'rights'),
      ('pg_read_all_data',            'supabase_read_only_user',    'plain'),
      ('pg_read_all_data',            'supabase_etl_admin',         'plain'),
      ('pg_use_reserved_connections', 'authenticator',              'inherited'),
      ('pg_use_reserved_connections', 'millrace_admin',             'inherited'),
      ('pg_use_reserved_connections', 'supabase_auth_admin',        'inherited'),
      ('pg_use_reserved_connections', 'supabase_storage_admin',     'inherited'),
      ('pg_use_reserved_connections', 'supabase_realtime_admin',    'inherited')
    ) as membership (role, member, kind)
    where exists (select from pg_catalog.pg_roles where rolname = role)
      -- Between two roles that were there before, whoever made them has decided.
      and exists (select from _millrace.roles where name in (role, member))
      and _millrace.may_grant(role)
      and member <> current_user
      and role <> current_user
  loop
    continue when exists (
      select from pg_catalog.pg_auth_members
      where roleid = wanted.role::regrole and member = wanted.member::regrole
        and (admin_option or wanted.kind <> 'admin')
    );
    options := case
      when version < 160000 then ''
      when wanted.kind = 'admin' then ' with admin option'
      when wanted.kind = 'rights' then ' with inherit true, set false'
      when wanted.kind = 'inherited' then ' with inherit true'
      else ''
    end;
    execute format('grant %I to %I%s', wanted.role, wanted.member, options);
  end loop;
end
$memberships$;

-- Millrace's own schema belongs to a role that owns nothing else and is reached by no request.
alter table _millrace.migrations owner to millrace_admin;
alter table _millrace.roles owner to millrace_admin;
alter function _millrace.may_grant(text) owner to millrace_admin;
alter function _millrace.may_become(text) owner to millrace_admin;
alter function _millrace.project_role() owner to millrace_admin;
