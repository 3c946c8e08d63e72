-- The database as a whole: sizes, and how much is found in memory.
with size as (
  select class.relkind, sum(pg_relation_size(class.oid)) as bytes
  from pg_catalog.pg_class as class
  join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
  where class.relkind in ('i', 'r', 't') and not schema.nspname like any ($1::text[])
  group by class.relkind
), hits as (
  select sum(idx_blks_hit) as index_hit, sum(idx_blks_read) as index_read,
         sum(heap_blks_hit) as table_hit, sum(heap_blks_read) as table_read
  from pg_catalog.pg_statio_user_tables
  where not schemaname like any ($1::text[])
)
select current_database() as name,
       pg_size_pretty(pg_database_size(current_database())) as database_size,
       pg_size_pretty(coalesce((select bytes from size where relkind = 'i'), 0)) as total_index_size,
       pg_size_pretty(coalesce((select bytes from size where relkind = 'r'), 0)) as total_table_size,
       pg_size_pretty(coalesce((select bytes from size where relkind = 't'), 0)) as total_toast_size,
       coalesce((select (now() - stats_reset)::text from pg_catalog.pg_stat_database where datname = current_database()), 'N/A') as time_since_stats_reset,
       coalesce(round(index_hit / nullif(index_hit + index_read, 0), 2)::text, 'N/A') as index_hit_rate,
       coalesce(round(table_hit / nullif(table_hit + table_read, 0), 2)::text, 'N/A') as table_hit_rate,
       case when has_function_privilege('pg_ls_waldir()', 'execute')
         then (select pg_size_pretty(coalesce(sum(size), 0)) from pg_ls_waldir()) else 'N/A' end as wal_size
from hits
