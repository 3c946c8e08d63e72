-- Constraints and indexes of this schema under names of its own. Migrations of projects ask the catalog by the bare name,
-- `if not exists (select from pg_constraint where conname = 'roles_pkey')`, and must not take ours for theirs.

do $own$
declare
  item record;
begin
  for item in
    select known.conrelid::pg_catalog.regclass as home, known.conname as name
      from pg_catalog.pg_constraint as known
      where known.connamespace = '_millrace'::pg_catalog.regnamespace and known.conrelid <> 0 and known.conname not like 'millrace\_%'
  loop
    execute pg_catalog.format('alter table %s rename constraint %I to %I', item.home, item.name, 'millrace_' || item.name);
  end loop;
  for item in
    select class.oid::pg_catalog.regclass as home, class.relname as name
      from pg_catalog.pg_class as class
      where class.relnamespace = '_millrace'::pg_catalog.regnamespace and class.relkind = 'i' and class.relname not like 'millrace\_%'
  loop
    execute pg_catalog.format('alter index %s rename to %I', item.home, 'millrace_' || item.name);
  end loop;
end
$own$;
