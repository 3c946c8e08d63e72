-- The queue: work that is to be done once a transaction has committed, and that outlives every process. See docs/decisions/0008-outbox.md.

create table _millrace.jobs (
  id bigint generated always as identity primary key,
  kind text not null check (kind ~ '^[a-z][a-z0-9_]{0,62}$'),
  -- Two jobs of a kind with one key are one job.
  key text check (length(key) between 1 and 200),
  -- Null once it is done: what a mail says is nobody's business any more.
  payload jsonb check (octet_length(payload::text) <= 4194304),
  state text not null default 'waiting' check (state in ('waiting', 'done', 'dead')),
  -- While somebody holds it: until when. A job whose process has died is ready again by itself.
  run_at timestamptz not null default now(),
  expires_at timestamptz,
  attempts integer not null default 0,
  max_attempts integer not null check (max_attempts between 1 and 100),
  holder text,
  last_error text,
  created_at timestamptz not null default now(),
  ended_at timestamptz
) with (fillfactor = 70);
create index jobs_ready_idx on _millrace.jobs (kind, run_at, id) where state = 'waiting';
create unique index jobs_key_idx on _millrace.jobs (kind, key) where key is not null;
create index jobs_ended_idx on _millrace.jobs (state, ended_at) where state <> 'waiting';
comment on table _millrace.jobs is 'Work to be done after the transaction that asked for it: mails first. Claimed with FOR UPDATE SKIP LOCKED, done at least once; those that failed for good stay as "dead" for a while.';

-- In the caller's transaction: undone with it, and nobody hears of it before it commits. Gives the number of the job, also of one that was there.
create function _millrace.enqueue(
  kind text, payload jsonb, key text default null, run_at timestamptz default now(),
  expires_at timestamptz default null, max_attempts integer default 8
) returns bigint
  language plpgsql security definer set search_path = ''
  as $$
#variable_conflict use_column
declare
  job_id bigint;
  -- More than this of one kind waits only where nothing is taken out any more.
  most constant integer := 50000;
begin
  if exists (
    select from _millrace.jobs as job where job.kind = enqueue.kind and job.state = 'waiting'
    order by job.run_at, job.id offset most - 1 limit 1
  ) then
    raise exception 'the queue "%" is full: % jobs wait', enqueue.kind, most using errcode = 'configuration_limit_exceeded';
  end if;
  insert into _millrace.jobs as job (kind, payload, key, run_at, expires_at, max_attempts)
  values (enqueue.kind, enqueue.payload, enqueue.key, enqueue.run_at, enqueue.expires_at, enqueue.max_attempts)
  on conflict (kind, key) where key is not null do nothing
  returning job.id into job_id;
  if job_id is null then
    return (select job.id from _millrace.jobs as job where job.kind = enqueue.kind and job.key = enqueue.key);
  end if;
  perform pg_catalog.pg_notify('millrace_jobs', enqueue.kind);
  return job_id;
end
$$;
comment on function _millrace.enqueue(text, jsonb, text, timestamptz, timestamptz, integer) is 'Asks for work to be done once this transaction has committed.';

alter table _millrace.jobs owner to millrace_admin;
alter function _millrace.enqueue(text, jsonb, text, timestamptz, timestamptz, integer) owner to millrace_admin;
revoke all on function _millrace.enqueue(text, jsonb, text, timestamptz, timestamptz, integer) from public;
-- Who may ask: the owners of the services' tables, and so the project's own role, which has their rights; never a role of requests.
grant usage on schema _millrace to supabase_auth_admin, supabase_storage_admin;
grant execute on function _millrace.enqueue(text, jsonb, text, timestamptz, timestamptz, integer) to supabase_auth_admin, supabase_storage_admin;
