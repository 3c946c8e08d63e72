-- What the runner of migrations needs of a superuser: the list of recognised statements, the function that runs one, the
-- parameters that a project may set. Run again after an upgrade; nothing in it undoes anything.

create table if not exists _millrace.privileged_statements (
  nonce uuid primary key,
  backend_pid int not null,
  statement text not null,
  kind text not null,
  act text not null,
  name text,
  function_name text,
  registered_at timestamptz not null default now()
);
alter table _millrace.privileged_statements owner to supabase_admin;
revoke all on table _millrace.privileged_statements from public;
comment on table _millrace.privileged_statements is
  'Statements of a migration that the runner has recognised and that run as supabase_admin, each once, in the session they are meant for.';

-- A caller can do no more with this than the runner does: run a statement that was registered for the caller's session.
-- The parameters in the SET clauses are those with which a session could make the statement mean something else than what
-- was recognised, or have code of its own run on the way. An empty search path would not do: it finds a caller's temporary types
-- before those of the system, and the check of a domain "text" would run as the superuser.
create or replace function _millrace.run_privileged(nonce uuid, path text) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
  set standard_conforming_strings = on
  as $function$
declare
  item _millrace.privileged_statements;
  signature text;
  routine oid;
  of_superuser boolean;
  reserved name;
begin
  delete from _millrace.privileged_statements as registered
    where registered.nonce = run_privileged.nonce and registered.backend_pid = pg_catalog.pg_backend_pid()
    returning * into item;
  if not found then
    raise exception using errcode = '42501',
      message = 'permission denied: the statement is not one that the migration runner registered for this session';
  end if;

  -- Before 17 event triggers cannot be switched off for one statement, so a project has either them or these statements.
  if pg_catalog.current_setting('server_version_num')::int < 170000 and (item.kind = 'event trigger' or exists (
    select from pg_catalog.pg_event_trigger as event
      join pg_catalog.pg_proc as called on called.oid = event.evtfoid
      join pg_catalog.pg_roles as owner on owner.oid = called.proowner
      where not owner.rolsuper))
  then
    raise exception using errcode = '42501',
      message = 'permission denied: event triggers of a project need PostgreSQL 17 or later';
  end if;

  -- While the caller's search path holds, nothing but the lookup and the statement runs: its operators may be the caller's.
  if item.function_name is not null then
    signature := item.function_name || case item.kind
      when 'foreign data wrapper' then '(pg_catalog.text[], pg_catalog.oid)' else '()' end;
    perform pg_catalog.set_config('search_path', path, true);
    routine := pg_catalog.to_regprocedure(signature);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    select owner.rolsuper into of_superuser
      from pg_catalog.pg_proc as called join pg_catalog.pg_roles as owner on owner.oid = called.proowner
      where called.oid = routine;
    -- The validator of a wrapper is called while the wrapper is made.
    if item.kind = 'foreign data wrapper' and of_superuser is distinct from true then
      raise exception using errcode = '42501',
        message = pg_catalog.format('permission denied to create foreign-data wrapper "%s"', item.name),
        detail = 'Its validator must be a function of an extension.';
    elsif item.kind = 'event trigger' and of_superuser then
      raise exception using errcode = '42501',
        message = pg_catalog.format('permission denied to create event trigger "%s"', item.name),
        detail = 'The function of a project''s event trigger must not belong to a superuser.';
    end if;
  end if;

  -- Never with the toggle below on a role that is superuser for good.
  if (select role.rolsuper from pg_catalog.pg_roles as role where role.rolname = 'postgres') then
    raise exception using errcode = '42501', message = 'permission denied: "postgres" is a superuser here and needs no help';
  end if;

  if item.kind = 'role setting'
    and not (item.name like 'pgrst.%' or item.name like 'pgaudit.%' or item.name like 'plan_filter.%'
      or item.name in ('auto_explain.log_min_duration', 'auto_explain.log_nested_statements', 'log_lock_waits', 'log_min_messages',
        'pg_net.batch_size', 'pg_net.ttl', 'safeupdate.enabled', 'session_replication_role', 'track_io_timing'))
    and not exists (select from pg_catalog.pg_settings as setting where setting.name = item.name and setting.context = 'user')
  then
    raise exception using errcode = '42501', message = pg_catalog.format('permission denied to set parameter "%s"', item.name);
  end if;

  perform pg_catalog.set_config('search_path', path, true);
  execute item.statement;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

  if item.kind in ('event trigger', 'foreign data wrapper') or item.name = 'postgres_fdw' and item.act = 'create' then
    -- These can only be given to a superuser, so `postgres` is one for a moment that no other session sees.
    alter role postgres superuser;
    if item.kind = 'event trigger' then
      execute pg_catalog.format('alter event trigger %I owner to postgres', item.name);
    else
      execute pg_catalog.format('alter foreign data wrapper %I owner to postgres', item.name);
    end if;
    alter role postgres nosuperuser;
  end if;

  -- The row alone, as where a trusted extension is created without our help: what is in it stays with the superuser. Who owns it may drop it in a DO
  -- block, too, where hosted projects have supautils. The vault is of the platform.
  if item.kind = 'extension' and item.act = 'create' and item.name <> 'supabase_vault' then
    with handed as (
      update pg_catalog.pg_extension as created set extowner = (select role.oid from pg_catalog.pg_roles as role where role.rolname = 'postgres')
        where created.extname = item.name
          and exists (select from pg_catalog.pg_roles as owner where owner.oid = created.extowner and owner.rolsuper)
        returning created.oid, created.extowner
    ), forgotten as (
      delete from pg_catalog.pg_shdepend as known using handed
        where known.dbid = (select base.oid from pg_catalog.pg_database as base where base.datname = pg_catalog.current_database())
          and known.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass and known.objid = handed.oid and known.deptype = 'o'
    )
    insert into pg_catalog.pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
      select base.oid, 'pg_catalog.pg_extension'::pg_catalog.regclass, handed.oid, 0, 'pg_catalog.pg_authid'::pg_catalog.regclass, handed.extowner, 'o'
      from handed, pg_catalog.pg_database as base where base.datname = pg_catalog.current_database();
  end if;

  if item.kind = 'event trigger' then
    -- The trigger's code must not run with the rights of those who keep the platform. On hosted projects it does not either.
    for reserved in
      select role.rolname from pg_catalog.pg_roles as role
      where role.rolsuper or role.rolname in ('millrace_admin', 'supabase_auth_admin', 'supabase_storage_admin',
        'supabase_realtime_admin', 'supabase_functions_admin', 'supabase_replication_admin', 'supabase_etl_admin')
    loop
      execute pg_catalog.format('alter role %I in database %I set event_triggers = off', reserved, pg_catalog.current_database());
    end loop;
  elsif item.kind = 'publication' and item.act = 'create' then
    execute pg_catalog.format('alter publication %I owner to postgres', item.name);
  -- Of a real build; the script of ours says itself who may what.
  elsif item.kind = 'extension' and item.act = 'create' and item.name = 'pg_cron'
    and pg_catalog.to_regclass('cron._asked') is null
  then
    grant usage on schema cron to postgres with grant option;
    grant all on all functions in schema cron to postgres with grant option;
    grant all on all tables in schema cron to postgres with grant option;
    revoke all on table cron.job from postgres;
    grant select on table cron.job to postgres with grant option;
  end if;
end
$function$;
do $owner$
begin
  if pg_catalog.current_setting('server_version_num')::int >= 170000 then
    alter function _millrace.run_privileged(uuid, text) set event_triggers = off;
  end if;
end
$owner$;
alter function _millrace.run_privileged(uuid, text) owner to supabase_admin;
revoke all on function _millrace.run_privileged(uuid, text) from public;
grant execute on function _millrace.run_privileged(uuid, text) to postgres;
comment on function _millrace.run_privileged(uuid, text) is
  'Runs a statement that the migration runner has registered, as supabase_admin, and hands over what it made.';

grant usage on schema _millrace to postgres;
grant set on parameter log_lock_waits, log_min_messages, session_replication_role, track_io_timing,
  auto_explain.log_min_duration, auto_explain.log_nested_statements to postgres;
