// In charge of: every role of a server as SQL for another one of ours, with its password, its settings and who is a member of whom.
import type { Client } from 'pg';
import { ident } from '../ident.ts';
import { setClause } from './roles.ts';

/** Statements in an order in which they can be run by the superuser. Roles of PostgreSQL's own and the superuser are there already. */
export async function clusterRoles(client: Pick<Client, 'query'>): Promise<readonly string[]> {
  const roles = await statements(client, rolesQuery);
  const { rows } = await client.query<{ role: string | null; settings: readonly string[] }>(settingsQuery);
  const settings = rows.flatMap(({ role, settings: all }) =>
    all.map((setting) => `alter role ${role === null ? 'all' : ident(role)} ${setClause(setting)}`),
  );
  const memberships = await statements(client, membershipsQuery);
  return [...roles, ...settings, ...memberships];
}

async function statements(client: Pick<Client, 'query'>, sql: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ statement: string }>(sql);
  return rows.map(({ statement }) => statement);
}

const rolesQuery = `
select format('create role %I with %s%s%s', rolname,
         concat_ws(' ',
           case when rolsuper then 'superuser' else 'nosuperuser' end,
           case when rolinherit then 'inherit' else 'noinherit' end,
           case when rolcreaterole then 'createrole' else 'nocreaterole' end,
           case when rolcreatedb then 'createdb' else 'nocreatedb' end,
           case when rolcanlogin then 'login' else 'nologin' end,
           case when rolreplication then 'replication' else 'noreplication' end,
           case when rolbypassrls then 'bypassrls' else 'nobypassrls' end,
           'connection limit ' || rolconnlimit),
         case when rolpassword is null then '' else format(' password %L', rolpassword) end,
         case when rolvaliduntil is null then '' else format(' valid until %L', rolvaliduntil) end) as statement
from pg_catalog.pg_authid
where rolname !~ '^pg_' and oid <> 10
order by oid`;

/** Those of a role in one database belong to that database's dump. */
const settingsQuery = `
select role.rolname as role, kept.setconfig as settings
from pg_catalog.pg_db_role_setting as kept
left join pg_catalog.pg_authid as role on role.oid = kept.setrole
where kept.setdatabase = 0
order by kept.setrole`;

/** A grantor must have what it grants: the superuser's grants come first, then those of roles that got the right from it. */
const membershipsQuery = `
with recursive grants as (
  select link.*, 0 as depth from pg_catalog.pg_auth_members as link where link.grantor = 10
  union
  select link.*, grants.depth + 1 from pg_catalog.pg_auth_members as link
  join grants on grants.roleid = link.roleid and grants.member = link.grantor and grants.admin_option
  where link.grantor <> 10 and grants.depth < 20
)
select format('grant %I to %I with admin %s, inherit %s, set %s granted by %I', granted.rolname, member.rolname,
         grants.admin_option::text, grants.inherit_option::text, grants.set_option::text, grantor.rolname) as statement
from grants
join pg_catalog.pg_authid as granted on granted.oid = grants.roleid
join pg_catalog.pg_authid as member on member.oid = grants.member
join pg_catalog.pg_authid as grantor on grantor.oid = grants.grantor
where not (granted.rolname ~ '^pg_' and member.rolname ~ '^pg_')
order by grants.depth, grants.oid`;
