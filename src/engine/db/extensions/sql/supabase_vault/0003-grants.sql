-- Who may use it. Source: supabase/postgres ansible/files/postgresql_extension_custom_scripts/supabase_vault/after-create.sql.

grant usage on schema vault to postgres with grant option;
grant select, delete on vault.secrets, vault.decrypted_secrets to postgres with grant option;
grant execute on function vault.create_secret, vault.update_secret, vault._crypto_aead_det_decrypt to postgres with grant option;

grant usage on schema vault to service_role;
grant select, delete on vault.secrets, vault.decrypted_secrets to service_role;
grant execute on function vault.create_secret, vault.update_secret, vault._crypto_aead_det_decrypt to service_role;

-- The rows go into a dump, encrypted as they are; the key does not.
do $dump$
begin
  if exists (select from pg_catalog.pg_extension where extname = 'supabase_vault') then
    perform pg_catalog.pg_extension_config_dump('vault.secrets', '');
  end if;
end
$dump$;
