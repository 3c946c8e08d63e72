-- How many transactions old each table's oldest row is. At two billion PostgreSQL stops taking writes.
select format('%I.%I', schema.nspname, class.relname) as name,
       age(class.relfrozenxid) as xid_age,
       2000000000 - age(class.relfrozenxid) as transactions_remaining
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
where class.relkind = 'r' and not schema.nspname like any ($1::text[])
order by age(class.relfrozenxid) desc, name
