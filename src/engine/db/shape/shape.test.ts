// In charge of: what a shaped database is, against the facts of upstream, and who may do what in it.
import { readFile } from 'node:fs/promises';
import type { ClientConfig } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../client.ts';
import { attempt, type Cluster, openCluster, rows, shape, shapeOptions } from './test-support.ts';

const schemas = ['auth', 'storage', 'realtime', 'supabase_functions'];

/**
 * Tables, columns, constraints, indexes, triggers, types and functions, one line each. The file of the same facts about
 * upstream was made by running the migrations of supabase/auth (to 20260625000000) and supabase/storage (to 0063),
 * supabase/realtime's tenant_db_dump_15.sql and supabase/cli's webhook.sql on a database made by supabase/postgres'
 * migrations/db, and asking it this.
 */
async function factsOf(config: ClientConfig): Promise<readonly string[]> {
  const query = await readFile(new URL('./facts.test.sql', import.meta.url), 'utf8');
  return withClient({ ...config, options: '-c search_path=' }, async (client) => {
    const { rows } = await client.query<{ facts: string }>(query, [schemas]);
    return rows[0]!.facts.split('\n').filter((line) => !/messages_\d{4}_/.test(line));
  });
}

describe.each([17, 18])('a PostgreSQL %i that was shaped', (major) => {
  let cluster: Cluster;
  let admin: ClientConfig;
  let postgres: ClientConfig;

  beforeAll(async () => {
    cluster = await openCluster(major);
    admin = cluster.login('supabase_admin');
    postgres = cluster.login('postgres');
    await shape(admin);
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  it('has upstream’s tables, columns, constraints, indexes, triggers, types and functions', async () => {
    const golden = await readFile(new URL('./upstream-shape.txt', import.meta.url), 'utf8');
    const upstream = golden.trim().split('\n');
    const facts = await factsOf(admin);
    expect(facts.filter((line) => !upstream.includes(line))).toEqual(
      [
        // Partitions are made by the database's owner of them, upstream by the Elixir process.
        'function realtime.keep_message_partitions(days_ahead integer DEFAULT 3, days_back integer DEFAULT 3) void volatile',
        // Upstream's is NOT VALID, because it came to tables with rows.
        'constraint realtime.messages.messages_payload_exclusive CHECK (((payload IS NULL) OR (binary_payload IS NULL)))',
        'table realtime.schema_migrations owner=supabase_realtime_admin',
        // What files take is counted where there is a limit.
        'trigger storage.objects.millrace_count_files_at_delete _millrace.count_files()',
        'trigger storage.objects.millrace_count_files_at_insert _millrace.count_files()',
        'trigger storage.objects.millrace_count_files_at_update _millrace.count_files()',
        // A part that is recorded is no longer on its way.
        'trigger storage.s3_multipart_uploads_parts.millrace_end_claim _millrace.end_claim()',
        // Bytes that no row names any more are written down as they are let go of.
        'trigger storage.objects.millrace_let_go_of_blob_at_delete _millrace.let_go_of_blob()',
        'trigger storage.objects.millrace_let_go_of_blob_at_update _millrace.let_go_of_blob()',
        'trigger storage.s3_multipart_uploads_parts.millrace_let_go_of_blob_at_delete _millrace.let_go_of_blob()',
      ].sort(),
    );
    expect(upstream.filter((line) => !facts.includes(line)).map((line) => line.split('(')[0])).toEqual([
      'constraint realtime.messages.messages_payload_exclusive CHECK ',
      // The inside of the realtime service.
      'function realtime.apply_rls',
      'function realtime.build_prepared_statement_sql',
      'function realtime.cast',
      'function realtime.check_equality_op',
      'function realtime.check_equality_op',
      'function realtime.is_visible_through_filters',
      'function realtime.list_changes',
      'function realtime.quote_wal2json',
      'function realtime.subscription_check_filters',
      'function realtime.wal2json_escape_identifier',
      'table realtime.schema_migrations owner=supabase_admin',
      'trigger realtime.subscription.tr_check_filters realtime.subscription_check_filters',
    ]);
  });

  it('has the roles with their attributes and settings', async () => {
    // Source: supabase/postgres nix/tests/expected/roles.out of 2026-05, migration 20260821154147 (auth admin without
    // CREATEROLE). Not there: session_preload_libraries, whose libraries these binaries lack. Ours: millrace_admin.
    const found = await rows(
      admin,
      `select rolname, concat_ws(' ', case when rolcanlogin then 'login' end, case when rolinherit then 'inherit' end,
         case when rolsuper then 'superuser' end, case when rolcreatedb then 'createdb' end,
         case when rolcreaterole then 'createrole' end, case when rolreplication then 'replication' end,
         case when rolbypassrls then 'bypassrls' end), array_to_string(array(select unnest(rolconfig) order by 1), '; ')
       from pg_roles where rolname !~ '^pg_' order by rolname`,
    );
    expect(found).toEqual([
      ['anon', 'inherit', 'statement_timeout=3s'],
      ['authenticated', 'inherit', 'statement_timeout=8s'],
      ['authenticator', 'login', 'lock_timeout=8s; statement_timeout=8s'],
      ['dashboard_user', 'inherit createdb createrole replication', ''],
      ['millrace_admin', 'login inherit', ''],
      ['pgbouncer', 'login inherit', ''],
      [
        'postgres',
        'login inherit createdb createrole replication bypassrls',
        'search_path="$user", public, extensions',
      ],
      ['service_role', 'inherit bypassrls', ''],
      [
        'supabase_admin',
        'login inherit superuser createdb createrole replication bypassrls',
        'log_statement=none; search_path="$user", public, auth, extensions',
      ],
      [
        'supabase_auth_admin',
        'login',
        'idle_in_transaction_session_timeout=60000; log_statement=none; search_path=auth',
      ],
      ['supabase_etl_admin', 'login inherit replication bypassrls', ''],
      ['supabase_functions_admin', 'login createrole', 'search_path=supabase_functions'],
      ['supabase_read_only_user', 'login inherit bypassrls', 'default_transaction_read_only=on'],
      ['supabase_realtime_admin', 'login createrole replication', 'search_path=realtime'],
      ['supabase_replication_admin', 'login inherit replication', ''],
      ['supabase_storage_admin', 'login createrole', 'log_statement=none; search_path=storage'],
    ]);
  });

  it('has the memberships', async () => {
    // Source: supabase/postgres nix/tests/expected/z_17_roles.out, 00000000000003-realtime-schema.sql. Beyond it:
    // postgres' privileges of the table owners, and reserved connections for those who serve requests.
    const found = await rows(
      admin,
      `select member.rolname || ' of ' || role.rolname, concat_ws(' ', case when admin_option then 'admin' end,
         case when inherit_option then 'inherit' end, case when set_option then 'set' end)
       from pg_auth_members join pg_roles as role on role.oid = roleid join pg_roles as member on member.oid = member
       where member.rolname !~ '^pg_' order by 1`,
    );
    expect(found).toEqual([
      ['authenticator of anon', 'set'],
      ['authenticator of authenticated', 'set'],
      ['authenticator of pg_use_reserved_connections', 'inherit set'],
      ['authenticator of service_role', 'set'],
      ['millrace_admin of pg_use_reserved_connections', 'inherit set'],
      ['postgres of anon', 'admin inherit set'],
      ['postgres of authenticated', 'admin inherit set'],
      ['postgres of authenticator', 'admin inherit set'],
      ['postgres of pg_create_subscription', 'inherit set'],
      ['postgres of pg_monitor', 'admin inherit set'],
      ['postgres of pg_read_all_data', 'admin inherit set'],
      ['postgres of pg_signal_backend', 'admin inherit set'],
      ['postgres of service_role', 'admin inherit set'],
      ['postgres of supabase_auth_admin', 'inherit'],
      ['postgres of supabase_functions_admin', 'inherit'],
      ['postgres of supabase_realtime_admin', 'inherit'],
      ['postgres of supabase_storage_admin', 'inherit'],
      ['supabase_auth_admin of pg_use_reserved_connections', 'inherit set'],
      ['supabase_etl_admin of pg_read_all_data', 'inherit set'],
      ['supabase_read_only_user of pg_read_all_data', 'inherit set'],
      ['supabase_realtime_admin of anon', 'set'],
      ['supabase_realtime_admin of authenticated', 'set'],
      ['supabase_realtime_admin of pg_use_reserved_connections', 'inherit set'],
      ['supabase_realtime_admin of service_role', 'set'],
      ['supabase_storage_admin of authenticator', 'set'],
      ['supabase_storage_admin of pg_use_reserved_connections', 'inherit set'],
    ]);
  });

  it('has the schemas with their owners and privileges', async () => {
    // Source: nix/tests/expected/{roles,auth,storage,realtime}.out, with the revokes of migration 20250421084701.
    const found = await rows(
      admin,
      `select nspname, nspowner::regrole::text, coalesce((select string_agg(grantee || '=' || rights, ' ' order by grantee) from (
           select coalesce(nullif(grantee, 0)::regrole::text, 'public') as grantee,
             string_agg(left(privilege_type, 1) || case when is_grantable then '*' else '' end, '' order by privilege_type desc) as rights
           from aclexplode(nspacl) where grantee <> nspowner group by grantee) as acl), '')
       from pg_namespace where nspname !~ '^(pg_|information)' order by nspname`,
    );
    expect(found).toEqual([
      ['_millrace', 'millrace_admin', 'supabase_auth_admin=U supabase_storage_admin=U'],
      [
        'auth',
        'supabase_admin',
        'anon=U authenticated=U dashboard_user=UC postgres=U service_role=U supabase_auth_admin=UC supabase_realtime_admin=U',
      ],
      [
        'extensions',
        'postgres',
        'anon=U authenticated=U dashboard_user=UC service_role=U supabase_realtime_admin=U',
      ],
      ['graphql', 'supabase_admin', 'anon=U authenticated=U postgres=U* service_role=U'],
      ['graphql_public', 'supabase_admin', 'anon=U authenticated=U postgres=U* service_role=U'],
      ['pgbouncer', 'pgbouncer', ''],
      [
        'public',
        'pg_database_owner',
        'anon=U authenticated=U postgres=U public=U service_role=U supabase_realtime_admin=UC',
      ],
      [
        'realtime',
        'supabase_admin',
        'anon=U authenticated=U postgres=U* service_role=U supabase_realtime_admin=U*C*',
      ],
      [
        'storage',
        'supabase_admin',
        'anon=U authenticated=U dashboard_user=UC postgres=U* service_role=U supabase_storage_admin=UC',
      ],
      [
        'supabase_functions',
        'supabase_admin',
        'anon=U authenticated=U postgres=U service_role=U supabase_functions_admin=UC',
      ],
      ['supabase_migrations', 'postgres', ''],
      ['vault', 'supabase_admin', 'postgres=U* service_role=U'],
    ]);
  });

  it('has the default privileges', async () => {
    // Source: nix/tests/expected/roles.out and z_17_roles.out; supabase/cli webhook.sql.
    const found = await rows(
      admin,
      `select defaclrole::regrole || ' in ' || defaclnamespace::regnamespace, defaclobjtype::text,
         (select string_agg(distinct grantee::regrole || case when is_grantable then '*' else '' end, ' ') from aclexplode(defaclacl)),
         (select count(distinct privilege_type)::int from aclexplode(defaclacl))
       from pg_default_acl order by 1, defaclobjtype::text collate "C"`,
    );
    const everyone = 'anon authenticated postgres service_role';
    const all = (place: string, grantees: string) => [
      [place, 'S', grantees, 3],
      [place, 'f', grantees, 1],
      // SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, and MAINTAIN since 17.
      [place, 'r', grantees, 8],
    ];
    expect(found).toEqual([
      ...all('postgres in public', everyone),
      ...all('postgres in storage', everyone),
      ...all('supabase_admin in extensions', 'postgres*'),
      ...all('supabase_admin in graphql', everyone),
      ...all('supabase_admin in graphql_public', everyone),
      ...all('supabase_admin in public', everyone),
      ...all('supabase_admin in realtime', 'dashboard_user postgres'),
      ...all('supabase_admin in supabase_functions', everyone),
      ...all('supabase_auth_admin in auth', 'dashboard_user postgres'),
    ]);
  });

  it('belongs to postgres, with an empty publication and the extensions that there are', async () => {
    expect(
      await rows(
        admin,
        `select (select datdba::regrole::text from pg_database where datname = current_database()),
           (select pubowner::regrole::text from pg_publication where pubname = 'supabase_realtime'),
           (select count(*)::int from pg_publication_tables where pubname = 'supabase_realtime'),
           (select string_agg(extname || ' in ' || extnamespace::regnamespace, ', ' order by extname) from pg_extension)`,
      ),
    ).toEqual([
      [
        'postgres',
        'postgres',
        0,
        'pg_stat_statements in extensions, pgcrypto in extensions, plpgsql in pg_catalog, supabase_vault in vault, uuid-ossp in extensions',
      ],
    ]);
  });

  it('keeps the CLI’s history in the CLI’s columns', async () => {
    // Source: supabase/cli apps/cli-go/pkg/migration/history.go.
    expect(
      await rows(
        admin,
        `select table_name::text, string_agg(column_name || ' ' || udt_name || case is_nullable when 'NO' then '!' else '' end, ', ' order by ordinal_position)
         from information_schema.columns where table_schema = 'supabase_migrations' group by 1 order by 1`,
      ),
    ).toEqual([
      ['schema_migrations', 'version text!, statements _text, name text'],
      ['seed_files', 'path text!, hash text!'],
    ]);
  });

  describe('who may do what', () => {
    const denied = '42501';
    const claims = `set local request.jwt.claims = '{"sub":"7b9a1cb2-56a1-4a4f-8f6e-7b1b4b5cfb10","role":"authenticated"}'`;
    it.each<
      [
        role:
          | 'postgres'
          | 'authenticator'
          | 'millrace_admin'
          | 'supabase_auth_admin'
          | 'supabase_storage_admin',
        what: string,
        outcome: string,
        ...sql: string[],
      ]
    >([
      // A migration of a hosted project.
      [
        'postgres',
        'writes tables and policies',
        'ok',
        'create table public.t (id int)',
        'alter table public.t enable row level security',
        'create policy p on public.t using (true)',
      ],
      [
        'postgres',
        'writes policies on storage.objects',
        'ok',
        `create policy p on storage.objects using (bucket_id = 'b')`,
      ],
      [
        'postgres',
        'writes policies on realtime.messages',
        'ok',
        'create policy p on realtime.messages for select using (realtime.topic() = event)',
      ],
      [
        'postgres',
        'puts triggers on auth.users',
        'ok',
        'create function public.f() returns trigger language plpgsql as $$ begin return new; end $$',
        'create trigger t after insert on auth.users for each row execute function public.f()',
      ],
      [
        'postgres',
        'references auth.users',
        'ok',
        'create table public.profiles (id uuid primary key references auth.users on delete cascade)',
      ],
      [
        'postgres',
        'reads and writes auth.users',
        'ok',
        `insert into auth.users (id, email) values (gen_random_uuid(), 'a@example.com')`,
        'select * from auth.users',
      ],
      ['postgres', 'makes buckets', 'ok', `insert into storage.buckets (id, name) values ('b', 'b')`],
      [
        'postgres',
        'fills the publication',
        'ok',
        'create table public.t (id int)',
        'alter publication supabase_realtime add table public.t',
      ],
      [
        'postgres',
        'alters the API roles',
        'ok',
        `alter role anon set statement_timeout = '10s'`,
        `alter role authenticator set statement_timeout = '9s'`,
      ],
      [
        'postgres',
        'makes roles and becomes them',
        'ok',
        'create role r',
        'grant r to authenticator',
        'set local role r',
      ],
      [
        'postgres',
        'makes schemas and trusted extensions',
        'ok',
        'create schema s',
        'create extension citext with schema s',
      ],
      [
        'postgres',
        'reads everybody’s rows',
        'ok',
        'set local role service_role',
        'select * from storage.objects',
      ],
      ['postgres', 'becomes no superuser', denied, 'alter role postgres superuser'],
      ['postgres', 'makes no superuser', denied, 'create role r superuser'],
      ['postgres', 'is not the administrator', denied, 'set local role supabase_admin'],
      ['postgres', 'is not a table owner', denied, 'set local role supabase_auth_admin'],
      [
        'postgres',
        'changes no table owner’s password',
        denied,
        `alter role supabase_auth_admin password 'x'`,
      ],
      ['postgres', 'runs no programs', denied, `copy (select 1) to program 'true'`],
      ['postgres', 'reads no files', denied, `select pg_read_file('PG_VERSION')`],
      [
        'postgres',
        'writes nothing of Millrace’s',
        denied,
        `insert into _millrace.settings (key, value, changed_by) values ('a', '1', 'x')`,
      ],
      ['postgres', 'deletes no files behind storage’s back', denied, 'delete from storage.objects'],

      [
        'authenticator',
        'becomes the API roles',
        'ok',
        'set local role anon',
        'reset role',
        'set local role service_role',
      ],
      ['authenticator', 'has no rights of its own', denied, 'select * from auth.users'],
      ['authenticator', 'is not postgres', denied, 'set local role postgres'],
      ['authenticator', 'sees nothing of Millrace’s', denied, 'select * from _millrace.settings'],

      ['authenticator', 'as anon reads no users', denied, 'set local role anon', 'select id from auth.users'],
      [
        'authenticator',
        'as anon finds no files without a policy',
        'ok',
        'set local role anon',
        'select id from storage.objects',
      ],
      [
        'authenticator',
        'as anon makes no buckets',
        denied,
        'set local role anon',
        `insert into storage.buckets (id, name) values ('b', 'b')`,
      ],
      [
        'authenticator',
        'as anon makes no tables',
        denied,
        'set local role anon',
        'create table public.t (id int)',
      ],
      [
        'authenticator',
        'as anon reads no migrations',
        denied,
        'set local role anon',
        'select * from supabase_migrations.schema_migrations',
      ],
      [
        'authenticator',
        'as anon sees nothing of Millrace’s',
        denied,
        'set local role anon',
        'select * from _millrace.leases',
      ],
      [
        'authenticator',
        'as authenticated asks who it is',
        'ok',
        'set local role authenticated',
        claims,
        'select 1 / (auth.uid() is not null)::int',
      ],
      [
        'authenticator',
        'as service_role reads no users either',
        denied,
        'set local role service_role',
        'select id from auth.users',
      ],
      [
        'authenticator',
        'as service_role makes buckets',
        'ok',
        'set local role service_role',
        `insert into storage.buckets (id, name) values ('b', 'b')`,
      ],

      [
        'supabase_auth_admin',
        'keeps its tables',
        'ok',
        'alter table auth.users add column c int',
        'create table auth.mine (id int)',
      ],
      ['supabase_auth_admin', 'reads no files', denied, 'select * from storage.objects'],
      [
        'supabase_storage_admin',
        'answers as the API roles',
        'ok',
        'set local role authenticated',
        'select * from storage.objects',
      ],
      ['supabase_storage_admin', 'reads no users', denied, 'select * from auth.users'],
      [
        'millrace_admin',
        'keeps its tables',
        'ok',
        `insert into _millrace.settings (key, value, changed_by) values ('a', '1', 'x')`,
      ],
      ['millrace_admin', 'reads nothing of the project’s', denied, 'select * from auth.users'],
    ])('%s %s: %s', async (role, _what, outcome, ...sql) => {
      expect(await attempt(cluster.login(role), ...sql)).toBe(outcome);
    });

    it('postgres reads everything that can be read, as pg_dump needs it', async () => {
      // By pg_read_all_data, as upstream. So neither `_millrace` nor a role's verifier holds a secret that can be used.
      const sql = ['select * from _millrace.settings', 'select rolpassword from pg_authid'];
      expect(await attempt(postgres, ...sql)).toBe('ok');
    });
  });

  it('says who asks, from the claims', async () => {
    const ask = async (...settings: string[]) =>
      withClient(cluster.login('authenticator'), async (client) => {
        await client.query('begin; set local role authenticated');
        for (const setting of settings) await client.query(`set local ${setting}`);
        const { rows } = await client.query('select auth.uid(), auth.role(), auth.email(), auth.jwt()');
        await client.query('rollback');
        return rows[0];
      });
    const sub = '7b9a1cb2-56a1-4a4f-8f6e-7b1b4b5cfb10';
    const all = { sub, role: 'authenticated', email: 'a@example.com', app: { tier: 2 } };
    expect(await ask(`request.jwt.claims = '${JSON.stringify(all)}'`)).toEqual({
      uid: sub,
      role: 'authenticated',
      email: 'a@example.com',
      jwt: all,
    });
    expect(await ask()).toEqual({ uid: null, role: null, email: null, jwt: null });
    expect(await ask(`request.jwt.claims = ''`)).toEqual({ uid: null, role: null, email: null, jwt: null });
    // The form of PostgREST 8 and of older test suites.
    expect(await ask(`request.jwt.claim.sub = '${sub}'`, `request.jwt.claim.role = 'anon'`)).toEqual({
      uid: sub,
      role: 'anon',
      email: null,
      jwt: null,
    });
  });

  it('takes names of files apart as upstream', async () => {
    // Expected values: upstream's functions of supabase/storage 0060 and 0061, asked the same.
    expect(
      await rows(
        admin,
        `select n, storage.foldername(n), storage.filename(n), storage.extension(n)
         from unnest(array['a', 'a/b', 'a/b/c.txt', '', 'a/', 'x.tar.gz', '.env', 'a.b/c']) as n`,
      ),
    ).toEqual([
      ['a', [], 'a', 'a'],
      ['a/b', ['a'], 'b', 'b'],
      ['a/b/c.txt', ['a', 'b'], 'c.txt', 'txt'],
      ['', null, null, null],
      ['a/', ['a'], '', ''],
      ['x.tar.gz', [], 'x.tar.gz', 'gz'],
      ['.env', [], '.env', 'env'],
      ['a.b/c', ['a.b'], 'c', 'c'],
    ]);
  });

  it('lists folders and files page by page', async () => {
    const listed = await withClient(admin, async (client) => {
      await client.query('begin');
      await client.query(`insert into storage.buckets (id, name) values ('b', 'b')`);
      await client.query(
        `insert into storage.objects (bucket_id, name)
         select 'b', unnest(array['a.txt', 'docs/one', 'docs/two/x', 'docs-old', 'Zoo/z', 'img_1/p'])`,
      );
      const names = async (sql: string) =>
        (await client.query<{ name: string; id: string | null }>(sql)).rows.map(
          ({ name, id }) => name + (id === null ? '/' : ''),
        );
      const answers = [
        await names(`select * from storage.search('', 'b')`),
        await names(`select * from storage.search('docs/', 'b')`),
        await names(`select * from storage.search('DOCS/', 'b', 1, 1, 1)`),
        await names(`select * from storage.search('', 'b', 100, 1, 0, 'd', 'name', 'desc')`),
        await names(`select * from storage.search_v2('', 'b', 2)`),
        await names(`select * from storage.search_v2('', 'b', 2, 1, 'a.txt')`),
        await names(`select * from storage.search_v2('', 'b', 9, 1, 'docs')`),
        await names(`select * from storage.search_v2('docs/', 'b', 9, 2, '', 'desc')`),
      ];
      await client.query('rollback');
      return answers;
    });
    expect(listed).toEqual([
      ['a.txt', 'docs-old', 'docs/', 'img_1/', 'Zoo/'],
      ['one', 'two/'],
      ['two/'],
      ['docs/', 'docs-old'],
      ['Zoo/', 'a.txt'],
      ['docs-old', 'docs/'],
      ['img_1/'],
      ['docs/two/', 'docs/one'],
    ]);
  });

  it('tries the policies of an upload without keeping the row', async () => {
    const probe = `select storage.can_insert_object('b', 'x', null, '{}')`;
    const bucket = `insert into storage.buckets (id, name) values ('b', 'b')`;
    expect(await attempt(postgres, bucket, 'set local role authenticated', probe)).toBe('42501');
    const policy = 'create policy p on storage.objects for insert to authenticated with check (true)';
    expect(await attempt(postgres, bucket, policy, 'set local role authenticated', probe)).toBe('PT200');
  });

  it('keeps a broadcast in today’s partition, and a failed one out of the way', async () => {
    await withClient(postgres, async (client) => {
      await client.query('begin');
      await client.query(
        `create table public.rooms (id int primary key, name text);
         create function public.tell() returns trigger language plpgsql as $$
         begin
           perform realtime.broadcast_changes('room:' || new.id, tg_op, tg_op, tg_table_name, tg_table_schema, new, old);
           return null;
         end $$;
         create trigger tell after insert or update on public.rooms for each row execute function public.tell();
         insert into public.rooms values (1, 'one');
         select realtime.send('{"a":1}', 'e', 'room:2', false)`,
      );
      const { rows } = await client.query(
        `select topic, event, private, payload - 'id' as payload, payload ->> 'id' = id::text as numbered,
           tableoid::regclass::text = 'realtime.messages_' || to_char(timezone('utc', now()), 'YYYY_MM_DD') as today
         from realtime.messages order by topic`,
      );
      expect(rows).toEqual([
        {
          topic: 'room:1',
          event: 'INSERT',
          private: true,
          payload: {
            operation: 'INSERT',
            schema: 'public',
            table: 'rooms',
            record: { id: 1, name: 'one' },
            old_record: null,
          },
          numbered: true,
          today: true,
        },
        { topic: 'room:2', event: 'e', private: false, payload: { a: 1 }, numbered: true, today: true },
      ]);
      const notices: string[] = [];
      client.on('notice', (notice) => notices.push(notice.message ?? ''));
      await client.query(
        `insert into public.rooms values (2, 'two'); select realtime.send('{}', null, null)`,
      );
      expect(notices).toEqual([
        expect.stringContaining('WarnSendingBroadcastMessage: null value in column "topic"'),
      ]);
      expect((await client.query('select id from public.rooms')).rowCount).toBe(2);
      await client.query('rollback');
    });
  });

  it('makes partitions ahead and drops old ones', async () => {
    const days = () =>
      rows(
        admin,
        `select relname::text from pg_inherits join pg_class as child on child.oid = inhrelid
         where inhparent = 'realtime.messages'::regclass order by relname`,
      );
    const made = await days();
    expect(made).toHaveLength(5);
    await rows(
      cluster.login('supabase_realtime_admin'),
      `create table realtime.messages_2020_01_01 partition of realtime.messages for values from ('2020-01-01') to ('2020-01-02')`,
    );
    await rows(cluster.login('supabase_realtime_admin'), 'select realtime.keep_message_partitions()');
    expect(await days()).toEqual(made);
  });

  it('tells of every change of the schema that a Data API could show', async () => {
    // Source: supabase/postgres nix/tests/expected/pgrst_watch_triggers.out. A session hears its own notifications before
    // the next answer, so nothing has to be waited for.
    const heard: Record<string, number> = {};
    await withClient(postgres, async (client) => {
      let count = 0;
      client.on('notification', ({ channel, payload }) => {
        if (channel === 'pgrst' && payload === 'reload schema') count += 1;
      });
      await client.query(
        'listen pgrst; create function public.f() returns trigger language plpgsql as $$ begin return new; end $$',
      );
      for (const sql of [
        'create table public.w (id int)',
        'comment on table public.w is $$x$$',
        'alter table public.w add column name text',
        'create view public.v as select id from public.w',
        'create trigger t before insert on public.w for each row execute function public.f()',
        'create temp table tmp (id int)',
        'create trigger t before insert on tmp for each row execute function public.f()',
        'create table auth.w (id int)',
        'create trigger t before insert on auth.w for each row execute function public.f()',
        'comment on table storage.objects is $$Files: one row for each, its bytes are in the blob store.$$',
        'insert into public.w values (1)',
        'grant select on public.w to anon',
        'drop trigger t on auth.w',
        'drop table auth.w',
        'drop table tmp',
        'drop view public.v',
        'drop table public.w cascade',
        'drop function public.f()',
      ]) {
        count = 0;
        await client.query(sql);
        await client.query('select 1');
        heard[sql] = count;
      }
    });
    expect(Object.keys(heard).filter((sql) => heard[sql] !== 0)).toEqual([
      'create table public.w (id int)',
      'comment on table public.w is $$x$$',
      'alter table public.w add column name text',
      'create view public.v as select id from public.w',
      'create trigger t before insert on public.w for each row execute function public.f()',
      'drop view public.v',
      'drop table public.w cascade',
      'drop function public.f()',
    ]);
  });

  it('has a trigger function for webhooks that says when nothing can be sent', async () => {
    await withClient(postgres, async (client) => {
      const notices: string[] = [];
      client.on('notice', (notice) => notices.push(notice.message ?? ''));
      await client.query(
        `begin; create table public.orders (id int);
         create trigger hook after insert on public.orders for each row
           execute function supabase_functions.http_request('http://example.com', 'POST', '{}', '{}', '1000');
         insert into public.orders values (1)`,
      );
      expect(notices).toEqual([
        'webhook "hook" of table "public.orders" was not sent: this database has no net.http_post',
      ]);
      const { rows } = await client.query('select hook_name, request_id from supabase_functions.hooks');
      expect(rows).toEqual([{ hook_name: 'hook', request_id: null }]);
      await client.query('rollback');
    });
  });

  it('lets postgres in by its password only', async () => {
    // Also one that SASLprep changes. Source: RFC 4013.
    const password = shapeOptions.passwordOf('postgres')!;
    expect(await rows(cluster.byPassword('postgres', password), 'select current_user::text')).toEqual([
      ['postgres'],
    ]);
    await expect(rows(cluster.byPassword('postgres', 'wrong'), 'select 1')).rejects.toMatchObject({
      code: '28P01',
    });
    await expect(rows(cluster.byPassword('authenticator', ''), 'select 1')).rejects.toThrow();
  });
});
