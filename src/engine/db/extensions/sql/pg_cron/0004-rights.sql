-- Who owns it, and who may use it.

-- The worker's role owns it all: it needs no rights beside that, and what runs with the owner's rights is no superuser's.
do $owner$
declare
  item record;
begin
  alter schema cron owner to millrace_admin;
  for item in
    select format('%s %s', case class.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end, class.oid::regclass) as name
      from pg_class as class
      where class.relnamespace = 'cron'::regnamespace and class.relkind in ('r', 'v', 'S')
        -- A sequence of a column goes with its table.
        and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = class.oid and deptype = 'a')
    union all
    select format('type %s', type.oid::regtype) from pg_type as type left join pg_class as class on class.oid = type.typrelid
      where type.typnamespace = 'cron'::regnamespace and type.typelem = 0 and (type.typrelid = 0 or class.relkind = 'c') and type.typtype in ('c', 'd', 'e')
    union all
    select format('function %s', routine.oid::regprocedure) from pg_proc as routine where routine.pronamespace = 'cron'::regnamespace
  loop
    execute format('alter %s owner to millrace_admin', item.name);
  end loop;
end
$owner$;

grant select on cron.job to public;
grant select, delete on cron.job_run_details to public;
grant select on sequence cron.jobid_seq, cron.runid_seq to public;
grant insert, select on cron._asked to public;
-- Whoever could put it on a table of their own could name any caller.
revoke all on function cron._do_asked() from public;
revoke all on function cron.alter_job(bigint, text, text, text, text, boolean),
  cron.schedule_in_database(text, text, text, text, text, boolean) from public;

-- The project's own role may do what upstream gives it there, but for putting a trigger on a table that the worker writes: it would run with
-- the worker's rights.
do $project$
declare
  project name := _millrace.project_role();
  routine regprocedure;
begin
  execute format('grant usage on schema cron to %I with grant option', project);
  for routine in select oid from pg_proc where pronamespace = 'cron'::regnamespace and prorettype <> 'trigger'::regtype loop
    execute format('grant execute on function %s to %I with grant option', routine, project);
  end loop;
  execute format('grant select on table cron.job to %I with grant option', project);
  execute format('grant select, insert, update, delete, truncate on table cron.job_run_details to %I with grant option', project);
  perform pg_notify('millrace_cron', '');
end
$project$;

-- Jobs go into a dump, as upstream's do.
do $dump$
declare
  dumped regclass;
begin
  if exists (select from pg_extension where extname = 'pg_cron') then
    foreach dumped in array array['cron.job', 'cron.jobid_seq', 'cron.job_run_details', 'cron.runid_seq']::regclass[] loop
      perform pg_extension_config_dump(dumped, '');
    end loop;
  end if;
end
$dump$;
