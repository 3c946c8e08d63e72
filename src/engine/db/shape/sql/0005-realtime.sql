-- Schema realtime: messages and who listens to what, and the functions by which triggers broadcast.
-- skip when: to_regclass('realtime.messages') is not null
-- Source: supabase/realtime priv/repo/tenant_db_dump_17.sql (the state after 20260709120000); names, columns, types,
-- indexes and signatures are its interface. Left out: what turns the replication stream into answers (apply_rls,
-- list_changes, cast, check_equality_op, is_visible_through_filters, build_prepared_statement_sql, quote_wal2json,
-- wal2json_escape_identifier and the check of filters on INSERT); that is the realtime service's own work here.

set local role supabase_realtime_admin;

create type realtime.action as enum ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'ERROR');
create type realtime.equality_op as enum (
  'eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in', 'like', 'ilike', 'is', 'match', 'imatch', 'isdistinct'
);
create type realtime.user_defined_filter as (column_name text, op realtime.equality_op, value text, negate boolean);
create type realtime.wal_column as (
  name text, type_name text, type_oid oid, value jsonb, is_pkey boolean, is_selectable boolean
);
create type realtime.wal_rls as (wal jsonb, is_rls_enabled boolean, subscription_ids uuid[], errors text[]);

create table realtime.messages (
  topic text not null,
  extension text not null,
  payload jsonb,
  event text,
  private boolean default false,
  updated_at timestamp default now() not null,
  inserted_at timestamp default now() not null,
  id uuid default gen_random_uuid() not null,
  binary_payload bytea,
  constraint messages_pkey primary key (id, inserted_at),
  constraint messages_payload_exclusive check (payload is null or binary_payload is null)
) partition by range (inserted_at);
create index messages_inserted_at_topic_index on realtime.messages (inserted_at desc, topic)
  where extension = 'broadcast' and private is true;
comment on table realtime.messages is 'Broadcast messages of the last days, a partition a day; policies on it say who may listen and send.';
alter table realtime.messages enable row level security;

-- `text::regrole` is not immutable, but a generated column wants that; the name of a role stays with its oid here.
create function realtime.to_regrole(role_name text) returns regrole
  language sql immutable set search_path = ''
  as $$ select role_name::regrole $$;
comment on function realtime.to_regrole(text) is 'The role of this name.';

create table realtime.subscription (
  id bigint generated always as identity not null,
  subscription_id uuid not null,
  entity regclass not null,
  filters realtime.user_defined_filter[] default '{}' not null,
  claims jsonb not null,
  claims_role regrole generated always as (realtime.to_regrole(claims ->> 'role')) stored not null,
  created_at timestamp default timezone('utc', now()) not null,
  action_filter text default '*',
  selected_columns text[],
  constraint pk_subscription primary key (id),
  constraint subscription_action_filter_check check (action_filter in ('*', 'INSERT', 'UPDATE', 'DELETE'))
);
create index ix_realtime_subscription_entity on realtime.subscription (entity);
create unique index subscription_subscription_id_entity_filters_action_filter_selec
  on realtime.subscription (subscription_id, entity, filters, action_filter, coalesce(selected_columns, '{}'));
comment on table realtime.subscription is 'Who listens to the changes of which table.';

create table realtime.schema_migrations (
  version bigint not null,
  inserted_at timestamp(0) without time zone default now(),
  constraint schema_migrations_pkey primary key (version)
);
comment on table realtime.schema_migrations is 'Kept for its name: upstream''s realtime records its migrations here.';

create function realtime.topic() returns text
  language sql stable parallel safe
  return nullif(current_setting('realtime.topic', true), '');
comment on function realtime.topic() is 'The topic that is being joined or sent to, for policies on realtime.messages.';

-- A message that cannot be stored must not undo the transaction that sends it: it becomes a warning, as upstream.
create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
  language plpgsql set search_path = ''
  as $$
declare
  message_id uuid := gen_random_uuid();
begin
  perform set_config('realtime.topic', send.topic, true);
  insert into realtime.messages (id, payload, event, topic, private, extension)
  values (
    message_id,
    case when send.payload ? 'id' then send.payload else send.payload || jsonb_build_object('id', message_id) end,
    send.event, send.topic, send.private, 'broadcast'
  );
exception when others then
  raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
end
$$;
comment on function realtime.send(jsonb, text, text, boolean) is 'Broadcasts a message to a topic; it gets an id when it has none.';

create function realtime.send_binary(payload bytea, event text, topic text, private boolean default true) returns void
  language plpgsql set search_path = ''
  as $$
begin
  perform set_config('realtime.topic', send_binary.topic, true);
  insert into realtime.messages (binary_payload, event, topic, private, extension)
  values (send_binary.payload, send_binary.event, send_binary.topic, send_binary.private, 'broadcast');
exception when others then
  raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
end
$$;
comment on function realtime.send_binary(bytea, text, text, boolean) is 'Broadcasts bytes to a topic.';

create function realtime.broadcast_changes(
  topic_name text, event_name text, operation text, table_name text, table_schema text, new record, old record,
  level text default 'ROW'
) returns void
  language plpgsql set search_path = ''
  as $$
begin
  if level = 'STATEMENT' then
    raise exception 'Failed to process the row: function can only be triggered for each row, not for each statement';
  end if;
  if operation not in ('INSERT', 'UPDATE', 'DELETE') then
    raise exception 'Failed to process the row: Unexpected operation type: %', operation;
  end if;
  perform realtime.send(
    jsonb_build_object(
      'operation', operation, 'schema', table_schema, 'table', table_name, 'record', new, 'old_record', old
    ),
    event_name,
    topic_name
  );
end
$$;
comment on function realtime.broadcast_changes(text, text, text, text, text, record, record, text) is 'Broadcasts the change of a row; for triggers.';

grant all on realtime.messages, realtime.subscription to postgres, dashboard_user;
grant select, insert, update on realtime.messages to anon, authenticated, service_role;
grant select on realtime.subscription to anon, authenticated, service_role;
grant all on sequence realtime.subscription_id_seq to postgres, dashboard_user;
grant usage on sequence realtime.subscription_id_seq to anon, authenticated, service_role;
grant execute on all functions in schema realtime to postgres, dashboard_user;
grant execute on function realtime.to_regrole(text) to anon, authenticated, service_role;
