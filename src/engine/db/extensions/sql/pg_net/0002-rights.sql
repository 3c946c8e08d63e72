-- Who owns it, and who may use it.

-- The worker's role owns it all: it needs no rights beside that, and what runs with the owner's rights is no superuser's.
do $owner$
declare
  item record;
begin
  alter schema net owner to millrace_admin;
  for item in
    select format('%s %s', case class.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end, class.oid::regclass) as name
      from pg_class as class
      where class.relnamespace = 'net'::regnamespace and class.relkind in ('r', 'v', 'S')
        -- A sequence of a column goes with its table.
        and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = class.oid and deptype = 'a')
    union all
    select format('type %s', type.oid::regtype) from pg_type as type left join pg_class as class on class.oid = type.typrelid
      where type.typnamespace = 'net'::regnamespace and type.typelem = 0 and (type.typrelid = 0 or class.relkind = 'c') and type.typtype in ('c', 'd', 'e')
    union all
    select format('function %s', routine.oid::regprocedure) from pg_proc as routine where routine.pronamespace = 'net'::regnamespace
  loop
    execute format('alter %s owner to millrace_admin', item.name);
  end loop;
end
$owner$;

grant usage on schema net to public;
grant all on all sequences in schema net to public;
-- Upstream gives all. A trigger on these tables runs with the worker's rights, which are those of the project's own role: so that one may.
grant select, insert, update, delete, truncate on all tables in schema net to public;
do $project$
begin
  execute format('grant all on all tables in schema net to %I', _millrace.project_role());
end
$project$;
do $hear$
begin
  perform pg_notify('millrace_net', '');
end
$hear$;
