-- How a request gets to the worker before its transaction has committed: on a second connection, by dblink.

-- Requests under way. A row is written and committed on the second connection; whoever waits takes it out again with its answer.
create unlogged table _millrace.http_calls (
  id uuid primary key,
  method text not null,
  url text not null,
  headers jsonb not null,
  body bytea,
  options jsonb not null,
  asked_at timestamptz not null default clock_timestamp(),
  taken_at timestamptz,
  answered_at timestamptz,
  status integer,
  answer_headers jsonb,
  answer bytea,
  error text
);
comment on table _millrace.http_calls is 'Requests of http() that somebody waits for.';
alter table _millrace.http_calls owner to millrace_admin;

create table _millrace.http_login (
  only_one boolean primary key default true check (only_one),
  role name not null,
  password text not null
);
comment on table _millrace.http_login is 'How http() logs in for its second connection. Nobody but millrace_admin reads it.';
alter table _millrace.http_login owner to millrace_admin;

-- What that connection may do: put a request in under a number that only it knows, take the answer, give up. Nothing else.
create function _millrace.http_put(id uuid, method text, url text, headers jsonb, body bytea, options jsonb) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  insert into _millrace.http_calls (id, method, url, headers, body, options) values ($1, $2, $3, $4, $5, $6);
  perform pg_notify('millrace_http', '');
end
$$;
create function _millrace.http_take(id uuid)
  returns table (status integer, headers jsonb, content bytea, error text)
  language sql security definer set search_path = pg_catalog, pg_temp
  as $$
    delete from _millrace.http_calls as call where call.id = $1 and call.answered_at is not null
    returning call.status, call.answer_headers, call.answer, call.error
  $$;
create function _millrace.http_give_up(id uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  delete from _millrace.http_calls as call where call.id = $1;
  perform pg_notify('millrace_http', $1::text);
end
$$;

-- The functions of dblink under names of our own: the extension itself is the project's to install, where and whenever it likes. Only
-- millrace_admin may call them. Where the server has no such library (pglite), http() says so when it is called.
do $dblink$
declare
  suffix text := (select oid::text from pg_database where datname = current_database());
  role_name name := 'millrace_http_' || suffix;
  password text := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
begin
  create function _millrace.dblink_connect(text, text) returns text
    language c strict as '$libdir/dblink', 'dblink_connect';
  create function _millrace.dblink_disconnect(text) returns text
    language c strict as '$libdir/dblink', 'dblink_disconnect';
  create function _millrace.dblink_exec(text, text) returns text
    language c strict as '$libdir/dblink', 'dblink_exec';
  create function _millrace.dblink(text, text) returns setof record
    language c strict as '$libdir/dblink', 'dblink_record';
  create function _millrace.dblink_get_notify(text, out notify_name text, out be_pid integer, out extra text)
    returns setof record language c strict as '$libdir/dblink', 'dblink_get_notify';
  revoke all on function _millrace.dblink_connect(text, text), _millrace.dblink_disconnect(text), _millrace.dblink_exec(text, text),
    _millrace.dblink(text, text), _millrace.dblink_get_notify(text) from public;
  grant execute on function _millrace.dblink_connect(text, text), _millrace.dblink_disconnect(text), _millrace.dblink_exec(text, text),
    _millrace.dblink(text, text), _millrace.dblink_get_notify(text) to millrace_admin;
  if exists (select from pg_roles where rolname = role_name) then
    execute format('alter role %I password %L', role_name, password);
  else
    -- As many requests at once as it has connections.
    execute format('create role %I login noinherit connection limit 16 password %L', role_name, password);
  end if;
  execute format('grant usage on schema _millrace to %I', role_name);
  execute format('grant execute on function _millrace.http_put(uuid, text, text, jsonb, bytea, jsonb), _millrace.http_take(uuid), _millrace.http_give_up(uuid) to %I', role_name);
  delete from _millrace.http_login;
  insert into _millrace.http_login (role, password) values (role_name, password);
exception
  -- No such library, no such symbol, or nobody here who may make functions of it.
  when undefined_file or undefined_function or insufficient_privilege then
    raise notice 'http() is there but cannot be called on this server: %', sqlerrm;
end
$dblink$;
revoke all on function _millrace.http_put(uuid, text, text, jsonb, bytea, jsonb), _millrace.http_take(uuid), _millrace.http_give_up(uuid) from public;
alter function _millrace.http_put(uuid, text, text, jsonb, bytea, jsonb) owner to millrace_admin;
alter function _millrace.http_take(uuid) owner to millrace_admin;
alter function _millrace.http_give_up(uuid) owner to millrace_admin;

-- Sends and waits. Called by http() alone, which has millrace_admin's rights; the connection has a name that nobody guesses, and is closed
-- however this ends.
create function _millrace.http_call(
  method text, url text, headers jsonb, body bytea, options jsonb, timeout_ms integer,
  out status integer, out answer_headers jsonb, out content bytea, out error text
)
  language plpgsql volatile set search_path = pg_catalog, pg_temp
  as $$
declare
  call_id uuid := gen_random_uuid();
  link text := 'millrace_http_' || call_id;
  login record;
  host text := split_part(current_setting('listen_addresses'), ',', 1);
  wait_seconds double precision := 0.001;
  deadline timestamptz;
  is_there boolean := false;
begin
  if to_regprocedure('_millrace.dblink_connect(text, text)') is null then
    raise exception 'http() cannot be called on this server' using errcode = '0A000',
      detail = 'It waits for an answer within a statement, on a second connection to the server by dblink, and this server has none.',
      hint = 'Use net.http_get or net.http_post of the extension pg_net, or the engine "embedded".';
  end if;
  select known.role, known.password into strict login from _millrace.http_login as known;
  host := case trim(host) when '*' then '127.0.0.1' when '0.0.0.0' then '127.0.0.1' when '::' then '::1' else trim(host) end;
  begin
    perform _millrace.dblink_connect(link, format(
      'host=%s port=%s dbname=%s user=%s password=%s sslmode=disable gssencmode=disable connect_timeout=5 application_name=''millrace http''',
      host, current_setting('port'), '''' || replace(replace(current_database(), '\', '\\'), '''', '\''') || '''', login.role, login.password
    ));
  exception when sqlclient_unable_to_establish_sqlconnection then
    raise exception 'http() found no connection to hand its request over' using errcode = '53300',
      detail = case when sqlerrm like '%too many connections%' then 'As many calls of http() are under way as may be at once: 16.' else sqlerrm end,
      hint = 'Try again later, or use pg_net, which does not wait.';
  end;
  begin
    perform _millrace.dblink_exec(link, format('listen %I', link));
    perform from _millrace.dblink(link, format(
      'select _millrace.http_put(%L, %L, %L, %L, %L, %L)::text', call_id, method, url, headers, body, options
    )) as put (done text);
    deadline := clock_timestamp() + make_interval(secs => timeout_ms / 1000.0 + 2);
    while not is_there and clock_timestamp() < deadline loop
      if exists (select from _millrace.dblink_get_notify(link)) then
        select true, taken.status, taken.headers, taken.content, taken.error
        into is_there, http_call.status, http_call.answer_headers, http_call.content, http_call.error
        from _millrace.dblink(link, format('select * from _millrace.http_take(%L)', call_id))
          as taken (status integer, headers jsonb, content bytea, error text);
        is_there := coalesce(is_there, false);
      else
        perform pg_sleep(wait_seconds);
        wait_seconds := least(wait_seconds * 1.5, 0.025);
      end if;
    end loop;
    if not is_there then
      perform from _millrace.dblink(link, format('select _millrace.http_give_up(%L)::text', call_id)) as gone (done text);
      http_call.error := 'nobody sends the requests of http() at the moment';
    end if;
  exception when query_canceled or others then
    -- Cancelled, as by statement_timeout: nobody waits for that answer any more.
    begin
      perform from _millrace.dblink(link, format('select _millrace.http_give_up(%L)::text', call_id)) as gone (done text);
    exception when others then
      null;
    end;
    perform _millrace.dblink_disconnect(link);
    raise;
  end;
  perform _millrace.dblink_disconnect(link);
end
$$;
revoke all on function _millrace.http_call(text, text, jsonb, bytea, jsonb, integer) from public;
alter function _millrace.http_call(text, text, jsonb, bytea, jsonb, integer) owner to millrace_admin;
