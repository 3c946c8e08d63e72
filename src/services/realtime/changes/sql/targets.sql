-- The tables of a publication ($1) that have this schema ($2) and this name ($3), null for any; also those whose partitions are published.
with published (oid) as (
  select c.oid
  from pg_catalog.pg_publication_tables p
  join pg_catalog.pg_namespace n on n.nspname = p.schemaname
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = p.tablename
  where p.pubname = $1
)
select c.oid::text as oid
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = coalesce($2, n.nspname)
  and c.relname = coalesce($3, c.relname)
  and (c.oid in (select oid from published) or exists (
    select from published p cross join lateral pg_catalog.pg_partition_ancestors(p.oid) a (relid) where a.relid = c.oid
  ))
