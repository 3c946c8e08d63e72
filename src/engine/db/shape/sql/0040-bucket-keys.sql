-- By which key the files of an encrypted bucket are encrypted.

create table _millrace.bucket_keys (
  id text primary key check (id ~ '^[0-9a-f]{16}$'),
  bucket_id text not null unique,
  made_at timestamptz not null default now()
);
comment on table _millrace.bucket_keys is 'The keys of encrypted buckets, which stand wrapped in _millrace.secrets under `bucket key`; nothing here opens anything. A bucket that is gone keeps its row: files of it may have moved.';
alter table _millrace.bucket_keys owner to millrace_admin;
