-- Who may what: pgtle_admin writes, everybody reads. On hosted projects `postgres` is a member.
-- Source: aws/pg_tle pg_tle--1.0.0.sql; supabase/postgres ansible/files/postgresql_extension_custom_scripts/pg_tle/after-create.sql.

do $rights$
declare
  member name;
  changing oid;
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'pgtle_admin') then
    begin
      create role pgtle_admin nologin;
    -- Roles are the whole server's: another database may be quicker.
    exception when duplicate_object or unique_violation then
      null;
    end;
  end if;
  foreach member in array array['postgres', current_user] loop
    if exists (select from pg_catalog.pg_roles where rolname = member and not rolsuper)
      and not pg_catalog.pg_has_role(member, 'pgtle_admin', 'member')
    then
      execute pg_catalog.format('grant pgtle_admin to %I', member);
    end if;
  end loop;
  for changing in
    select oid from pg_catalog.pg_proc
    where pronamespace = 'pgtle'::pg_catalog.regnamespace
      and proname ~ '^(install_|uninstall_|set_|register_|unregister_|create_|_write)'
  loop
    execute pg_catalog.format('revoke all on function %s from public', changing::pg_catalog.regprocedure);
    execute pg_catalog.format('grant execute on function %s to pgtle_admin', changing::pg_catalog.regprocedure);
  end loop;
  revoke all on schema pgtle from public;
  grant usage on schema pgtle to public;
  grant usage, create on schema pgtle to pgtle_admin;
end
$rights$;
