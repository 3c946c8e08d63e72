-- What must not be read from the database alone, and the keys that sign tokens.

create table _millrace.secrets (
  purpose text not null check (purpose ~ '^[a-z]+( [a-z]+)*$'),
  id text not null check (length(id) between 1 and 200),
  sealed bytea not null check (octet_length(sealed) between 37 and 1048576),
  -- Which master key wraps it: it stands in the sealed bytes, so that the two cannot differ.
  key_id text not null generated always as (encode(substring(sealed from 2 for 8), 'hex')) stored,
  changed_at timestamptz not null default now(),
  primary key (purpose, id)
);
create index secrets_key_id_idx on _millrace.secrets (key_id);
comment on table _millrace.secrets is 'Secrets, each wrapped with AES-256-GCM by the master key, which is not in the database. The row of purpose `check` says which master key counts.';

create table _millrace.signing_keys (
  id text primary key check (id ~ '^[0-9a-zA-Z][0-9a-zA-Z._-]{0,99}$'),
  algorithm text not null check (algorithm in ('ES256', 'RS256', 'EdDSA', 'HS256')),
  status text not null check (status in ('standby', 'current', 'previous', 'revoked')),
  -- The project's JWT secret, which is a setting and not kept here.
  is_legacy boolean not null default false check (not is_legacy or algorithm = 'HS256'),
  created_at timestamptz not null default now(),
  created_by text not null,
  changed_at timestamptz not null default now()
);
-- One signs, one is announced, one is the JWT secret.
create unique index signing_keys_one_idx on _millrace.signing_keys (status) where status in ('standby', 'current');
create unique index signing_keys_legacy_idx on _millrace.signing_keys (is_legacy) where is_legacy;
comment on table _millrace.signing_keys is 'The keys that sign access tokens, by their kid. Their private halves are in _millrace.secrets, wrapped, under `signing key`; nothing here opens anything.';
comment on column _millrace.signing_keys.status is 'standby is published and does not sign; current signs; previous still verifies; revoked does not.';

alter table _millrace.secrets owner to millrace_admin;
alter table _millrace.signing_keys owner to millrace_admin;

-- A reset makes these tables anew under processes that run on: they hear that the keys are gone.
with made as (
  insert into _millrace.events (channel, payload) values ('signing_keys', '{"by": "shape"}') returning id
)
select pg_catalog.pg_notify('millrace_events', id::text) from made;
