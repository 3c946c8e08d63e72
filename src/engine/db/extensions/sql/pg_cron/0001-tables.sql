-- pg_cron 1.6: jobs by the clock. The worker is src/engine/cron; a job runs on a session that logs in as its role.
-- Names, arguments, checks, policies and messages are the interface.
-- Source: citusdata/pg_cron pg_cron.sql and its upgrades to 1.6, src/job_metadata.c, src/entry.c; supabase/postgres
-- ansible/files/postgresql_extension_custom_scripts/pg_cron/after-create.sql for what the role postgres may.

create schema cron;

create sequence cron.jobid_seq;
create table cron.job (
  jobid bigint primary key default nextval('cron.jobid_seq'),
  schedule text not null,
  command text not null,
  nodename text not null default 'localhost',
  nodeport integer not null default current_setting('port')::integer,
  database text not null default current_database(),
  username text not null default current_user,
  active boolean not null default true,
  jobname text,
  constraint jobname_username_uniq unique (jobname, username)
);
comment on table cron.job is 'What is to be run, when, and as whom. Written by cron.schedule and its kin.';
alter table cron.job enable row level security;
create policy cron_job_policy on cron.job using (username = current_user);

create sequence cron.runid_seq;
create table cron.job_run_details (
  jobid bigint,
  runid bigint primary key default nextval('cron.runid_seq'),
  job_pid integer,
  database text,
  username text,
  command text,
  status text,
  return_message text,
  start_time timestamptz,
  end_time timestamptz
);
comment on table cron.job_run_details is 'What came of each run. Grows until somebody deletes from it, as upstream.';
create index job_run_details_unfinished_idx on cron.job_run_details (runid) where status in ('starting', 'connecting', 'sending', 'running');
alter table cron.job_run_details enable row level security;
create policy cron_job_run_details_policy on cron.job_run_details using (username = current_user);

-- Up to which minute jobs were started: the process that takes over after another one goes on from there.
create table _millrace.cron_clock (
  only_one boolean primary key default true check (only_one),
  last_minute timestamptz not null,
  server_started_at timestamptz not null
);
comment on table _millrace.cron_clock is 'The last minute whose jobs were started, and the start of the server for which those of @reboot were; by whatever process.';
insert into _millrace.cron_clock (last_minute, server_started_at) values (date_trunc('minute', now()), pg_postmaster_start_time());
alter table _millrace.cron_clock owner to millrace_admin;

create function cron.job_cache_invalidate() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  perform pg_catalog.pg_notify('millrace_cron', '');
  return null;
end
$$;
comment on function cron.job_cache_invalidate() is 'Tells the worker that jobs have changed.';
create trigger cron_job_cache_invalidate after insert or update or delete or truncate on cron.job
  for each statement execute function cron.job_cache_invalidate();
