// In charge of: how a database comes into its shape: once, by one of many, with more or fewer rights, and in databases that have a shape already.
import type { ClientConfig } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OperatorError } from '../../../base/errors.ts';
import { attempt, type Cluster, openCluster, rows, shape } from './test-support.ts';

const files = [
  '0001-roles.sql',
  '0002-schemas.sql',
  '0003-auth.sql',
  '0004-storage.sql',
  '0005-realtime.sql',
  '0006-history.sql',
  '0007-reload.sql',
  '0008-millrace.sql',
  '0009-partitions.sql',
  '0010-webhooks.sql',
  '0011-pgbouncer.sql',
  '0012-graphql.sql',
  '0013-api-keys.sql',
  '0014-operators.sql',
  '0015-limits.sql',
  '0016-postgrest-settings.sql',
  '0017-queue.sql',
  '0018-secrets.sql',
  '0019-inbox.sql',
  '0020-recovery-codes.sql',
  '0021-extensions.sql',
  '0022-mail-moments.sql',
  '0023-imports.sql',
  '0024-search-paths.sql',
  '0025-exposure.sql',
  '0026-blobs.sql',
  '0027-uploads.sql',
  '0028-s3.sql',
  '0030-blob-upkeep.sql',
  '0031-own-names.sql',
  '0040-bucket-keys.sql',
  '0041-file-quotas.sql',
  '0042-s3-keys.sql',
  '0049-upload-claims.sql',
  '0050-realtime-publication.sql',
  '0051-change-batches.sql',
  '0052-change-queue.sql',
  '0053-partition-owners.sql',
];

/** Everything that a shape could change, as text. */
const everything = `
  select 'role', to_jsonb(one) - 'oid' from pg_roles as one
  union all select 'password', to_jsonb(rolpassword) from pg_authid
  union all select 'member', to_jsonb(one) - 'oid' from pg_auth_members as one
  union all select 'schema', jsonb_build_array(nspname, nspowner::regrole, nspacl::text) from pg_namespace
  union all select 'class', jsonb_build_array(oid::regclass, relkind, relowner::regrole, relacl::text, relrowsecurity) from pg_class where relkind in ('r', 'p', 'v')
  union all select 'function', jsonb_build_array(oid::regprocedure, proowner::regrole, proacl::text, md5(prosrc)) from pg_proc
  union all select 'default', jsonb_build_array(defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl::text) from pg_default_acl
  union all select 'database', jsonb_build_array(datdba::regrole, datacl::text) from pg_database where datname = current_database()
  order by 1, 2`;

describe('a server of our own', () => {
  let cluster: Cluster;
  let admin: ClientConfig;
  beforeAll(async () => {
    cluster = await openCluster(18);
    admin = cluster.login('supabase_admin');
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  it('is shaped once by two who start at the same time', async () => {
    const [one, two] = await Promise.all([shape(admin), shape(admin)]);
    expect([...one.applied, ...two.applied].sort()).toEqual(files);
    expect(one.ownRoles).toEqual(two.ownRoles);
    expect(one.ownRoles).toContain('supabase_admin');
  });

  it('costs one query from then on', async () => {
    const before = await rows(admin, everything);
    expect(await shape(admin)).toMatchObject({ applied: [], queries: 1, observed: [], notices: [] });
    expect(await rows(admin, everything)).toEqual(before);
  });

  it('takes in only the files that are new', async () => {
    await rows(
      admin,
      `delete from _millrace.migrations where name = '0012-graphql.sql'; drop function graphql_public.graphql`,
    );
    expect((await shape(admin)).applied).toEqual(['0012-graphql.sql']);
  });

  it('says that a file is not the one that was applied', async () => {
    await rows(admin, `update _millrace.migrations set checksum = 'other' where name = '0004-storage.sql'`);
    expect((await shape(admin)).observed).toEqual([
      { kind: 'shape.changed', level: 'warn', file: '0004-storage.sql' },
    ]);
  });

  it('opens new tables to the API roles, or not, as each start decides', async () => {
    const readNew = () =>
      attempt(
        cluster.login('postgres'),
        'create table public.fresh (id int)',
        'set local role anon',
        'select * from public.fresh',
      );
    expect(await readNew()).toBe('ok');
    await shape(admin, { autoExposeNewTables: false });
    expect(await readNew()).toBe('42501');
    // Source: supabase/cli RevokeDefaultDataApiPrivilegesSql takes no more than this.
    const left = await rows(
      admin,
      `select defaclobjtype::text, (select string_agg(distinct privilege_type, ' ' order by privilege_type)
         from aclexplode(defaclacl) where grantee = 'anon'::regrole)
       from pg_default_acl where defaclrole = 'postgres'::regrole and defaclnamespace = 'public'::regnamespace order by defaclobjtype::text collate "C"`,
    );
    expect(left).toEqual([
      ['S', 'UPDATE'],
      ['f', null],
      ['r', 'MAINTAIN REFERENCES TRIGGER TRUNCATE'],
    ]);
    // What the project grants itself stays, also when the program starts again.
    await rows(
      cluster.login('postgres'),
      'alter default privileges in schema public grant select on tables to service_role, anon',
    );
    expect((await shape(admin, { autoExposeNewTables: false })).queries).toBe(1);
    expect(await readNew()).toBe('ok');
    await shape(admin, { autoExposeNewTables: true });
    expect(await readNew()).toBe('ok');
  });

  it('leaves a database alone that has the shape from somebody else', async () => {
    // As an existing project on Supabase: everything is there, but not by Millrace.
    await rows(admin, 'create database theirs template postgres owner postgres');
    const theirs = cluster.login('supabase_admin', 'theirs');
    await rows(
      theirs,
      `drop schema _millrace cascade; drop function realtime.keep_message_partitions;
       alter function auth.uid() owner to dashboard_user; revoke all on auth.users from postgres;
       alter role anon set statement_timeout = '42s';
       grant all on database theirs to postgres, dashboard_user;
       grant create on database theirs to supabase_auth_admin, supabase_realtime_admin`,
    );
    const before = await rows(theirs, everything);
    const shaped = await shape(theirs, { external: true, passwordOf: () => 'changed' });
    expect(shaped.applied).toEqual([
      '0001-roles.sql',
      '0002-schemas.sql',
      '0008-millrace.sql',
      '0009-partitions.sql',
      '0013-api-keys.sql',
      '0014-operators.sql',
      '0015-limits.sql',
      '0016-postgrest-settings.sql',
      '0017-queue.sql',
      '0018-secrets.sql',
      '0019-inbox.sql',
      '0020-recovery-codes.sql',
      '0021-extensions.sql',
      '0022-mail-moments.sql',
      '0023-imports.sql',
      '0024-search-paths.sql',
      '0025-exposure.sql',
      '0026-blobs.sql',
      '0027-uploads.sql',
      '0028-s3.sql',
      '0030-blob-upkeep.sql',
      '0031-own-names.sql',
      '0040-bucket-keys.sql',
      '0041-file-quotas.sql',
      '0042-s3-keys.sql',
      '0049-upload-claims.sql',
      '0051-change-batches.sql',
      '0052-change-queue.sql',
      '0053-partition-owners.sql',
    ]);
    expect(shaped.ownRoles).toEqual([]);
    const after = await rows(theirs, everything);
    const isOurs = ([, fact]: unknown[]) => /_millrace|keep_message_partitions/.test(JSON.stringify(fact));
    expect(after.filter((fact) => !isOurs(fact))).toEqual(before);
  });

  it('undoes a file that fails, names it, and goes on from there the next time', async () => {
    await rows(admin, 'create database half template template0 owner postgres');
    const half = cluster.login('supabase_admin', 'half');
    await rows(
      half,
      `create schema auth; create function auth.uid() returns int language sql return 1; grant usage, create on schema auth to supabase_auth_admin`,
    );
    await rows(half, `alter role anon set statement_timeout = '41s'`);
    await expect(shape(half)).rejects.toMatchObject({
      name: 'OperatorError',
      message:
        'The database could not be brought into shape: "0003-auth.sql" failed: function "uid" already exists with same argument types',
    });
    expect(
      await rows(half, `select to_regclass('auth.users') is null, count(*)::int from _millrace.migrations`),
    ).toEqual([[true, 2]]);
    await rows(half, 'drop function auth.uid()');
    const shaped = await shape(half);
    expect(shaped.applied).toEqual(files.slice(2));
    // In a server of our own a second database finds our roles, as they are now.
    expect(shaped.ownRoles).toContain('postgres');
    expect(await rows(half, `select rolconfig from pg_roles where rolname = 'anon'`)).toEqual([
      [['statement_timeout=41s']],
    ]);
    expect(
      await rows(half, `select nspowner::regrole::text from pg_namespace where nspname = 'extensions'`),
    ).toEqual([['postgres']]);
  });
});

describe('a server that somebody else runs', () => {
  let cluster: Cluster;
  let superuser: ClientConfig;
  beforeAll(async () => {
    cluster = await openCluster(18);
    superuser = cluster.login('supabase_admin');
    // `supabase_admin` stands for the provider here; the customer knows "boss", who owns a database, and "guest", who does not.
    await rows(
      superuser,
      `create role postgres superuser login password 'theirs';
       create role boss login password 'boss' createrole;
       create role guest login password 'guest'`,
    );
    for (const name of ['managed', 'lent']) await rows(superuser, `create database ${name} owner boss`);
    await rows(superuser, 'alter database lent owner to supabase_admin');
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  /** What the start asks an administrator to run. */
  const repairsFor = async (config: ClientConfig): Promise<string> => {
    const refusal = await shape(config, { external: true }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(OperatorError);
    // Sound: just checked.
    const { message, hint } = refusal as OperatorError;
    return `${message}\n${hint}`;
  };

  it('tells a user without rights what to run, and runs after it', async () => {
    const guest = cluster.byPassword('guest', 'guest', 'lent');
    const refusal = await repairsFor(guest);
    expect(refusal.split('\n')).toEqual([
      'The user "guest" may not make the roles and schemas that a project needs in the database "lent".',
      'Run this in that database as a superuser, or as its administrator, and start again:',
      'alter role "guest" createrole;',
      'grant create on database "lent" to "guest" with grant option;',
      'grant usage, create on schema public to "guest" with grant option;',
    ]);
    await rows(cluster.login('supabase_admin', 'lent'), refusal.split('\n').slice(2).join('\n'));
    const shaped = await shape(guest, { external: true });
    // Event triggers, PgBouncer's function and rights on parameters need a superuser.
    expect(shaped.applied).toEqual(files.filter((name) => !/reload|pgbouncer|postgrest/.test(name)));
    expect(shaped.notices).toEqual([
      'The user "guest" is no superuser, so a change of the schema is not noticed by itself: there are no event triggers.',
      'The role "service_role" cannot bypass row-level security; run as a superuser: alter role service_role bypassrls;',
    ]);
    // The server's own postgres stays what it is, and the user that connects stands in for it.
    expect(shaped.ownRoles).not.toContain('postgres');
    expect(await rows(superuser, `select rolsuper from pg_roles where rolname = 'postgres'`)).toEqual([
      [true],
    ]);
    expect(await rows(cluster.byPassword('postgres', 'theirs'), 'select 1')).toEqual([[1]]);
    expect(
      await rows(
        guest,
        `select nspowner::regrole::text from pg_namespace where nspname = 'supabase_migrations'`,
      ),
    ).toEqual([['guest']]);
    expect(await shape(guest, { external: true })).toMatchObject({ applied: [], queries: 1 });
  });

  it('works there for the project’s roles as at home', async () => {
    const guest = cluster.byPassword('guest', 'guest', 'lent');
    expect(
      await attempt(
        guest,
        'create table public.t (id int)',
        'alter table public.t enable row level security',
        'create policy p on public.t using (auth.uid() is null)',
        'create policy p on storage.objects using (true)',
        'set local role anon',
        'select * from public.t, storage.objects',
      ),
    ).toBe('ok');
    expect(await attempt(guest, 'set local role anon', 'select * from auth.users')).toBe('42501');
  });

  it('tells the next user that the roles belong to another, and runs after it', async () => {
    const boss = cluster.byPassword('boss', 'boss', 'managed');
    const refusal = await repairsFor(boss);
    expect(refusal.split('\n').slice(2)).toEqual([
      'grant "millrace_admin", "supabase_auth_admin", "supabase_storage_admin", "supabase_realtime_admin" to "boss" with admin option;',
    ]);
    await rows(superuser, refusal.split('\n').slice(2).join('\n'));
    const shaped = await shape(boss, { external: true });
    expect(shaped.ownRoles).toEqual([]);
    expect(
      await rows(boss, 'select count(*)::int from auth.users, storage.objects, realtime.messages'),
    ).toEqual([[0]]);
  });

  it('is shaped whole for a superuser, whose role stays', async () => {
    await rows(superuser, 'create database whole owner boss');
    const shaped = await shape(cluster.byPassword('postgres', 'theirs', 'whole'), { external: true });
    expect(shaped.applied).toEqual(files);
    expect(shaped.notices).toEqual([]);
    expect(
      await rows(
        superuser,
        `select datdba::regrole::text, (select rolsuper from pg_roles where rolname = 'postgres') from pg_database where datname = 'whole'`,
      ),
    ).toEqual([['boss', true]]);
  });
});
