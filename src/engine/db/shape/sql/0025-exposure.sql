-- `[api].auto_expose_new_tables` as it was last set here. The rights themselves do not tell: a dump of a hosted project that is a migration
-- (capgo) grants them itself, and the next start took them away again.

create table _millrace.exposure (
  only_row boolean primary key default true check (only_row),
  exposes boolean not null,
  set_at timestamptz not null default now()
);
comment on table _millrace.exposure is 'How expose_new_tables was last set: one row.';
alter table _millrace.exposure owner to millrace_admin;
insert into _millrace.exposure (exposes) values (_millrace.exposes_new_tables());

create or replace function _millrace.exposes_new_tables() returns boolean
  language sql stable set search_path = ''
  as $$
    select exposes from _millrace.exposure
  $$;

create or replace function _millrace.expose_new_tables(expose boolean) returns void
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
  update _millrace.exposure set exposes = expose, set_at = now();
end
$$;
