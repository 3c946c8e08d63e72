-- Changes on their way from the process that reads them to the others of this database.

-- Unlogged: it empties itself when the server crashes, and then is filled again from what the replication slot still has.
create unlogged table _millrace.change_batches (
  last_id text collate "C" constraint millrace_change_batches_pkey primary key,
  after_id text collate "C",
  kind text not null constraint millrace_change_batches_kind_check check (kind in ('changes', 'mark', 'gap')),
  payload text not null,
  at timestamptz not null default clock_timestamp()
);
comment on table _millrace.change_batches is 'Changes of rows as the reading process hands them to the others; a row says the one before it. Rows are deleted after a while.';
alter table _millrace.change_batches owner to millrace_admin;
