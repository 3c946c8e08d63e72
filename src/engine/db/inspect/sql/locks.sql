-- Exclusive locks, the oldest statement first.
select activity.pid,
       coalesce(class.relname, 'null') as relname,
       coalesce(lock.transactionid::text, 'null') as transactionid,
       lock.granted,
       activity.query as stmt,
       (now() - activity.query_start)::text as age
from pg_catalog.pg_locks as lock
join pg_catalog.pg_stat_activity as activity on activity.pid = lock.pid
left join pg_catalog.pg_class as class on class.oid = lock.relation
where lock.mode = 'ExclusiveLock' and activity.query <> '<insufficient privilege>'
order by activity.query_start
