-- pg_tle 1.5: extensions that are text in the database. Each file of an extension is a function without arguments that gives the text:
-- `pgtle."name.control"()`, `pgtle."name--1.0.sql"()`, `pgtle."name--1.0--1.1.sql"()`. So they come along in a dump, to and from a server that
-- has the real one. The text is read from the catalog and the functions are never called: whoever lists extensions runs nobody's code.
-- Everything runs with the rights of its caller. What CREATE EXTENSION does with the text: `../plain/tle.sql`.
-- Source: aws/pg_tle pg_tle--1.0.0.sql and its upgrades to 1.5.3, src/tleextension.c.

-- A trusted script finds its schema in the hands of whoever asked for it.
do $owner$
begin
  if (select nspowner::pg_catalog.regrole::text from pg_catalog.pg_namespace where nspname = 'pgtle') <> current_user then
    execute pg_catalog.format('alter schema pgtle owner to %I', current_user);
  end if;
end
$owner$;

create function pgtle._text(artifact text) returns text
  language sql stable strict set search_path = pg_catalog, pg_temp
  as $$
    select substr(held.prosrc, length('SELECT $_pgtle_i_$') + 1, length(held.prosrc) - length('SELECT $_pgtle_i_$' || '$_pgtle_i_$'))
    from pg_proc as held join pg_language as language on language.oid = held.prolang
    where held.pronamespace = to_regnamespace('pgtle') and held.proname::text = artifact and held.pronargs = 0
      and language.lanname = 'sql' and held.prorettype = 'pg_catalog.text'::regtype
      and starts_with(held.prosrc, 'SELECT $_pgtle_i_$') and right(held.prosrc, length('$_pgtle_i_$')) = '$_pgtle_i_$'
  $$;
comment on function pgtle._text(text) is 'The text of one file of an extension, null when there is none.';

create function pgtle._write(artifact text, content text, replaces boolean default false) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  if octet_length(artifact) >= 64 then
    raise exception using errcode = '42622', message = format('generated function name "%s" is too long', artifact),
      detail = 'pg_tle function names must be less than 64 bytes.';
  end if;
  if strpos(content, '$_pgtle_o_$') > 0 or strpos(content, '$_pgtle_i_$') > 0 then
    raise exception using errcode = '22023', message = 'invalid character in extension definition',
      detail = 'Use of string delimiters "$_pgtle_o_$" and "$_pgtle_i_$" are forbidden in extension definitions.',
      hint = 'This may be an attempt at a SQL injection attack. Please verify your installation file.';
  end if;
  execute format('create %sfunction pgtle.%I() returns text language sql as %L',
    case when replaces then 'or replace ' else '' end, artifact, 'SELECT $_pgtle_i_$' || content || '$_pgtle_i_$');
end
$$;
comment on function pgtle._write(text, text, boolean) is 'Writes one file of an extension.';

create function pgtle._check_name(name text) returns void
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $$
declare
  wrong text := case
    when name = '' then 'Extension names must not be empty.'
    when strpos(name, '--') > 0 then 'Extension names must not contain "--".'
    when left(name, 1) = '-' or right(name, 1) = '-' then 'Extension names must not begin or end with "-".'
    when name ~ '[/\\]' then 'Extension names must not contain directory separator characters.'
    when name !~ '^[A-Za-z0-9_@-]+$' then 'Extension names must only contain alphanumeric characters or valid separators.' end;
begin
  if name is null then
    raise exception using errcode = '22004', message = '"name" is a required argument';
  end if;
  if wrong is not null then
    raise exception using errcode = '22023', message = format('invalid extension name: "%s"', name), detail = wrong;
  end if;
  if exists (select from pg_available_extensions as available where available.name = _check_name.name) then
    raise exception using errcode = '55000', message = format('control file already exists for the %s extension', name);
  end if;
end
$$;
comment on function pgtle._check_name(text) is 'Refuses what cannot be the name of an extension here: that of one of the server''s, too.';

create function pgtle._check_version(version text, argument text default 'version') returns void
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $$
declare
  wrong text := case
    when version = '' then 'Version names must not be empty.'
    when strpos(version, '--') > 0 then 'Version names must not contain "--".'
    when left(version, 1) = '-' or right(version, 1) = '-' then 'Version names must not begin or end with "-".'
    when version ~ '[/\\]' then 'Version names must not contain directory separator characters.' end;
begin
  if version is null then
    raise exception using errcode = '22004', message = format('"%s" is a required argument', argument);
  end if;
  if wrong is not null then
    raise exception using errcode = '22023', message = format('invalid extension version name: "%s"', version), detail = wrong;
  end if;
end
$$;
comment on function pgtle._check_version(text, text) is 'Refuses what cannot be the name of a version.';

-- Value by value from the beginning, so that a comment that looks like a line of the file is none.
create function pgtle._control(
  extension text, out default_version text, out comment text, out requires text[], out schema text
)
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
declare
  field text[];
  value text;
begin
  for field in
    select matched from regexp_matches(pgtle._text(extension || '.control'), '([a-z_]+) = (E?)(?:''((?:[^'']|'''')*)''|\w+)\n', 'g') as matched
  loop
    value := replace(field[3], '''''', '''');
    if field[2] = 'E' then
      value := replace(value, '\\', '\');
    end if;
    case field[1]
      when 'default_version' then default_version := value;
      when 'comment' then comment := value;
      when 'requires' then requires := regexp_split_to_array(value, '\s*,\s*');
      when 'schema' then schema := value;
      else null;
    end case;
  end loop;
end
$$;
comment on function pgtle._control(text) is 'What an extension''s control file says; nulls when there is none.';

create function pgtle._write_control(extension text, default_version text, comment text, requires text[], schema text) returns void
  language sql set search_path = pg_catalog, pg_temp
  as $$
    select pgtle._write(extension || '.control', concat(
      'default_version = ', quote_literal(default_version), E'\n',
      'comment = ', quote_literal(comment), E'\n',
      E'relocatable = false\nsuperuser = false\ntrusted = false\n',
      'requires = ' || quote_literal(array_to_string(requires, ',')) || E'\n',
      'schema = ' || quote_literal(schema) || E'\n'), true)
  $$;
comment on function pgtle._write_control(text, text, text, text[], text) is 'Writes an extension''s control file, in place of the one that is there.';

-- A script that installs a version has no source.
create function pgtle._scripts(extension text) returns table (source text, target text)
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select case cardinality(script.parts) when 2 then script.parts[1] end, script.parts[cardinality(script.parts)]
    from (
      select string_to_array(substr(held.proname::text, length(extension) + 3, length(held.proname::text) - length(extension) - 6), '--') as parts
      from pg_proc as held
      where held.pronamespace = to_regnamespace('pgtle') and held.pronargs = 0
        and starts_with(held.proname::text, extension || '--') and right(held.proname::text, 4) = '.sql'
    ) as script
    where cardinality(script.parts) <= 2
  $$;
comment on function pgtle._scripts(text) is 'Which versions an extension''s scripts install, and between which they update.';

-- The fewest scripts; of several starts the one whose name comes last, as in PostgreSQL's find_install_path.
create function pgtle._path(extension text, source text, target text) returns text[]
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
declare
  paths jsonb;
  reached jsonb;
  frontier text[];
begin
  if source is null then
    select coalesce(jsonb_object_agg(script.target, jsonb_build_array(script.target)), '{}') into paths
      from pgtle._scripts(extension) as script where script.source is null;
  else
    paths := jsonb_build_object(source, jsonb_build_array(source));
  end if;
  frontier := array(select jsonb_object_keys(paths));
  while cardinality(frontier) > 0 and not paths ? target loop
    select coalesce(jsonb_object_agg(step.target, step.path), '{}') into reached from (
      select distinct on (script.target) script.target, paths -> script.source || to_jsonb(script.target) as path
      from pgtle._scripts(extension) as script
      where script.source = any (frontier) and not paths ? script.target
      order by script.target, paths -> script.source ->> 0 desc, script.source
    ) as step;
    paths := paths || reached;
    frontier := array(select jsonb_object_keys(reached));
  end loop;
  return case when paths ? target then array(select jsonb_array_elements_text(paths -> target)) end;
end
$$;
comment on function pgtle._path(text, text, text) is
  'The versions that lead from one to another, both included; without a source: from one that can be installed. Null when there is no way.';
