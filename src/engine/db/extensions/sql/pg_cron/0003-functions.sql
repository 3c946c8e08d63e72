-- Scheduling, altering, unscheduling: checks and messages are upstream's. Source: citusdata/pg_cron src/job_metadata.c.

-- What cron.schedule and its kin ask for. The first trigger runs with the rights of whoever inserts and writes down who that is, also within a
-- function of another owner; the second one does the work with the rights of the tables' owner. So nobody can ask in another one's name.
create view cron._asked as
  select ''::text as act, 0::bigint as jobid, ''::text as jobname, ''::text as schedule, ''::text as command,
    ''::text as database, ''::text as username, true as active, ''::name as caller
  where false;
comment on view cron._asked is 'Takes what cron.schedule and its kin ask for; holds nothing.';

create function cron._note_caller() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  new.caller := current_user;
  return new;
end
$$;
create trigger a_note_caller instead of insert on cron._asked for each row execute function cron._note_caller();

create function cron._do_asked() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  caller record;
  owner text := coalesce(new.username, new.caller);
  known_job cron.job;
begin
  if tg_relid <> 'cron._asked'::regclass then
    raise exception 'this is the trigger of cron._asked' using errcode = '42501';
  end if;
  select role.rolname, role.rolsuper into caller from pg_catalog.pg_roles as role where role.rolname = new.caller;
  if not found then
    raise exception 'nobody asks for this' using errcode = '42501';
  end if;
  if new.act in ('unschedule', 'unschedule named') then
    if new.act = 'unschedule' then
      select * into known_job from cron.job where cron.job.jobid = new.jobid;
      if not found then
        raise exception 'could not find valid entry for job %', new.jobid using errcode = 'XX000';
      end if;
    else
      select * into known_job from cron.job where cron.job.jobname = new.jobname and cron.job.username = caller.rolname;
      if not found then
        raise exception 'could not find valid entry for job ''%''', new.jobname using errcode = 'XX000';
      end if;
    end if;
    if known_job.username <> caller.rolname and not has_table_privilege(caller.rolname, 'cron.job', 'delete') then
      raise exception 'permission denied for table job' using errcode = '42501';
    end if;
    delete from cron.job where cron.job.jobid = known_job.jobid;
    return new;
  end if;

  if new.username is not null then
    if not caller.rolsuper then
      raise exception using errcode = 'XX000', message = case new.act
        when 'alter' then 'must be superuser to alter username' else 'must be superuser to create a job for another role' end;
    end if;
    perform cron._check_login(new.username);
  end if;
  perform cron._check_superuser(owner);
  if new.schedule is not null and cron._parsed_schedule(new.schedule) is null then
    raise exception 'invalid schedule: %', new.schedule
      using errcode = '22023', hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
  end if;
  if new.database is not null and not exists (select from pg_catalog.pg_database where datname = new.database) then
    raise exception 'database "%" does not exist', new.database using errcode = '3D000';
  end if;
  if new.database is not null and not has_database_privilege(owner, new.database, 'connect') then
    raise exception 'User % does not have CONNECT privilege on %', owner, new.database using errcode = 'XX000';
  end if;

  if new.act = 'schedule' then
    insert into cron.job as known (schedule, command, database, username, active, jobname)
    values (new.schedule, new.command, coalesce(new.database, current_database()), owner, new.active, new.jobname)
    on conflict on constraint jobname_username_uniq do update
      set schedule = excluded.schedule, command = excluded.command, database = excluded.database
    returning known.jobid into new.jobid;
    return new;
  end if;
  if coalesce(new.schedule, new.command, new.database, new.username, new.active::text) is null then
    raise exception 'no updates specified' using errcode = 'XX000',
      hint = 'You must specify at least one job attribute to change when calling alter_job';
  end if;
  update cron.job as known set
    schedule = coalesce(new.schedule, known.schedule), command = coalesce(new.command, known.command),
    database = coalesce(new.database, known.database), username = coalesce(new.username, known.username),
    active = coalesce(new.active, known.active)
  where known.jobid = new.jobid and (caller.rolsuper or known.username = caller.rolname);
  if not found then
    raise exception 'Job % does not exist or you don''t own it', new.jobid using errcode = 'XX000';
  end if;
  return new;
end
$$;
create trigger b_do_asked instead of insert on cron._asked for each row execute function cron._do_asked();

create function cron._check_login(username text) returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
declare
  can_login boolean := (select role.rolcanlogin from pg_catalog.pg_roles as role where role.rolname = username);
begin
  if can_login is null then
    raise exception 'role "%" does not exist', username using errcode = 'XX000';
  elsif not can_login then
    raise exception 'role "%" can not log in', username
      using errcode = 'XX000', detail = 'Jobs may only be run by roles that have the LOGIN attribute.';
  end if;
end
$$;

-- Of a server that Millrace runs itself the superuser is for its own upkeep alone.
create function cron._superuser_jobs_are_on(username text) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select coalesce(current_setting('cron.enable_superuser_jobs', true)::boolean, true)
      and not exists (select from _millrace.roles where name = username)
  $$;

create function cron._check_superuser(username text) returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
begin
  if (select role.rolsuper from pg_catalog.pg_roles as role where role.rolname = username)
    and not cron._superuser_jobs_are_on(username)
  then
    raise exception 'cannot schedule jobs as superuser' using errcode = '42501',
      detail = 'Scheduling jobs as superuser is disallowed when cron.enable_superuser_jobs is set to off.';
  end if;
end
$$;

create function cron.schedule(schedule text, command text) returns bigint
  language plpgsql strict set search_path = pg_catalog, pg_temp
  as $$
declare
  job_id bigint;
begin
  insert into cron._asked (act, schedule, command, active) values ('schedule', $1, $2, true) returning jobid into job_id;
  return job_id;
end
$$;
comment on function cron.schedule(text, text) is 'schedule a pg_cron job';

create function cron._require_job(job_name text, schedule text, command text) returns void
  language plpgsql immutable set search_path = pg_catalog, pg_temp
  as $$
begin
  if job_name is null or schedule is null or command is null then
    raise exception '% can not be NULL', case when job_name is null then 'job_name' when schedule is null then 'schedule' else 'command' end
      using errcode = 'XX000';
  end if;
end
$$;

create function cron.schedule(job_name text, schedule text, command text) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  job_id bigint;
begin
  perform cron._require_job($1, $2, $3);
  insert into cron._asked (act, jobname, schedule, command, active) values ('schedule', $1, $2, $3, true)
  returning jobid into job_id;
  return job_id;
end
$$;
comment on function cron.schedule(text, text, text) is 'schedule a pg_cron job';

create function cron.schedule_in_database(
  job_name text, schedule text, command text, database text, username text default null, active boolean default true
) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  job_id bigint;
begin
  perform cron._require_job($1, $2, $3);
  insert into cron._asked (act, jobname, schedule, command, database, username, active)
  values ('schedule', $1, $2, $3, $4, $5, coalesce($6, true)) returning jobid into job_id;
  return job_id;
end
$$;
comment on function cron.schedule_in_database(text, text, text, text, text, boolean) is 'schedule a pg_cron job';

create function cron.alter_job(
  job_id bigint, schedule text default null, command text default null, database text default null, username text default null,
  active boolean default null
) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  if $1 is null then
    raise exception 'job_id can not be NULL' using errcode = 'XX000';
  end if;
  insert into cron._asked (act, jobid, schedule, command, database, username, active) values ('alter', $1, $2, $3, $4, $5, $6);
end
$$;
comment on function cron.alter_job(bigint, text, text, text, text, boolean) is 'Alter the job identified by job_id. Any option left as NULL will not be modified.';

create function cron.unschedule(job_id bigint) returns boolean
  language plpgsql strict set search_path = pg_catalog, pg_temp
  as $$
begin
  insert into cron._asked (act, jobid) values ('unschedule', $1);
  return true;
end
$$;
comment on function cron.unschedule(bigint) is 'unschedule a pg_cron job';

create function cron.unschedule(job_name text) returns boolean
  language plpgsql strict set search_path = pg_catalog, pg_temp
  as $$
begin
  insert into cron._asked (act, jobname) values ('unschedule named', $1);
  return true;
end
$$;
comment on function cron.unschedule(text) is 'unschedule a pg_cron job';
