-- An empty search path does not keep a caller's code out of a security definer function: temporary types are found before those of
-- the system, so the check of a temporary domain "text" would run as the function's owner. Spelled out, pg_temp comes last.
-- Source: PostgreSQL manual, "Writing SECURITY DEFINER Functions Safely".

do $paths$
declare
  routine regprocedure;
begin
  for routine in
    select proc.oid::regprocedure from pg_catalog.pg_proc as proc
    where proc.prosecdef and proc.proconfig @> array['search_path=""']
      and proc.pronamespace = any (array['_millrace', 'pgbouncer', 'supabase_functions']::regnamespace[])
      and pg_catalog.pg_has_role(current_user, proc.proowner, 'usage')
  loop
    execute format('alter function %s set search_path = pg_catalog, pg_temp', routine);
  end loop;
end
$paths$;
