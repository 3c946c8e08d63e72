-- Computed relationships: functions from a row of one relation to rows of another.
select
  fn.nspname as function_schema,
  f.proname as function_name,
  an.nspname as relation_schema,
  a.typname as relation_name,
  rn.nspname as target_schema,
  r.typname as target_name,
  -- "rows 1" is how an author says of a set-returning function that it returns one.
  not f.proretset or f.prorows = 1 as to_one
from pg_catalog.pg_proc f
join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
join pg_catalog.pg_type a on a.oid = f.proargtypes[0]
join pg_catalog.pg_namespace an on an.oid = a.typnamespace
join pg_catalog.pg_class ac on ac.oid = a.typrelid and ac.relkind in ('r', 'p', 'v', 'm', 'f')
join pg_catalog.pg_type r on r.oid = f.prorettype
join pg_catalog.pg_namespace rn on rn.oid = r.typnamespace
join pg_catalog.pg_class rc on rc.oid = r.typrelid and rc.relkind in ('r', 'p', 'v', 'm', 'f')
where f.pronargs = 1
order by fn.nspname, f.proname
