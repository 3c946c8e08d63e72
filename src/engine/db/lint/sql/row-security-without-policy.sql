-- Tables that nobody but their owner can read, which is seldom meant in an exposed schema.
select format('%I.%I', schema.nspname, class.relname) as object,
       'row-level security is on and there is no policy: the API roles see no row' as message,
       'Write a policy, or move the table to a schema that is not exposed.' as hint
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
where class.relkind in ('r', 'p') and class.relrowsecurity and schema.nspname = any ($1::text[]) and schema.nspname = any ($2::text[])
  and not exists (select from pg_catalog.pg_policy as policy where policy.polrelid = class.oid)
order by 1
