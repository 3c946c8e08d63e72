-- Everything belongs to `postgres`, as on hosted projects: its queues are tables that migrations make, alter and drop.
-- Source: supabase/postgres ansible/files/postgresql_extension_custom_scripts/pgmq/after-create.sql.

do $owner$
declare
  item record;
begin
  if not pg_catalog.pg_has_role(current_user, 'postgres', 'member') or current_user = 'postgres' then
    return;
  end if;
  alter schema pgmq owner to postgres;
  for item in
    select pg_catalog.format('table %s', class.oid::pg_catalog.regclass) as name from pg_catalog.pg_class as class
      where class.relnamespace = 'pgmq'::pg_catalog.regnamespace and class.relkind = 'r'
    union all
    select pg_catalog.format('type %s', class.reltype::pg_catalog.regtype) from pg_catalog.pg_class as class
      where class.relnamespace = 'pgmq'::pg_catalog.regnamespace and class.relkind = 'c'
    union all
    select pg_catalog.format('function %s', routine.oid::pg_catalog.regprocedure) from pg_catalog.pg_proc as routine
      where routine.pronamespace = 'pgmq'::pg_catalog.regnamespace
  loop
    execute pg_catalog.format('alter %s owner to postgres', item.name);
  end loop;
  alter default privileges for role postgres in schema pgmq grant select on tables to pg_monitor;
  alter default privileges for role postgres in schema pgmq grant select on sequences to pg_monitor;
end
$owner$;
