-- Whether a table is read or written more, in pages.
with traffic as (
  select stats.schemaname, stats.relname as table_name,
         io.heap_blks_read + io.idx_blks_read as blocks_read,
         stats.n_tup_ins + stats.n_tup_upd + stats.n_tup_del as write_tuples,
         -- How many pages so many rows are, by the table's own density.
         class.relpages * (stats.n_tup_ins + stats.n_tup_upd + stats.n_tup_del) / coalesce(nullif(class.reltuples, 0), 1) as blocks_write
  from pg_catalog.pg_stat_user_tables as stats
  join pg_catalog.pg_statio_user_tables as io on io.relid = stats.relid
  join pg_catalog.pg_class as class on class.oid = stats.relid
)
select schemaname, table_name, blocks_read, write_tuples, blocks_write,
       case
         -- Writes count five times, not the heavier side: a table is written heavily from a fifth of its reads on.
         -- Source: supabase/cli 3.1.0, inspect db traffic-profile.
         when blocks_write * 5 > blocks_read then round(blocks_write::numeric / blocks_read, 1) || ':1 (Write-Heavy)'
         when blocks_read > blocks_write * 5 then coalesce('1:' || round(blocks_read / nullif(blocks_write::numeric, 0), 1) || ' (Read-Heavy)', 'Read-Only')
         else '1:1 (Balanced)'
       end as activity_ratio
from traffic
where write_tuples > 0 and blocks_read > 0
order by blocks_read + traffic.blocks_write desc
