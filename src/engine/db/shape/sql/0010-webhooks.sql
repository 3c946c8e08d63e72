-- Schema supabase_functions: the trigger function of database webhooks, which projects have in their migrations.
-- skip when: to_regclass('supabase_functions.hooks') is not null or not _millrace.may_become('supabase_functions_admin')
-- Source: supabase/cli apps/cli-go/internal/db/start/templates/webhook.sql; its names and signature are the interface.

set local role supabase_functions_admin;

create table supabase_functions.migrations (
  version text primary key,
  inserted_at timestamptz not null default now()
);
comment on table supabase_functions.migrations is 'Kept for its name: upstream records the state of this schema here.';

create table supabase_functions.hooks (
  id bigserial primary key,
  hook_table_id integer not null,
  hook_name text not null,
  created_at timestamptz not null default now(),
  request_id bigint
);
create index supabase_functions_hooks_request_id_idx on supabase_functions.hooks (request_id);
create index supabase_functions_hooks_h_table_id_h_name_idx on supabase_functions.hooks (hook_table_id, hook_name);
comment on table supabase_functions.hooks is 'Which webhook was called by which row''s trigger.';

-- Arguments of the trigger: url, method (GET or POST), headers, params, timeout in milliseconds; 'null' stands for the default.
-- The request itself is net.http_get or net.http_post, where something provides them; until then a warning says that nothing was sent.
create function supabase_functions.http_request() returns trigger
  language plpgsql security definer set search_path = ''
  as $$
declare
  url text := nullif(tg_argv[0], 'null');
  method text := nullif(tg_argv[1], 'null');
  headers jsonb := coalesce(nullif(tg_argv[2], 'null'), '{"Content-Type": "application/json"}')::jsonb;
  params jsonb := coalesce(nullif(tg_argv[3], 'null'), '{}')::jsonb;
  timeout_ms int := coalesce(nullif(tg_argv[4], 'null'), '1000')::int;
  request_id bigint;
begin
  if url is null then
    raise exception 'url argument is missing';
  elsif method is null then
    raise exception 'method argument is missing';
  elsif method not in ('GET', 'POST') then
    raise exception 'method argument % is invalid', method;
  end if;
  if to_regproc('net.http_post') is null or to_regproc('net.http_get') is null then
    raise warning 'webhook "%" of table "%.%" was not sent: this database has no net.http_post', tg_name, tg_table_schema, tg_table_name
      using hint = 'Install the extension pg_net, or send from an edge function.';
  elsif method = 'GET' then
    execute 'select net.http_get($1, $2, $3, $4)' into request_id using url, params, headers, timeout_ms;
  else
    execute 'select net.http_post($1, $2, $3, $4, $5)' into request_id using
      url,
      jsonb_build_object(
        'type', tg_op, 'table', tg_table_name, 'schema', tg_table_schema,
        'record', case when tg_op <> 'DELETE' then to_jsonb(new) end,
        'old_record', case when tg_op <> 'INSERT' then to_jsonb(old) end
      ),
      params, headers, timeout_ms;
  end if;
  insert into supabase_functions.hooks (hook_table_id, hook_name, request_id) values (tg_relid, tg_name, request_id);
  return coalesce(new, old);
end
$$;
comment on function supabase_functions.http_request() is 'Sends the change of a row to an address; for triggers.';
revoke all on function supabase_functions.http_request() from public;
grant execute on function supabase_functions.http_request() to postgres, anon, authenticated, service_role;
grant all on all tables in schema supabase_functions to postgres, anon, authenticated, service_role;
grant all on all sequences in schema supabase_functions to postgres, anon, authenticated, service_role;
