-- For a server that takes no files of ours (an external one; an installed PostgreSQL before 18): an extension is what its script
-- makes, and a row that remembers what that was. On a server of ours it also gets its row in pg_extension, so that DROP and COMMENT
-- work as ever and a script that looks there finds it; somebody else's catalog is left alone, and its dump holds the objects themselves.

-- Runs the script of an extension in the schema `home`. The caller's search path does not reach it, but for what `home` is made of.
create or replace function _millrace.install_extension(
  extension text, version text, home name, must_be_empty boolean, may_exist boolean, is_own boolean, for_everybody boolean, script text
) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
declare
  number oid;
  other text;
  made record;
  members text[] := '{}';
  before oid[];
  checks text := pg_catalog.current_setting('check_function_bodies');
begin
  if exists (select from pg_catalog.pg_extension where extname = extension)
    or exists (select from _millrace.extensions as known where known.name = extension and known.members is not null)
  then
    if may_exist then
      raise notice using errcode = '42710', message = pg_catalog.format('extension "%s" already exists, skipping', extension);
      return;
    end if;
    raise exception using errcode = '42710', message = pg_catalog.format('extension "%s" already exists', extension);
  end if;
  if home is null then
    raise exception using errcode = '3F000', message = 'no schema has been selected to create in';
  end if;
  -- Functions and types that stand there already could be found by the script, and would run with the rights of this session; in the system's own
  -- schema nobody puts any.
  if must_be_empty and home <> 'pg_catalog' and exists (
    select from pg_catalog.pg_proc where pronamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(home))
    union all select from pg_catalog.pg_type where typnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(home)))
  then
    raise exception using errcode = '55000', message = pg_catalog.format('the schema "%s" of the extension "%s" is not empty', home, extension);
  end if;
  -- Of the system's own schema even IF NOT EXISTS is refused.
  if home <> 'pg_catalog' then
    execute pg_catalog.format('create schema if not exists %I', home);
  end if;

  script := pg_catalog.replace(script, '@extschema@', pg_catalog.quote_ident(home));
  for other in select distinct match[1] from pg_catalog.regexp_matches(script, '@extschema:([\w-]+)@', 'g') as match loop
    script := pg_catalog.replace(script, '@extschema:' || other || '@', pg_catalog.quote_ident((
      select schema.nspname from pg_catalog.pg_extension as required
        join pg_catalog.pg_namespace as schema on schema.oid = required.extnamespace where required.extname = other)));
  end loop;

  before := array(select objid from _millrace.extension_objects());
  perform pg_catalog.set_config('search_path', pg_catalog.format('%I, pg_temp', home), true);
  perform pg_catalog.set_config('check_function_bodies', 'off', true);
  execute script;
  perform pg_catalog.set_config('check_function_bodies', checks, true);
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

  if is_own then
    number := pg_catalog.pg_nextoid('pg_catalog.pg_extension', 'oid', 'pg_catalog.pg_extension_oid_index');
    insert into pg_catalog.pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
      values (number, extension, (select oid from pg_catalog.pg_roles where rolname = current_user),
        (select oid from pg_catalog.pg_namespace where nspname = home), false, version);
    insert into pg_catalog.pg_depend (classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype)
      values ('pg_catalog.pg_extension'::pg_catalog.regclass, number, 0,
        'pg_catalog.pg_namespace'::pg_catalog.regclass, (select oid from pg_catalog.pg_namespace where nspname = home), 0, 'n');
  end if;
  for made in
    select object.kind, identified.identity from _millrace.extension_objects() as object,
      pg_catalog.pg_identify_object(object.classid, object.objid, 0) as identified
    where not exists (select from pg_catalog.unnest(before) as known (objid) where known.objid = object.objid)
  loop
    members := members || (made.kind || ' ' || made.identity);
    -- Whatever whoever asks has taken from everybody for functions of its own.
    if for_everybody and made.kind in ('function', 'procedure', 'aggregate') then
      execute pg_catalog.format('grant execute on %s %s to public', case made.kind when 'procedure' then 'procedure' else 'function' end, made.identity);
    end if;
    if is_own then
      execute pg_catalog.format('alter extension %I add %s %s', extension, made.kind, made.identity);
    end if;
  end loop;
  -- Rows of its tables go into a dump, as those of pg_extension_config_dump() do.
  if is_own then
    update pg_catalog.pg_extension as created
      set extconfig = tables.oids, extcondition = pg_catalog.array_fill(''::text, array[pg_catalog.cardinality(tables.oids)])
      from (select pg_catalog.array_agg(member.objid) as oids from pg_catalog.pg_depend as member
        join pg_catalog.pg_class as class on class.oid = member.objid and class.relkind = 'r'
        where member.refobjid = number and member.deptype = 'e' and member.classid = 'pg_catalog.pg_class'::pg_catalog.regclass) as tables
      where created.oid = number and tables.oids is not null;
  end if;
  insert into _millrace.extensions (name, version, schema, members)
    values (extension, version, home, case when is_own then null else members end)
    on conflict (name) do update
      set version = excluded.version, schema = excluded.schema, members = excluded.members, installed_at = now();
end
$function$;
comment on function _millrace.install_extension(text, text, name, boolean, boolean, boolean, boolean, text) is
  'Runs the script of an extension that the server cannot be given as files, and remembers what it made.';

-- What an extension's script may make, and how ALTER EXTENSION and DROP call its kind.
create or replace function _millrace.extension_objects() returns table (classid oid, objid oid, kind text)
  language sql stable
  set search_path = pg_catalog, pg_temp
  as $$
    select 'pg_catalog.pg_proc'::pg_catalog.regclass::oid, oid, case prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end
      from pg_catalog.pg_proc
    union all
    select 'pg_catalog.pg_class'::pg_catalog.regclass::oid, class.oid,
        case class.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end
      from pg_catalog.pg_class as class
      where class.relkind in ('r', 'p', 'v', 'S') and class.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace
    union all
    select 'pg_catalog.pg_type'::pg_catalog.regclass::oid, type.oid, 'type'
      from pg_catalog.pg_type as type left join pg_catalog.pg_class as class on class.oid = type.typrelid
      where type.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace
        and type.typelem = 0 and type.typtype in ('c', 'd', 'e') and (type.typrelid = 0 or class.relkind = 'c')
    union all
    select 'pg_catalog.pg_operator'::pg_catalog.regclass::oid, oid, 'operator' from pg_catalog.pg_operator
    union all
    select 'pg_catalog.pg_cast'::pg_catalog.regclass::oid, oid, 'cast' from pg_catalog.pg_cast where oid >= 16384
    union all
    select 'pg_catalog.pg_namespace'::pg_catalog.regclass::oid, oid, 'schema' from pg_catalog.pg_namespace where nspname !~ '^pg_'
  $$;
comment on function _millrace.extension_objects() is 'What is in the database that an extension can own.';

-- Drops what install_extension() made on somebody else's server; of any other extension it does nothing and says so with false.
create or replace function _millrace.drop_extension(extension text, behaviour text) returns boolean
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $function$
declare
  made text;
  rest text[];
  left_over text[];
  refusal text;
begin
  select recorded.members into rest from _millrace.extensions as recorded where recorded.name = extension;
  if rest is null then
    return false;
  end if;
  -- What needs a member goes before it, in whatever order that is: round by round, until nothing is left or nothing moves.
  while pg_catalog.cardinality(rest) > 0 loop
    left_over := '{}';
    foreach made in array rest loop
      begin
        execute pg_catalog.format('drop %s if exists %s %s', pg_catalog.split_part(made, ' ', 1),
          pg_catalog.substr(made, pg_catalog.strpos(made, ' ') + 1), behaviour);
      exception when dependent_objects_still_exist then
        left_over := left_over || made;
        refusal := sqlerrm;
      end;
    end loop;
    if pg_catalog.cardinality(left_over) = pg_catalog.cardinality(rest) then
      raise exception using errcode = '2BP01', message = refusal,
        hint = 'Use DROP ... CASCADE to drop the dependent objects too.';
    end if;
    rest := left_over;
  end loop;
  delete from _millrace.extensions as recorded where recorded.name = extension;
  return true;
end
$function$;
comment on function _millrace.drop_extension(text, text) is 'Drops an extension that stands only in _millrace.extensions.';

revoke all on function
  _millrace.install_extension(text, text, name, boolean, boolean, boolean, boolean, text), _millrace.extension_objects(), _millrace.drop_extension(text, text)
  from public;
