-- Drops what a project has made, where its database cannot be made anew. Everything that the session's role owns goes, and what
-- stands in `public`; the schemas of the platform stay, and are emptied of the people and files in them.

do $empty$
declare
  item record;
begin
  for item in
    select event.evtname from pg_catalog.pg_event_trigger as event
    where pg_catalog.pg_has_role(event.evtowner, 'usage') and event.evtname not like 'pgrst\_%'
  loop
    execute format('drop event trigger if exists %I', item.evtname);
  end loop;

  for item in
    select policy.polname, table_of.oid::regclass as on_table
    from pg_catalog.pg_policy as policy
    join pg_catalog.pg_class as table_of on table_of.oid = policy.polrelid
    where table_of.relnamespace::regnamespace::text in ('auth', 'storage', 'realtime')
      and pg_catalog.pg_has_role(table_of.relowner, 'usage')
  loop
    execute format('drop policy if exists %I on %s', item.polname, item.on_table);
  end loop;

  for item in
    select schema.nspname from pg_catalog.pg_namespace as schema
    where schema.nspname !~ '^(pg_|_millrace$|information_schema$|supabase_migrations$|extensions$|public$|auth$|storage$|realtime$|vault$|graphql$|graphql_public$|supabase_functions$|pgbouncer$)'
      and pg_catalog.pg_has_role(schema.nspowner, 'usage')
      and not exists (select from pg_catalog.pg_depend
        where classid = 'pg_catalog.pg_namespace'::regclass and objid = schema.oid and deptype = 'e')
  loop
    execute format('drop schema if exists %I cascade', item.nspname);
  end loop;

  for item in
    select extension.extname from pg_catalog.pg_extension as extension
    where extension.extname not in ('plpgsql', 'pgcrypto', 'uuid-ossp', 'pg_stat_statements')
      and pg_catalog.pg_has_role(extension.extowner, 'usage')
  loop
    execute format('drop extension if exists %I cascade', item.extname);
  end loop;

  -- Those that stand in our own table alone, and the secrets of a vault that stays.
  if pg_catalog.to_regprocedure('_millrace.drop_extension(text, text)') is not null then
    for item in select name from _millrace.extensions where members is not null loop
      perform _millrace.drop_extension(item.name, 'cascade');
    end loop;
  end if;
  if pg_catalog.to_regclass('vault.secrets') is not null and pg_catalog.has_table_privilege('vault.secrets', 'delete') then
    delete from vault.secrets;
  end if;

  for item in
    -- Names as texts, all of them before the first is dropped: a name of what has gone with another would be a number.
    select class.oid::regclass::text as name,
      case class.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
        when 'f' then 'foreign table' else 'table' end as kind
    from pg_catalog.pg_class as class
    where class.relnamespace = 'public'::regnamespace and class.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and not exists (select from pg_catalog.pg_depend
        where classid = 'pg_catalog.pg_class'::regclass and objid = class.oid and deptype = 'e')
    order by class.relkind = 'S', class.oid::regclass::text
  loop
    continue when pg_catalog.to_regclass(item.name::text) is null;
    execute format('drop %s if exists %s cascade', item.kind, item.name);
  end loop;

  for item in
    select routine.oid::regprocedure::text as name,
      case routine.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as kind
    from pg_catalog.pg_proc as routine
    where routine.pronamespace = 'public'::regnamespace
      and not exists (select from pg_catalog.pg_depend
        where classid = 'pg_catalog.pg_proc'::regclass and objid = routine.oid and deptype = 'e')
    order by routine.oid::regprocedure::text
  loop
    execute format('drop %s if exists %s cascade', item.kind, item.name);
  end loop;

  for item in
    select type.oid::regtype::text as name, case type.typtype when 'd' then 'domain' else 'type' end as kind
    from pg_catalog.pg_type as type
    where type.typnamespace = 'public'::regnamespace and type.typtype in ('c', 'd', 'e', 'r')
      and (type.typrelid = 0 or exists (select from pg_catalog.pg_class where oid = type.typrelid and relkind = 'c'))
      and not exists (select from pg_catalog.pg_depend
        where classid = 'pg_catalog.pg_type'::regclass and objid = type.oid and deptype = 'e')
    order by type.oid::regtype::text
  loop
    execute format('drop %s if exists %s cascade', item.kind, item.name);
  end loop;

  for item in
    select publication.pubname from pg_catalog.pg_publication as publication
    where publication.pubname not like 'supabase\_realtime%' and pg_catalog.pg_has_role(publication.pubowner, 'usage')
  loop
    execute format('drop publication if exists %I', item.pubname);
  end loop;

  for item in
    select class.oid::regclass as name from pg_catalog.pg_class as class
    where class.relkind = 'r'
      and (class.relnamespace::regnamespace::text in ('auth', 'storage') and class.relname not in ('schema_migrations', 'migrations')
        or class.relnamespace::regnamespace::text = 'supabase_migrations'
        or class.oid in (pg_catalog.to_regclass('_millrace.migration_progress'), pg_catalog.to_regclass('_millrace.project_steps')))
  loop
    -- A row trigger is the platform's own, and TRUNCATE is a right that postgres may lack: then rows are deleted.
    if pg_catalog.has_table_privilege(item.name, 'truncate') then
      execute format('truncate table %s cascade', item.name);
    else
      execute format('delete from %s', item.name);
    end if;
  end loop;
end
$empty$;
