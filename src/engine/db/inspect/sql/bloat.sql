-- An estimate from the planner's statistics: what the rows would need, beside the pages that there are. The arithmetic is that of
-- supabase/cli 3.1.0, inspect db bloat, so that both name the same tables: row heads of 24 bytes, widths in steps of four, an index as wide as its table.
with width as (
  select schemaname, tablename, sum((1 - null_frac) * avg_width)::numeric + 24 as data, max(null_frac) as nulls,
         24 + count(*) filter (where null_frac <> 0) / 8 as head
  from pg_catalog.pg_stats
  where not schemaname like any ($1::text[])
  group by schemaname, tablename
), relation as (
  select class.oid, format('%I.%I', width.schemaname, width.tablename) as name, class.relpages, class.reltuples, width.data,
         -- The next multiple of four; one that is a multiple already stays.
         ceil(width.data / 4) * 4 + width.nulls * (ceil(width.head / 4.0) * 4) + 4 as row_width,
         current_setting('block_size')::numeric as page
  from width
  join pg_catalog.pg_namespace as schema on schema.nspname = width.schemaname
  join pg_catalog.pg_class as class on class.relnamespace = schema.oid and class.relname = width.tablename
), bloat as (
  select 'table' as type, name, relpages as pages, ceil(reltuples * row_width / (page::float8 - 20)) as needed, page
  from relation
  union all
  select 'index', format('%s::%I', relation.name, class.relname), class.relpages,
         ceil(class.reltuples * (relation.data - 12)::float8 / (page::float8 - 20)), page
  from relation
  join pg_catalog.pg_index as index on index.indrelid = relation.oid
  join pg_catalog.pg_class as class on class.oid = index.indexrelid
)
select type, name, round(coalesce(pages / nullif(needed::numeric, 0), 0), 1) as bloat,
       pg_size_pretty((greatest(pages - needed, 0) * page::float8)::bigint) as waste
from bloat
order by greatest(pages - needed, 0) desc, 3 desc, name
