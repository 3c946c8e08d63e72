-- What takes the most time.
select make_interval(secs => total_exec_time / 1000)::text as total_exec_time,
       to_char(100 * total_exec_time / nullif(sum(total_exec_time) over (), 0), 'FM90D0') || '%' as prop_exec_time,
       to_char(calls, 'FM999G999G999G999G990') as ncalls,
       make_interval(secs => (coalesce((to_jsonb(statement) ->> 'shared_blk_read_time')::float, (to_jsonb(statement) ->> 'blk_read_time')::float, 0)
         + coalesce((to_jsonb(statement) ->> 'shared_blk_write_time')::float, (to_jsonb(statement) ->> 'blk_write_time')::float, 0)) / 1000)::text as sync_io_time,
       query
from extensions.pg_stat_statements as statement
order by statement.total_exec_time desc
limit 10
