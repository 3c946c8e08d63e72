-- The primary and foreign keys of all schemas that are not Postgres's own: a view in an exposed schema may stand on tables in a hidden one.
select
  k.contype as kind,
  k.conname as name,
  k.conrelid::text as relation_oid,
  n.nspname as relation_schema,
  c.relname as relation_name,
  coalesce(k.confrelid, 0)::text as target_oid,
  tn.nspname as target_schema,
  t.relname as target_name,
  k.conkey as attnums,
  k.confkey as target_attnums,
  (
    select pg_catalog.json_agg(a.attname order by u.place)
    from pg_catalog.unnest(k.conkey) with ordinality u (attnum, place)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
  ) as columns,
  (
    select pg_catalog.json_agg(a.attname order by u.place)
    from pg_catalog.unnest(k.confkey) with ordinality u (attnum, place)
    join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum
  ) as target_columns,
  -- One row at most on this side too: the foreign key's columns are themselves a key.
  k.contype = 'f' and exists (
    select 1
    from pg_catalog.pg_constraint u
    where u.conrelid = k.conrelid
      and u.contype in ('p', 'u')
      and u.conkey @> k.conkey
      and k.conkey @> u.conkey
  ) as is_unique
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_class t on t.oid = k.confrelid
left join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
where k.contype in ('p', 'f')
  -- A partition's copy of its parent's key says nothing new.
  and (k.contype = 'p' or k.conparentid = 0)
  and n.nspname <> 'pg_catalog'
order by k.conrelid, k.conname
