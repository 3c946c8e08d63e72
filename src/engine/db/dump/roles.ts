// In charge of: the roles of a server as values, and the parts of SQL that say them; what of the platform's a project may set.
import type { Client } from 'pg';
import { ident, literal } from '../ident.ts';
import { settingOf } from './setting.ts';

export interface Role {
  readonly name: string;
  readonly comment: string | null;
  readonly login: boolean;
  readonly inherit: boolean;
  readonly createrole: boolean;
  readonly createdb: boolean;
  readonly replication: boolean;
  readonly bypassrls: boolean;
  readonly limit: number;
  readonly until: string | null;
  /** As the catalog has them, `name=value`: those for every database. */
  readonly settings: readonly string[];
  readonly memberOf: readonly Membership[];
}

export interface Membership {
  readonly role: string;
  readonly admin: boolean;
}

/** All of them in the order of their names. Without passwords: nobody but a superuser reads them. */
export async function loadRoles(client: Pick<Client, 'query'>): Promise<readonly Role[]> {
  const { rows } = await client.query<Role>(rolesQuery);
  return rows;
}

/** The attributes as `alter role … with` takes them, without those that not everybody may even name: a superuser's, and BYPASSRLS. */
export function attributesOf(role: Role): string {
  const word = (is: boolean, name: string) => (is ? name : `NO${name}`);
  return [
    word(role.inherit, 'INHERIT'),
    word(role.createrole, 'CREATEROLE'),
    word(role.createdb, 'CREATEDB'),
    word(role.login, 'LOGIN'),
    ...(role.limit === -1 ? [] : [`CONNECTION LIMIT ${role.limit}`]),
    ...(role.until === null ? [] : [`VALID UNTIL ${literal(role.until)}`]),
  ].join(' ');
}

/** `SET "statement_timeout" TO '5s'`, behind an ALTER ROLE or ALTER DATABASE. */
export function setClause(setting: string): string {
  const { name, value } = settingOf(setting);
  return `SET ${name} TO ${value}`;
}

export function grantStatement({ name }: Role, { role, admin }: Membership): string {
  return `GRANT ${ident(role)} TO ${ident(name)}${admin ? ' WITH ADMIN OPTION' : ''};`;
}

/** What may be set for the platform's roles, too. Source: supabase/cli apps/cli-go/pkg/migration/dump.go, `allowedConfigs`. */
export function isAllowedSetting(setting: string): boolean {
  return /^(?:pgaudit\.[^=]*|pgrst\.[^=]*|session_replication_role|statement_timeout|track_io_timing)=/.test(
    setting,
  );
}

const rolesQuery = `
  select role.rolname as name, pg_catalog.shobj_description(role.oid, 'pg_authid') as comment,
    role.rolcanlogin as login, role.rolinherit as inherit, role.rolcreaterole as createrole, role.rolcreatedb as createdb,
    role.rolreplication as replication, role.rolbypassrls as bypassrls, role.rolconnlimit as limit, role.rolvaliduntil::text as until,
    coalesce((select setconfig from pg_catalog.pg_db_role_setting where setrole = role.oid and setdatabase = 0), '{}') as settings,
    coalesce((select json_agg(json_build_object('role', granted.rolname, 'admin', member.admin) order by granted.rolname)
      from (select roleid, bool_or(admin_option) as admin from pg_catalog.pg_auth_members where member = role.oid group by roleid) as member
      join pg_catalog.pg_roles as granted on granted.oid = member.roleid), '[]') as "memberOf"
  from pg_catalog.pg_roles as role order by role.rolname collate "C"`;
