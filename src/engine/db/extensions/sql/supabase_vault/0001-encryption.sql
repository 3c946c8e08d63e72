-- How a secret is encrypted, and with which key. The key is a file beside the data folder, so that no dump and no table holds it.
-- Names and signatures are upstream's; what they do inside is AES and HMAC, because PostgreSQL has no libsodium.
-- Source: supabase/vault sql/supabase_vault--0.3.0.sql.
--
-- The search path is spelled out and not empty: with an empty one a caller's temporary types are found before those of the system,
-- and the check of a domain "text" would run as the superuser. Source: PostgreSQL manual, "Writing SECURITY DEFINER Functions Safely".

-- Bound to pgcrypto's functions themselves and not to their names: what `postgres` puts into their schema later is not called.
do $bind$
declare
  home name;
  routine record;
begin
  select schema.nspname into strict home
    from pg_catalog.pg_extension as extension
    join pg_catalog.pg_namespace as schema on schema.oid = extension.extnamespace
    where extension.extname = 'pgcrypto';
  for routine in
    select * from (values
      ('_encrypt', 'data bytea, key bytea, iv bytea', 'encrypt_iv', 'bytea, bytea, bytea, text', $$data, key, iv, 'aes-cbc/pad:pkcs'::text$$),
      ('_decrypt', 'data bytea, key bytea, iv bytea', 'decrypt_iv', 'bytea, bytea, bytea, text', $$data, key, iv, 'aes-cbc/pad:pkcs'::text$$),
      ('_mac', 'data bytea, key bytea', 'hmac', 'bytea, bytea, text', $$data, key, 'sha256'::text$$),
      ('_random', 'bytes int', 'gen_random_bytes', 'int', 'bytes')
    ) as wrapped (name, parameters, function, types, arguments)
  loop
    if not exists (
      select from pg_catalog.pg_depend as member
      join pg_catalog.pg_extension as extension on extension.oid = member.refobjid and member.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
      where extension.extname = 'pgcrypto' and member.deptype = 'e'
        and member.objid = pg_catalog.to_regprocedure(pg_catalog.format('%I.%I(%s)', home, routine.function, routine.types)))
    then
      raise exception 'the function "%" does not belong to pgcrypto', routine.function;
    end if;
    execute pg_catalog.format(
      'create function vault.%I(%s) returns bytea language sql parallel safe begin atomic select %I.%I(%s); end',
      routine.name, routine.parameters, home, routine.function, routine.arguments);
  end loop;
end
$bind$;

-- One key for each purpose, derived from the file's. Nobody but the superuser may call it, and the functions below run as one.
create function vault._key(purpose text) returns bytea
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $$
declare
  -- Beside the data folder, by name: in PGlite's file system nothing is above a mounted folder.
  file text := pg_catalog.regexp_replace(pg_catalog.current_setting('data_directory'), '[\\/][^\\/]*[\\/]?$', '/vault.key');
  master bytea;
begin
  begin
    master := pg_catalog.decode(pg_catalog.rtrim(pg_catalog.pg_read_file(file), E'\n'), 'hex');
  exception when undefined_file then
    raise exception using errcode = '55000', message = 'the vault has no key: the file "vault.key" is not in the state folder',
      hint = 'Put back the file that belongs to this database; without it its secrets cannot be read.';
  end;
  if pg_catalog.length(master) <> 32 then
    raise exception using errcode = '55000', message = 'the vault''s key is damaged: the file "vault.key" does not hold 64 hexadecimal digits',
      hint = 'Put back the file that belongs to this database.';
  end if;
  return vault._mac(pg_catalog.convert_to('millrace vault ' || purpose, 'UTF8'), master);
end
$$;

-- What the code is over. A length before each part, so that no two messages read the same.
create function vault._authenticated(message bytea, additional bytea, key_id bigint, context bytea, nonce bytea) returns bytea
  language sql immutable parallel safe
  begin atomic
    select pg_catalog.int8send(pg_catalog.length(message)::bigint) || message
      || pg_catalog.int8send(pg_catalog.length(coalesce(additional, ''::bytea))::bigint) || coalesce(additional, ''::bytea)
      || pg_catalog.int8send(key_id)
      || pg_catalog.int8send(pg_catalog.length(context)::bigint) || context
      || pg_catalog.int8send(pg_catalog.length(coalesce(nonce, ''::bytea))::bigint) || coalesce(nonce, ''::bytea);
  end;

-- A byte that tells the form, the IV, the ciphertext, and then the code over all of it: encrypt, then authenticate.
create function vault._crypto_aead_det_encrypt(
  message bytea, additional bytea, key_id bigint, context bytea default 'pgsodium', nonce bytea default null
) returns bytea
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
  as $$
declare
  iv bytea := vault._random(16);
  sealed bytea;
begin
  if message is null then
    return null;
  end if;
  sealed := '\x01'::bytea || iv || vault._encrypt(message, vault._key('encryption'), iv);
  return sealed || vault._mac(vault._authenticated(sealed, additional, key_id, context, nonce), vault._key('authentication'));
end
$$;

create function vault._crypto_aead_det_decrypt(
  message bytea, additional bytea, key_id bigint, context bytea default 'pgsodium', nonce bytea default null
) returns bytea
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
  as $$
declare
  code_key bytea;
  sealed bytea;
  code bytea;
begin
  if message is null then
    return null;
  end if;
  code_key := vault._key('authentication');
  sealed := pg_catalog.substr(message, 1, greatest(pg_catalog.length(message) - 32, 0));
  code := pg_catalog.substr(message, greatest(pg_catalog.length(message) - 31, 1));
  -- Codes of the codes are compared: how long that takes tells nothing of the right one.
  if pg_catalog.length(message) < 65
    or pg_catalog.get_byte(message, 0) <> 1
    or vault._mac(code, code_key)
      <> vault._mac(vault._mac(vault._authenticated(sealed, additional, key_id, context, nonce), code_key), code_key)
  then
    raise exception using errcode = '22000', message = 'the secret cannot be decrypted: it is not what the vault wrote, or the key is another one',
      detail = pg_catalog.format('It belongs to "%s".', pg_catalog.convert_from(additional, 'UTF8')),
      hint = 'A row of vault.secrets was changed by hand or came from another database. Write the secret again with vault.update_secret, or put back the file "vault.key".';
  end if;
  return vault._decrypt(pg_catalog.substr(sealed, 18), vault._key('encryption'), pg_catalog.substr(sealed, 2, 16));
end
$$;

create function vault._crypto_aead_det_noncegen() returns bytea
  language sql volatile
  begin atomic
    select vault._random(16);
  end;

revoke all on function
  vault._encrypt, vault._decrypt, vault._mac, vault._random, vault._key, vault._authenticated,
  vault._crypto_aead_det_encrypt, vault._crypto_aead_det_decrypt, vault._crypto_aead_det_noncegen
  from public;
