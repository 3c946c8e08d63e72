// In charge of: what the vault does and refuses, as SQL stories. Every server of ours has it from the start.
import type { Story } from './stories.ts';

export const vaultStories: readonly Story[] = [
  {
    it: 'a secret is written, read in the clear, changed and deleted; the table holds something else',
    migration: `create extension if not exists supabase_vault with schema vault;
      select vault.create_secret('s3kr3t', 'api_key', 'for the payments');
      select vault.create_secret('', 'empty'); select vault.create_secret('Grüße 🔑', 'signs');`,
    ask: [
      {
        sql: `select name, description, decrypted_secret, secret like '%s3kr3t%' as plain, key_id from vault.decrypted_secrets order by name`,
        rows: [
          {
            name: 'api_key',
            description: 'for the payments',
            decrypted_secret: 's3kr3t',
            plain: false,
            key_id: null,
          },
          { name: 'empty', description: '', decrypted_secret: '', plain: false, key_id: null },
          { name: 'signs', description: '', decrypted_secret: 'Grüße 🔑', plain: false, key_id: null },
        ],
      },
      {
        sql: `select vault.update_secret(id, new_secret := 'other', new_name := 'key') from vault.secrets where name = 'api_key';
              select name, decrypted_secret, description, updated_at > created_at as touched from vault.decrypted_secrets where name = 'key'`,
        rows: [{ name: 'key', decrypted_secret: 'other', description: 'for the payments', touched: true }],
      },
      {
        sql: `select vault.create_secret('again', 'key')`,
        refused: ['23505', /secrets_name_idx/],
      },
      {
        sql: `delete from vault.secrets where name = 'key'; select count(*)::int as n from vault.decrypted_secrets;
              delete from vault.secrets returning name`,
        rows: [{ name: 'empty' }, { name: 'signs' }],
      },
      {
        sql: `update vault.secrets set secret = 'x'`,
        refused: ['42501', /permission denied for table secrets/],
      },
    ],
  },
  {
    it: 'the same text is never encrypted to the same bytes, not even in the same row',
    migration: `select vault.create_secret('same', 'a'); select vault.create_secret('same', 'b');
      create table was as select secret from vault.secrets; select vault.update_secret(id, 'same') from vault.secrets;`,
    ask: [
      {
        sql: `select count(distinct secret)::int as different from (select secret from was union all select secret from vault.secrets) as texts`,
        rows: [{ different: 4 }],
      },
      { sql: `delete from vault.secrets`, rows: [] },
    ],
  },
  {
    it: 'whoever changes a row in the table gets an error and no garbage',
    migration: `select vault.create_secret('one', 'one'); select vault.create_secret('two', 'two');`,
    ask: [
      ...[
        // A bit of the ciphertext, the code, the nonce, the id; a secret in another's row; a truncated one; one that is no base64.
        `secret = encode(set_byte(decode(secret, 'base64'), 20, get_byte(decode(secret, 'base64'), 20) # 1), 'base64')`,
        `secret = encode(set_byte(decode(secret, 'base64'), 50, get_byte(decode(secret, 'base64'), 50) # 1), 'base64')`,
        `secret = encode(set_byte(decode(secret, 'base64'), 0, 2), 'base64')`,
        `nonce = set_byte(nonce, 0, get_byte(nonce, 0) # 1)`,
        'nonce = null',
        'id = gen_random_uuid()',
        `secret = (select secret from vault.secrets where name = 'two'), nonce = (select nonce from vault.secrets where name = 'two')`,
        `secret = encode(substr(decode(secret, 'base64'), 1, 40), 'base64')`,
        `secret = ''`,
      ].map((change) => ({
        sql: `begin; update vault.secrets set ${change} where name = 'one'; select decrypted_secret from vault.decrypted_secrets where name = 'one'`,
        as: 'supabase_admin' as const,
        refused: ['22000', /^the secret cannot be decrypted: it is not what the vault wrote/] as const,
      })),
      {
        sql: `select decrypted_secret as secret from vault.decrypted_secrets where name = 'one'`,
        rows: [{ secret: 'one' }],
      },
    ],
  },
  {
    it: 'service_role may use it, the others may not',
    migration: `select vault.create_secret('hidden', 'name');`,
    ask: [
      {
        sql: `select vault.create_secret('mine', 'mine') is not null as made;
              select name, decrypted_secret as secret from vault.decrypted_secrets order by 1`,
        as: 'service_role',
        rows: [
          { name: 'mine', secret: 'mine' },
          { name: 'name', secret: 'hidden' },
          { name: 'one', secret: 'one' },
          { name: 'two', secret: 'two' },
        ],
      },
      ...(['anon', 'authenticated'] as const).flatMap((as) => [
        { sql: 'select * from vault.decrypted_secrets', as, refused: ['42501', /schema vault/] as const },
        { sql: `select vault.create_secret('a')`, as, refused: ['42501', /schema vault/] as const },
      ]),
    ],
  },
  {
    it: 'nobody but the superuser gets at the key: not its file, not the functions inside',
    ask: (['postgres', 'service_role', 'authenticated', 'anon'] as const).flatMap((as) =>
      [
        `select pg_read_file('../vault.key')`,
        `select pg_read_binary_file('../vault.key')`,
        `copy (select 1) to '/dev/null'`,
        `select vault._key('encryption')`,
        `select vault._encrypt('a', 'b', 'c')`,
        `select vault._mac('a', 'b')`,
        `select vault._crypto_aead_det_encrypt('a', 'b', 0)`,
      ].map((sql) => ({ sql, as, refused: ['42501', /permission denied|must be superuser/] as const })),
    ),
  },
  {
    it: 'a caller’s types, operators and functions are not called by it as the superuser',
    migration: `create function public.loot(value text) returns boolean language plpgsql as $$
        begin if current_user = 'supabase_admin' then raise exception 'looted as %', current_user; end if; return true; end $$;`,
    ask: [
      {
        sql: `create domain pg_temp.text as pg_catalog.text check (public.loot(value)); create domain pg_temp.bytea as pg_catalog.bytea check (public.loot('a'));
              create domain pg_temp.uuid as pg_catalog.uuid check (public.loot('a')); create schema evil;
              create function evil.encrypt_iv(bytea, bytea, bytea, pg_catalog.text) returns pg_catalog.bytea language sql as $$ select public.loot('a')::pg_catalog.text::pg_catalog.bytea $$;
              set search_path = evil, pg_temp, public; select vault.create_secret('still', 'safe') is not null as made;
              select decrypted_secret as secret from vault.decrypted_secrets where name = 'safe'`,
        rows: [{ secret: 'still' }],
      },
    ],
  },
  {
    it: 'it goes on when pgcrypto moves, and does not call what takes its place',
    migration: `create schema elsewhere; alter extension pgcrypto set schema elsewhere;
      create function extensions.encrypt_iv(bytea, bytea, bytea, text) returns bytea language plpgsql as $$ begin raise exception 'called as %', current_user; end $$;
      create function extensions.hmac(bytea, bytea, text) returns bytea language plpgsql as $$ begin raise exception 'called as %', current_user; end $$;
      select vault.create_secret('kept', 'kept');`,
    ask: [
      {
        sql: `select decrypted_secret as secret from vault.decrypted_secrets where name = 'kept'`,
        rows: [{ secret: 'kept' }],
      },
    ],
  },
];
