-- Replication slots, and how far behind they are.
select slot.slot_name, slot.active,
       coalesce(sender.state, 'N/A') as state,
       coalesce(sender.client_addr::text, 'N/A') as replication_client_address,
       greatest(0, round(pg_wal_lsn_diff(pg_current_wal_lsn(), slot.restart_lsn) / (1024 * 1024 * 1024), 2)) as replication_lag_gb
from pg_catalog.pg_replication_slots as slot
left join pg_catalog.pg_stat_replication as sender on sender.pid = slot.active_pid
order by slot.slot_name
