-- Where the bytes of this database's files are, and which of them no row names.

create table _millrace.blob_store (
  is_one boolean primary key default true check (is_one),
  id uuid not null default gen_random_uuid(),
  marked boolean not null default false,
  made_at timestamptz not null default now()
);
comment on table _millrace.blob_store is 'Which store of bytes belongs to this database; a blob of a reserved name says so in the store, once it is marked.';
alter table _millrace.blob_store owner to millrace_admin;

create table _millrace.blob_orphans (
  id text primary key,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null
);
comment on table _millrace.blob_orphans is 'Blobs that no row names, as sweeps have seen them; one that is seen again after the time of grace is removed.';
alter table _millrace.blob_orphans owner to millrace_admin;

grant select on _millrace.blob_garbage to supabase_storage_admin;
