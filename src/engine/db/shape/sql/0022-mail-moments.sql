-- When somebody last asked for a mail to an address, whether it has an account or not: a second one too soon is refused alike for both.

-- Unlogged: a crash of the server forgets them, and then the next mail goes out a moment early.
create unlogged table _millrace.mail_moments (
  -- A digest: what people typed is nobody's to read here.
  key bytea primary key check (octet_length(key) = 32),
  asked_at timestamptz not null
);
comment on table _millrace.mail_moments is 'When a mail of a kind was last asked for, by the digest of the address. Rows go with later ones once they are old.';
create index mail_moments_asked_at_idx on _millrace.mail_moments (asked_at);

alter table _millrace.mail_moments owner to millrace_admin;
-- A lock on a row counts as an update of it.
grant select, insert, update, delete on _millrace.mail_moments to supabase_auth_admin;
