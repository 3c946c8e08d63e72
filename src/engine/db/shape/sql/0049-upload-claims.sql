-- Uploads on their way count against the limits of 0041: by what they claim while a request works on them, and by what is here of those that come in parts.

alter table _millrace.resumable_uploads add column owner_id text;
comment on column _millrace.resumable_uploads.owner_id is 'Whose limit it counts against.';
create index millrace_resumable_uploads_unfinished on _millrace.resumable_uploads (bucket_id) where not is_complete;

-- Unlogged: a claim is worth no write-ahead log, and a commit that wrote none waits for no disk. A crash of the server empties it.
create unlogged table _millrace.upload_claims (
  id text constraint millrace_upload_claims_pkey primary key,
  holder uuid not null,
  bucket_id text not null,
  name text not null,
  owner_id text,
  bytes bigint not null,
  held_until timestamptz not null
);
comment on table _millrace.upload_claims is 'Room that is held for bytes on their way, in buckets and for users that have a limit. What is not held on to any more counts no longer.';
comment on column _millrace.upload_claims.id is 'The blob that is being written; of a resumable upload its version.';
comment on column _millrace.upload_claims.holder is 'The request that brings the bytes.';
comment on column _millrace.upload_claims.bytes is 'What the client says that it sends, or what was counted of what it does not say; less what is recorded of it already.';
alter table _millrace.upload_claims owner to millrace_admin;

create view _millrace.uploads_in_flight with (security_invoker = true) as
  select id, holder, bucket_id, name, owner_id, bytes from _millrace.upload_claims where held_until > clock_timestamp()
  union all
  select version, null, bucket_id, name, owner_id, offset_bytes from _millrace.resumable_uploads where not is_complete
  union all
  select id, null, bucket_id, key, owner_id, in_progress_size from storage.s3_multipart_uploads;
comment on view _millrace.uploads_in_flight is 'The bytes that uploads on their way have, or hold room for.';
alter view _millrace.uploads_in_flight owner to millrace_admin;

create function _millrace.claim_room(
  claim text, claimer uuid, bucket text, object_name text, object_owner text, more_bytes bigint, hold_seconds double precision
) returns text
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  limited record;
  taken record;
begin
  for limited in
    -- In one order everywhere: two that wait for each other's lock would wait for ever.
    select scope, case scope when 'bucket' then bucket else object_owner end as subject, max_bytes from _millrace.file_limits
    where max_bytes is not null and (scope = 'user' and object_owner is not null or scope = 'bucket' and subject = bucket)
    order by scope
  loop
    -- Whoever claims of the same bucket or user sees what this one has claimed.
    perform pg_advisory_xact_lock(hashtextextended(format('files of %s %s', limited.scope, limited.subject), 0));
    with in_flight as (
      select name, bucket_id, bytes as others, 0 as own from _millrace.uploads_in_flight
        where case limited.scope when 'bucket' then bucket_id else owner_id end = limited.subject
          -- A hold of an earlier request, which this one takes the place of.
          and not (id = claim and holder is not null and holder <> claimer)
      union all
      select object_name, bucket, 0, more_bytes
    ), by_name as (
      select sum(others) as others, sum(own) as own, coalesce((
        select _millrace.file_bytes(metadata) from storage.objects
        where objects.bucket_id = in_flight.bucket_id and objects.name = in_flight.name
          and case limited.scope when 'bucket' then objects.bucket_id else objects.owner_id end = limited.subject
      ), 0) as there
      from in_flight group by in_flight.bucket_id, in_flight.name
    )
    -- What is there counts as used. Bytes that shall take its place count as far as they are more.
    select coalesce((select bytes from _millrace.file_usage as known where known.scope = limited.scope and known.subject = limited.subject), 0) as used,
        sum(greatest(others - there, 0)) as others, sum(greatest(others + own - there, 0)) as all_of_them
      into taken from by_name;
    if taken.all_of_them > taken.others and taken.used + taken.all_of_them > limited.max_bytes then
      return case limited.scope
          when 'bucket' then format('The bucket "%s" is full: its files may take %s bytes together', bucket, limited.max_bytes)
          else format('The files of a user may take %s bytes together', limited.max_bytes)
        end || case when taken.others > 0 then format(', and %s bytes are on their way.', taken.others) else '.' end;
    end if;
  end loop;
  insert into _millrace.upload_claims as known (id, holder, bucket_id, name, owner_id, bytes, held_until)
    values (claim, claimer, bucket, object_name, object_owner, more_bytes, clock_timestamp() + make_interval(secs => hold_seconds))
    on conflict (id) do update set
      holder = excluded.holder, bucket_id = excluded.bucket_id, name = excluded.name, owner_id = excluded.owner_id, held_until = excluded.held_until,
      bytes = excluded.bytes + case when known.holder = excluded.holder then known.bytes else 0 end;
  return null;
end
$$;
comment on function _millrace.claim_room(text, uuid, text, text, text, bigint, double precision) is
  'Holds room for so many bytes, or for so many more; where there is not as much, none, and the answer says what is full.';
alter function _millrace.claim_room(text, uuid, text, text, text, bigint, double precision) owner to millrace_admin;
revoke all on function _millrace.claim_room(text, uuid, text, text, text, bigint, double precision) from public;

create function _millrace.end_claim() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  delete from _millrace.upload_claims where id = new.version;
  return null;
end
$$;
comment on function _millrace.end_claim() is 'A part that is recorded is no longer on its way: in one transaction, so that it never counts twice.';
alter function _millrace.end_claim() owner to millrace_admin;
revoke all on function _millrace.end_claim() from public;

grant select on _millrace.resumable_uploads, _millrace.uploads_in_flight to supabase_storage_admin;
grant select, insert, update, delete on _millrace.upload_claims to supabase_storage_admin;
grant execute on function _millrace.claim_room(text, uuid, text, text, text, bigint, double precision), _millrace.end_claim() to supabase_storage_admin;
set local role supabase_storage_admin;
create trigger millrace_end_claim after insert on storage.s3_multipart_uploads_parts
  for each row execute function _millrace.end_claim();
reset role;
