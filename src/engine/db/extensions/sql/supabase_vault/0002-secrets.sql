-- The table of secrets, the view that shows them in the clear, and the two functions that write them.
-- Source: supabase/vault sql/supabase_vault--0.3.0.sql (columns, signatures, what is granted to nobody).

create table vault.secrets (
  id uuid primary key default pg_catalog.gen_random_uuid(),
  name text,
  description text not null default '',
  secret text not null,
  key_id uuid,
  nonce bytea default vault._crypto_aead_det_noncegen(),
  created_at timestamptz not null default current_timestamp,
  updated_at timestamptz not null default current_timestamp
);
comment on table vault.secrets is 'Table with encrypted `secret` column for storing sensitive information on disk.';
create unique index secrets_name_idx on vault.secrets using btree (name) where name is not null;

create view vault.decrypted_secrets as
  select s.id, s.name, s.description, s.secret,
    pg_catalog.convert_from(
      vault._crypto_aead_det_decrypt(
        message := pg_catalog.decode(s.secret, 'base64'),
        additional := pg_catalog.convert_to(s.id::text, 'utf8'),
        key_id := 0,
        context := 'pgsodium'::bytea,
        nonce := s.nonce
      ),
      'utf8'
    ) as decrypted_secret,
    s.key_id, s.nonce, s.created_at, s.updated_at
  from vault.secrets as s;
comment on view vault.decrypted_secrets is 'The secrets in the clear, decrypted as they are read.';

-- `new_key_id` is not used any more, as upstream.
create function vault.create_secret(
  new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
) returns uuid
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
  as $$
declare
  new_id uuid := pg_catalog.gen_random_uuid();
  new_nonce bytea := vault._crypto_aead_det_noncegen();
begin
  insert into vault.secrets (id, nonce, name, description, secret)
    values (new_id, new_nonce, new_name, new_description, pg_catalog.encode(
      vault._crypto_aead_det_encrypt(
        message := pg_catalog.convert_to(new_secret, 'utf8'),
        additional := pg_catalog.convert_to(new_id::text, 'utf8'),
        key_id := 0,
        context := 'pgsodium'::bytea,
        nonce := new_nonce
      ), 'base64'));
  return new_id;
end
$$;

create function vault.update_secret(
  secret_id uuid, new_secret text default null, new_name text default null, new_description text default null, new_key_id uuid default null
) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
  as $$
begin
  update vault.secrets as s
    set secret = case when new_secret is null then s.secret else pg_catalog.encode(
        vault._crypto_aead_det_encrypt(
          message := pg_catalog.convert_to(new_secret, 'utf8'),
          additional := pg_catalog.convert_to(s.id::text, 'utf8'),
          key_id := 0,
          context := 'pgsodium'::bytea,
          nonce := s.nonce
        ), 'base64') end,
      name = coalesce(new_name, s.name),
      description = coalesce(new_description, s.description),
      updated_at = pg_catalog.now()
    where s.id = secret_id;
end
$$;

revoke all on function vault.create_secret, vault.update_secret from public;
