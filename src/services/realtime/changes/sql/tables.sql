-- What these tables ($1) are to a change: their columns with how their values are told, their policies for reading, the tables that they are
-- partitions of, and whether the publication ($2) has them.
select
  c.oid::text as oid,
  n.nspname::text as schema,
  c.relname::text as name,
  c.relrowsecurity as "hasPolicies",
  exists (
    -- By the catalogs alone: the view pg_publication_tables waits for whoever holds any of its tables, as a migration does.
    with recursive parts (oid) as (
      select c.oid union all select i.inhrelid from parts p join pg_catalog.pg_inherits i on i.inhparent = p.oid where c.relkind = 'p'
    ), whole (oid) as (
      select a.relid::oid from pg_catalog.pg_partition_ancestors(c.oid) a (relid) where a.relid <> c.oid
    )
    select from pg_catalog.pg_publication p
    cross join lateral (
      select oid from parts union all select oid from whole where not p.pubviaroot
    ) t (oid)
    join pg_catalog.pg_class tc on tc.oid = t.oid
    where p.pubname = $2
      and (p.puballtables and tc.relpersistence = 'p' and tc.oid >= 16384
        or exists (select from pg_catalog.pg_publication_rel r where r.prpubid = p.oid and r.prrelid = t.oid)
        or exists (select from pg_catalog.pg_publication_namespace s where s.pnpubid = p.oid and s.pnnspid = tc.relnamespace))
  ) as "isPublished",
  not exists (
    select from pg_catalog.pg_publication_rel r join pg_catalog.pg_publication p on p.oid = r.prpubid
    where r.prrelid in (
        select c.oid union all select a.relid from pg_catalog.pg_partition_ancestors(c.oid) a (relid)
      )
      and p.pubname = $2 and r.prattrs is not null
  ) as "publishesAllColumns",
  array(
    select a.relid::oid::text from pg_catalog.pg_partition_ancestors(c.oid) a (relid) where a.relid <> c.oid
  ) as ancestors,
  coalesce((
    select pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname,
      'typeName', t.typname,
      'type', pg_catalog.format_type(a.atttypid, -1),
      'typeOid', a.atttypid::text,
      'base', b.oid::text,
      'kind', b.typtype,
      'element', e.oid::text,
      'elementKind', e.typtype,
      'delimiter', e.typdelim,
      'isBuiltIn', b.oid < 16384 and coalesce(e.oid < 16384, true),
      'hasJsonCast', exists (
        select from pg_catalog.pg_cast k
        where k.castsource in (b.oid, e.oid) and k.casttarget = 'pg_catalog.json'::pg_catalog.regtype and k.oid >= 16384
      ),
      'isDeterministic', coalesce((select l.collisdeterministic from pg_catalog.pg_collation l where l.oid = a.attcollation), true),
      'generated', case when a.attgenerated <> '' then (
        select pg_catalog.pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attrdef d where d.adrelid = c.oid and d.adnum = a.attnum
      ) end,
      'isKey', exists (
        select from pg_catalog.pg_constraint k
        where k.conrelid = c.oid and k.contype = 'p' and a.attnum = any (k.conkey)
      )
    ) order by a.attnum)
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    -- A domain is told as what it is over.
    cross join lateral (
      with recursive under (oid) as (
        select a.atttypid
        union all
        select d.typbasetype from under u join pg_catalog.pg_type d on d.oid = u.oid where d.typtype = 'd'
      )
      select bt.* from under u join pg_catalog.pg_type bt on bt.oid = u.oid where bt.typtype <> 'd'
    ) b
    left join lateral (
      with recursive under (oid) as (
        select et.oid from pg_catalog.pg_type et where et.typarray = b.oid
        union all
        select d.typbasetype from under u join pg_catalog.pg_type d on d.oid = u.oid where d.typtype = 'd'
      )
      select et.* from under u join pg_catalog.pg_type et on et.oid = u.oid where et.typtype <> 'd'
    ) e on true
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ), '[]'::json) as columns,
  coalesce((
    select pg_catalog.json_agg(pg_catalog.json_build_object(
      'oid', p.oid::text,
      'name', p.polname,
      'isPermissive', p.polpermissive,
      'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid)
    ) order by p.polname)
    from pg_catalog.pg_policy p
    where p.polrelid = c.oid and p.polcmd in ('r', '*') and p.polqual is not null
  ), '[]'::json) as policies
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any ($1::oid[])
