-- The database as a whole: sizes, and how much is found in memory. The time is since the counting of statements was begun anew.
with size as (
  select class.relkind, pg_size_pretty(sum(pg_relation_size(class.oid))) as bytes
  from pg_catalog.pg_class as class
  join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
  where class.relkind in ('i', 'r', 't') and not schema.nspname like any ($1::text[])
  group by class.relkind
)
select pg_size_pretty(pg_database_size(current_database())) as database_size,
       coalesce((select bytes from size where relkind = 'i'), '0 bytes') as total_index_size,
       coalesce((select bytes from size where relkind = 'r'), '0 bytes') as total_table_size,
       coalesce((select bytes from size where relkind = 't'), '0 bytes') as total_toast_size,
       coalesce((select (now() - stats_reset)::text from extensions.pg_stat_statements_info), 'N/A') as time_since_stats_reset,
       (select coalesce(round(sum(idx_blks_hit) / nullif(sum(idx_blks_hit + idx_blks_read), 0), 2)::text, 'N/A')
          from pg_catalog.pg_statio_user_indexes where not schemaname like any ($1::text[])) as index_hit_rate,
       (select coalesce(round(sum(heap_blks_hit) / nullif(sum(heap_blks_hit + heap_blks_read), 0), 2)::text, 'N/A')
          from pg_catalog.pg_statio_user_tables where not schemaname like any ($1::text[])) as table_hit_rate,
       case when has_function_privilege('pg_ls_waldir()', 'execute')
         then (select pg_size_pretty(coalesce(sum(size), 0)) from pg_ls_waldir()) else 'N/A' end as wal_size
