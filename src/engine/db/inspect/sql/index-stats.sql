-- Every index: how large it is, and whether anybody uses it.
select format('%I.%I', stats.schemaname, stats.indexrelname) as name,
       format('%I.%I', stats.schemaname, stats.relname) as table,
       (select string_agg(pg_get_indexdef(stats.indexrelid, number, false), ',' order by number)
        from generate_series(1, index.indnatts::int) as number) as columns,
       pg_size_pretty(pg_relation_size(stats.indexrelid)) as size,
       coalesce(round(100.0 * stats.idx_scan / nullif(tables.seq_scan + stats.idx_scan, 0), 1), 0)::text || '%' as percent_used,
       stats.idx_scan as index_scans,
       tables.seq_scan as seq_scans,
       stats.idx_scan = 0 as unused
from pg_catalog.pg_stat_user_indexes as stats
join pg_catalog.pg_index as index on index.indexrelid = stats.indexrelid
join pg_catalog.pg_stat_user_tables as tables on tables.relid = stats.relid
where not stats.schemaname like any ($1::text[])
order by pg_relation_size(stats.indexrelid) desc, name
