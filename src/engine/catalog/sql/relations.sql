-- The relations of the exposed schemas ($1), a row each: what can be done with them, their keys, their columns.
-- search_path is empty, so that every type is named with its schema.
with recursive base_types as (
  -- A domain may stand on a domain; the base type is what is below the last.
  select t.oid, t.oid as base_oid, t.typnamespace as base_namespace, t.typtype as base_kind
  from pg_catalog.pg_type t
  where t.typtype <> 'd'
  union all
  select d.oid, b.base_oid, b.base_namespace, b.base_kind
  from base_types b
  join pg_catalog.pg_type d on d.typtype = 'd' and d.typbasetype = b.oid
),
exposed as (
  select c.oid, c.relname, c.relkind, n.nspname
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any ($1::text[])
    and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and not c.relispartition
),
columns as (
  select
    a.attrelid,
    pg_catalog.json_agg(pg_catalog.json_build_array(
      a.attname,
      pg_catalog.col_description(a.attrelid, a.attnum),
      not (a.attnotnull or (t.typtype = 'd' and t.typnotnull)),
      case
        when t.typtype = 'd' and b.base_namespace = 'pg_catalog'::regnamespace then pg_catalog.format_type(b.base_oid, null)
        when t.typtype <> 'd' and t.typnamespace = 'pg_catalog'::regnamespace then pg_catalog.format_type(a.atttypid, null)
        else pg_catalog.format_type(a.atttypid, a.atttypmod)
      end,
      pg_catalog.format_type(a.atttypid, a.atttypmod),
      information_schema._pg_char_max_length(
        information_schema._pg_truetypid(a, t),
        information_schema._pg_truetypmod(a, t)
      ),
      case
        when a.attgenerated <> '' then null
        when a.attidentity = 'd' then (
          select pg_catalog.format('nextval(%L)', s.objid::regclass)
          from pg_catalog.pg_depend s
          where s.refclassid = 'pg_catalog.pg_class'::regclass and s.refobjid = a.attrelid
            and s.refobjsubid = a.attnum and s.deptype = 'i'
          limit 1
        )
        when d.adbin is null and t.typtype = 'd' then pg_catalog.pg_get_expr(t.typdefaultbin, 0)
        else pg_catalog.pg_get_expr(d.adbin, d.adrelid)
      end,
      case
        when b.base_kind = 'e' then (
          select pg_catalog.json_agg(e.enumlabel order by e.enumsortorder)
          from pg_catalog.pg_enum e
          where e.enumtypid = b.base_oid
        )
      end
    ) order by a.attnum) as list
  from exposed c
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_catalog.pg_type t on t.oid = a.atttypid
  left join base_types b on b.oid = a.atttypid
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  group by a.attrelid
),
keys as (
  select
    k.conrelid,
    pg_catalog.json_agg(k.names) filter (where k.contype = 'p') -> 0 as primary_key,
    pg_catalog.json_agg(k.names) filter (where k.contype = 'u') as uniques
  from (
    select
      c.conrelid,
      c.contype,
      (
        select pg_catalog.json_agg(a.attname order by u.place)
        from pg_catalog.unnest(c.conkey) with ordinality u (attnum, place)
        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = u.attnum
      ) as names
    from pg_catalog.pg_constraint c
    join exposed e on e.oid = c.conrelid
    where c.contype in ('p', 'u')
  ) k
  group by k.conrelid
)
select
  c.oid::text as oid,
  c.nspname as schema,
  c.relname as name,
  pg_catalog.obj_description(c.oid, 'pg_class') as description,
  c.relkind in ('v', 'm') as is_view,
  -- The bits are 1 << CMD_UPDATE (2), CMD_INSERT (3), CMD_DELETE (4) of Postgres's nodes.h.
  case
    when c.relkind in ('r', 'p') then 28
    when c.relkind in ('v', 'f') then pg_catalog.pg_relation_is_updatable(c.oid, true)
    else 0
  end as writable,
  coalesce(k.primary_key, '[]') as primary_key,
  coalesce(k.uniques, '[]') as uniques,
  coalesce(l.list, '[]') as columns
from exposed c
left join columns l on l.attrelid = c.oid
left join keys k on k.conrelid = c.oid
order by c.nspname, c.relname
