-- Millrace's own state: leases, settings of the run time, events between processes.

create table _millrace.leases (
  name text primary key,
  holder text not null,
  fence bigint not null,
  expires_at timestamptz not null
);
comment on table _millrace.leases is 'Who does what only one process may do. The fence grows with every new holder.';

create table _millrace.settings (
  key text primary key,
  value jsonb not null,
  changed_at timestamptz not null default now(),
  changed_by text not null
);
comment on table _millrace.settings is 'Settings changed while the program runs. They win over config.toml and the environment.';

create table _millrace.events (
  id bigint generated always as identity primary key,
  channel text not null,
  payload jsonb not null,
  at timestamptz not null default now()
);
create index events_at_idx on _millrace.events (at);
comment on table _millrace.events is 'What one process tells the others; NOTIFY carries the number. Rows are deleted after a while.';

alter table _millrace.leases owner to millrace_admin;
alter table _millrace.settings owner to millrace_admin;
alter table _millrace.events owner to millrace_admin;

-- `[api].auto_expose_new_tables`: whether what the project makes in public is open to the API roles without a GRANT. False takes
-- exactly what upstream takes, so TRUNCATE, REFERENCES and TRIGGER on tables and UPDATE on sequences stay granted.
-- Source: supabase/cli apps/cli-go/internal/db/start/start.go RevokeDefaultDataApiPrivilegesSql.
create function _millrace.expose_new_tables(expose boolean) returns void
  language plpgsql set search_path = ''
  as $$
declare
  act text := case when expose then 'grant' else 'revoke' end;
  direction text := case when expose then 'to' else 'from' end;
  privileges text;
begin
  foreach privileges in array array[
    'select, insert, update, delete on tables', 'usage, select on sequences', 'execute on functions'
  ] loop
    execute format(
      'alter default privileges for role %I in schema public %s %s %s anon, authenticated, service_role',
      _millrace.project_role(), act, privileges, direction
    );
  end loop;
end
$$;
comment on function _millrace.expose_new_tables(boolean) is 'Sets what the API roles may do with tables, sequences and functions that the project will make in public.';

create function _millrace.exposes_new_tables() returns boolean
  language sql stable set search_path = ''
  as $$
    select exists (
      select from pg_catalog.pg_default_acl as defaults, aclexplode(defaults.defaclacl) as acl
      where defaults.defaclrole = (quote_ident(_millrace.project_role()))::regrole
        and defaults.defaclnamespace = 'public'::regnamespace and defaults.defaclobjtype = 'r'
        and acl.grantee = 'service_role'::regrole and acl.privilege_type = 'SELECT'
    )
  $$;
comment on function _millrace.exposes_new_tables() is 'How expose_new_tables was last set.';

create function _millrace.has_message_partitions() returns boolean
  language sql stable set search_path = ''
  as $$
    select case when to_regprocedure('realtime.keep_message_partitions(integer, integer)') is not null then
      to_regclass('realtime.messages_' || to_char(timezone('utc', now()) + interval '2 days', 'YYYY_MM_DD')) is not null
    end
  $$;
comment on function _millrace.has_message_partitions() is 'Whether realtime.messages has partitions for the next two days; null where somebody else keeps them.';

alter function _millrace.has_message_partitions() owner to millrace_admin;
alter function _millrace.expose_new_tables(boolean) owner to millrace_admin;
alter function _millrace.exposes_new_tables() owner to millrace_admin;
