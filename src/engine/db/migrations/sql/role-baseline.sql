-- Where the roles are kept as they were before the first script of the project ran, for a reset to go back to: roles belong
-- to the cluster, so they outlive the database.
create table if not exists _millrace.role_baseline (
  role text primary key,
  attributes jsonb not null,
  settings text[] not null,
  member_of jsonb not null
);
comment on table _millrace.role_baseline is 'The roles before the project''s first script: attributes, settings, memberships.';
revoke all on table _millrace.role_baseline from public;
