-- The views of the exposed schemas ($1) and of the extra search path ($2), with their parse trees: view-columns.ts reads which column comes from where.
select
  c.oid::text as oid,
  n.nspname as schema,
  c.relname as name,
  r.ev_action::text as tree,
  (
    select pg_catalog.json_object_agg(a.attnum, a.attname)
    from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ) as columns
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_rewrite r on r.ev_class = c.oid and r.ev_type = '1'
where c.relkind in ('v', 'm')
  and (n.nspname = any ($1::text[]) or n.nspname = any ($2::text[]))
order by n.nspname, c.relname
