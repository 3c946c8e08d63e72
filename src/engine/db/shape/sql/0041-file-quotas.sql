-- How much the files of a bucket, and of each user, may take together; and how much they take. Counted and refused in the transaction that writes the
-- row, whoever does: so that many at once cannot have more than one after the other. Nothing is counted for what has no limit.

create table _millrace.file_limits (
  scope text not null check (scope in ('bucket', 'user')),
  subject text not null,
  max_bytes bigint check (max_bytes >= 0),
  max_objects bigint check (max_objects >= 0),
  constraint millrace_file_limits_pkey primary key (scope, subject)
);
comment on table _millrace.file_limits is 'Limits on files, as the settings say them: of a bucket by its id, or under '''' of each user.';
alter table _millrace.file_limits owner to millrace_admin;

create table _millrace.file_usage (
  scope text not null check (scope in ('bucket', 'user')),
  subject text not null,
  bytes bigint not null,
  objects bigint not null,
  constraint millrace_file_usage_pkey primary key (scope, subject)
);
comment on table _millrace.file_usage is 'What the files of a bucket or of a user take, where there is a limit. Whoever writes a file holds its row until the commit.';
alter table _millrace.file_usage owner to millrace_admin;

create function _millrace.file_bytes(metadata jsonb) returns bigint
  language sql immutable set search_path = ''
  as $$
  -- Before the first byte what the client says of its file is all there is.
  select greatest(0, case
    when jsonb_typeof(metadata -> 'size') = 'number' then (metadata ->> 'size')::numeric::bigint
    when jsonb_typeof(metadata -> 'contentLength') = 'number' then (metadata ->> 'contentLength')::numeric::bigint
    else 0
  end)
$$;
comment on function _millrace.file_bytes(jsonb) is 'How many bytes a row of storage.objects says that it has.';
alter function _millrace.file_bytes(jsonb) owner to millrace_admin;
revoke all on function _millrace.file_bytes(jsonb) from public;

create function _millrace.count_files() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  buckets text[];
  users text[];
  sizes bigint[];
  counts bigint[];
  refused record;
begin
  if not exists (select from _millrace.file_limits) then
    return null;
  end if;
  if tg_op = 'INSERT' then
    select array_agg(bucket_id), array_agg(owner_id), array_agg(_millrace.file_bytes(metadata)), array_agg(1::bigint)
      into buckets, users, sizes, counts from come;
  elsif tg_op = 'DELETE' then
    select array_agg(bucket_id), array_agg(owner_id), array_agg(-_millrace.file_bytes(metadata)), array_agg(-1::bigint)
      into buckets, users, sizes, counts from gone;
  else
    select array_agg(bucket_id), array_agg(owner_id), array_agg(size), array_agg(number) into buckets, users, sizes, counts
      from (
        select bucket_id, owner_id, _millrace.file_bytes(metadata) as size, 1::bigint as number from come
        union all
        select bucket_id, owner_id, -_millrace.file_bytes(metadata), -1::bigint from gone
      ) as both_sides;
  end if;
  with changed as (
    select * from unnest(buckets, users, sizes, counts) as one (bucket_id, owner_id, size, number)
  ), charged as (
    select 'bucket' as scope, bucket_id as subject, sum(size)::bigint as bytes, sum(number)::bigint as objects
      from changed where bucket_id in (select subject from _millrace.file_limits where scope = 'bucket') group by bucket_id
    union all
    select 'user', owner_id, sum(size)::bigint, sum(number)::bigint
      from changed where owner_id is not null and exists (select from _millrace.file_limits where scope = 'user') group by owner_id
  ), counted as (
    insert into _millrace.file_usage as known (scope, subject, bytes, objects)
      -- In one order everywhere: two that write files of the same buckets and users must not wait for each other in a circle.
      select scope, subject, bytes, objects from charged where bytes <> 0 or objects <> 0 order by scope, subject
      on conflict (scope, subject) do update
        set bytes = known.bytes + excluded.bytes, objects = known.objects + excluded.objects
      returning scope, subject, bytes, objects
  )
  -- What becomes less is let through, also above a limit that was set later.
  select charged.scope, charged.subject, file_limits.max_bytes, file_limits.max_objects,
      charged.bytes > 0 and counted.bytes > file_limits.max_bytes as is_size
    into refused
    from counted
    join charged using (scope, subject)
    join _millrace.file_limits on file_limits.scope = counted.scope
      and file_limits.subject = case counted.scope when 'bucket' then counted.subject else '' end
    where (charged.bytes > 0 and counted.bytes > file_limits.max_bytes)
      or (charged.objects > 0 and counted.objects > file_limits.max_objects)
    order by charged.scope
    limit 1;
  if found then
    -- A code of our own, which nothing else has.
    raise exception using errcode = 'MR413', message = case
      when refused.scope = 'bucket' and refused.is_size
        then format('The bucket "%s" is full: its files may take %s bytes together.', refused.subject, refused.max_bytes)
      when refused.scope = 'bucket' then format('The bucket "%s" is full: it may have %s files.', refused.subject, refused.max_objects)
      when refused.is_size then format('The files of a user may take %s bytes together.', refused.max_bytes)
      else format('A user may have %s files.', refused.max_objects)
    end;
  end if;
  return null;
end
$$;
comment on function _millrace.count_files() is 'Counts what files take where there is a limit, and refuses what is more.';
alter function _millrace.count_files() owner to millrace_admin;
revoke all on function _millrace.count_files() from public;

grant execute on function _millrace.count_files() to supabase_storage_admin;
grant execute on function _millrace.file_bytes(jsonb) to supabase_storage_admin;
grant select, insert, update, delete on _millrace.file_limits, _millrace.file_usage to supabase_storage_admin;
set local role supabase_storage_admin;
create trigger millrace_count_files_at_insert after insert on storage.objects
  referencing new table as come for each statement execute function _millrace.count_files();
create trigger millrace_count_files_at_update after update on storage.objects
  referencing old table as gone new table as come for each statement execute function _millrace.count_files();
create trigger millrace_count_files_at_delete after delete on storage.objects
  referencing old table as gone for each statement execute function _millrace.count_files();
reset role;

-- Under a name of its own, as all of this schema.
alter table _millrace.bucket_keys rename constraint bucket_keys_pkey to millrace_bucket_keys_pkey;
alter table _millrace.bucket_keys rename constraint bucket_keys_bucket_id_key to millrace_bucket_keys_bucket_id_key;
alter table _millrace.bucket_keys rename constraint bucket_keys_id_check to millrace_bucket_keys_id_check;
alter table _millrace.file_limits rename constraint file_limits_scope_check to millrace_file_limits_scope_check;
alter table _millrace.file_limits rename constraint file_limits_max_bytes_check to millrace_file_limits_max_bytes_check;
alter table _millrace.file_limits rename constraint file_limits_max_objects_check to millrace_file_limits_max_objects_check;
alter table _millrace.file_usage rename constraint file_usage_scope_check to millrace_file_usage_scope_check;
