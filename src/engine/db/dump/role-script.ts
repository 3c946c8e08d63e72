// In charge of: the roles of a server as the script that `millrace dump --role-only` writes.
import type { ClientConfig } from 'pg';
import { withClient } from '../client.ts';
import { ident } from '../ident.ts';
import { isPlatformRole } from './platform.ts';
import { attributesOf, grantStatement, isAllowedSetting, loadRoles, type Role, setClause } from './roles.ts';

/**
 * Roles without their passwords: `create role`, `alter role`, `grant`.
 * Source: supabase/cli apps/cli-go/pkg/migration/scripts/dump_role.sh.
 */
export async function dumpRoles(login: ClientConfig): Promise<string> {
  const roles = await withClient(login, loadRoles);
  const own = roles.filter(({ name }) => !isPlatformRole(name));
  const more = ({ replication, bypassrls }: Role) =>
    `${replication ? ' REPLICATION' : ''} ${bypassrls ? 'BYPASSRLS' : 'NOBYPASSRLS'}`;
  return [
    'SET default_transaction_read_only = off;',
    "SET client_encoding = 'UTF8';",
    'SET standard_conforming_strings = on;',
    '',
    ...own.flatMap((role) => [
      `CREATE ROLE ${ident(role.name)};`,
      `ALTER ROLE ${ident(role.name)} WITH ${attributesOf(role)}${more(role)};`,
    ]),
    ...roles.flatMap(({ name, settings }) =>
      settings
        .filter((setting) => !isPlatformRole(name) || isAllowedSetting(setting))
        .map((setting) => `ALTER ROLE ${ident(name)} ${setClause(setting)};`),
    ),
    ...own.flatMap((role) => role.memberOf.map((membership) => grantStatement(role, membership))),
    '',
    'RESET ALL;',
    '',
  ].join('\n');
}
