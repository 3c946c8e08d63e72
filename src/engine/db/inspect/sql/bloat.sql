-- An estimate from the planner's statistics: what the rows would need, beside the pages that there are.
with width as (
  select schemaname, tablename, sum((1 - null_frac) * avg_width) as data, bool_or(null_frac > 0) as has_nulls, count(*) as columns
  from pg_catalog.pg_stats
  group by schemaname, tablename
), relation as (
  select table_class.oid, format('%I.%I', schema.nspname, table_class.relname) as name, table_class.relpages, table_class.reltuples,
         width.data, current_setting('block_size')::numeric as page,
         -- The head of a row, with a bit for each column when one may be null, in steps of eight.
         ceil((23 + case when width.has_nulls then (width.columns + 7) / 8 else 0 end) / 8.0) * 8 + ceil(width.data / 8.0) * 8 + 4 as row_width
  from pg_catalog.pg_class as table_class
  join pg_catalog.pg_namespace as schema on schema.oid = table_class.relnamespace
  join width on width.schemaname = schema.nspname and width.tablename = table_class.relname
  where table_class.relkind in ('r', 'm') and not schema.nspname like any ($1::text[])
), bloat as (
  select 'table' as type, name, relpages as pages, ceil(greatest(reltuples, 0) * row_width / (page - 20)) as needed, page
  from relation
  union all
  select 'index', relation.name || '::' || quote_ident(index_class.relname), index_class.relpages,
         ceil(greatest(index_class.reltuples, 0) * (relation.data + 12) / (page - 20)), page
  from relation
  join pg_catalog.pg_index as index on index.indrelid = relation.oid
  join pg_catalog.pg_class as index_class on index_class.oid = index.indexrelid
)
select type, name,
       round(case when needed = 0 then 0 else pages / needed::numeric end, 1) as bloat,
       pg_size_pretty(greatest(pages - needed, 0)::bigint * page::bigint) as waste
from bloat
order by greatest(pages - needed, 0) desc, 3 desc, name
