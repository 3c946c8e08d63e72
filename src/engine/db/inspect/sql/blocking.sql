-- Who waits for whom, by what Postgres itself says of it.
select waiting.pid as blocked_pid,
       holder.query as blocking_statement,
       (now() - holder.query_start)::text as blocking_duration,
       holder.pid as blocking_pid,
       waiting.query as blocked_statement,
       (now() - waiting.query_start)::text as blocked_duration
from pg_catalog.pg_stat_activity as waiting
cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blocker (pid)
join pg_catalog.pg_stat_activity as holder on holder.pid = blocker.pid
where waiting.wait_event_type = 'Lock'
order by waiting.query_start
