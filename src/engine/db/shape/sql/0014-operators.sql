-- The operator plane: who may operate this backend from afar, and what operators changed.

create table _millrace.operator_tokens (
  id bigint generated always as identity primary key,
  name text not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$'),
  hash bytea not null unique check (octet_length(hash) = 32),
  scopes text[] not null check (cardinality(scopes) between 1 and 16),
  created_at timestamptz not null default now(),
  created_by text not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
-- A name is free again once its token is revoked: the record keeps them apart by id.
create unique index operator_tokens_name_idx on _millrace.operator_tokens (name) where revoked_at is null;
comment on table _millrace.operator_tokens is 'Tokens of /admin/v1. Only the SHA-256 of a random token is kept, so that nothing here opens anything.';

create table _millrace.operator_changes (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  operator text not null,
  via text not null,
  address text not null,
  action text not null,
  details jsonb not null,
  request_id text not null
);
create index operator_changes_setting_idx on _millrace.operator_changes ((details ->> 'key'), id desc)
  where action in ('settings.set', 'settings.reset');
comment on table _millrace.operator_changes is 'What was changed through the operator plane, by whom and when. Rows are added and never changed.';

create function _millrace.refuse_rewriting() returns trigger
  language plpgsql set search_path = ''
  as $$
begin
  raise exception 'the record of changes can be added to, not rewritten' using errcode = 'insufficient_privilege';
end
$$;
comment on function _millrace.refuse_rewriting() is 'Keeps a record as it was written, also from its owner.';

create trigger operator_changes_stay before update or delete or truncate on _millrace.operator_changes
  for each statement execute function _millrace.refuse_rewriting();
-- Also where a session has switched triggers off for itself.
alter table _millrace.operator_changes enable always trigger operator_changes_stay;

alter table _millrace.operator_tokens owner to millrace_admin;
-- The record's owner stays whoever shapes the database: an owner could take the trigger away.
revoke all on _millrace.operator_changes from public;
grant select, insert on _millrace.operator_changes to millrace_admin;

-- A reset makes this schema anew under processes that run on: they hear that the settings of the run time are gone.
with made as (
  insert into _millrace.events (channel, payload) values ('settings', '{"key": null, "by": "shape"}') returning id
)
select pg_catalog.pg_notify('millrace_events', id::text) from made;
