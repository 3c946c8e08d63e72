-- Options, as libcurl names them. Those that are acted on are settings of the session, as upstream has them since 1.6.
create function @extschema@._curlopt(name text) returns text
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$
    select case
      when upper(name) in (
        'CURLOPT_TIMEOUT', 'CURLOPT_TIMEOUT_MS', 'CURLOPT_CONNECTTIMEOUT', 'CURLOPT_CONNECTTIMEOUT_MS', 'CURLOPT_USERAGENT',
        -- How connections are kept is the worker's affair: said, and nothing to do.
        'CURLOPT_TCP_KEEPALIVE', 'CURLOPT_TCP_KEEPIDLE', 'CURLOPT_IPRESOLVE'
      ) then 'done'
      when upper(name) in (
        'CURLOPT_CAINFO', 'CURLOPT_USERPWD', 'CURLOPT_SSLCERTTYPE', 'CURLOPT_PROXY', 'CURLOPT_PROXYPORT', 'CURLOPT_PROXYUSERNAME',
        'CURLOPT_PROXYPASSWORD', 'CURLOPT_TLSAUTH_USERNAME', 'CURLOPT_TLSAUTH_PASSWORD', 'CURLOPT_TLSAUTH_TYPE', 'CURLOPT_DNS_SERVERS',
        'CURLOPT_SSL_VERIFYHOST', 'CURLOPT_SSL_VERIFYPEER', 'CURLOPT_SSLCERT', 'CURLOPT_SSLKEY', 'CURLOPT_PRE_PROXY',
        'CURLOPT_PROXY_CAINFO', 'CURLOPT_PROXY_TLSAUTH_USERNAME', 'CURLOPT_PROXY_TLSAUTH_PASSWORD', 'CURLOPT_PROXY_TLSAUTH_TYPE',
        'CURLOPT_SSLKEY_BLOB', 'CURLOPT_SSLCERT_BLOB'
      ) then 'refused'
    end
  $$;

create function @extschema@.http_set_curlopt(curlopt character varying, value character varying) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  if $1 is null or $2 is null then
    return false;
  end if;
  case @extschema@._curlopt($1)
    when 'done' then
      perform set_config('http.' || lower($1), $2, false);
    when 'refused' then
      raise exception 'curl option ''%'' is not acted on by Millrace', $1 using errcode = '0A000',
        hint = 'Its requests go out by way of the program, which decides about certificates, proxies and names.';
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
    from unnest(array[
      'CURLOPT_TIMEOUT', 'CURLOPT_TIMEOUT_MS', 'CURLOPT_CONNECTTIMEOUT', 'CURLOPT_CONNECTTIMEOUT_MS', 'CURLOPT_USERAGENT',
      'CURLOPT_IPRESOLVE', 'CURLOPT_TCP_KEEPALIVE', 'CURLOPT_TCP_KEEPIDLE'
    ]) as known (name)
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
