// In charge of: proving that a reset leaves a new database and the roles of the platform. On a server of its own, because it changes roles.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectOf, type Written } from '../../../../test/harness/migrations.ts';
import type { Observe } from '../../../base/observe.ts';
import { withClient } from '../client.ts';
import type { LoginRole } from '../db.ts';
import type { PostgresServer } from '../postgres/server.ts';
import { openPostgres } from '../postgres/supervisor.ts';
import { bootstrapDatabase } from '../shape/shape.ts';
import { applyProject } from './apply.ts';
import { resetProject } from './reset.ts';

const project: Written = {
  roles:
    "create role mr_reader login password 'x'; alter role anon set statement_timeout = '77s'; grant anon to mr_reader; grant mr_reader to authenticated;",
  migrations: {
    '1_films.sql': `create table films (id int); create schema other; create table other.t (id int);
      create policy p on storage.objects using (true); create type mood as enum ('sad'); create view v as select * from films;
      create function f() returns int language sql as 'select 1'; create extension if not exists citext; create sequence s;
      create function on_ddl() returns event_trigger language plpgsql as 'begin end';
      create event trigger e on ddl_command_end execute function on_ddl(); create publication p for all tables;`,
  },
  vault: [{ name: 'from_config', value: 'secret' }],
  seeds: {
    'supabase/seed.sql':
      "insert into films values (1); insert into auth.users (id, email) values (gen_random_uuid(), 'a@b.c');",
  },
};

const state = `
  select (select json_object_agg(name, decrypted_secret) from vault.decrypted_secrets) as secrets, (select count(*)::int from films) as films, to_regclass('left_over') as left_over, (select count(*)::int from auth.users) as users,
    (select setconfig from pg_db_role_setting where setrole = 'anon'::regrole and setdatabase = 0) as anon,
    pg_has_role('authenticated', 'mr_reader', 'member') as member,
    (select rolcanlogin from pg_roles where rolname = 'service_role') as service_login,
    to_regrole('mr_by_hand')::text as by_hand`;

describe('resetProject', () => {
  let folder: string;
  let server: PostgresServer;
  const run = (sql: string, role: LoginRole = 'postgres') =>
    withClient(server.login(role), async (client) => (await client.query(sql)).rows as unknown);
  const bootstrap = async () => {
    await withClient(server.login('supabase_admin'), (client) =>
      bootstrapDatabase(client, {
        external: false,
        passwordOf: () => undefined,
        autoExposeNewTables: true,
        observe: () => {},
      }),
    );
  };
  const options = () => ({
    logins: { postgres: server.login('postgres'), admin: server.login('supabase_admin') },
    project: projectOf(project),
    observe: () => {},
  });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mr-reset-'));
    await chmod(folder, 0o711);
    server = await openPostgres({
      project: folder,
      data: join(folder, 'state'),
      systemFolder: join(folder, 'system'),
      port: 0,
      password: 'postgres',
      parameters: { fsync: false },
      observe: () => {},
    });
    await bootstrap();
    await applyProject(options());
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('makes the database anew, and puts the roles back', async () => {
    const [fresh] = (await run(state)) as Record<string, unknown>[];
    await run(
      `create table left_over (id int); create role mr_by_hand; grant anon to mr_by_hand; grant mr_by_hand to authenticated;
       alter role anon set statement_timeout = '99s'; insert into films values (2); select vault.create_secret('by hand', 'by_hand')`,
    );
    await run('alter role service_role login', 'supabase_admin');
    await run("select pg_create_logical_replication_slot('mr_slot', 'pgoutput')");
    await withClient(server.login('authenticator'), async () => {
      const report = await resetProject({ ...options(), admin: server.login('supabase_admin'), bootstrap });
      expect(report).toMatchObject({
        way: 'recreated',
        rolesApplied: true,
        migrations: [{ version: '1' }],
        seeds: [{ act: 'seeded' }],
      });
    });
    expect(await run(state)).toEqual([fresh]);
    expect(fresh).toMatchObject({
      secrets: { from_config: 'secret' },
      films: 1,
      users: 1,
      left_over: null,
      anon: ['statement_timeout=77s'],
      member: true,
      service_login: false,
      by_hand: null,
    });
    const facts =
      'select pg_get_userbyid(datdba) as owner, datlocprovider as provider from pg_database where datname = current_database()';
    expect(await run(facts)).toEqual([{ owner: 'postgres', provider: 'i' }]);
  });

  it.each([
    ['migrations.reset_made', true],
    ['migrations.reset_exchanged', false],
  ])('is ended by the next start when it broke off at %s', async (step, isAsItWas) => {
    await run('create table left_over (id int); create role mr_by_hand');
    await run('alter table left_over owner to mr_by_hand', 'supabase_admin');
    const [before] = (await run(state)) as Record<string, unknown>[];
    const observe: Observe = ({ kind }) => {
      if (kind === step) throw new Error('killed');
    };
    const broken = resetProject({ ...options(), observe, admin: server.login('supabase_admin'), bootstrap });
    await expect(broken).rejects.toThrow('killed');
    await bootstrap();
    const report = await applyProject(options());
    const [after] = (await run(state)) as Record<string, unknown>[];
    if (isAsItWas) expect([report.migrations, after]).toEqual([[], before]);
    else {
      expect(report).toMatchObject({ rolesApplied: true, migrations: [{ version: '1' }] });
      expect(after).toEqual({ ...before, left_over: null, by_hand: null });
    }
    const databases = "select datname from pg_database where datname like 'postgres%' order by 1";
    await resetProject({ ...options(), admin: server.login('supabase_admin'), bootstrap });
    expect([await run(databases), await run(state)]).toEqual([
      [{ datname: 'postgres' }],
      [{ ...before, left_over: null, by_hand: null }],
    ]);
  });

  it('drops what the project made where nobody is superuser', async () => {
    await run(
      "create table left_over (id int); insert into films values (2); create procedure q() language sql as 'select 1'; select vault.create_secret('by hand', 'by_hand')",
    );
    // Roles are left alone there, so roles.sql cannot make them again.
    const { roles: _, ...rest } = project;
    const report = await resetProject({
      logins: { postgres: server.login('postgres'), admin: server.login('supabase_admin') },
      project: projectOf(rest),
      observe: () => {},
      admin: undefined,
      bootstrap,
    });
    expect(report).toMatchObject({
      way: 'emptied',
      migrations: [{ version: '1' }],
      seeds: [{ act: 'seeded' }],
    });
    expect(await run(state)).toMatchObject([
      { secrets: { from_config: 'secret' }, films: 1, users: 1, left_over: null },
    ]);
    expect(await run("select to_regproc('q') as q")).toEqual([{ q: null }]);
  });

  it('drops a superuser’s extensions where the database itself stays, so that a plain CREATE EXTENSION goes through again', async () => {
    const again = () =>
      resetProject({
        ...options(),
        project: projectOf({
          migrations: { '1_links.sql': 'create extension dblink with schema extensions' },
        }),
        admin: undefined,
        extensionOwner: server.login('supabase_admin'),
        bootstrap,
      });
    await again();
    expect(await again()).toMatchObject({ way: 'emptied', migrations: [{ version: '1' }] });
  });

  it('says it when the database is not there', async () => {
    const admin = { ...server.login('supabase_admin'), database: 'missing' };
    await expect(resetProject({ ...options(), admin, bootstrap })).rejects.toThrow(/missing/);
  });
});
