-- What callers have used of their limits and quotas, counted by all processes together.

-- Unlogged: a counter of ten seconds is worth no write-ahead log, and a commit that wrote none waits for no disk
-- (PostgreSQL "Asynchronous Commit", "CREATE TABLE … UNLOGGED"). A crash of the server empties it, so that the windows of
-- that moment begin anew. A row is written again and again and no indexed column changes: room in each page keeps that HOT.
create unlogged table _millrace.limit_counters (
  rule text not null,
  subject text not null,
  window_start timestamptz not null,
  window_end timestamptz not null,
  allowed bigint not null,
  used bigint not null,
  primary key (rule, subject)
) with (fillfactor = 50);
comment on table _millrace.limit_counters is 'How much of a rate limit each address, caller, key or route has taken in its window. Lost when the server crashes; rows go when their window is over.';

-- Logged: a quota of a month must outlive a crash.
create table _millrace.quota_counters (
  rule text not null,
  subject text not null,
  window_start timestamptz not null,
  window_end timestamptz not null,
  allowed bigint not null,
  used bigint not null,
  primary key (rule, subject)
) with (fillfactor = 50);
comment on table _millrace.quota_counters is 'How much of a quota each key or caller has taken in its day or month. Rows go when that is over.';

alter table _millrace.limit_counters owner to millrace_admin;
alter table _millrace.quota_counters owner to millrace_admin;
