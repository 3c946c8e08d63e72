-- The tables of a publication ($1) that have this schema ($2) and this name ($3), null for any; also those whose partitions are published.
-- By the catalogs alone: the view pg_publication_tables waits for whoever holds any of its tables, as a migration does.
with recursive direct (oid, pubviaroot) as (
  select c.oid, p.pubviaroot
  from pg_catalog.pg_publication p
  join pg_catalog.pg_class c on
    p.puballtables and c.relkind in ('r', 'p') and c.relpersistence = 'p' and c.oid >= 16384
      and c.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace and c.relnamespace <> 'information_schema'::pg_catalog.regnamespace
    or c.oid in (select r.prrelid from pg_catalog.pg_publication_rel r where r.prpubid = p.oid)
    or c.relkind in ('r', 'p') and c.relpersistence = 'p'
      and c.relnamespace in (select s.pnnspid from pg_catalog.pg_publication_namespace s where s.pnpubid = p.oid)
  where p.pubname = $1
), published (oid) as (
  select oid from direct
  union
  select i.inhrelid
  from published u
  join pg_catalog.pg_class uc on uc.oid = u.oid and uc.relkind = 'p'
  join pg_catalog.pg_inherits i on i.inhparent = u.oid
  where not exists (select from direct d where d.pubviaroot)
)
select c.oid::text as oid
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = coalesce($2, n.nspname)
  and c.relname = coalesce($3, c.relname)
  and (c.oid in (select oid from published) or exists (
    select from published p cross join lateral pg_catalog.pg_partition_ancestors(p.oid) a (relid) where a.relid = c.oid
  ))
