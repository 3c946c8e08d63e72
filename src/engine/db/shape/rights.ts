// In charge of: what the session that shapes a database may do, asked of the catalog before anything is tried.
import type { Client } from 'pg';
import { OperatorError } from '../../../base/errors.ts';
import { ident } from '../ident.ts';

interface Facts {
  readonly user: string;
  readonly database: string;
  readonly version: string;
  readonly version_number: number;
  readonly superuser: boolean;
  readonly createrole: boolean;
  readonly bypassrls: boolean;
  /** May make schemas in the database, and things in `public`, and hand both rights on. */
  readonly may_create: boolean;
  readonly may_create_in_public: boolean;
  /** Roles of ours that are not there. */
  readonly missing: readonly string[];
  /** Roles that own something that is still to be made, and that the session cannot act for. */
  readonly unreachable: readonly string[];
}

const query = `
  select me.rolname as user, current_database() as database, current_setting('server_version') as version,
    current_setting('server_version_num')::int as version_number,
    me.rolsuper as superuser, me.rolcreaterole as createrole, me.rolbypassrls as bypassrls,
    has_database_privilege(current_database(), 'create with grant option') as may_create,
    has_schema_privilege('public', 'create with grant option') as may_create_in_public,
    array(select name from unnest($1::text[]) as name
      where not exists (select from pg_roles where rolname = name)) as missing,
    array(select owner.name from unnest($2::text[], $3::text[]) as owner (name, makes)
      join pg_roles as role on role.rolname = owner.name
      where to_regclass(owner.makes) is null
        and not (me.rolcreaterole and current_setting('server_version_num')::int < 160000 and not role.rolsuper)
        and not pg_has_role(me.oid, role.oid,
          case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
        and not pg_has_role(me.oid, role.oid, 'member with admin option')) as unreachable
  from pg_roles as me where me.rolname = current_user`;

/**
 * Looks whether the session can shape the database, and gives a sentence for each thing that will be missing because it is
 * no superuser. Empty for a superuser.
 * @throws OperatorError with the SQL to run, and as whom, when it cannot.
 */
export async function checkRights(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<Facts>(query, [roleNames, Object.keys(owners), Object.values(owners)]);
  const facts = rows[0]!;
  if (facts.version_number < oldestVersionNumber) {
    throw new OperatorError(
      `The server runs PostgreSQL ${facts.version}, which is too old.`,
      'Use PostgreSQL 15 or later.',
    );
  }
  if (facts.superuser) return [];
  const repairs = repairsOf(facts);
  if (repairs.length > 0) {
    throw new OperatorError(
      `The user "${facts.user}" may not make the roles and schemas that a project needs in the database "${facts.database}".`,
      `Run this in that database as a superuser, or as its administrator, and start again:\n${repairs.join('\n')}`,
    );
  }
  return limitsOf(facts);
}

/** What an administrator has to run so that the session has enough rights; empty when it has. */
function repairsOf(facts: Facts): readonly string[] {
  const user = ident(facts.user);
  const repairs: string[] = [];
  if (facts.missing.length > 0 && !facts.createrole) repairs.push(`alter role ${user} createrole;`);
  if (!facts.may_create) {
    repairs.push(`grant create on database ${ident(facts.database)} to ${user} with grant option;`);
  }
  if (!facts.may_create_in_public) {
    repairs.push(`grant usage, create on schema public to ${user} with grant option;`);
  }
  if (facts.unreachable.length > 0) {
    repairs.push(`grant ${facts.unreachable.map(ident).join(', ')} to ${user} with admin option;`);
  }
  return repairs;
}

function limitsOf(facts: Facts): readonly string[] {
  const limits = [
    `The user "${facts.user}" is no superuser, so a change of the schema is not noticed by itself: there are no event triggers.`,
  ];
  const mayHandOnBypass = facts.bypassrls && facts.version_number >= 160_000;
  if (facts.missing.includes('service_role') && !mayHandOnBypass) {
    limits.push(
      'The role "service_role" cannot bypass row-level security; run as a superuser: alter role service_role bypassrls;',
    );
  }
  return limits;
}

const oldestVersionNumber = 150_000;

/** The roles that sql/0001-roles.sql makes. */
const roleNames: readonly string[] = [
  'anon',
  'authenticated',
  'authenticator',
  'dashboard_user',
  'millrace_admin',
  'pgbouncer',
  'postgres',
  'service_role',
  'supabase_admin',
  'supabase_auth_admin',
  'supabase_etl_admin',
  'supabase_functions_admin',
  'supabase_read_only_user',
  'supabase_realtime_admin',
  'supabase_replication_admin',
  'supabase_storage_admin',
];

/** The roles in whose name the files make what nothing works without, with one of these things. */
const owners: Readonly<Record<string, string>> = {
  millrace_admin: '_millrace.migrations',
  supabase_auth_admin: 'auth.users',
  supabase_realtime_admin: 'realtime.messages',
  supabase_storage_admin: 'storage.objects',
};
