// In charge of: the roles of a project as statements that can run where they are there already: for moving it to another server.
import type { Client } from 'pg';
import { ident, literal } from '../ident.ts';
import { isPlatformRole } from './platform.ts';
import { settingOf } from './setting.ts';

export interface ProjectRoles {
  /** The project's own roles, which the statements make. Without passwords: nobody but a superuser reads them. */
  readonly roles: readonly string[];
  readonly statements: readonly string[];
}

/**
 * The project's own roles with attributes, settings and memberships; and those settings of the platform's roles and of the database that a project may set.
 * Attributes and memberships that only a superuser gives are left out.
 * Source: supabase/cli apps/cli-go/pkg/migration/dump.go `allowedConfigs`, scripts/dump_role.sh.
 */
export async function projectRoles(client: Pick<Client, 'query'>): Promise<ProjectRoles> {
  const { rows } = await client.query<RoleRow>(rolesQuery);
  const own = rows.filter(({ name }) => !isPlatformRole(name));
  const statements = [
    withoutDefaults,
    ...own.map(({ name }) => createRole(name)),
    ...own.map((row) => `alter role ${ident(row.name)} with ${attributesOf(row)};`),
    ...own.flatMap(({ name, comment }) =>
      comment === null ? [] : [`comment on role ${ident(name)} is ${literal(comment)};`],
    ),
    // Whoever loads this hands things to these roles, and must be able to be them for it.
    ...own.map(({ name }) => `grant ${ident(name)} to current_user;`),
    ...rows.flatMap((row) => row.member_of.flatMap((granted) => grantOf(row, granted))),
    ...rows.flatMap(({ name, settings }) =>
      settings
        .filter((setting) => !isPlatformRole(name) || (configurable.has(name) && isAllowed(setting)))
        .map((setting) => `alter role ${ident(name)} ${setStatement(setting)};`),
    ),
  ];
  const database = await client.query<{ settings: readonly string[] }>(databaseSettingsQuery);
  for (const setting of database.rows[0]?.settings ?? []) {
    if (!isAllowed(setting)) continue;
    statements.push(
      `do $do$ begin execute format('alter database %I ', current_database()) || ${literal(setStatement(setting))}; end $do$;`,
    );
  }
  return { roles: own.map(({ name }) => name), statements };
}

/**
 * What the server that is loaded into would grant of itself on everything that is made: pg_dump says what differs from PostgreSQL's own defaults and not
 * from these, so a table that nobody may read would come out open to the API. The project's defaults stand in its dump, at the end.
 */
const withoutDefaults = `do $do$
declare
  given record;
begin
  for given in
    select space.nspname as schema, grantee.rolname as grantee,
      case defaults.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' else 'schemas' end as kind
    from pg_catalog.pg_default_acl as defaults
    cross join lateral pg_catalog.aclexplode(defaults.defaclacl) as acl
    join pg_catalog.pg_roles as grantee on grantee.oid = acl.grantee and grantee.oid <> defaults.defaclrole
    left join pg_catalog.pg_namespace as space on space.oid = defaults.defaclnamespace
    where defaults.defaclrole = current_user::pg_catalog.regrole and (space.nspname = 'public' or defaults.defaclnamespace = 0)
      and defaults.defaclobjtype in ('r', 'S', 'f', 'T', 'n')
    group by 1, 2, 3
  loop
    execute format('alter default privileges%s revoke all on %s from %I', ' in schema ' || quote_ident(given.schema), given.kind, given.grantee);
  end loop;
end
$do$;`;

interface RoleRow {
  readonly name: string;
  readonly comment: string | null;
  readonly login: boolean;
  readonly inherit: boolean;
  readonly createrole: boolean;
  readonly createdb: boolean;
  readonly bypassrls: boolean;
  readonly limit: number;
  readonly until: string | null;
  readonly settings: readonly string[];
  readonly member_of: readonly Membership[];
}

interface Membership {
  readonly role: string;
  readonly admin: boolean;
}

function createRole(name: string): string {
  return `do $do$ begin if not exists (select from pg_catalog.pg_roles where rolname = ${literal(name)}) then create role ${ident(name)}; end if; end $do$;`;
}

function attributesOf(row: RoleRow): string {
  const word = (is: boolean, name: string) => (is ? name : `no${name}`);
  return [
    word(row.login, 'login'),
    word(row.inherit, 'inherit'),
    word(row.createrole, 'createrole'),
    word(row.createdb, 'createdb'),
    ...(row.bypassrls ? ['bypassrls'] : []),
    ...(row.limit === -1 ? [] : [`connection limit ${row.limit}`]),
    ...(row.until === null ? [] : [`valid until ${literal(row.until)}`]),
  ].join(' ');
}

function grantOf({ name }: RoleRow, { role, admin }: Membership): readonly string[] {
  // Between two of the platform's roles the platform decides, and most of them are nobody's to give.
  if (isPlatformRole(role) && (isPlatformRole(name) || !given.has(role))) return [];
  if (name === 'postgres') return [];
  return [`grant ${ident(role)} to ${ident(name)}${admin ? ' with admin option' : ''};`];
}

function setStatement(setting: string): string {
  const { name, value } = settingOf(setting);
  return `set ${name} to ${value}`;
}

function isAllowed(setting: string): boolean {
  return allowedSettings.test(setting.slice(0, setting.indexOf('=')));
}

const allowedSettings =
  /^(?:pgaudit\..*|pgrst\..*|app\..*|session_replication_role|statement_timeout|track_io_timing)$/;
const configurable: ReadonlySet<string> = new Set(['anon', 'authenticated', 'authenticator', 'service_role']);
/** The platform's roles that `postgres` may give to others. */
const given: ReadonlySet<string> = new Set([
  'anon',
  'authenticated',
  'authenticator',
  'pg_monitor',
  'pg_read_all_data',
  'pg_signal_backend',
  'service_role',
]);

const rolesQuery = `
  select role.rolname as name, pg_catalog.shobj_description(role.oid, 'pg_authid') as comment,
    role.rolcanlogin as login, role.rolinherit as inherit, role.rolcreaterole as createrole, role.rolcreatedb as createdb,
    role.rolbypassrls as bypassrls, role.rolconnlimit as limit, role.rolvaliduntil::text as until,
    coalesce((select setconfig from pg_catalog.pg_db_role_setting where setrole = role.oid and setdatabase = 0), '{}') as settings,
    coalesce((select json_agg(json_build_object('role', granted.rolname, 'admin', member.admin) order by granted.rolname)
      from (select roleid, bool_or(admin_option) as admin from pg_catalog.pg_auth_members where member = role.oid group by roleid) as member
      join pg_catalog.pg_roles as granted on granted.oid = member.roleid), '[]') as member_of
  from pg_catalog.pg_roles as role order by role.rolname collate "C"`;

const databaseSettingsQuery = `
  select setconfig as settings from pg_catalog.pg_db_role_setting
  where setrole = 0 and setdatabase = (select oid from pg_catalog.pg_database where datname = current_database())`;
