-- What a PgBouncer in front of this database asks for, with auth_user = pgbouncer: the stored password of whoever logs in.
-- skip when: to_regprocedure('pgbouncer.get_auth(text)') is not null or not (select rolsuper from pg_roles where rolname = current_user)
-- Source: supabase/postgres ansible/files/pgbouncer_config/pgbouncer_auth_schema.sql, migrations/db/migrations/20251121132723.

create function pgbouncer.get_auth(p_usename text) returns table (username text, password text)
  language sql stable security definer set search_path = ''
  as $$
    select role.rolname::text, case when role.rolvaliduntil < now() then null else role.rolpassword end
    from pg_catalog.pg_authid as role
    where role.rolname = p_usename and role.rolcanlogin
  $$;
comment on function pgbouncer.get_auth(text) is 'The stored password of a role; for PgBouncer alone.';
revoke all on function pgbouncer.get_auth(text) from public;
grant execute on function pgbouncer.get_auth(text) to pgbouncer;
