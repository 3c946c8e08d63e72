-- Partitions of realtime.messages that were made as somebody else than its owner, who could not drop them when they were old.
-- skip when: not _millrace.may_become('supabase_realtime_admin')

do $owners$
declare
  item record;
begin
  for item in
    select child.oid::regclass as name
    from pg_catalog.pg_inherits join pg_catalog.pg_class as child on child.oid = inhrelid
    where inhparent = to_regclass('realtime.messages') and child.relowner <> 'supabase_realtime_admin'::regrole
      and child.relname ~ '^messages_\d{4}_\d\d_\d\d$' and _millrace.may_become(pg_catalog.pg_get_userbyid(child.relowner))
  loop
    execute format('alter table %s owner to supabase_realtime_admin', item.name);
  end loop;
end
$owners$;
