-- What is kept beside the tables, as it is too large for their rows, and how much of it is dead.
select format('%I.%I', schema.nspname, class.relname) as name,
       pg_size_pretty(pg_total_relation_size(class.oid)) as total_size,
       pg_size_pretty(pg_relation_size(class.oid)) as heap_size,
       pg_size_pretty(pg_total_relation_size(class.reltoastrelid)) as toast_size,
       coalesce(stats.n_live_tup, 0) as toast_live_chunks,
       coalesce(stats.n_dead_tup, 0) as toast_dead_chunks,
       coalesce(round(100.0 * stats.n_dead_tup / nullif(stats.n_live_tup + stats.n_dead_tup, 0), 1), 0.0)::text as toast_dead_pct,
       coalesce(to_char(stats.last_autovacuum, 'YYYY-MM-DD HH24:MI'), '') as last_autovacuum,
       coalesce(to_char(stats.last_vacuum, 'YYYY-MM-DD HH24:MI'), '') as last_vacuum
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
left join pg_catalog.pg_stat_all_tables as stats on stats.relid = class.reltoastrelid
where class.relkind = 'r' and class.reltoastrelid <> 0 and not schema.nspname like any ($1::text[])
order by pg_total_relation_size(class.reltoastrelid) desc, name
