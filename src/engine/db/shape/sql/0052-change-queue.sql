-- Changes as triggers write them down, where there is no logical replication. Without such a trigger nothing of this is used.

create sequence _millrace.change_places;
alter sequence _millrace.change_places owner to millrace_admin;

create table _millrace.change_queue (
  id bigint generated always as identity constraint millrace_change_queue_pkey primary key,
  tx xid8 not null default pg_catalog.pg_current_xact_id(),
  place bigint,
  kind text not null,
  described text,
  new_row text,
  old_row text,
  at timestamptz
);
create index millrace_change_queue_new on _millrace.change_queue (tx, id) where place is null;
create index millrace_change_queue_placed on _millrace.change_queue (place, id);
comment on table _millrace.change_queue is 'Changes of rows from triggers. A place is given to a transaction when it is first seen; rows are deleted when nobody may ask for them again.';
alter table _millrace.change_queue owner to millrace_admin;

create function _millrace.describe_table(of oid) returns text
  language sql stable set search_path = ''
  as $$
    select pg_catalog.json_build_object(
      'oid', class.oid::bigint, 'schema', schema.nspname, 'name', class.relname,
      'identity', case class.relreplident when 'f' then 'full' when 'n' then 'nothing' when 'i' then 'index' else 'default' end,
      'columns', (
        select pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', attribute.attname, 'typeOid', attribute.atttypid::bigint, 'isGenerated', attribute.attgenerated <> '',
          'isIdentity', case when class.relreplident = 'f' then true else exists (
            select from pg_catalog.pg_index as index where index.indrelid = class.oid
              and case class.relreplident when 'd' then index.indisprimary when 'i' then index.indisreplident else false end
              and attribute.attnum = any (index.indkey::int2[])
          ) end
        ) order by attribute.attnum)
        from pg_catalog.pg_attribute as attribute
        where attribute.attrelid = class.oid and attribute.attnum > 0 and not attribute.attisdropped
      )
    )::text
    from pg_catalog.pg_class as class join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
    where class.oid = of
  $$;
comment on function _millrace.describe_table(oid) is 'A table and its columns as a change needs them.';
alter function _millrace.describe_table(oid) owner to millrace_admin;
revoke all on function _millrace.describe_table(oid) from public;

-- The arguments are schema and name of the table whose partition a row stands in, where the change is to be one of that table. It is looked for in
-- the catalog: by its name it would need the right to use its schema.
create function _millrace.note_change() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
  set datestyle = 'ISO'
  set intervalstyle = 'postgres'
  set extra_float_digits = 3
  set timezone = 'UTC'
  set bytea_output = 'hex'
  as $$
begin
  insert into _millrace.change_queue (kind, described, new_row, old_row)
  values (
    tg_op,
    _millrace.describe_table(coalesce(
      case when tg_nargs > 0 then (
        select class.oid from pg_class as class join pg_namespace as schema on schema.oid = class.relnamespace
        where schema.nspname = tg_argv[0] and class.relname = tg_argv[1]
      ) end,
      tg_relid
    )),
    case when tg_op in ('INSERT', 'UPDATE') then new::text end,
    case when tg_op in ('UPDATE', 'DELETE') then old::text end
  );
  return null;
end
$$;
comment on function _millrace.note_change() is 'Writes down the change of a row, or that a table was emptied; for triggers.';
alter function _millrace.note_change() owner to millrace_admin;
revoke all on function _millrace.note_change() from public;

-- Of two transactions that changed the same row, the later one has the later last line: so also where both are seen at once. The lock is for a process
-- that believes that it still is the one that reads.
create function _millrace.place_changes() returns void
  language plpgsql set search_path = ''
  as $$
begin
  if not exists (select from _millrace.change_queue where place is null) then
    return;
  end if;
  perform pg_catalog.pg_advisory_xact_lock(7883951835720016742);
  with fresh as (
    select tx, max(id) as last from _millrace.change_queue where place is null group by tx
  ), placed as (
    select tx, nextval('_millrace.change_places') as place from (select tx from fresh order by last) as ordered
  )
  update _millrace.change_queue as queue set place = placed.place, at = now()
  from placed where queue.tx = placed.tx and queue.place is null;
end
$$;
comment on function _millrace.place_changes() is 'Gives the transactions that have been committed since the last call their places in the order of changes.';
alter function _millrace.place_changes() owner to millrace_admin;
revoke all on function _millrace.place_changes() from public;
