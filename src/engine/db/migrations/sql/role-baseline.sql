-- The roles as they were before the first script of the project ran, for a reset to go back to: roles belong to the
-- cluster, so they outlive the database.

create table if not exists _millrace.role_baseline (
  role text primary key,
  attributes jsonb not null,
  settings text[] not null,
  member_of jsonb not null
);
comment on table _millrace.role_baseline is 'The roles before the project''s first script: attributes, settings, memberships.';
revoke all on table _millrace.role_baseline from public;

insert into _millrace.role_baseline (role, attributes, settings, member_of)
select role.rolname,
  jsonb_build_object('superuser', role.rolsuper, 'inherit', role.rolinherit, 'createrole', role.rolcreaterole,
    'createdb', role.rolcreatedb, 'login', role.rolcanlogin, 'replication', role.rolreplication,
    'bypassrls', role.rolbypassrls, 'connection limit', role.rolconnlimit),
  coalesce((select setting.setconfig from pg_catalog.pg_db_role_setting as setting
    where setting.setrole = role.oid and setting.setdatabase = 0), '{}'),
  coalesce((select jsonb_agg(jsonb_build_array(granted.rolname, grantor.rolname))
    from pg_catalog.pg_auth_members as membership
    join pg_catalog.pg_roles as granted on granted.oid = membership.roleid
    join pg_catalog.pg_roles as grantor on grantor.oid = membership.grantor
    where membership.member = role.oid), '[]')
from pg_catalog.pg_roles as role
where role.rolname not like 'pg\_%'
on conflict (role) do nothing;
