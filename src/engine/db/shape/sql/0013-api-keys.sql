-- API keys of the project's own making, beside the four that every Supabase project has.

create table _millrace.api_keys (
  id text primary key check (id ~ '^[0-9a-f]{12}$'),
  name text not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$'),
  role text not null,
  digest bytea not null unique check (octet_length(digest) = 32),
  ending text not null check (length(ending) = 4),
  -- Empty: not narrowed.
  services text[] not null default '{}' check (cardinality(services) <= 50),
  tables text[] not null default '{}' check (cardinality(tables) <= 50),
  addresses text[] not null default '{}' check (cardinality(addresses) <= 50),
  created_at timestamptz not null default now(),
  created_by text not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  replaced_by text references _millrace.api_keys (id) on delete set null,
  last_used_at timestamptz
);
create index api_keys_name_idx on _millrace.api_keys (name);
-- Deleting a key looks for those that it replaced.
create index api_keys_replaced_by_idx on _millrace.api_keys (replaced_by);
comment on table _millrace.api_keys is 'API keys made with `millrace keys create`. Only the SHA-256 of a random key is kept, so that nothing here opens anything.';
comment on column _millrace.api_keys.ending is 'The last four characters of the key, to tell keys apart. They belong to its checksum.';
comment on column _millrace.api_keys.last_used_at is 'Written once a minute at most.';

alter table _millrace.api_keys owner to millrace_admin;

-- A reset makes this table anew under processes that run on: they hear that the keys are gone.
with made as (
  insert into _millrace.events (channel, payload) values ('api_keys', '{"by": "shape"}') returning id
)
select pg_catalog.pg_notify('millrace_events', id::text) from made;
