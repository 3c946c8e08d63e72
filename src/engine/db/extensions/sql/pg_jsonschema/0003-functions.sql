-- What projects call, and whether a schema is one.

-- The path of the first thing in a schema that is none; null when all is well.
create function @extschema@._jsonschema_problem(schema jsonb, draft int, path text) returns text
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
  as $function$
declare
  keyword text;
  value jsonb;
  kind text;
  name text;
  item jsonb;
  fits boolean;
  problem text;
begin
  if jsonb_typeof(schema) = 'boolean' and draft > 4 then
    return null;
  elsif jsonb_typeof(schema) <> 'object' then
    return path;
  end if;
  for keyword, value in select * from jsonb_each(schema) loop
    kind := jsonb_typeof(value);
    fits := case
      when keyword = 'type' then case kind
        when 'string' then value #>> '{}' = any (array['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'])
        when 'array' then jsonb_array_length(value) > 0 and value <@ '["array", "boolean", "integer", "null", "number", "object", "string"]'
        else false end
      when keyword = 'enum' then kind = 'array'
      when keyword in ('maxLength', 'minLength', 'maxItems', 'minItems', 'maxProperties', 'minProperties', 'maxContains', 'minContains')
        then case kind when 'number' then value::numeric >= 0 and value::numeric = trunc(value::numeric) else false end
      when keyword in ('minimum', 'maximum') then kind = 'number'
      when keyword in ('exclusiveMinimum', 'exclusiveMaximum') then kind = case when draft = 4 then 'boolean' else 'number' end
      when keyword = 'multipleOf' then case kind when 'number' then value::numeric > 0 else false end
      when keyword = 'required' then kind = 'array' and not exists (
        select from jsonb_array_elements(case kind when 'array' then value else '[]' end) as required where jsonb_typeof(required) <> 'string')
      when keyword = 'uniqueItems' then kind = 'boolean'
      when keyword in ('$ref', '$schema', '$id', '$comment', 'title', 'description', 'format', 'pattern') then kind = 'string'
      when keyword in ('properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies', 'dependentRequired') then kind = 'object'
      when keyword in ('allOf', 'anyOf', 'oneOf', 'prefixItems') then case kind when 'array' then jsonb_array_length(value) > 0 else false end
      else true
    end;
    if fits is not true then
      return path || '/' || keyword;
    end if;
    if keyword in ('properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies') then
      for name, item in select * from jsonb_each(value) loop
        continue when keyword = 'dependencies' and jsonb_typeof(item) = 'array';
        problem := @extschema@._jsonschema_problem(item, draft, path || '/' || keyword || '/' || replace(replace(name, '~', '~0'), '/', '~1'));
        if problem is not null then
          return problem;
        end if;
      end loop;
    elsif keyword in ('allOf', 'anyOf', 'oneOf', 'prefixItems') or keyword = 'items' and kind = 'array' and draft < 2020 then
      for name, item in select at - 1, content from jsonb_array_elements(value) with ordinality as each (content, at) loop
        problem := @extschema@._jsonschema_problem(item, draft, path || '/' || keyword || '/' || name);
        if problem is not null then
          return problem;
        end if;
      end loop;
    elsif keyword in ('additionalProperties', 'additionalItems', 'items', 'not', 'contains', 'propertyNames', 'if', 'then', 'else')
      and not (draft = 4 and kind = 'boolean' and starts_with(keyword, 'additional'))
    then
      problem := @extschema@._jsonschema_problem(value, draft, path || '/' || keyword);
      if problem is not null then
        return problem;
      end if;
    end if;
  end loop;
  return null;
end
$function$;

create function @extschema@.jsonschema_is_valid(schema json) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = pg_catalog, pg_temp
  as $$
declare
  draft int := @extschema@._jsonschema_draft(schema::jsonb);
  problem text := case when draft is null then '/$schema' else @extschema@._jsonschema_problem(schema::jsonb, draft, '') end;
begin
  if problem is not null then
    raise notice 'Invalid JSON schema at path: %', problem;
  end if;
  return problem is null;
end
$$;

-- A schema that was looked at once; upstream compiles it, here it is only known to be one.
create domain @extschema@.jsonschema as jsonb
  constraint is_json_schema check (@extschema@.jsonschema_is_valid(value::json));

create function @extschema@._jsonschema_check(schema jsonb, instance jsonb) returns text[]
  language plpgsql immutable strict parallel safe
  set search_path = pg_catalog, pg_temp
  as $$
declare
  draft int := @extschema@._jsonschema_draft(schema);
  problem text := case when draft is null then '/$schema' else @extschema@._jsonschema_problem(schema, draft, '') end;
begin
  if problem is not null then
    raise exception using errcode = '22023', message = format('Invalid JSON schema at path: %s', problem);
  end if;
  return @extschema@._jsonschema_errors(schema, instance, schema, draft, 0);
end
$$;

create function @extschema@.json_matches_schema(schema json, instance json) returns boolean
  language sql immutable strict parallel safe
  set search_path = pg_catalog, pg_temp
  as $$ select cardinality(@extschema@._jsonschema_check(schema::jsonb, instance::jsonb)) = 0 $$;

create function @extschema@.jsonb_matches_schema(schema json, instance jsonb) returns boolean
  language sql immutable strict parallel safe
  set search_path = pg_catalog, pg_temp
  as $$ select cardinality(@extschema@._jsonschema_check(schema::jsonb, instance)) = 0 $$;

-- Of a schema that is none it tells that, as upstream, and throws nothing.
create function @extschema@.jsonschema_validation_errors(schema json, instance json) returns text[]
  language plpgsql immutable strict parallel safe
  set search_path = pg_catalog, pg_temp
  as $$
begin
  return @extschema@._jsonschema_check(schema::jsonb, instance::jsonb);
exception when invalid_parameter_value then
  return array[sqlerrm];
end
$$;

create function @extschema@.jsonschema_from_json(schema json) returns @extschema@.jsonschema
  language sql immutable strict parallel safe
  as $$ select schema::jsonb::@extschema@.jsonschema $$;

create function @extschema@.jsonschema_from_jsonb(schema jsonb) returns @extschema@.jsonschema
  language sql immutable strict parallel safe
  as $$ select schema::@extschema@.jsonschema $$;

create function @extschema@.json_matches_compiled_schema(schema @extschema@.jsonschema, instance json) returns boolean
  language sql immutable strict parallel safe
  as $$ select pg_catalog.cardinality(@extschema@._jsonschema_check(schema::jsonb, instance::jsonb)) = 0 $$;

create function @extschema@.jsonb_matches_compiled_schema(schema @extschema@.jsonschema, instance jsonb) returns boolean
  language sql immutable strict parallel safe
  as $$ select pg_catalog.cardinality(@extschema@._jsonschema_check(schema::jsonb, instance)) = 0 $$;

create function @extschema@.json_validation_errors_compiled(schema @extschema@.jsonschema, instance json) returns text[]
  language sql immutable strict parallel safe
  as $$ select @extschema@._jsonschema_check(schema::jsonb, instance::jsonb) $$;

create function @extschema@.jsonb_validation_errors_compiled(schema @extschema@.jsonschema, instance jsonb) returns text[]
  language sql immutable strict parallel safe
  as $$ select @extschema@._jsonschema_check(schema::jsonb, instance) $$;
