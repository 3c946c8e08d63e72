-- Whether a table is read or written more, in pages. A side counts as heavy at five times the other.
with traffic as (
  select stats.schemaname, stats.relname as table_name,
         io.heap_blks_read + coalesce(io.idx_blks_read, 0) as blocks_read,
         stats.n_tup_ins + stats.n_tup_upd + stats.n_tup_del as write_tuples,
         -- How many pages so many rows are, by the table's own density.
         round((class.relpages * (stats.n_tup_ins + stats.n_tup_upd + stats.n_tup_del) / greatest(class.reltuples, 1))::numeric, 1) as blocks_write
  from pg_catalog.pg_stat_user_tables as stats
  join pg_catalog.pg_statio_user_tables as io on io.relid = stats.relid
  join pg_catalog.pg_class as class on class.oid = stats.relid
)
select schemaname, table_name, blocks_read, write_tuples, blocks_write,
       case
         when blocks_read = 0 and blocks_write = 0 then 'No Activity'
         when blocks_read = 0 then 'Write-Only'
         when blocks_write = 0 then 'Read-Only'
         when blocks_write > 5 * blocks_read then round(blocks_write / blocks_read, 1) || ':1 (Write-Heavy)'
         when blocks_read > 5 * blocks_write then '1:' || round(blocks_read / blocks_write, 1) || ' (Read-Heavy)'
         else '1:1 (Balanced)'
       end as activity_ratio
from traffic
where write_tuples > 0 and blocks_read > 0
order by blocks_read + blocks_write desc
