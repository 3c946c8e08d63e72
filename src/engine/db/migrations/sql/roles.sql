-- The roles as they are, in the form in which the baseline keeps them.
select role.rolname as role,
  jsonb_build_object('superuser', role.rolsuper, 'inherit', role.rolinherit, 'createrole', role.rolcreaterole,
    'createdb', role.rolcreatedb, 'login', role.rolcanlogin, 'replication', role.rolreplication,
    'bypassrls', role.rolbypassrls, 'connection limit', role.rolconnlimit) as attributes,
  coalesce((select setting.setconfig from pg_catalog.pg_db_role_setting as setting
    where setting.setrole = role.oid and setting.setdatabase = 0), '{}') as settings,
  coalesce((select jsonb_agg(jsonb_build_array(granted.rolname, grantor.rolname) order by granted.rolname, grantor.rolname)
    from pg_catalog.pg_auth_members as membership
    join pg_catalog.pg_roles as granted on granted.oid = membership.roleid
    join pg_catalog.pg_roles as grantor on grantor.oid = membership.grantor
    where membership.member = role.oid), '[]') as member_of
from pg_catalog.pg_roles as role
where role.rolname not like 'pg\_%'
