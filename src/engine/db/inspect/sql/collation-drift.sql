-- Indexes whose order was made by another version of their collation than the system has now: they may miss rows, or let a value in twice,
-- until they are built anew. Those behind a constraint first.
with used as (
  select distinct index.indexrelid, index.indrelid, own.oid, index.indisprimary, index.indisunique, index.indisexclusion,
         case when is_default then 'default' else format('%I.%I', home.nspname, own.collname) end as name,
         case when is_default then whole.datcollversion else own.collversion end as stored,
         case when is_default then pg_database_collation_actual_version(whole.oid) else pg_collation_actual_version(own.oid) end as current,
         pg_has_role(case when is_default then whole.datdba else own.collowner end, 'usage') as can_refresh
  from pg_catalog.pg_index as index
  -- An expression has the number 0.
  cross join lateral unnest(index.indkey, index.indcollation) as key (number, oid)
  join pg_catalog.pg_collation as own on own.oid = key.oid
  join pg_catalog.pg_namespace as home on home.oid = own.collnamespace
  join pg_catalog.pg_database as whole on whole.datname = current_database()
  cross join lateral (select own.collprovider = 'd') as kind (is_default)
  where key.number <> 0
)
select current_database() as database,
       format('%I.%I', schema.nspname, class.relname) as name,
       format('%I.%I', schema.nspname, parent.relname) as table,
       (select string_agg(attribute.attname, ', ' order by key.at)
          from pg_catalog.pg_index as index
          cross join lateral unnest(index.indkey, index.indcollation) with ordinality as key (number, oid, at)
          join pg_catalog.pg_attribute as attribute on attribute.attrelid = index.indrelid and attribute.attnum = key.number
          where index.indexrelid = used.indexrelid and key.oid = used.oid) as columns,
       used.name as collation, used.stored as stored_version, used.current as current_version, used.can_refresh,
       case when used.indisprimary then 'PRIMARY KEY' when used.indisunique then 'UNIQUE' when used.indisexclusion then 'EXCLUSION' else '' end as key_type,
       pg_size_pretty(pg_relation_size(class.oid)) as size
from used
join pg_catalog.pg_class as class on class.oid = used.indexrelid and class.relkind = 'i'
join pg_catalog.pg_am as method on method.oid = class.relam and method.amname = 'btree'
join pg_catalog.pg_class as parent on parent.oid = used.indrelid and parent.relkind in ('r', 'm') and parent.relpersistence <> 't'
join pg_catalog.pg_namespace as schema on schema.oid = parent.relnamespace and schema.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
where used.stored is distinct from used.current and used.stored is not null
order by used.indisprimary desc, used.indisunique desc, used.indisexclusion desc, pg_relation_size(class.oid) desc, 2
