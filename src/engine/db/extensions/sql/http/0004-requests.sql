-- The functions that projects call.

create function @extschema@.http_header(field character varying, value character varying) returns @extschema@.http_header
  language sql set search_path = pg_catalog, pg_temp
  as $$ select row($1, $2)::@extschema@.http_header $$;

create function @extschema@.http_headers(variadic args text[]) returns @extschema@.http_header[]
  language plpgsql immutable strict set search_path = pg_catalog, pg_temp
  as $$
begin
  if cardinality(args) % 2 <> 0 then
    raise exception 'Arguments must be provided in key-value pairs';
  end if;
  return array(
    select row(args[at], args[at + 1])::@extschema@.http_header
    from generate_series(1, cardinality(args), 2) as at order by at
  );
end
$$;

-- The bytes of a text and the text of bytes, unread: an answer that is no text comes as one all the same.
do $unread$
begin
  create function @extschema@.text_to_bytea(data text) returns bytea language internal immutable strict as 'byteasend';
  create function @extschema@.bytea_to_text(data bytea) returns text language internal immutable strict as 'byteasend';
exception when insufficient_privilege then
  -- On a server where whoever installs this is no superuser, only what is text.
  create function @extschema@.text_to_bytea(data text) returns bytea language sql immutable strict as $text$select pg_catalog.convert_to($1, 'UTF8')$text$;
  create function @extschema@.bytea_to_text(data bytea) returns text language sql immutable strict as $text$select pg_catalog.convert_from($1, 'UTF8')$text$;
end
$unread$;

-- Runs as millrace_admin. The schema is the project's, who may put functions of the same names beside these: each call names the types exactly,
-- so that no other one fits better.
create function @extschema@.http(request @extschema@.http_request) returns @extschema@.http_response
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  has_body boolean := request.content is not null;
  method text := upper(request.method::text);
  header @extschema@.http_header;
  headers jsonb := '[]';
  answer record;
  charset text;
  content_type text;
begin
  if num_nonnulls(request) = 0 then
    raise exception 'An http_request must be provided' using errcode = 'XX000';
  elsif request.uri is null then
    raise exception 'http_request.uri is NULL' using errcode = 'XX000';
  elsif method is null then
    raise exception 'http_request.method is NULL' using errcode = 'XX000';
  elsif has_body and request.content_type is null then
    raise exception 'http_request.content_type is NULL' using errcode = 'XX000';
  elsif not has_body and method in ('PUT', 'POST') then
    raise exception 'http_request.content is NULL' using errcode = 'XX000';
  elsif method not in ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE') then
    raise exception 'http() sends GET, HEAD, POST, PUT, PATCH and DELETE, not "%"', request.method using errcode = '0A000';
  end if;
  -- Set by SET, which nobody can refuse.
  perform @extschema@._refuse_curlopt(known.name)
    from @extschema@._curlopts() as known
    where not known.is_taken and current_setting('http.' || lower(known.name), true) <> '';
  foreach header in array coalesce(request.headers, '{}') loop
    if header.field is null then
      continue;
    elsif header.field = '' or header.field ilike 'content-type%' then
      raise notice '''Content-Type'' is not supported as an optional header';
    else
      headers := headers || jsonb_build_array(jsonb_build_array(header.field, coalesce(header.value, '')));
    end if;
  end loop;
  if has_body then
    headers := headers || jsonb_build_array(jsonb_build_array('Content-Type', request.content_type));
  end if;
  select * into answer from _millrace.http_call(
    method, request.uri, headers, case when has_body then @extschema@.text_to_bytea(request.content::text) end,
    jsonb_build_object(
      'timeoutMs', @extschema@._curlopt_ms('curlopt_timeout'::text, 5000),
      'userAgent', nullif(current_setting('http.curlopt_useragent', true), '')
    ),
    @extschema@._curlopt_ms('curlopt_timeout'::text, 5000)
  );
  if answer.error is not null then
    raise exception '%', answer.error using errcode = 'XX000';
  end if;
  select pair ->> 1 into content_type from jsonb_array_elements(answer.answer_headers) as pair where lower(pair ->> 0) = 'content-type' limit 1;
  -- Text in another encoding is read as that, where the server knows it.
  charset := lower(substring(content_type from 'charset="?([A-Za-z0-9_.:-]+)'));
  return row(
    answer.status, content_type,
    (select array_agg(row(pair ->> 0, pair ->> 1)::@extschema@.http_header order by at)
      from jsonb_array_elements(answer.answer_headers) with ordinality as part (pair, at)),
    case
      when length(answer.content) = 0 then null
      when charset is not null and charset not in ('utf-8', 'utf8') and pg_char_to_encoding(charset) >= 0
        then convert_from(answer.content, charset)
      else @extschema@.bytea_to_text(answer.content)
    end
  )::@extschema@.http_response;
end
$$;
grant usage on schema @extschema@ to millrace_admin;
alter function @extschema@.http(@extschema@.http_request) owner to millrace_admin;
comment on function @extschema@.http(@extschema@.http_request) is 'Sends a request and waits for its answer.';

create function @extschema@.http_get(uri character varying) returns @extschema@.http_response
  language sql set search_path = pg_catalog, pg_temp
  as $$ select @extschema@.http(('GET', $1, null, null, null)::@extschema@.http_request) $$;
create function @extschema@.http_post(uri character varying, content character varying, content_type character varying)
  returns @extschema@.http_response
  language sql set search_path = pg_catalog, pg_temp
  as $$ select @extschema@.http(('POST', $1, null, $3, $2)::@extschema@.http_request) $$;
create function @extschema@.http_put(uri character varying, content character varying, content_type character varying)
  returns @extschema@.http_response
  language sql set search_path = pg_catalog, pg_temp
  as $$ select @extschema@.http(('PUT', $1, null, $3, $2)::@extschema@.http_request) $$;
create function @extschema@.http_patch(uri character varying, content character varying, content_type character varying)
  returns @extschema@.http_response
  language sql set search_path = pg_catalog, pg_temp
  as $$ select @extschema@.http(('PATCH', $1, null, $3, $2)::@extschema@.http_request) $$;
create function @extschema@.http_delete(uri character varying) returns @extschema@.http_response
  language sql set search_path = pg_catalog, pg_temp
  as $$ select @extschema@.http(('DELETE', $1, null, null, null)::@extschema@.http_request) $$;
create function @extschema@.http_delete(uri character varying, content character varying, content_type character varying)
  returns @extschema@.http_response
  language sql set search_path = pg_catalog, pg_temp
  as $$ select @extschema@.http(('DELETE', $1, null, $3, $2)::@extschema@.http_request) $$;
create function @extschema@.http_head(uri character varying) returns @extschema@.http_response
  language sql set search_path = pg_catalog, pg_temp
  as $$ select @extschema@.http(('HEAD', $1, null, null, null)::@extschema@.http_request) $$;

create function @extschema@.http_get(uri character varying, data jsonb) returns @extschema@.http_response
  language sql set search_path = pg_catalog, pg_temp
  as $$ select @extschema@.http(('GET', $1 || '?' || @extschema@.urlencode($2), null, null, null)::@extschema@.http_request) $$;
create function @extschema@.http_post(uri character varying, data jsonb) returns @extschema@.http_response
  language sql set search_path = pg_catalog, pg_temp
  as $$
    select @extschema@.http(('POST', $1, null, 'application/x-www-form-urlencoded', @extschema@.urlencode($2))::@extschema@.http_request)
  $$;
