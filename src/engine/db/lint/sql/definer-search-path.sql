-- A function with its owner's rights that looks names up where its caller says.
select routine.oid::regprocedure::text as object,
       'it runs with its owner''s rights (security definer) and has no search_path of its own: its caller decides what its names mean' as message,
       format('alter function %s set search_path = '''';', routine.oid::regprocedure) as hint
from pg_catalog.pg_proc as routine
join pg_catalog.pg_namespace as schema on schema.oid = routine.pronamespace
where routine.prosecdef and routine.prokind in ('f', 'p') and schema.nspname = any ($1::text[])
  and not exists (select from unnest(routine.proconfig) as setting where setting like 'search_path=%')
  and not exists (select from pg_catalog.pg_depend as own where own.objid = routine.oid and own.classid = 'pg_catalog.pg_proc'::regclass and own.deptype = 'e')
order by 1
