-- What a user keeps in a drawer for the day on which their second factor is lost. An addition of ours; upstream has nothing like it.

create table _millrace.mfa_recovery_codes (
  -- Of auth.users, which a database that is shaped without auth does not have.
  user_id uuid not null,
  code_hash bytea not null check (octet_length(code_hash) = 32),
  created_at timestamptz not null default now(),
  primary key (user_id, code_hash)
);
comment on table _millrace.mfa_recovery_codes is 'Hashes of recovery codes, each of 80 random bits; one that was used is gone.';

alter table _millrace.mfa_recovery_codes owner to millrace_admin;
-- A lock on a row counts as an update of it.
grant select, insert, update, delete on _millrace.mfa_recovery_codes to supabase_auth_admin;
