// In charge of: the roles of a project as statements that can run where they are there already: for moving it to another server.
import type { Client } from 'pg';
import { ident, literal } from '../ident.ts';
import { isPlatformRole } from './platform.ts';
import {
  attributesOf,
  grantStatement,
  isAllowedSetting,
  loadRoles,
  type Membership,
  type Role,
  setClause,
} from './roles.ts';

export interface ProjectRoles {
  /** The project's own roles, which the statements make. */
  readonly roles: readonly string[];
  readonly statements: readonly string[];
  /** What a project tells itself by settings that PostgreSQL does not know. */
  readonly appSettings: readonly AppSetting[];
}

/** `app.greeting`. Where nobody gave the right only a superuser makes it. */
export interface AppSetting {
  /** Undefined: of the database. */
  readonly role: string | undefined;
  /** As the catalog has it: `app.greeting=hello`. */
  readonly setting: string;
}

/**
 * The project's own roles with attributes, settings and memberships; and those settings of the platform's roles and of the database that a project may set.
 * Attributes and memberships that only a superuser gives are left out.
 */
export async function projectRoles(client: Pick<Client, 'query'>): Promise<ProjectRoles> {
  const all = await loadRoles(client);
  const own = all.filter(({ name }) => !isPlatformRole(name));
  const found = await client.query<{ settings: readonly string[] }>(databaseSettingsQuery);
  const ofDatabase = found.rows[0]?.settings ?? [];
  const ofRoles = all
    .filter(({ name }) => !isPlatformRole(name) || configurable.has(name))
    .flatMap(({ name, settings }) => settings.map((setting) => ({ role: name, setting })));
  const statements = [
    withoutDefaults,
    ...own.map(({ name }) => createRole(name)),
    ...own.map(
      (role) =>
        `alter role ${ident(role.name)} with ${attributesOf(role)}${role.bypassrls ? ' BYPASSRLS' : ''};`,
    ),
    ...own.flatMap(({ name, comment }) =>
      comment === null ? [] : [`comment on role ${ident(name)} is ${literal(comment)};`],
    ),
    // Whoever loads this hands things to these roles, and must be able to be them for it.
    ...own.map(({ name }) => `grant ${ident(name)} to current_user;`),
    ...all.flatMap((role) =>
      role.memberOf.filter((one) => isGiven(role, one)).map((one) => grantStatement(role, one)),
    ),
    ...ofRoles
      .filter(({ role, setting }) => !isApps(setting) && (!isPlatformRole(role) || isAllowedSetting(setting)))
      .map(({ role, setting }) => `alter role ${ident(role)} ${setClause(setting)};`),
    ...ofDatabase
      .filter(isAllowedSetting)
      .map((setting) => `do ${literal(`begin ${setHere(setting)} end`)};`),
  ];
  const appSettings = [...ofDatabase.map((setting) => ({ role: undefined, setting })), ...ofRoles];
  return {
    roles: own.map(({ name }) => name),
    statements,
    appSettings: appSettings.filter(({ setting }) => isApps(setting)),
  };
}

/** For the superuser of a server, and a database of it. */
export function makeAppSetting({ role, setting }: AppSetting, database: string): string {
  const whose = role === undefined ? `database ${ident(database)}` : `role ${ident(role)}`;
  return `alter ${whose} ${setClause(setting)};`;
}

/** For whoever loads a script, and may not be allowed to. */
export function tryAppSetting({ role, setting }: AppSetting): string {
  const statement =
    role === undefined ? setHere(setting) : `alter role ${ident(role)} ${setClause(setting)};`;
  const name = setting.slice(0, setting.indexOf('='));
  const sentence = `The setting ${name} of ${role === undefined ? 'the database' : `role ${role}`} was left out: only a superuser makes it.`;
  const body = `begin ${statement} exception when insufficient_privilege then raise warning '%', ${literal(sentence)}; end`;
  return `do ${literal(body)};`;
}

/** In a block: a script does not know what the database is called that it is loaded into. */
function setHere(setting: string): string {
  return `execute format('alter database %I ', current_database()) || ${literal(setClause(setting))};`;
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

function createRole(name: string): string {
  return `do $do$ begin if not exists (select from pg_catalog.pg_roles where rolname = ${literal(name)}) then create role ${ident(name)}; end if; end $do$;`;
}

function isGiven({ name }: Role, { role }: Membership): boolean {
  // Between two of the platform's roles the platform decides, and most of them are nobody's to give.
  if (isPlatformRole(role) && (isPlatformRole(name) || !given.has(role))) return false;
  return name !== 'postgres';
}

function isApps(setting: string): boolean {
  return setting.startsWith('app.');
}

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

const databaseSettingsQuery = `
  select setconfig as settings from pg_catalog.pg_db_role_setting
  where setrole = 0 and setdatabase = (select oid from pg_catalog.pg_database where datname = current_database())`;
