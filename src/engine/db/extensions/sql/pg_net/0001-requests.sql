-- pg_net 0.20: requests that are sent once the transaction that asked for them has committed. The worker is src/engine/net.
-- Names, arguments, defaults, checks and grants are the interface. Source: supabase/pg_net sql/pg_net.sql, src/util.c, src/worker.c (0.20.4).

create schema net;

create domain net.http_method as text check (lower(value) in ('get', 'post', 'delete'));

-- Unlogged, as upstream: a crash of the server empties both tables, a crash of this program neither.
create unlogged table net.http_request_queue (
  id bigserial primary key,
  method net.http_method not null,
  url text not null,
  headers jsonb,
  body bytea,
  timeout_milliseconds integer not null
);
comment on table net.http_request_queue is 'Requests that are to be sent. The worker takes a row out before it sends it: each is sent at most once.';

create unlogged table net._http_response (
  id bigint,
  status_code integer,
  content_type text,
  headers jsonb,
  content text,
  timed_out boolean,
  error_msg text,
  created timestamptz not null default now()
);
create index _http_response_created_idx on net._http_response (created);
create index _http_response_id_idx on net._http_response (id);
comment on table net._http_response is 'What came of requests, by their number; kept for pg_net.ttl (6 hours).';

create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');
create type net.http_response as (status_code integer, headers jsonb, body text);
create type net.http_response_result as (status net.request_status, message text, response net.http_response);

-- Heard when the transaction commits, and never when it does not.
create function net.wake() returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  perform pg_catalog.pg_notify('millrace_net', '');
end
$$;
comment on function net.wake() is 'Tells the worker that there is something to send.';

create function net.worker_restart() returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  perform pg_catalog.pg_notify('millrace_net', 'restart');
  return true;
end
$$;
comment on function net.worker_restart() is 'Has the worker read its settings again and look for requests.';

-- A process that works on the queue holds this lease, or another process does.
create function net._worker_is_up() returns boolean
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  as $$
    select exists (
      select from _millrace.leases where name = 'task net.responses' and expires_at > pg_catalog.clock_timestamp()
    )
  $$;

create function net.check_worker_is_up() returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  if not net._worker_is_up() then
    raise exception using
      message = 'the pg_net background worker is not up',
      detail = 'No process of Millrace that works on net.http_request_queue is connected to this database.',
      hint = 'Start it with: millrace start';
  end if;
end
$$;
comment on function net.check_worker_is_up() is 'Raises an error unless requests are being sent.';

create function net.wait_until_running() returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  while not net._worker_is_up() loop
    perform pg_catalog.pg_sleep(0.05);
  end loop;
end
$$;
comment on function net.wait_until_running() is 'Waits until requests are being sent.';

-- Letters, digits and -._~ stay, every other byte becomes %XX. Source: libcurl, curl_easy_escape.
create function net._urlencode_string(string character varying) returns text
  language sql immutable strict set search_path = pg_catalog, pg_temp
  as $$
    select case
      when string ~ '^[A-Za-z0-9._~-]*$' then string::text
      else (
        select pg_catalog.string_agg(
          case
            when byte ~ '^(2[DE]|3[0-9]|4[1-9A-F]|5[0-9A]|5F|6[1-9A-F]|7[0-9A]|7E)$'
              then pg_catalog.chr(('x' || byte)::bit(8)::integer)
            else '%' || byte
          end, '' order by at)
        from pg_catalog.regexp_split_to_table(
          pg_catalog.rtrim(pg_catalog.regexp_replace(
            pg_catalog.upper(pg_catalog.encode(pg_catalog.convert_to(string, 'UTF8'), 'hex')), '(..)', '\1 ', 'g')),
          ' ') with ordinality as part (byte, at)
      )
    end
  $$;

create function net._encode_url_with_params_array(url text, params_array text[]) returns text
  language plpgsql immutable strict set search_path = pg_catalog, pg_temp
  as $$
declare
  parts text[] := pg_catalog.regexp_match(url, '^([a-z][a-z0-9+.-]*):(//+)?([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$', 'i');
  fault text;
  query text;
  param text;
begin
  -- In the order and the words in which libcurl finds them. Source: libcurl, curl_url_set, curl_url_strerror.
  if url ~ '[\x01-\x20\x7f]' then
    fault := 'Malformed input to a URL function';
  elsif parts is null then
    fault := 'Bad scheme';
  elsif pg_catalog.lower(parts[1]) not in ('http', 'https') then
    fault := 'Unsupported URL scheme';
  elsif parts[2] is null or pg_catalog.regexp_replace(parts[3], '^.*@', '') ~ '^(:\d*)?$' then
    fault := 'No host part in the URL';
  end if;
  if fault is not null then
    raise exception 'invalid URL "%": %', url, fault using errcode = 'XX000';
  end if;
  query := coalesce(parts[5], '');
  foreach param in array params_array loop
    continue when param is null;
    query := case when query in ('', '?') then '?' when query like '%&' then query else query || '&' end || param;
  end loop;
  return pg_catalog.lower(parts[1]) || '://' || parts[3] || coalesce(nullif(parts[4], ''), '/') || query || coalesce(parts[6], '');
end
$$;

create function net._params_array(params jsonb) returns text[]
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$
    select coalesce(pg_catalog.array_agg(net._urlencode_string(key) || '=' || net._urlencode_string(value)), '{}')
    from pg_catalog.jsonb_each_text(params)
  $$;

create function net.http_get(
  url text, params jsonb default '{}'::jsonb, headers jsonb default '{}'::jsonb, timeout_milliseconds integer default 5000
) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  request_id bigint;
begin
  insert into net.http_request_queue (method, url, headers, timeout_milliseconds)
  values ('GET', net._encode_url_with_params_array($1, net._params_array($2)), $3, $4)
  returning id into request_id;
  perform net.wake();
  return request_id;
end
$$;
comment on function net.http_get(text, jsonb, jsonb, integer) is 'Asks for a GET once this transaction has committed. Gives the number under which net._http_response will have the answer.';

create function net.http_post(
  url text, body jsonb default '{}'::jsonb, params jsonb default '{}'::jsonb,
  headers jsonb default '{"Content-Type": "application/json"}'::jsonb, timeout_milliseconds integer default 5000
) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  request_id bigint;
  content_type text := (
    select header.value from pg_catalog.jsonb_each_text(coalesce($4, '{}')) as header
    where pg_catalog.lower(header.key) = 'content-type' limit 1
  );
begin
  if content_type is null then
    headers := headers || '{"Content-Type": "application/json"}'::jsonb;
  elsif content_type <> 'application/json' then
    raise exception 'Content-Type header must be "application/json"';
  end if;
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
  values ('POST', net._encode_url_with_params_array($1, net._params_array($3)), $4, pg_catalog.convert_to($2::text, 'UTF8'), $5)
  returning id into request_id;
  perform net.wake();
  return request_id;
end
$$;
comment on function net.http_post(text, jsonb, jsonb, jsonb, integer) is 'Asks for a POST of JSON once this transaction has committed. Gives the number under which net._http_response will have the answer.';

create function net.http_delete(
  url text, params jsonb default '{}'::jsonb, headers jsonb default '{}'::jsonb, timeout_milliseconds integer default 5000,
  body jsonb default null
) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  request_id bigint;
begin
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
  values ('DELETE', net._encode_url_with_params_array($1, net._params_array($2)), $3, pg_catalog.convert_to($5::text, 'UTF8'), $4)
  returning id into request_id;
  perform net.wake();
  return request_id;
end
$$;
comment on function net.http_delete(text, jsonb, jsonb, integer, jsonb) is 'Asks for a DELETE once this transaction has committed. Gives the number under which net._http_response will have the answer.';

create function net._await_response(request_id bigint) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  while not exists (select from net._http_response as response where response.id = $1) loop
    perform pg_catalog.pg_sleep(0.05);
  end loop;
  return true;
end
$$;

create function net._http_collect_response(request_id bigint, async boolean default true) returns net.http_response_result
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  found_response net._http_response;
begin
  if not async then
    perform net._await_response($1);
  end if;
  select * into found_response from net._http_response as response where response.id = $1;
  if not found or found_response.error_msg is not null then
    return ('ERROR', coalesce(found_response.error_msg, 'request matching request_id not found'), null)::net.http_response_result;
  end if;
  return (
    'SUCCESS', 'ok', (found_response.status_code, found_response.headers, found_response.content)::net.http_response
  )::net.http_response_result;
end
$$;

create function net.http_collect_response(request_id bigint, async boolean default true) returns net.http_response_result
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  raise notice 'The net.http_collect_response function is deprecated.';
  return net._http_collect_response($1, $2);
end
$$;
comment on function net.http_collect_response(bigint, boolean) is 'Deprecated: the answer of a request. Read net._http_response.';
