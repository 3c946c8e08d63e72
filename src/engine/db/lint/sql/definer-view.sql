-- Views that read with their owner's rights, past the policies of their caller.
select format('%I.%I', schema.nspname, class.relname) as object,
       'the API roles may read it, and it reads with its owner''s rights: policies of the tables behind it do not hold' as message,
       format('alter view %I.%I set (security_invoker = true);', schema.nspname, class.relname) as hint
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
where class.relkind = 'v' and schema.nspname = any ($1::text[]) and schema.nspname = any ($2::text[])
  and not coalesce((select option_value::boolean from pg_options_to_table(class.reloptions) where option_name = 'security_invoker'), false)
  and exists (select from pg_catalog.pg_roles as role where role.rolname in ('anon', 'authenticated') and has_table_privilege(role.oid, class.oid, 'SELECT'))
  and not exists (select from pg_catalog.pg_depend as own where own.objid = class.oid and own.classid = 'pg_catalog.pg_class'::regclass and own.deptype = 'e')
order by 1
