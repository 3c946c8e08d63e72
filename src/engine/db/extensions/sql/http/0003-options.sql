-- Options, as libcurl names them. Those that are acted on are settings of the session, as upstream has them since 1.6; how connections are kept
-- is the worker's affair, so that those are taken and mean nothing.
create function @extschema@._curlopts() returns table (name text, is_taken boolean)
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$
    values
      ('CURLOPT_TIMEOUT', true), ('CURLOPT_TIMEOUT_MS', true), ('CURLOPT_CONNECTTIMEOUT', true), ('CURLOPT_CONNECTTIMEOUT_MS', true),
      ('CURLOPT_USERAGENT', true), ('CURLOPT_TCP_KEEPALIVE', true), ('CURLOPT_TCP_KEEPIDLE', true), ('CURLOPT_IPRESOLVE', true),
      ('CURLOPT_CAINFO', false), ('CURLOPT_USERPWD', false), ('CURLOPT_SSLCERTTYPE', false), ('CURLOPT_PROXY', false),
      ('CURLOPT_PROXYPORT', false), ('CURLOPT_PROXYUSERNAME', false), ('CURLOPT_PROXYPASSWORD', false),
      ('CURLOPT_TLSAUTH_USERNAME', false), ('CURLOPT_TLSAUTH_PASSWORD', false), ('CURLOPT_TLSAUTH_TYPE', false),
      ('CURLOPT_DNS_SERVERS', false), ('CURLOPT_SSL_VERIFYHOST', false), ('CURLOPT_SSL_VERIFYPEER', false), ('CURLOPT_SSLCERT', false),
      ('CURLOPT_SSLKEY', false), ('CURLOPT_PRE_PROXY', false), ('CURLOPT_PROXY_CAINFO', false), ('CURLOPT_PROXY_TLSAUTH_USERNAME', false),
      ('CURLOPT_PROXY_TLSAUTH_PASSWORD', false), ('CURLOPT_PROXY_TLSAUTH_TYPE', false), ('CURLOPT_SSLKEY_BLOB', false),
      ('CURLOPT_SSLCERT_BLOB', false)
  $$;

create function @extschema@._refuse_curlopt(option text) returns void
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $$
begin
  raise exception 'curl option ''%'' is not acted on by Millrace', option using errcode = '0A000',
    hint = 'Its requests go out by way of the program, which decides about certificates, proxies and names.';
end
$$;

create function @extschema@.http_set_curlopt(curlopt character varying, value character varying) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  if $1 is null or $2 is null then
    return false;
  end if;
  case (select known.is_taken from @extschema@._curlopts() as known where known.name = upper($1))
    when true then
      perform set_config('http.' || lower($1), $2, false);
    when false then
      perform @extschema@._refuse_curlopt($1);
    else
      raise exception 'curl option ''%'' is not available for run-time configuration', $1 using errcode = 'XX000';
  end case;
  return true;
end
$$;

create function @extschema@.http_list_curlopt() returns table (curlopt text, value text)
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select known.name, current_setting('http.' || lower(known.name), true)
    from @extschema@._curlopts() as known
    where current_setting('http.' || lower(known.name), true) <> ''
  $$;

create function @extschema@.http_reset_curlopt() returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  perform set_config('http.' || lower(curlopt), '', false) from @extschema@.http_list_curlopt();
  return true;
end
$$;

-- Milliseconds from an option in milliseconds and its twin in seconds; as libcurl, 0 is for ever, which here is ten minutes.
create function @extschema@._curlopt_ms(option text, default_ms integer) returns integer
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select case when ms between 1 and 600000 then ms::integer when ms is null then default_ms else 600000 end
    from (select coalesce(
      substring(nullif(current_setting('http.' || option || '_ms', true), '') from '^\s*-?(\d{1,9})')::numeric,
      case when option = 'curlopt_timeout' then substring(nullif(current_setting('http.timeout_msec', true), '') from '^\s*-?(\d{1,9})')::numeric end,
      substring(nullif(current_setting('http.' || option, true), '') from '^\s*-?(\d{1,9})')::numeric * 1000
    )) as set_by_session (ms)
  $$;
