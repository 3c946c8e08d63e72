-- When tables were vacuumed and analysed, and whether it is time again: by the table's own thresholds, or else the server's.
with threshold as (
  select class.oid, class.reltuples,
         coalesce(own.vacuum_threshold, current_setting('autovacuum_vacuum_threshold')::numeric)
           + coalesce(own.vacuum_scale, current_setting('autovacuum_vacuum_scale_factor')::numeric) * class.reltuples::numeric as vacuum_at,
         coalesce(own.analyze_threshold, current_setting('autovacuum_analyze_threshold')::numeric)
           + coalesce(own.analyze_scale, current_setting('autovacuum_analyze_scale_factor')::numeric) * class.reltuples::numeric as analyze_at
  from pg_catalog.pg_class as class
  cross join lateral (
    select max(option_value::numeric) filter (where option_name = 'autovacuum_vacuum_threshold') as vacuum_threshold,
           max(option_value::numeric) filter (where option_name = 'autovacuum_vacuum_scale_factor') as vacuum_scale,
           max(option_value::numeric) filter (where option_name = 'autovacuum_analyze_threshold') as analyze_threshold,
           max(option_value::numeric) filter (where option_name = 'autovacuum_analyze_scale_factor') as analyze_scale
    from pg_options_to_table(class.reloptions)
    where option_name like 'autovacuum%threshold' or option_name like 'autovacuum%factor') as own
)
select format('%I.%I', stats.schemaname, stats.relname) as name,
       coalesce(to_char(stats.last_vacuum, 'YYYY-MM-DD HH24:MI'), '') as last_vacuum,
       coalesce(to_char(stats.last_autovacuum, 'YYYY-MM-DD HH24:MI'), '') as last_autovacuum,
       coalesce(to_char(stats.last_analyze, 'YYYY-MM-DD HH24:MI'), '') as last_analyze,
       coalesce(to_char(stats.last_autoanalyze, 'YYYY-MM-DD HH24:MI'), '') as last_autoanalyze,
       case when threshold.reltuples < 0 then 'No stats' else to_char(threshold.reltuples, 'FM999G999G999G990') end as rowcount,
       to_char(stats.n_dead_tup, 'FM999G999G999G990') as dead_rowcount,
       to_char(threshold.vacuum_at, 'FM999G999G999G990') as autovacuum_threshold,
       case when threshold.vacuum_at < stats.n_dead_tup then 'yes' else 'no' end as expect_autovacuum,
       to_char(threshold.analyze_at, 'FM999G999G999G990') as autoanalyze_threshold,
       case when threshold.analyze_at < stats.n_mod_since_analyze then 'yes' else 'no' end as expect_autoanalyze
from pg_catalog.pg_stat_user_tables as stats
join threshold on threshold.oid = stats.relid
where not stats.schemaname like any ($1::text[])
order by threshold.reltuples < 0, name
