-- Drops the extensions that a project has created, as the superuser who owns them: a project's plain CREATE EXTENSION finds none of them
-- again. Those of a new database stay.

do $drop$
declare
  item record;
begin
  for item in
    select extension.extname from pg_catalog.pg_extension as extension
    where extension.extname not in ('plpgsql', 'pgcrypto', 'uuid-ossp', 'pg_stat_statements', 'supabase_vault')
  loop
    execute format('drop extension if exists %I cascade', item.extname);
  end loop;

  if pg_catalog.to_regclass('_millrace.extensions') is not null then
    delete from _millrace.extensions as known
    where known.members is null and not exists (select from pg_catalog.pg_extension where extname = known.name);
  end if;
end
$drop$;
