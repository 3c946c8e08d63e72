-- Tables without a primary key: nothing names a row, and replication cannot follow a change of one.
select format('%I.%I', schema.nspname, class.relname) as object,
       'it has no primary key' as message,
       'Add one: alter table … add primary key (…).' as hint
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
where class.relkind in ('r', 'p') and not class.relispartition and schema.nspname = any ($1::text[])
  and not exists (select from pg_catalog.pg_constraint as key where key.conrelid = class.oid and key.contype = 'p')
order by 1
