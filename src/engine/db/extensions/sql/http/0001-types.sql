-- http 1.6: a request within a statement, which waits for the answer. The worker is src/engine/net.
-- A worker sees no row that is not committed. So the request is handed over on a second connection to the same server, by dblink; see
-- docs/decisions/0011-workers-of-extensions.md. Names, arguments, types and messages are the interface.
-- Source: pramsey/pgsql-http http--1.5.sql, http--1.5--1.6.sql, http.c.

create domain @extschema@.http_method as text;
create domain @extschema@.content_type as text check (value ~ '^\S+\/\S+');
create type @extschema@.http_header as (field character varying, value character varying);
create type @extschema@.http_response as (
  status integer, content_type character varying, headers @extschema@.http_header[], content character varying
);
create type @extschema@.http_request as (
  method @extschema@.http_method, uri character varying, headers @extschema@.http_header[],
  content_type character varying, content character varying
);

-- Letters, digits and -._~ stay, a space becomes +, every other byte %XX. Source: pramsey/pgsql-http http.c urlencode_cstr.
create function @extschema@.urlencode(string bytea) returns text
  language sql immutable strict set search_path = pg_catalog, pg_temp
  as $$
    select coalesce(string_agg(
      case
        when byte = 32 then '+'
        when chr(byte) ~ '^[A-Za-z0-9._~-]$' and byte < 127 then chr(byte)
        else '%' || upper(lpad(to_hex(byte), 2, '0'))
      end, '' order by at), '')
    from (select at, get_byte(string, at) as byte from generate_series(0, length(string) - 1) as at) as bytes
  $$;
create function @extschema@.urlencode(string character varying) returns text
  language sql immutable strict set search_path = pg_catalog, pg_temp
  as $$ select @extschema@.urlencode(convert_to(string, 'UTF8')) $$;
create function @extschema@.urlencode(data jsonb) returns text
  language plpgsql immutable strict set search_path = pg_catalog, pg_temp
  as $$
begin
  if jsonb_typeof(data) <> 'object' then
    raise exception 'cannot call urlencode_jsonb on a non-object' using errcode = '22023';
  end if;
  return (
    select string_agg(
      @extschema@.urlencode(pair.key::character varying) || '=' || @extschema@.urlencode((case jsonb_typeof(pair.value)
        when 'null' then ''
        when 'number' then trim_scale((pair.value #>> '{}')::numeric)::text
        else pair.value #>> '{}'
      end)::character varying), '&' order by at)
    from jsonb_each(data) with ordinality as pair (key, value, at)
    where pair.key <> '' and jsonb_typeof(pair.value) not in ('object', 'array')
  );
end
$$;
