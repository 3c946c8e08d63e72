-- Every error of an instance. `depth` counts how often a schema was followed for one and the same value, which must end.

-- As upstream shows a value: without spaces, keys by their bytes.
create function @extschema@._jsonschema_text(shown jsonb) returns text
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
  as $$
begin
  return case jsonb_typeof(shown)
    when 'object' then '{' || coalesce((select string_agg(to_jsonb(key)::text || ':' || @extschema@._jsonschema_text(value), ',' order by key collate "C")
      from jsonb_each(shown)), '') || '}'
    when 'array' then '[' || coalesce((select string_agg(@extschema@._jsonschema_text(value), ',' order by at)
      from jsonb_array_elements(shown) with ordinality as each (value, at)), '') || ']'
    else shown::text
  end;
end
$$;

create function @extschema@._jsonschema_errors(schema jsonb, instance jsonb, root jsonb, draft int, depth int) returns text[]
  language plpgsql immutable parallel safe
  set search_path = pg_catalog, pg_temp
  as $function$
declare
  kind text := jsonb_typeof(instance);
  found text[] := '{}';
  keyword text;
  value jsonb;
  item jsonb;
  name text;
  number numeric;
  size int;
  hits int;
  known text[];
  unexpected text[];
  limits constant jsonb := '{
    "maxLength": "is longer than %s character", "minLength": "is shorter than %s character",
    "maxItems": "has more than %s item", "minItems": "has less than %s item",
    "maxProperties": "has more than %s propert", "minProperties": "has less than %s propert"
  }';
begin
  if depth > 64 then
    raise exception using errcode = '54001', message = 'the schema refers to itself more than 64 times for one value';
  end if;
  if schema = 'true' then
    return found;
  elsif schema = 'false' then
    return array[format('False schema does not allow %s', @extschema@._jsonschema_text(instance))];
  elsif jsonb_typeof(schema) <> 'object' then
    raise exception using errcode = '22023', message = format('%s is no JSON Schema', schema),
      detail = 'A schema is an object, or true, or false.';
  end if;
  -- Up to draft 7 a reference stands alone.
  if schema ? '$ref' and draft <= 7 then
    return @extschema@._jsonschema_errors(@extschema@._jsonschema_resolve(schema ->> '$ref', root), instance, root, draft, depth + 1);
  end if;

  for keyword, value in select * from jsonb_each(schema) loop
    case
      when keyword = '$ref' then
        found := found || @extschema@._jsonschema_errors(@extschema@._jsonschema_resolve(value #>> '{}', root), instance, root, draft, depth + 1);

      when keyword = 'type' then
        if jsonb_typeof(value) = 'array' then
          if not exists (select from jsonb_array_elements_text(value) as type where @extschema@._jsonschema_is(type, instance)) then
            found := found || format('%s is not of types %s', @extschema@._jsonschema_text(instance), (select string_agg(type::text, ', ' order by type::text) from jsonb_array_elements(value) as type));
          end if;
        elsif not @extschema@._jsonschema_is(value #>> '{}', instance) then
          found := found || format('%s is not of type %s', @extschema@._jsonschema_text(instance), value);
        end if;

      when keyword = 'enum' then
        if not exists (select from jsonb_array_elements(value) as option where option = instance) then
          size := jsonb_array_length(value);
          found := found || format('%s is not one of %s', @extschema@._jsonschema_text(instance), (
            select string_agg(case when at = 1 then '' when at = size and size <= 3 then ' or ' else ', ' end || @extschema@._jsonschema_text(option), '' order by at)
              || case when size > 3 then format(' or %s other candidates', size - 2) else '' end
            from jsonb_array_elements(value) with ordinality as each (option, at) where size <= 3 or at <= 2));
        end if;

      when keyword = 'const' then
        if value <> instance then
          found := found || format('%s was expected', @extschema@._jsonschema_text(value));
        end if;

      when keyword in ('maxLength', 'minLength') and kind = 'string'
        or keyword in ('maxItems', 'minItems') and kind = 'array'
        or keyword in ('maxProperties', 'minProperties') and kind = 'object' then
        size := case kind when 'string' then length(instance #>> '{}') when 'array' then jsonb_array_length(instance)
          else (select count(*) from jsonb_object_keys(instance)) end;
        if starts_with(keyword, 'max') and size > value::numeric or starts_with(keyword, 'min') and size < value::numeric then
          found := found || format('%s ' || (limits ->> keyword) || '%s', @extschema@._jsonschema_text(instance), value,
            case when keyword like '%Properties' then case when value::numeric = 1 then 'y' else 'ies' end
              when value::numeric = 1 then '' else 's' end);
        end if;

      when keyword = 'pattern' and kind = 'string' then
        if (instance #>> '{}') !~ (value #>> '{}') then
          found := found || format('%s does not match "%s"', @extschema@._jsonschema_text(instance), value #>> '{}');
        end if;

      when keyword = 'format' and kind = 'string' then
        if draft <= 7 and not @extschema@._jsonschema_format(value #>> '{}', instance #>> '{}') then
          found := found || format('%s is not a %s', @extschema@._jsonschema_text(instance), value);
        end if;

      when keyword in ('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf') and kind = 'number' then
        number := instance::numeric;
        case
          -- In draft 4 the exclusive ones are switches beside the limit.
          when jsonb_typeof(value) = 'boolean' then null;
          when keyword = 'minimum' and schema -> 'exclusiveMinimum' = 'true' and number <= value::numeric then
            found := found || format('%s is less than or equal to the minimum of %s', @extschema@._jsonschema_text(instance), value);
          when keyword = 'maximum' and schema -> 'exclusiveMaximum' = 'true' and number >= value::numeric then
            found := found || format('%s is greater than or equal to the maximum of %s', @extschema@._jsonschema_text(instance), value);
          when keyword = 'minimum' and number < value::numeric then
            found := found || format('%s is less than the minimum of %s', @extschema@._jsonschema_text(instance), value);
          when keyword = 'maximum' and number > value::numeric then
            found := found || format('%s is greater than the maximum of %s', @extschema@._jsonschema_text(instance), value);
          when keyword = 'exclusiveMinimum' and number <= value::numeric then
            found := found || format('%s is less than or equal to the minimum of %s', @extschema@._jsonschema_text(instance), value);
          when keyword = 'exclusiveMaximum' and number >= value::numeric then
            found := found || format('%s is greater than or equal to the maximum of %s', @extschema@._jsonschema_text(instance), value);
          when keyword = 'multipleOf' and number % value::numeric <> 0 then
            found := found || format('%s is not a multiple of %s', @extschema@._jsonschema_text(instance), value);
          else null;
        end case;

      when keyword = 'required' and kind = 'object' and jsonb_typeof(value) = 'array' then
        for item in select * from jsonb_array_elements(value) loop
          if not instance ? (item #>> '{}') then
            found := found || format('%s is a required property', item);
          end if;
        end loop;

      when keyword = 'properties' and kind = 'object' then
        for name, item in select * from jsonb_each(value) loop
          if instance ? name then
            found := found || @extschema@._jsonschema_errors(item, instance -> name, root, draft, 0);
          end if;
        end loop;

      when keyword = 'patternProperties' and kind = 'object' then
        for name, item in select * from jsonb_each(value) loop
          found := found || coalesce((
            select array_agg(error) from jsonb_each(instance) as member (key, content),
              unnest(@extschema@._jsonschema_errors(item, member.content, root, draft, 0)) as error
            where member.key ~ name), '{}');
        end loop;

      when keyword = 'additionalProperties' and kind = 'object' then
        known := array(select jsonb_object_keys(coalesce(schema -> 'properties', '{}')));
        unexpected := array(select key from jsonb_object_keys(instance) as key
          where key <> all (known)
            and not exists (select from jsonb_object_keys(coalesce(schema -> 'patternProperties', '{}')) as pattern where key ~ pattern));
        if value = 'false' and cardinality(unexpected) > 0 then
          found := found || format('Additional properties are not allowed (%s %s unexpected)',
            (select string_agg('''' || key || '''', ', ') from unnest(unexpected) as key),
            case when cardinality(unexpected) = 1 then 'was' else 'were' end);
        else
          foreach name in array unexpected loop
            found := found || @extschema@._jsonschema_errors(value, instance -> name, root, draft, 0);
          end loop;
        end if;

      when keyword = 'propertyNames' and kind = 'object' then
        for name in select * from jsonb_object_keys(instance) loop
          found := found || @extschema@._jsonschema_errors(value, to_jsonb(name), root, draft, 0);
        end loop;

      when keyword in ('dependentRequired', 'dependentSchemas', 'dependencies') and kind = 'object' then
        for name, item in select * from jsonb_each(value) loop
          continue when not instance ? name;
          found := found || @extschema@._jsonschema_errors(
            case when jsonb_typeof(item) = 'array' then jsonb_build_object('required', item) else item end, instance, root, draft, depth);
        end loop;

      when keyword = 'prefixItems' and kind = 'array' or keyword = 'items' and kind = 'array' and jsonb_typeof(value) = 'array' then
        for hits in 0 .. least(jsonb_array_length(value), jsonb_array_length(instance)) - 1 loop
          found := found || @extschema@._jsonschema_errors(value -> hits, instance -> hits, root, draft, 0);
        end loop;

      when keyword in ('items', 'additionalItems') and kind = 'array' then
        -- What comes behind those that have a schema of their own.
        size := case
          when keyword = 'additionalItems' then case jsonb_typeof(schema -> 'items') when 'array' then jsonb_array_length(schema -> 'items') end
          when draft = 2020 and schema ? 'prefixItems' then jsonb_array_length(schema -> 'prefixItems') else 0 end;
        if size is not null and value = 'false' and jsonb_array_length(instance) > size and keyword = 'additionalItems' then
          found := found || format('Additional items are not allowed (%s %s unexpected)',
            (select string_agg(@extschema@._jsonschema_text(content), ', ' order by at) from jsonb_array_elements(instance) with ordinality as each (content, at) where at > size),
            case when jsonb_array_length(instance) - size = 1 then 'was' else 'were' end);
        elsif size is not null then
          for hits in size .. jsonb_array_length(instance) - 1 loop
            found := found || @extschema@._jsonschema_errors(value, instance -> hits, root, draft, 0);
          end loop;
        end if;

      when keyword = 'contains' and kind = 'array' then
        hits := (select count(*) from jsonb_array_elements(instance) as each (content)
          where cardinality(@extschema@._jsonschema_errors(value, content, root, draft, 0)) = 0);
        if hits < coalesce((schema ->> 'minContains')::int, 1) or hits > (schema ->> 'maxContains')::int then
          found := found || format('None of %s are valid under the given schema', @extschema@._jsonschema_text(instance));
        end if;

      when keyword = 'uniqueItems' and kind = 'array' then
        if value = 'true' and (select count(distinct content) < count(*) from jsonb_array_elements(instance) as content) then
          found := found || format('%s has non-unique elements', @extschema@._jsonschema_text(instance));
        end if;

      when keyword = 'allOf' then
        for item in select * from jsonb_array_elements(value) loop
          found := found || @extschema@._jsonschema_errors(item, instance, root, draft, depth);
        end loop;

      when keyword in ('anyOf', 'oneOf') then
        hits := (select count(*) from jsonb_array_elements(value) as option
          where cardinality(@extschema@._jsonschema_errors(option, instance, root, draft, depth)) = 0);
        if hits = 0 then
          found := found || format('%s is not valid under any of the schemas listed in the ''%s'' keyword', @extschema@._jsonschema_text(instance), keyword);
        elsif hits > 1 and keyword = 'oneOf' then
          found := found || format('%s is valid under more than one of the schemas listed in the ''oneOf'' keyword', @extschema@._jsonschema_text(instance));
        end if;

      when keyword = 'not' then
        if cardinality(@extschema@._jsonschema_errors(value, instance, root, draft, depth)) = 0 then
          found := found || format('%s is not allowed for %s', @extschema@._jsonschema_text(value), @extschema@._jsonschema_text(instance));
        end if;

      when keyword = 'if' then
        item := case when cardinality(@extschema@._jsonschema_errors(value, instance, root, draft, depth)) = 0
          then schema -> 'then' else schema -> 'else' end;
        if item is not null then
          found := found || @extschema@._jsonschema_errors(item, instance, root, draft, depth);
        end if;

      when keyword in ('$dynamicRef', '$recursiveRef', 'unevaluatedItems', 'unevaluatedProperties', 'contentEncoding', 'contentMediaType')
        and not (draft >= 2019 and starts_with(keyword, 'content')) then
        raise exception using errcode = '0A000', message = format('the keyword "%s" of JSON Schema is not checked by this pg_jsonschema', keyword);

      else null;
    end case;
  end loop;
  return found;
end
$function$;
