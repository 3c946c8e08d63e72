-- Tables of exposed schemas that the API roles may reach, and that no policy guards.
select format('%I.%I', schema.nspname, class.relname) as object,
       format('anybody with a key can %s its rows: row-level security is off', string_agg(distinct lower(rights.privilege), ', ')) as message,
       format('alter table %I.%I enable row level security;', schema.nspname, class.relname) as hint
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
cross join unnest('{anon,authenticated}'::name[]) as role (name)
cross join unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) as rights (privilege)
where class.relkind in ('r', 'p') and not class.relrowsecurity and schema.nspname = any ($2::text[]) and schema.nspname = any ($1::text[])
  and exists (select from pg_catalog.pg_roles as there where there.rolname = role.name)
  and has_schema_privilege(role.name, schema.oid, 'USAGE') and has_table_privilege(role.name, class.oid, rights.privilege)
group by schema.nspname, class.relname
order by 1
