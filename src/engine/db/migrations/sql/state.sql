-- What the runner of migrations remembers beside the history that the Supabase CLI keeps.

create table if not exists _millrace.migration_progress (
  script text primary key,
  pieces_done int not null,
  digest text not null,
  running int,
  changed_at timestamptz not null default now()
);
comment on table _millrace.migration_progress is
  'Scripts that cannot run in one transaction and are not through yet: how much is done, so that the next run goes on from there.';
comment on column _millrace.migration_progress.digest is 'SHA-256 of what is done, so that an edit of it is noticed.';
comment on column _millrace.migration_progress.running is 'A statement that runs outside of transactions and was begun.';

create table if not exists _millrace.project_steps (
  step text primary key,
  digest text,
  done_at timestamptz not null default now()
);
comment on table _millrace.project_steps is 'What is done once for a database: roles.sql and the seeds of the first start.';

do $grants$
begin
  if pg_catalog.to_regrole('postgres') is not null and current_user <> 'postgres' then
    grant usage on schema _millrace to postgres;
    grant select, insert, update, delete on _millrace.migration_progress, _millrace.project_steps to postgres;
  end if;
end
$grants$;
