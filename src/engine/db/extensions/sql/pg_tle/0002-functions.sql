-- The functions that people call: names, arguments, checks and messages are the interface.

create function pgtle.install_extension(
  name text, version text, description text, ext text, requires text[] default null, schema text default null
) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  perform pgtle._check_name(name);
  perform pgtle._check_version(version);
  if description is null or ext is null then
    raise exception using errcode = '22004',
      message = format('"%s" is a required argument', case when description is null then 'description' else 'ext' end);
  end if;
  if cardinality(requires) > 1024 then
    raise exception using errcode = '22000', message = '"requires" limited to 1024 entries for "pg_tle" extensions';
  end if;
  begin
    perform pgtle._write(name || '--' || version || '.sql', ext);
  exception when duplicate_function then
    raise exception using errcode = '42710', message = format('extension "%s" already installed', name);
  end;
  perform pgtle._write_control(name, version, description,
    case when 'pg_tle' = any (requires) then requires else coalesce(requires, '{}') || 'pg_tle'::text end, schema);
  return true;
end
$$;
comment on function pgtle.install_extension(text, text, text, text, text[], text) is 'Makes an extension known to CREATE EXTENSION.';

create function pgtle.install_extension_version_sql(name text, version text, ext text) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  perform pgtle._check_name(name);
  if (pgtle._control(name)).default_version is null then
    raise exception using errcode = '55000',
      message = format('could not find control function %I for extension %I in schema pgtle', name || '.control', name);
  end if;
  perform pgtle._check_version(version);
  if ext is null then
    raise exception using errcode = '22004', message = '"ext" is a required argument';
  end if;
  perform pgtle._write(name || '--' || version || '.sql', ext);
  return true;
exception when duplicate_function then
  raise exception using errcode = '42710', message = format('version "%s" of extension "%s" already installed', version, name);
end
$$;
comment on function pgtle.install_extension_version_sql(text, text, text) is 'Adds a version, with a script that installs it from nothing.';

create function pgtle.install_update_path(name text, fromvers text, tovers text, ext text) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  perform pgtle._check_name(name);
  perform pgtle._check_version(fromvers, 'fromvers');
  perform pgtle._check_version(tovers, 'tovers');
  if ext is null then
    raise exception using errcode = '22004', message = '"ext" is a required argument';
  end if;
  perform pgtle._write(name || '--' || fromvers || '--' || tovers || '.sql', ext);
  return true;
exception when duplicate_function then
  raise exception using errcode = '42710',
    message = format('extension "%s" update path "%s-%s" already installed', name, fromvers, tovers),
    hint = 'To update this specific install path, first use "pgtle.uninstall_update_path".';
end
$$;
comment on function pgtle.install_update_path(text, text, text, text) is 'Adds a script that updates an extension from one version to another.';

create function pgtle.set_default_version(name text, version text) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  control record;
begin
  perform pgtle._check_name(name);
  perform pgtle._check_version(version);
  control := pgtle._control(name);
  if control.default_version is null or pgtle._path(name, null, version) is null then
    raise exception using errcode = '42704', message = 'extension and version do not exist',
      hint = 'Try installing the extension with "pgtle.install_extension".';
  end if;
  perform pgtle._write_control(name, version, control.comment, control.requires, control.schema);
  return true;
end
$$;
comment on function pgtle.set_default_version(text, text) is 'Sets the version that CREATE and ALTER EXTENSION take when none is named.';

create function pgtle.set_extension_schema(name text, schema text) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  control record;
begin
  perform pgtle._check_name(name);
  if schema = '' then
    raise exception using errcode = '22023', message = 'extension schema must not be empty',
      hint = 'Pass NULL as the schema to clear it.';
  elsif schema ~ '["$''\\]' then
    raise exception using errcode = '22P02', message = 'invalid character in extension schema: must not contain any of ""$''\"';
  end if;
  control := pgtle._control(name);
  if control.default_version is null then
    raise exception using errcode = '42704', message = format('extension "%s" does not exist', name),
      hint = 'Try installing the extension with "pgtle.install_extension".';
  end if;
  perform pgtle._write_control(name, control.default_version, control.comment, control.requires, schema);
  return true;
end
$$;
comment on function pgtle.set_extension_schema(text, text) is 'Sets the schema of an extension for when it is created; null takes it away.';

create function pgtle.uninstall_extension(extname text) returns boolean
  language plpgsql strict set search_path = pg_catalog, pg_temp
  as $$
declare
  script record;
  has_scripts boolean := false;
begin
  if pgtle._text(extname || '.control') is null then
    raise exception using errcode = 'no_data_found', message = format('Extension %s does not exist', extname);
  end if;
  execute format('drop function pgtle.%I()', extname || '.control');
  for script in select * from pgtle._scripts(extname) loop
    execute format('drop function pgtle.%I()', concat_ws('--', extname, script.source, script.target) || '.sql');
    has_scripts := true;
  end loop;
  if not has_scripts then
    raise warning 'Extension % has an anomaly; control function exists, but no sql commands function exists', extname;
  end if;
  return true;
end
$$;
comment on function pgtle.uninstall_extension(text) is 'Forgets an extension; one that is created has to be dropped first.';

create function pgtle.uninstall_extension_if_exists(extname text) returns boolean
  language plpgsql strict set search_path = pg_catalog, pg_temp
  as $$
begin
  return pgtle.uninstall_extension(extname);
exception when no_data_found then
  return false;
end
$$;
comment on function pgtle.uninstall_extension_if_exists(text) is 'As uninstall_extension(); false when there is none.';

create function pgtle.uninstall_extension(extname text, version text) returns boolean
  language plpgsql strict set search_path = pg_catalog, pg_temp
  as $$
declare
  versions bigint;
  is_default boolean;
  script record;
begin
  select count(*) into versions from pgtle.available_extension_versions() as available where available.name::text = extname;
  is_default := version is not distinct from (pgtle._control(extname)).default_version;
  if versions > 1 and is_default then
    raise exception using message = format(
      'Can not uninstall default version of extension %s, use set_default_version to update the default to another available version and retry', extname);
  elsif versions <= 1 and not is_default then
    raise exception using message = format('Version %s of extension %s is not installed and therefore can not be uninstalled', version, extname);
  elsif versions <= 1 then
    return pgtle.uninstall_extension(extname);
  end if;
  for script in select * from pgtle._scripts(extname) as known where version in (known.source, known.target) loop
    execute format('drop function pgtle.%I()', concat_ws('--', extname, script.source, script.target) || '.sql');
  end loop;
  return true;
end
$$;
comment on function pgtle.uninstall_extension(text, text) is 'Forgets one version of an extension, and the scripts that lead to and from it.';

create function pgtle.uninstall_update_path(extname text, fromvers text, tovers text) returns boolean
  language plpgsql strict set search_path = pg_catalog, pg_temp
  as $$
begin
  if pgtle._text(extname || '--' || fromvers || '--' || tovers || '.sql') is null then
    raise exception using errcode = 'no_data_found', message = format('Extension %s does not exist', extname);
  end if;
  execute format('drop function pgtle.%I()', extname || '--' || fromvers || '--' || tovers || '.sql');
  return true;
end
$$;
comment on function pgtle.uninstall_update_path(text, text, text) is 'Forgets the script that updates from one version to another.';

create function pgtle.uninstall_update_path_if_exists(extname text, fromvers text, tovers text) returns boolean
  language plpgsql strict set search_path = pg_catalog, pg_temp
  as $$
begin
  return pgtle.uninstall_update_path(extname, fromvers, tovers);
exception when no_data_found then
  return false;
end
$$;
comment on function pgtle.uninstall_update_path_if_exists(text, text, text) is 'As uninstall_update_path(); false when there is none.';

create function pgtle.available_extensions(
  out name name, out default_version text, out superuser boolean, out trusted boolean, out relocatable boolean,
  out schema name, out requires name[], out comment text
) returns setof record
  language sql stable strict set search_path = pg_catalog, pg_temp
  as $$
    select extension.name, control.default_version, false, false, false, control.schema::name, control.requires::name[], control.comment
    from (
      select left(held.proname::text, -length('.control'))::name as name from pg_proc as held
      where held.pronamespace = to_regnamespace('pgtle') and held.pronargs = 0 and right(held.proname::text, length('.control')) = '.control'
    ) as extension, pgtle._control(extension.name::text) as control
    where control.default_version is not null
  $$;
comment on function pgtle.available_extensions() is 'The extensions that are text in this database.';

create function pgtle.available_extension_versions(
  out name name, out version text, out superuser boolean, out trusted boolean, out relocatable boolean,
  out schema name, out requires name[], out comment text
) returns setof record
  language sql stable strict set search_path = pg_catalog, pg_temp
  as $$
    select extension.name, version.target, false, false, false, extension.schema, extension.requires, extension.comment
    from pgtle.available_extensions() as extension
      cross join lateral (select distinct script.target from pgtle._scripts(extension.name::text) as script) as version
    where pgtle._path(extension.name::text, null, version.target) is not null
  $$;
comment on function pgtle.available_extension_versions() is 'Their versions, also those that are reached by an update.';

create function pgtle.extension_update_paths(name text, out source text, out target text, out path text) returns setof record
  language sql stable strict set search_path = pg_catalog, pg_temp
  as $$
    with version as (
      select script.source as name from pgtle._scripts(name) as script where script.source is not null
      union select script.target from pgtle._scripts(name) as script
    )
    select one.name, other.name, array_to_string(pgtle._path(extension_update_paths.name, one.name, other.name), '--')
    from version as one, version as other where one.name <> other.name
  $$;
comment on function pgtle.extension_update_paths(text) is 'Each two versions, and the versions between them; null when there is no way.';

-- Outside of a server's own code neither sign-in nor the storage of a type can be changed.
create type pgtle.pg_tle_features as enum ('passcheck', 'clientauth');
create type pgtle.password_types as enum ('PASSWORD_TYPE_PLAINTEXT', 'PASSWORD_TYPE_MD5', 'PASSWORD_TYPE_SCRAM_SHA_256');
do $hooks$
declare
  signature text;
begin
  foreach signature in array array[
    'register_feature(proc regproc, feature pgtle.pg_tle_features) returns void',
    'register_feature_if_not_exists(proc regproc, feature pgtle.pg_tle_features) returns boolean',
    'unregister_feature(proc regproc, feature pgtle.pg_tle_features) returns void',
    'unregister_feature_if_exists(proc regproc, feature pgtle.pg_tle_features) returns boolean',
    'create_shell_type(typenamespace regnamespace, typename name) returns void',
    'create_shell_type_if_not_exists(typenamespace regnamespace, typename name) returns boolean',
    'create_base_type(typenamespace regnamespace, typename name, infunc regprocedure, outfunc regprocedure, internallength int4, alignment text default ''int4'', storage text default ''plain'') returns void',
    'create_base_type_if_not_exists(typenamespace regnamespace, typename name, infunc regprocedure, outfunc regprocedure, internallength int4, alignment text default ''int4'', storage text default ''plain'') returns boolean',
    'create_operator_func(typenamespace regnamespace, typename name, opfunc regprocedure) returns void',
    'create_operator_func_if_not_exists(typenamespace regnamespace, typename name, opfunc regprocedure) returns boolean'
  ] loop
    execute pg_catalog.format($function$create function pgtle.%s language plpgsql strict set search_path = pg_catalog, pg_temp as $body$
begin
  raise exception using errcode = '0A000', message = 'hooks and base types need the real pg_tle, and this is its SQL alone';
end
$body$$function$, signature);
  end loop;
end
$hooks$;
