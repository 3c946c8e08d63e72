-- Every table: how large it is, how many rows, how often it is read from end to end.
select format('%I.%I', schema.nspname, class.relname) as name,
       pg_size_pretty(pg_table_size(class.oid)) as table_size,
       pg_size_pretty(pg_indexes_size(class.oid)) as index_size,
       pg_size_pretty(pg_total_relation_size(class.oid)) as total_size,
       coalesce(stats.n_live_tup, 0) as estimated_row_count,
       coalesce(stats.seq_scan, 0) as seq_scans
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
left join pg_catalog.pg_stat_user_tables as stats on stats.relid = class.oid
where class.relkind = 'r' and not schema.nspname like any ($1::text[])
order by pg_total_relation_size(class.oid) desc, name
