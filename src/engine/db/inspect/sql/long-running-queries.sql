-- What has been running for more than five minutes.
select pid, (now() - query_start)::text as duration, query
from pg_catalog.pg_stat_activity
where state <> 'idle' and query <> '' and query_start < now() - interval '5 minutes'
order by query_start
