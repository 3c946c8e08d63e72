-- Millrace's own state: leases, settings of the run time, events between processes.

create table _millrace.leases (
  name text primary key,
  holder text not null,
  fence bigint not null,
  expires_at timestamptz not null
);
comment on table _millrace.leases is 'Who does what only one process may do. The fence grows with every new holder.';

create table _millrace.settings (
  key text primary key,
  value jsonb not null,
  changed_at timestamptz not null default now(),
  changed_by text not null
);
comment on table _millrace.settings is 'Settings changed while the program runs. They win over config.toml and the environment.';

create table _millrace.events (
  id bigint generated always as identity primary key,
  channel text not null,
  payload jsonb not null,
  at timestamptz not null default now()
);
create index events_at_idx on _millrace.events (at);
comment on table _millrace.events is 'What one process tells the others; NOTIFY carries the number. Rows are deleted after a while.';

alter table _millrace.leases owner to millrace_admin;
alter table _millrace.settings owner to millrace_admin;
alter table _millrace.events owner to millrace_admin;
