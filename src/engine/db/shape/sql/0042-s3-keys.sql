-- Access keys for clients of S3, beside the project's own pair.

create table _millrace.s3_access_keys (
  id text constraint millrace_s3_access_keys_pkey primary key
    constraint millrace_s3_access_keys_id_check check (id ~ '^[0-9a-f]{32}$'),
  name text not null constraint millrace_s3_access_keys_name_check check (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$'),
  -- Whose rights it has: a role's, or those of a user, whose role stands with the user.
  role text,
  user_id uuid,
  created_at timestamptz not null default now(),
  created_by text not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  constraint millrace_s3_access_keys_one_check check ((role is null) <> (user_id is null))
);
comment on table _millrace.s3_access_keys is 'Access keys made with `millrace s3-keys create`. A signature needs the secret itself, so it stands wrapped in _millrace.secrets under `access key`; nothing here signs anything.';
comment on column _millrace.s3_access_keys.last_used_at is 'Written once a minute at most.';
alter table _millrace.s3_access_keys owner to millrace_admin;
