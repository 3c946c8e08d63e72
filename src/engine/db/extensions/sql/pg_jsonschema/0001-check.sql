-- A JSON Schema checked in PL/pgSQL. Error texts are those of upstream's validator; a keyword that is not known here and that would
-- change the answer is refused, never passed over. Drafts 4, 6, 7, 2019-09 and 2020-12, told by "$schema"; without it 2020-12.
-- Source: supabase/pg_jsonschema src/lib.rs; Stranger6667/jsonschema crates/jsonschema/src/error.rs; json-schema.org.

-- The year of a draft, so that drafts compare: 4, 6, 7, 2019, 2020. Null for one that is not known.
create function @extschema@._jsonschema_draft(schema jsonb) returns int
  language sql immutable parallel safe
  set search_path = pg_catalog, pg_temp
  as $$
    select case
      when pg_catalog.jsonb_typeof(schema) <> 'object' or not schema ? '$schema' then 2020
      when schema ->> '$schema' ~ '^https?://json-schema\.org/draft-0([467])/schema#?$'
        then substring(schema ->> '$schema' from 'draft-0([467])')::int
      when schema ->> '$schema' ~ '^https?://json-schema\.org/draft/20(19-09|20-12)/schema#?$'
        then substring(schema ->> '$schema' from 'draft/(20\d\d)')::int
    end
  $$;

-- The schema that a reference inside of the document leads to.
create function @extschema@._jsonschema_resolve(reference text, root jsonb) returns jsonb
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
  as $$
declare
  found jsonb := root;
  step text;
begin
  if reference !~ '^#(/|$)' then
    raise exception using errcode = '0A000', message = format('the reference "%s" is not followed', reference),
      detail = 'Only references inside of the schema, such as "#/$defs/name", are.';
  end if;
  foreach step in array string_to_array(substr(reference, 3), '/') loop
    continue when reference = '#';
    step := replace(replace(replace(step, '%25', '%'), '~1', '/'), '~0', '~');
    found := case jsonb_typeof(found) when 'array' then found -> step::int else found -> step end;
    if found is null then
      raise exception using errcode = '22023', message = format('the reference "%s" leads to nothing in the schema', reference);
    end if;
  end loop;
  return found;
end
$$;

create function @extschema@._jsonschema_is(type text, instance jsonb) returns boolean
  language sql immutable parallel safe
  set search_path = pg_catalog, pg_temp
  as $$
    select case type
      when 'integer' then jsonb_typeof(instance) = 'number' and instance::numeric = trunc(instance::numeric)
      else jsonb_typeof(instance) = type
    end
  $$;

-- The formats that drafts up to 7 assert; later ones only annotate. Others pass, as upstream.
create function @extschema@._jsonschema_format(format text, value text) returns boolean
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
  as $$
begin
  return case format
    when 'date' then value ~ '^\d{4}-\d\d-\d\d$' and value::date is not null
    when 'time' then value ~* '^\d\d:\d\d:\d\d(\.\d+)?(z|[+-]\d\d:\d\d)$' and left(value, 8)::time is not null
    when 'date-time' then value ~* '^\d{4}-\d\d-\d\d[t ]\d\d:\d\d:\d\d(\.\d+)?(z|[+-]\d\d:\d\d)$' and value::timestamptz is not null
    when 'email' then value ~ '^[^@\s]+@[^@\s]+$'
    when 'ipv4' then value ~ '^(\d{1,3}\.){3}\d{1,3}$' and value::inet is not null
    when 'ipv6' then value ~ ':' and value !~ '[/%]' and family(value::inet) = 6
    when 'hostname' then value ~* '^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$'
    when 'uri' then value ~* '^[a-z][a-z0-9+.-]*:[^\s<>"{}|\\^`]*$'
    when 'uuid' then value ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    when 'json-pointer' then value ~ '^(/([^~]|~[01])*)?$'
    when 'regex' then '' ~ value is not null
    else true
  end;
exception when data_exception then
  return false;
end
$$;
