-- What CREATE and ALTER EXTENSION do for an extension of pg_tle, whose text is in the database and not in a file. Its scripts run with the
-- rights of whoever creates it, as upstream's do. A server of ours gets the extension's row in pg_extension, which only a superuser can
-- write: the runner of migrations registers that one call, and what it writes is the row and nothing that the row could be misused for.
-- Somebody else's server has a row in _millrace.extensions. Source: aws/pg_tle src/tleextension.c (CreateExtensionInternal).

-- Whether our pg_tle is there and has the extension; the real one needs no help.
create or replace function _millrace.has_tle(extension text) returns boolean
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
  as $$
begin
  -- In two statements: one that names a schema which is not there is refused whatever its other half says.
  if pg_catalog.to_regprocedure('pgtle._control(text)') is null
    or exists (select from pg_catalog.pg_available_extensions as available where available.name = extension)
  then
    return false;
  end if;
  return (pgtle._control(extension)).default_version is not null;
end
$$;
comment on function _millrace.has_tle(text) is 'Whether an extension is one of pg_tle, the SQL of ours.';

-- The version that an extension has, null when it is not created.
create or replace function _millrace.created_version(extension text) returns text
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
  as $$
declare
  version text := (select extversion from pg_catalog.pg_extension where extname = extension);
begin
  if version is null and pg_catalog.has_table_privilege('_millrace.extensions', 'select') then
    select known.version into version from _millrace.extensions as known where known.name = extension and known.members is not null;
  end if;
  return version;
end
$$;
comment on function _millrace.created_version(text) is 'The version of an extension that is created, as files or as text.';

-- What has to be created, in order, with CASCADE for what it needs, too. Those that the server has are created on the way.
create or replace function _millrace.plan_tle(
  extension text, version text, home text, path_head text, cascades boolean, parents text[]
) returns jsonb
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $$
declare
  control record := pgtle._control(extension);
  wanted text := coalesce(version, control.default_version);
  versions text[] := pgtle._path(extension, null, wanted);
  other text;
  plan jsonb := '[]';
begin
  if versions is null then
    raise exception using errcode = '22023',
      message = format('extension "%s" has no installation script nor update path for version "%s"', extension, wanted);
  end if;
  if home is not null and to_regnamespace(quote_ident(home)) is null then
    raise exception using errcode = '3F000', message = format('schema "%s" does not exist', home);
  end if;
  if home is not null and control.schema <> home and not cascades then
    raise exception using errcode = '0A000', message = format('extension "%s" must be installed in schema "%s"', extension, control.schema);
  end if;
  if control.schema is not null and to_regnamespace(quote_ident(control.schema)) is null then
    execute format('create schema %I', control.schema);
  end if;
  if coalesce(control.schema, home, path_head) is null then
    raise exception using errcode = '3F000', message = 'no schema has been selected to create in';
  end if;
  foreach other in array coalesce(control.requires, '{}') loop
    continue when _millrace.created_version(other) is not null;
    if not cascades then
      raise exception using errcode = '42704', message = format('required extension "%s" is not installed', other),
        hint = 'Use CREATE EXTENSION ... CASCADE to install required extensions too.';
    elsif other = any (parents || extension) then
      raise exception using errcode = '42P19',
        message = format('cyclic dependency detected between extensions "%s" and "%s"', other, extension);
    elsif _millrace.has_tle(other) then
      plan := plan || _millrace.plan_tle(other, null, home, path_head, true, parents || extension);
    else
      execute format('create extension if not exists %I schema %I cascade', other, coalesce(home, path_head));
    end if;
  end loop;
  return plan || jsonb_build_array(jsonb_build_object('name', extension, 'version', wanted, 'versions', versions,
    'schema', coalesce(control.schema, home, path_head), 'requires', coalesce(control.requires, '{}'),
    'comment', control.comment, 'owner', current_user));
end
$$;
comment on function _millrace.plan_tle(text, text, text, text, boolean, text[]) is 'Which extensions of pg_tle a CREATE EXTENSION creates, in order.';

-- Runs scripts in the extension's schema and makes what is new the extension's own; gives the names of all that is.
-- What was its own already is let go meanwhile: a script may drop it.
create or replace function _millrace.run_tle(
  extension text, home text, requires text[], scripts text[], members text[], is_own boolean
) returns text[]
  language plpgsql
  set search_path = pg_catalog, pg_temp set check_function_bodies = off set client_min_messages = warning
  as $$
declare
  member text;
  made record;
  before oid[];
  held text[] := '{}';
  script text;
  other text;
  path text := quote_ident(home);
begin
  if home ~ '["$''\\]' or current_user::text ~ '["$''\\]' then
    raise exception using errcode = '22P02',
      message = format('invalid character in extension "%s" schema or owner: must not contain any of ""$''\"', extension);
  end if;
  if is_own then
    foreach member in array members loop
      execute format('alter extension %I drop %s', extension, member);
    end loop;
  end if;
  before := array(
    select object.objid from _millrace.extension_objects() as object, pg_identify_object(object.classid, object.objid, 0) as identified
    where object.kind || ' ' || identified.identity <> all (members));
  for other in
    select distinct space.nspname from pg_extension as required join pg_namespace as space on space.oid = required.extnamespace
    where required.extname::text = any (requires) and space.nspname not in ('pg_catalog', home)
  loop
    path := path || ', ' || quote_ident(other);
  end loop;
  foreach script in array scripts loop
    script := replace(regexp_replace(script, '^\\echo.*$', '', 'gn'), '@extschema@', quote_ident(home));
    script := replace(script, '@extowner@', quote_ident(current_user));
    -- The server's own wants to be called out of a CREATE EXTENSION.
    script := regexp_replace(script, '\m(pg_catalog\.)?pg_extension_config_dump\M', '_millrace.dump_tle', 'gi');
    perform set_config('search_path', path || ', pg_temp', true);
    execute script;
    perform set_config('search_path', 'pg_catalog, pg_temp', true);
  end loop;
  for made in
    select object.kind, identified.identity from _millrace.extension_objects() as object,
      pg_identify_object(object.classid, object.objid, 0) as identified
    where not exists (select from unnest(before) as known (objid) where known.objid = object.objid)
  loop
    held := held || (made.kind || ' ' || made.identity);
    if is_own then
      execute format('alter extension %I add %s %s', extension, made.kind, made.identity);
    end if;
  end loop;
  return held;
end
$$;
comment on function _millrace.run_tle(text, text, text[], text[], text[], boolean) is
  'Runs scripts of an extension of pg_tle with the rights of the caller.';

create or replace function _millrace.dump_tle(tablename regclass, condition text) returns void
  language sql as '';
comment on function _millrace.dump_tle(regclass, text) is
  'Stands in for pg_extension_config_dump() in scripts of pg_tle: a dump has the tables'' rows only where the dumped server keeps them.';

-- `path` and `path_head`: the caller's search path and its first schema. `nonce`: of the registered call that writes the rows; null on
-- somebody else's server.
create or replace function _millrace.create_tle(
  extension text, version text, home text, may_exist boolean, cascades boolean, path text, path_head text, nonce uuid
) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $$
declare
  plan jsonb;
  item record;
  members text[];
begin
  if _millrace.created_version(extension) is not null then
    if may_exist then
      raise notice using errcode = '42710', message = format('extension "%s" already exists, skipping', extension);
      return;
    end if;
    raise exception using errcode = '42710', message = format('extension "%s" already exists', extension);
  end if;
  if not _millrace.has_tle(extension) then
    perform set_config('search_path', path, true);
    execute format('create extension %I', extension) || case when home is null then '' else format(' schema %I', home) end
      || case when version is null then '' else format(' version %L', version) end || case when cascades then ' cascade' else '' end;
    return;
  end if;
  plan := _millrace.plan_tle(extension, version, home, path_head, cascades, '{}');
  if nonce is not null then
    perform set_config('millrace.tle', plan::text, true);
    perform _millrace.run_privileged(nonce, 'pg_catalog, pg_temp');
    perform set_config('millrace.tle', '', true);
  end if;
  for item in
    select * from jsonb_to_recordset(plan) as planned (name text, version text, versions text[], schema text, requires text[], comment text)
  loop
    members := _millrace.run_tle(item.name, item.schema, item.requires, _millrace.tle_scripts(item.name, item.versions, true), '{}',
      nonce is not null);
    if nonce is null then
      insert into _millrace.extensions (name, version, schema, members) values (item.name, item.version, item.schema, members)
        on conflict (name) do update
          set version = excluded.version, schema = excluded.schema, members = excluded.members, installed_at = now();
    elsif item.comment is not null then
      execute format('comment on extension %I is %L', item.name, item.comment);
    end if;
  end loop;
end
$$;
comment on function _millrace.create_tle(text, text, text, boolean, boolean, text, text, uuid) is
  'What CREATE EXTENSION does where the extension is one of pg_tle; the statement itself where it is none.';

-- As `create_tle`, for ALTER EXTENSION … UPDATE.
create or replace function _millrace.update_tle(extension text, target text, path text, nonce uuid) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $$
declare
  current text := _millrace.created_version(extension);
  control record;
  versions text[];
  home text;
  held text[];
begin
  if current is null or not _millrace.has_tle(extension) then
    perform set_config('search_path', path, true);
    execute format('alter extension %I update', extension) || case when target is null then '' else format(' to %L', target) end;
    return;
  end if;
  control := pgtle._control(extension);
  target := coalesce(target, control.default_version);
  if target = current then
    raise notice using errcode = '42710', message = format('version "%s" of extension "%s" is already installed', target, extension);
    return;
  end if;
  versions := pgtle._path(extension, current, target);
  if versions is null then
    raise exception using errcode = '22023',
      message = format('extension "%s" has no update path from version "%s" to version "%s"', extension, current, target);
  end if;
  if nonce is null then
    select known.schema, known.members into home, held from _millrace.extensions as known where known.name = extension;
  else
    select space.nspname, array(
        select object.kind || ' ' || identified.identity
        from pg_depend as member join _millrace.extension_objects() as object
          on object.classid = member.classid and object.objid = member.objid,
          pg_identify_object(object.classid, object.objid, 0) as identified
        where member.refclassid = 'pg_extension'::regclass and member.refobjid = created.oid and member.deptype = 'e')
      into home, held
      from pg_extension as created join pg_namespace as space on space.oid = created.extnamespace
      where created.extname = extension;
    perform set_config('millrace.tle', jsonb_build_array(jsonb_build_object('name', extension, 'version', target, 'from', current,
      'versions', versions, 'owner', current_user))::text, true);
    perform _millrace.run_privileged(nonce, 'pg_catalog, pg_temp');
    perform set_config('millrace.tle', '', true);
  end if;
  held := _millrace.run_tle(extension, home, coalesce(control.requires, '{}'), _millrace.tle_scripts(extension, versions, false), held,
    nonce is not null);
  if nonce is null then
    update _millrace.extensions as known set version = target, members = held where known.name = extension;
  end if;
end
$$;
comment on function _millrace.update_tle(text, text, text, uuid) is
  'What ALTER EXTENSION UPDATE does where the extension is one of pg_tle; the statement itself where it is none.';

-- `installs`: the first version has a script of its own.
create or replace function _millrace.tle_scripts(extension text, versions text[], installs boolean) returns text[]
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
  as $$
declare
  scripts text[] := '{}';
begin
  if installs then
    scripts := array[pgtle._text(extension || '--' || versions[1] || '.sql')];
  end if;
  for at in 1 .. cardinality(versions) - 1 loop
    scripts := scripts || pgtle._text(concat_ws('--', extension, versions[at], versions[at + 1]) || '.sql');
  end loop;
  return scripts;
end
$$;
comment on function _millrace.tle_scripts(text, text[], boolean) is 'The scripts that lead through these versions.';

-- Only run_privileged() calls it. What it reads is the caller's word, so each row is held against the catalog: an extension that our
-- pg_tle has and the server has not, owned by a role that the session may be and that is no superuser.
create or replace function _millrace.record_tle() returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $$
declare
  item record;
  number oid;
  role pg_roles;
begin
  for item in
    select * from jsonb_to_recordset(current_setting('millrace.tle')::jsonb)
      as planned (name text, version text, "from" text, versions text[], schema text, requires text[], owner name)
  loop
    -- Without a call of what stands in pgtle: the schema may be the project's own.
    if exists (select from pg_available_extensions as available where available.name = item.name)
      or not exists (select from pg_extension where extname = 'pg_tle')
      or not exists (select from pg_proc where pronamespace = to_regnamespace('pgtle') and pronargs = 0 and proname::text = item.name || '.control')
    then
      raise exception using errcode = '42704', message = format('extension "%s" is not one of pg_tle', item.name);
    end if;
    select * into role from pg_roles where rolname = item.owner;
    if role.oid is null or role.rolsuper or not pg_has_role(session_user, role.oid, 'member') then
      raise exception using errcode = '42501', message = format('permission denied to create extension "%s"', item.name);
    end if;
    select created.oid into number from pg_extension as created where created.extname = item.name;
    if item."from" is not null then
      if not exists (select from pg_extension as created where created.oid = number and pg_has_role(role.oid, created.extowner, 'usage')) then
        raise exception using errcode = '42501', message = format('must be owner of extension %s', item.name);
      end if;
      update pg_extension as created set extversion = item.version where created.oid = number;
    else
      if number is not null then
        raise exception using errcode = '42710', message = format('extension "%s" already exists', item.name);
      end if;
      number := pg_nextoid('pg_extension', 'oid', 'pg_extension_oid_index');
      insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
        values (number, item.name, role.oid, quote_ident(item.schema)::regnamespace, false, item.version);
      insert into pg_depend (classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype)
        select 'pg_extension'::regclass, number, 0, needed.classid, needed.objid, 0, 'n' from (
          select 'pg_namespace'::regclass as classid, oid as objid from pg_namespace where nspname = item.schema
          union all
          select 'pg_extension'::regclass, oid from pg_extension where extname::text = any (item.requires)
        ) as needed;
      insert into pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
        values ((select oid from pg_database where datname = current_database()), 'pg_extension'::regclass, number, 0,
          'pg_authid'::regclass, role.oid, 'o');
    end if;
    -- As upstream, so that a dump has them in front, and nobody forgets the text of an extension that is in use.
    insert into pg_depend (classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype)
      select 'pg_extension'::regclass, number, 0, 'pg_proc'::regclass, held.oid, 0, 'n'
      from pg_proc as held
      where held.pronamespace = 'pgtle'::regnamespace and held.pronargs = 0 and held.proname::text in (
        select item.name || '.control'
        union select item.name || '--' || item.versions[1] || '.sql'
        union select concat_ws('--', item.name, item.versions[at], item.versions[at + 1]) || '.sql'
          from generate_series(1, cardinality(item.versions) - 1) as at)
        and not exists (select from pg_depend as known where known.classid = 'pg_extension'::regclass and known.objid = number
          and known.refclassid = 'pg_proc'::regclass and known.refobjid = held.oid);
  end loop;
end
$$;
comment on function _millrace.record_tle() is 'Writes the rows of extensions of pg_tle into the catalog; for run_privileged() alone.';
revoke all on function _millrace.record_tle() from public;

-- It reads the catalog, as everybody may.
grant execute on function _millrace.extension_objects() to public;
