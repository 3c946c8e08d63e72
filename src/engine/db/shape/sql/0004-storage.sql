-- Schema storage: buckets, objects and uploads, and the functions that policies on storage.objects use.
-- skip when: to_regclass('storage.objects') is not null
-- Source: supabase/storage migrations/tenant up to 0063, their final state; names, columns, types, constraints, indexes and
-- signatures are its interface. Privileges also from supabase/postgres nix/tests/expected/storage.out.

set local role supabase_storage_admin;

create type storage.buckettype as enum ('STANDARD', 'ANALYTICS', 'VECTOR');

create table storage.buckets (
  id text not null,
  name text not null,
  owner uuid,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  public boolean default false,
  avif_autodetection boolean default false,
  file_size_limit bigint,
  allowed_mime_types text[],
  owner_id text,
  type storage.buckettype default 'STANDARD' not null,
  versioning_status text default 'DISABLED' not null,
  constraint buckets_pkey primary key (id),
  constraint buckets_versioning_dark_check check (versioning_status = 'DISABLED'),
  constraint buckets_versioning_standard_only_check check (type = 'STANDARD' or versioning_status = 'DISABLED'),
  constraint buckets_versioning_status_check check (versioning_status in ('DISABLED', 'ENABLED', 'SUSPENDED'))
);
create unique index bname on storage.buckets (name);
comment on table storage.buckets is 'Buckets of files.';
alter table storage.buckets enable row level security;

create table storage.buckets_analytics (
  name text not null,
  type storage.buckettype default 'ANALYTICS' not null,
  format text default 'ICEBERG' not null,
  created_at timestamptz default now() not null,
  updated_at timestamptz default now() not null,
  id uuid default gen_random_uuid() not null,
  deleted_at timestamptz,
  constraint buckets_analytics_pkey primary key (id)
);
create unique index buckets_analytics_unique_name_idx on storage.buckets_analytics (name) where deleted_at is null;
comment on table storage.buckets_analytics is 'Buckets of Iceberg tables.';
alter table storage.buckets_analytics enable row level security;

create table storage.buckets_vectors (
  id text not null,
  type storage.buckettype default 'VECTOR' not null,
  created_at timestamptz default now() not null,
  updated_at timestamptz default now() not null,
  constraint buckets_vectors_pkey primary key (id)
);
comment on table storage.buckets_vectors is 'Buckets of vectors.';
alter table storage.buckets_vectors enable row level security;

create table storage.iceberg_namespaces (
  id uuid default gen_random_uuid() not null,
  bucket_name text not null,
  name text not null,
  created_at timestamptz default now() not null,
  updated_at timestamptz default now() not null,
  metadata jsonb default '{}' not null,
  catalog_id uuid not null,
  constraint iceberg_namespaces_pkey primary key (id),
  constraint iceberg_namespaces_catalog_id_fkey foreign key (catalog_id) references storage.buckets_analytics(id) on delete cascade
);
create unique index idx_iceberg_namespaces_bucket_id on storage.iceberg_namespaces (catalog_id, name);
comment on table storage.iceberg_namespaces is 'Namespaces of the Iceberg catalog.';
alter table storage.iceberg_namespaces enable row level security;

create table storage.iceberg_tables (
  id uuid default gen_random_uuid() not null,
  namespace_id uuid not null,
  bucket_name text not null,
  name text not null,
  location text not null,
  created_at timestamptz default now() not null,
  updated_at timestamptz default now() not null,
  remote_table_id text,
  shard_key text,
  shard_id text,
  catalog_id uuid not null,
  constraint iceberg_tables_pkey primary key (id),
  constraint iceberg_tables_catalog_id_fkey foreign key (catalog_id) references storage.buckets_analytics(id) on delete cascade,
  constraint iceberg_tables_namespace_id_fkey foreign key (namespace_id) references storage.iceberg_namespaces(id) on delete cascade
);
create unique index idx_iceberg_tables_location on storage.iceberg_tables (location);
create unique index idx_iceberg_tables_namespace_id on storage.iceberg_tables (catalog_id, namespace_id, name);
comment on table storage.iceberg_tables is 'Tables of the Iceberg catalog.';
alter table storage.iceberg_tables enable row level security;

create table storage.migrations (
  id integer not null,
  name varchar(100) not null,
  hash varchar(40) not null,
  executed_at timestamp default current_timestamp,
  constraint migrations_pkey primary key (id),
  constraint migrations_name_key unique (name)
);
comment on table storage.migrations is 'Kept for its name: upstreams storage records its migrations here.';
alter table storage.migrations enable row level security;

create table storage.objects (
  id uuid default gen_random_uuid() not null,
  bucket_id text,
  name text,
  owner uuid,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  last_accessed_at timestamptz default now(),
  metadata jsonb,
  path_tokens text[] generated always as (string_to_array(name, '/')) stored,
  version text,
  owner_id text,
  user_metadata jsonb,
  archived_at timestamptz,
  is_delete_marker boolean default false not null,
  is_versioned boolean default false not null,
  constraint objects_pkey primary key (id),
  constraint "objects_bucketId_fkey" foreign key (bucket_id) references storage.buckets(id)
);
create unique index bucketid_objname on storage.objects (bucket_id, name);
create index idx_objects_bucket_id_name on storage.objects (bucket_id, name collate "C");
create index idx_objects_bucket_id_name_lower on storage.objects (bucket_id, lower(name) collate "C");
create index name_prefix_search on storage.objects (name text_pattern_ops);
comment on table storage.objects is 'Files: one row for each, its bytes are in the blob store.';
alter table storage.objects enable row level security;

create table storage.s3_multipart_uploads (
  id text not null,
  in_progress_size bigint default 0 not null,
  upload_signature text not null,
  bucket_id text not null,
  key text not null,
  version text not null,
  owner_id text,
  created_at timestamptz default now() not null,
  user_metadata jsonb,
  metadata jsonb,
  constraint s3_multipart_uploads_pkey primary key (id),
  constraint s3_multipart_uploads_bucket_id_fkey foreign key (bucket_id) references storage.buckets(id)
);
create index idx_multipart_uploads_list on storage.s3_multipart_uploads (bucket_id, key, created_at);
comment on table storage.s3_multipart_uploads is 'Uploads in parts that have begun and not ended.';
alter table storage.s3_multipart_uploads enable row level security;

create table storage.s3_multipart_uploads_parts (
  id uuid default gen_random_uuid() not null,
  upload_id text not null,
  size bigint default 0 not null,
  part_number integer not null,
  bucket_id text not null,
  key text not null,
  etag text not null,
  owner_id text,
  version text not null,
  created_at timestamptz default now() not null,
  constraint s3_multipart_uploads_parts_pkey primary key (id),
  constraint s3_multipart_uploads_parts_bucket_id_fkey foreign key (bucket_id) references storage.buckets(id),
  constraint s3_multipart_uploads_parts_upload_id_fkey foreign key (upload_id) references storage.s3_multipart_uploads(id) on delete cascade
);
comment on table storage.s3_multipart_uploads_parts is 'Parts that have arrived.';
alter table storage.s3_multipart_uploads_parts enable row level security;

create table storage.vector_indexes (
  id text default gen_random_uuid() not null,
  name text not null,
  bucket_id text not null,
  data_type text not null,
  dimension integer not null,
  distance_metric text not null,
  metadata_configuration jsonb,
  created_at timestamptz default now() not null,
  updated_at timestamptz default now() not null,
  constraint vector_indexes_pkey primary key (id),
  constraint vector_indexes_bucket_id_fkey foreign key (bucket_id) references storage.buckets_vectors(id)
);
create unique index vector_indexes_name_bucket_id_idx on storage.vector_indexes (name, bucket_id);
comment on table storage.vector_indexes is 'Indexes of the vector buckets.';
alter table storage.vector_indexes enable row level security;

-- What policies ask about a name. Parsed once and inlined into the policy, so they cost no call for each row.
create function storage.foldername(name text) returns text[]
  language sql immutable parallel safe
  return (string_to_array(name, '/'))[1 : array_length(string_to_array(name, '/'), 1) - 1];
comment on function storage.foldername(text) is 'The folders of an object''s name, outermost first; empty for an object at the top.';

create function storage.filename(name text) returns text
  language sql immutable parallel safe
  return (string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)];
comment on function storage.filename(text) is 'The last part of an object''s name.';

create function storage.extension(name text) returns text
  language sql immutable parallel safe
  return split_part((string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)], '.', -1);
comment on function storage.extension(text) is 'What follows the last dot of the file name; without a dot the whole file name, as upstream.';

-- Which operation of the storage API is asking, as it says in `storage.operation`; policies can admit some only.
create function storage.operation() returns text
  language sql stable parallel safe
  return current_setting('storage.operation', true);
comment on function storage.operation() is 'The operation of the storage API that asks: storage.object.list, …';

create function storage.allow_any_operation(expected_operations text[]) returns boolean
  language sql stable parallel safe
  return exists (
    select from unnest(expected_operations) as expected
    where expected <> ''
      and regexp_replace(expected, '^storage\.', '') = regexp_replace(storage.operation(), '^storage\.', '')
  );
comment on function storage.allow_any_operation(text[]) is 'Whether one of these operations asks; the prefix storage. may be left out.';

create function storage.allow_only_operation(expected_operation text) returns boolean
  language sql stable parallel safe
  return coalesce(
    nullif(regexp_replace(expected_operation, '^storage\.', ''), '') = regexp_replace(storage.operation(), '^storage\.', ''),
    false
  );
comment on function storage.allow_only_operation(text) is 'Whether exactly this operation asks; the prefix storage. may be left out.';

-- Tries the policies: the row goes in, then SQLSTATE PT200 undoes it.
create function storage.can_insert_object(bucketid text, name text, owner uuid, metadata jsonb) returns void
  language plpgsql set search_path = ''
  as $$
begin
  insert into storage.objects (bucket_id, name, owner, metadata)
  values (can_insert_object.bucketid, can_insert_object.name, can_insert_object.owner, can_insert_object.metadata);
  raise exception using errcode = 'PT200', message = 'ROLLBACK', detail = 'rollback successful insert';
end
$$;
comment on function storage.can_insert_object(text, text, uuid, jsonb) is 'Raises PT200 when the caller may insert such an object, else what forbids it; nothing stays.';

create function storage.get_size_by_bucket() returns table (size bigint, bucket_id text)
  language sql stable set search_path = ''
  as $$
    select sum((object.metadata ->> 'size')::bigint)::bigint, object.bucket_id
    from storage.objects as object
    group by object.bucket_id
  $$;
comment on function storage.get_size_by_bucket() is 'Bytes in each bucket.';

create function storage.get_common_prefix(p_key text, p_prefix text, p_delimiter text) returns text
  language sql immutable parallel safe
  return left(
    p_key,
    length(p_prefix) + nullif(position(p_delimiter in substr(p_key, length(p_prefix) + 1)), 0)
  );
comment on function storage.get_common_prefix(text, text, text) is 'The key up to and with the first delimiter behind the prefix: its folder; null when there is none.';

-- Listings. An entry is a folder (it ends with the delimiter, and has no id) or an object; entries come in byte order, and
-- a page begins behind the last entry of the page before.
create function storage.list_objects_with_delimiter(
  _bucket_id text, prefix_param text, delimiter_param text, max_keys integer default 100, start_after text default '',
  next_token text default '', sort_order text default 'asc'
) returns table (
  name text, id uuid, metadata jsonb, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz
)
  language plpgsql stable set search_path = ''
  as $$
declare
  ascending boolean := lower(coalesce(sort_order, 'asc')) = 'asc';
  prefix text := coalesce(prefix_param, '');
  after text := coalesce(nullif(next_token, ''), start_after, '');
  after_folder boolean;
begin
  -- The page before may have ended with a folder, whose name came without its delimiter.
  if after <> '' and right(after, length(delimiter_param)) <> delimiter_param and exists (
    select from storage.objects as object
    where object.bucket_id = _bucket_id and starts_with(object.name, after || delimiter_param)
  ) then
    after := after || delimiter_param;
  end if;
  after_folder := storage.get_common_prefix(after, prefix, delimiter_param) is not distinct from after;
  return query
    select
      case when entry.folder then left(entry.key, -length(delimiter_param)) else entry.key end,
      case when not entry.folder then entry.id end,
      case when not entry.folder then entry.metadata end,
      case when not entry.folder then entry.updated_at end,
      case when not entry.folder then entry.created_at end,
      case when not entry.folder then entry.last_accessed_at end
    from (
      select distinct on (found.key collate "C") found.*
      from (
        select coalesce(folder.key, object.name) as key, folder.key is not null as folder, object.id, object.metadata,
          object.updated_at, object.created_at, object.last_accessed_at
        from storage.objects as object,
          lateral (select storage.get_common_prefix(object.name, prefix, delimiter_param) as key) as folder
        where object.bucket_id = _bucket_id and starts_with(object.name, prefix)
          and case
            when after = '' then true
            when ascending then object.name collate "C" > after and not (after_folder and starts_with(object.name, after))
            else object.name collate "C" < after
          end
      ) as found
      order by found.key collate "C"
    ) as entry
    order by
      case when ascending then entry.key end collate "C" asc,
      case when not ascending then entry.key end collate "C" desc
    limit max_keys;
end
$$;
comment on function storage.list_objects_with_delimiter(text, text, text, integer, text, text, text) is 'One page of a folder in byte order: folders and objects.';

create function storage.search(
  prefix text, bucketname text, limits integer default 100, levels integer default 1, offsets integer default 0,
  search text default '', sortcolumn text default 'name', sortorder text default 'asc'
) returns table (
  name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb
)
  language plpgsql stable set search_path = ''
  as $$
declare
  wanted text := lower(coalesce(prefix, '') || coalesce(search, ''));
  shown_from int := length(coalesce(prefix, '')) + 1;
  by_column text := lower(coalesce(sortcolumn, 'name'));
  direction text := case when lower(coalesce(sortorder, 'asc')) = 'asc' then 'asc' else 'desc' end;
begin
  if by_column not in ('updated_at', 'created_at', 'last_accessed_at') then
    by_column := 'name';
  end if;
  -- Names are matched without regard to case. By name, folders and objects are mixed; by a time, folders come first.
  return query execute format(
    $query$
      select
        substr(case when entry.folder then left(entry.name, length(entry.key) - 1) else entry.name end, $4),
        case when not entry.folder then entry.id end,
        case when not entry.folder then entry.updated_at end,
        case when not entry.folder then entry.created_at end,
        case when not entry.folder then entry.last_accessed_at end,
        case when not entry.folder then entry.metadata end
      from (
        select distinct on (found.key collate "C", case when not found.folder then found.id end) found.*
        from (
          select coalesce(folder.key, lower(object.name)) as key, folder.key is not null as folder, object.name, object.id,
            object.updated_at, object.created_at, object.last_accessed_at, object.metadata
          from storage.objects as object,
            lateral (select storage.get_common_prefix(lower(object.name), $2, '/') as key) as folder
          where object.bucket_id = $1 and starts_with(lower(object.name), $2)
        ) as found
        order by found.key collate "C", case when not found.folder then found.id end, found.name collate "C"
      ) as entry
      order by %s
      limit $3 offset $5
    $query$,
    case
      when by_column = 'name' then format('entry.key collate "C" %s', direction)
      else format(
        'entry.folder desc, case when entry.folder then entry.key end collate "C" %1$s, entry.%2$I %1$s, entry.key collate "C" %1$s',
        direction, by_column
      )
    end
  ) using bucketname, wanted, least(coalesce(limits, 100), 1500), shown_from, coalesce(offsets, 0);
end
$$;
comment on function storage.search(text, text, integer, integer, integer, text, text, text) is 'One page of a folder, names relative to the prefix, any case.';

create function storage.search_by_timestamp(
  p_prefix text, p_bucket_id text, p_limit integer, p_level integer, p_start_after text, p_sort_order text,
  p_sort_column text, p_sort_column_after text
) returns table (
  key text, name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb
)
  language plpgsql stable set search_path = ''
  as $$
declare
  by_column text := case when p_sort_column in ('created_at', 'updated_at') then p_sort_column else 'created_at' end;
  direction text := case when p_sort_order = 'asc' then 'asc' else 'desc' end;
begin
  -- A folder is as old as its oldest object, in both columns.
  return query execute format(
    $query$
      with entry as (
        select rtrim(storage.get_common_prefix(object.name, $1, '/'), '/') as name, null::uuid as id,
          min(object.created_at) as updated_at, min(object.created_at) as created_at,
          null::timestamptz as last_accessed_at, null::jsonb as metadata
        from storage.objects as object
        where object.bucket_id = $2 and starts_with(object.name, $1)
          and storage.get_common_prefix(object.name, $1, '/') is not null
        group by 1
        union all
        select object.name, object.id, object.updated_at, object.created_at, object.last_accessed_at, object.metadata
        from storage.objects as object
        where object.bucket_id = $2 and starts_with(object.name, $1)
          and storage.get_common_prefix(object.name, $1, '/') is null
      )
      select split_part(entry.name, '/', $3), entry.name, entry.id, entry.updated_at, entry.created_at,
        entry.last_accessed_at, entry.metadata
      from entry
      where $5 = '' or (coalesce(date_trunc('milliseconds', entry.%1$I), 'epoch'), entry.name collate "C")
        %2$s (coalesce(nullif($6, '')::timestamptz, 'epoch'), $5)
      order by coalesce(date_trunc('milliseconds', entry.%1$I), 'epoch') %3$s, entry.name collate "C" %3$s
      limit $4
    $query$,
    by_column, case when direction = 'asc' then '>' else '<' end, direction
  ) using coalesce(p_prefix, ''), p_bucket_id, p_level, p_limit, coalesce(p_start_after, ''), p_sort_column_after;
end
$$;
comment on function storage.search_by_timestamp(text, text, integer, integer, text, text, text, text) is 'One page of a folder by time; what search_v2 uses.';

create function storage.search_v2(
  prefix text, bucket_name text, limits integer default 100, levels integer default 1, start_after text default '',
  sort_order text default 'asc', sort_column text default 'name', sort_column_after text default ''
) returns table (
  key text, name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz, metadata jsonb
)
  language plpgsql stable set search_path = ''
  as $$
declare
  page int := least(coalesce(limits, 100), 1500);
  direction text := case when lower(sort_order) = 'desc' then 'desc' else 'asc' end;
begin
  if lower(sort_column) in ('created_at', 'updated_at') then
    return query select * from storage.search_by_timestamp(
      prefix, bucket_name, page, levels, start_after, direction, lower(sort_column), sort_column_after
    );
  else
    return query
      select split_part(entry.name, '/', levels), entry.name, entry.id, entry.updated_at, entry.created_at,
        entry.last_accessed_at, entry.metadata
      from storage.list_objects_with_delimiter(bucket_name, prefix, '/', page, start_after, '', direction) as entry;
  end if;
end
$$;
comment on function storage.search_v2(text, text, integer, integer, text, text, text, text) is 'One page of a folder, with a cursor instead of an offset.';

create function storage.list_multipart_uploads_with_delimiter(
  bucket_id text, prefix_param text, delimiter_param text, max_keys integer default 100, next_key_token text default '',
  next_upload_token text default ''
) returns table (key text, id text, created_at timestamptz)
  language sql set search_path = ''
  as $$
    select distinct on (entry.key collate "C") entry.key, entry.id, entry.created_at
    from (
      select coalesce(storage.get_common_prefix(upload.key, coalesce(prefix_param, ''), delimiter_param), upload.key) as key,
        upload.id, upload.created_at
      from storage.s3_multipart_uploads as upload
      where upload.bucket_id = list_multipart_uploads_with_delimiter.bucket_id
        and starts_with(upload.key, coalesce(prefix_param, ''))
    ) as entry
    where case
      when next_upload_token <> '' then entry.id collate "C" > next_upload_token
      when next_key_token <> '' then entry.key collate "C" > next_key_token
      else true
    end
    order by entry.key collate "C", entry.created_at
    limit max_keys
  $$;
comment on function storage.list_multipart_uploads_with_delimiter(text, text, text, integer, text, text) is 'One page of the uploads in parts that have begun.';

create function storage.update_updated_at_column() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  new.updated_at := now();
  return new;
end
$$;
comment on function storage.update_updated_at_column() is 'Writes down when a row was changed.';
create trigger update_objects_updated_at before update on storage.objects
  for each row execute function storage.update_updated_at_column();

create function storage.enforce_bucket_name_length() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  if length(new.name) > 100 then
    raise exception 'bucket name "%" is too long (% characters). Max is 100.', new.name, length(new.name);
  end if;
  return new;
end
$$;
comment on function storage.enforce_bucket_name_length() is 'Refuses a bucket name of more than 100 characters.';
create trigger enforce_bucket_name_length_trigger before insert or update of name on storage.buckets
  for each row execute function storage.enforce_bucket_name_length();

-- A row deleted by hand would leave its bytes behind, so only a session that says so may delete. Source: migrations/tenant/0055.
create function storage.protect_delete() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  if current_setting('storage.allow_delete_query', true) is distinct from 'true' then
    raise exception 'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
      using errcode = '42501', hint = 'This prevents accidental data loss from orphaned objects.';
  end if;
  return null;
end
$$;
comment on function storage.protect_delete() is 'Refuses a DELETE by hand: the bytes would stay behind.';
create trigger protect_buckets_delete before delete on storage.buckets
  for each statement execute function storage.protect_delete();
create trigger protect_objects_delete before delete on storage.objects
  for each statement execute function storage.protect_delete();

grant all on storage.buckets, storage.objects to anon, authenticated, service_role;
grant all on storage.buckets, storage.objects to postgres with grant option;
grant all on storage.buckets_analytics to anon, authenticated, service_role;
grant all on storage.iceberg_namespaces, storage.iceberg_tables to service_role;
grant all on storage.s3_multipart_uploads, storage.s3_multipart_uploads_parts to service_role;
grant select on storage.iceberg_namespaces, storage.iceberg_tables, storage.s3_multipart_uploads,
  storage.s3_multipart_uploads_parts to anon, authenticated;
grant select on storage.buckets_vectors, storage.vector_indexes to anon, authenticated, service_role;
grant execute on function storage.foldername(text), storage.filename(text), storage.extension(text)
  to anon, authenticated, service_role, postgres, dashboard_user;
