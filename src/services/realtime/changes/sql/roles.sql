-- What each of these roles ($2) may read of each of these tables ($1), as Postgres decides it.
-- Source: PostgreSQL src/backend/utils/misc/rls.c check_enable_rls, src/backend/rewrite/rowsecurity.c check_role_for_policy.
select
  c.oid::text as oid,
  r.rolname::text as role,
  r.rolsuper or r.rolbypassrls
    or pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE') and not c.relforcerowsecurity as "seesAll",
  pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'USAGE') as "reachesSchema",
  array(
    select a.attname::text from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT')
  ) as selectable,
  array(
    select p.oid::text from pg_catalog.pg_policy p
    where p.polrelid = c.oid and p.polcmd in ('r', '*')
      and (0::oid = any (p.polroles) or exists (
        select from pg_catalog.unnest(p.polroles) m (oid) where m.oid <> 0 and pg_catalog.pg_has_role(r.oid, m.oid, 'USAGE')
      ))
  ) as policies
from pg_catalog.pg_class c
cross join pg_catalog.pg_roles r
where c.oid = any ($1::oid[]) and r.rolname = any ($2::text[])
