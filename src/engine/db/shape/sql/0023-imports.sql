-- Whether this data came from another server: the public development secrets open nothing of it.

create table _millrace.imports (
  id bigint generated always as identity primary key,
  imported_at timestamptz not null default now(),
  source_version text not null,
  tables int not null
);
comment on table _millrace.imports is 'What `millrace import` took in. Real people''s data is in this database, so a start with the public development secrets is refused.';

alter table _millrace.imports owner to millrace_admin;
