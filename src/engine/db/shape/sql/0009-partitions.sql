-- Partitions of realtime.messages: made ahead, and dropped when they are old.
-- skip when: not _millrace.may_become('supabase_realtime_admin')
-- Source: supabase/realtime lib/realtime/tenants.ex create_messages_partitions, lib/realtime/messages.ex delete_old_messages.

set local role supabase_realtime_admin;

-- A message needs the partition of its day (UTC). Yesterday's is made too, for a clock that is behind.
create function realtime.keep_message_partitions(days_ahead integer default 3, days_back integer default 3) returns void
  language plpgsql set search_path = ''
  as $$
declare
  today date := timezone('utc', now())::date;
  day date;
  old record;
begin
  for day in select today + step from generate_series(-1, days_ahead) as step loop
    if to_regclass(format('realtime.messages_%s', to_char(day, 'YYYY_MM_DD'))) is null then
      execute format(
        'create table realtime.%I partition of realtime.messages for values from (%L) to (%L)',
        format('messages_%s', to_char(day, 'YYYY_MM_DD')), day, day + 1
      );
    end if;
  end loop;
  for old in
    select child.oid::regclass as name
    from pg_catalog.pg_inherits
    join pg_catalog.pg_class as child on child.oid = inhrelid
    where inhparent = 'realtime.messages'::regclass
      and child.relname ~ '^messages_\d{4}_\d\d_\d\d$'
      and to_date(substr(child.relname, 10), 'YYYY_MM_DD') < today - days_back
  loop
    execute format('drop table %s', old.name);
  end loop;
end
$$;
comment on function realtime.keep_message_partitions(integer, integer) is 'Makes the partitions of realtime.messages for the next days and drops old ones. For supabase_realtime_admin.';
