-- Resumable uploads on their way: what they shall become, what of them is here, and which request works on each.

create table _millrace.resumable_uploads (
  version text primary key,
  bucket_id text not null,
  name text not null,
  -- As text, so that the client gets it back in the order in which it came.
  metadata json not null,
  size_bytes bigint check (size_bytes >= 0),
  offset_bytes bigint not null default 0 check (offset_bytes >= 0),
  object_version text,
  is_complete boolean not null default false,
  created_at timestamptz not null default now(),
  holder uuid,
  fence bigint not null default 0,
  held_until timestamptz
);
comment on table _millrace.resumable_uploads is 'Resumable uploads: one that is complete stays until it expires, so that its client can ask.';
comment on column _millrace.resumable_uploads.version is 'The last part of the upload''s id.';
comment on column _millrace.resumable_uploads.size_bytes is 'Null as long as the client has not said it.';
comment on column _millrace.resumable_uploads.offset_bytes is 'How much is here for good; all of it only once the object is there.';
comment on column _millrace.resumable_uploads.object_version is 'The version that the object gets, or has got.';
comment on column _millrace.resumable_uploads.fence is 'Grows with every holder, so that one that was asleep cannot act any more.';
alter table _millrace.resumable_uploads owner to millrace_admin;
create index resumable_uploads_created_at on _millrace.resumable_uploads (created_at);

create table _millrace.resumable_parts (
  upload text not null references _millrace.resumable_uploads (version) on delete cascade,
  number integer not null,
  version text not null,
  size_bytes bigint not null check (size_bytes > 0),
  md5 text not null,
  primary key (upload, number)
);
comment on table _millrace.resumable_parts is 'The blobs that hold what is here of resumable uploads, in their order.';
alter table _millrace.resumable_parts owner to millrace_admin;

create trigger let_go_of_blob_at_update after update of version on _millrace.resumable_parts
  for each row when (old.version is distinct from new.version)
  execute function _millrace.let_go_of_blob();
create trigger let_go_of_blob_at_delete after delete on _millrace.resumable_parts
  for each row execute function _millrace.let_go_of_blob();
