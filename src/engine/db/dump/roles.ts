// In charge of: the roles of a cluster as SQL: those that are the project's, and what the project set for the platform's.
import type { ClientConfig } from 'pg';
import { withClient } from '../client.ts';
import { ident } from '../ident.ts';
import { settingOf } from './setting.ts';

/** Source: supabase/cli apps/cli-go/pkg/migration/dump.go, `reservedRoles`, and ours. */
const reserved =
  '^(anon|authenticated|authenticator|cli_login_.*|dashboard_user|millrace_.*|pgbouncer|postgres|service_role|supabase_.*|pgsodium_keyholder|pgsodium_keyiduser|pgsodium_keymaker|pgtle_admin|pg_.*)$';
/** What may be set for the platform's roles, too. Source: the same, `allowedConfigs`. */
const allowed = /^(pgaudit\..*|pgrst\..*|session_replication_role|statement_timeout|track_io_timing)$/;

interface RoleRow {
  readonly name: string;
  readonly reserved: boolean;
  readonly options: string;
  readonly settings: readonly string[] | null;
}

interface MemberRow {
  readonly granted: string;
  readonly member: string;
  readonly admin: boolean;
}

/** Roles without their passwords: `create role`, `alter role`, `grant`. */
export async function dumpRoles(login: ClientConfig): Promise<string> {
  return withClient(login, async (client) => {
    const roles = await client.query<RoleRow>(rolesQuery, [reserved]);
    const members = await client.query<MemberRow>(membersQuery, [reserved]);
    const lines = [
      'SET default_transaction_read_only = off;',
      "SET client_encoding = 'UTF8';",
      'SET standard_conforming_strings = on;',
      '',
    ];
    for (const { name, options, reserved: isReserved } of roles.rows) {
      if (isReserved) continue;
      lines.push(`CREATE ROLE ${ident(name)};`, `ALTER ROLE ${ident(name)} WITH ${options};`);
    }
    for (const { name, settings, reserved: isReserved } of roles.rows) {
      for (const setting of settings ?? []) {
        if (isReserved && !allowed.test(setting.slice(0, setting.indexOf('=')))) continue;
        const set = settingOf(setting);
        lines.push(`ALTER ROLE ${ident(name)} SET ${set.name} TO ${set.value};`);
      }
    }
    const grants = members.rows.map(
      ({ granted, member, admin }) =>
        `GRANT ${ident(granted)} TO ${ident(member)}${admin ? ' WITH ADMIN OPTION' : ''};`,
    );
    lines.push(...grants, '', 'RESET ALL;', '');
    return lines.join('\n');
  });
}

const rolesQuery = `
select role.rolname as name, role.rolname ~ $1 as reserved, setting.setconfig as settings,
       concat_ws(' ',
         case when rolinherit then 'INHERIT' else 'NOINHERIT' end,
         case when rolcreaterole then 'CREATEROLE' else 'NOCREATEROLE' end,
         case when rolcreatedb then 'CREATEDB' else 'NOCREATEDB' end,
         case when rolcanlogin then 'LOGIN' else 'NOLOGIN' end,
         case when rolreplication then 'REPLICATION' end,
         case when rolbypassrls then 'BYPASSRLS' else 'NOBYPASSRLS' end,
         case when rolconnlimit <> -1 then 'CONNECTION LIMIT ' || rolconnlimit end) as options
from pg_catalog.pg_roles as role
left join pg_catalog.pg_db_role_setting as setting on setting.setrole = role.oid and setting.setdatabase = 0
where role.rolname !~ '^pg_'
order by role.rolname`;

const membersQuery = `
select granted.rolname as granted, member.rolname as member, bool_or(link.admin_option) as admin
from pg_catalog.pg_auth_members as link
join pg_catalog.pg_roles as granted on granted.oid = link.roleid
join pg_catalog.pg_roles as member on member.oid = link.member
where member.rolname !~ $1
group by granted.rolname, member.rolname
order by granted.rolname, member.rolname`;
