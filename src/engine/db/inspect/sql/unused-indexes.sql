-- Indexes of tables with more than five pages that hardly anybody uses. A unique one is there for what it forbids.
select format('%I.%I', stats.schemaname, stats.relname) as name,
       stats.indexrelname as index,
       pg_size_pretty(pg_relation_size(stats.indexrelid)) as index_size,
       stats.idx_scan as index_scans
from pg_catalog.pg_stat_user_indexes as stats
join pg_catalog.pg_index as index on index.indexrelid = stats.indexrelid
where not index.indisunique and stats.idx_scan < 50
  and pg_relation_size(stats.relid) > 5 * current_setting('block_size')::int
  and not stats.schemaname like any ($1::text[])
order by pg_relation_size(stats.indexrelid) / nullif(stats.idx_scan, 0) desc nulls first, pg_relation_size(stats.indexrelid) desc
