// In charge of: which tables the API's roles can reach, for the warning and the refusal about `[api].auto_expose_new_tables`.
import type { ClientBase } from 'pg';

export interface ReachableTable {
  /** `public.films` */
  readonly name: string;
  readonly rowSecurity: boolean;
}

/** Tables of these schemas on which `anon` or `authenticated` has any right, by name. */
export async function loadReachableTables(
  client: ClientBase,
  schemas: readonly string[],
): Promise<readonly ReachableTable[]> {
  const { rows } = await client.query<{ name: string; row_security: boolean }>(
    `select format('%I.%I', schema.nspname, class.relname) as name, class.relrowsecurity as row_security
     from pg_catalog.pg_class as class join pg_catalog.pg_namespace as schema on schema.oid = class.relnamespace
     where class.relkind in ('r', 'p') and schema.nspname = any($1)
       and exists (
         select from pg_catalog.pg_roles as role where role.rolname in ('anon', 'authenticated')
           and has_table_privilege(role.oid, class.oid, 'select, insert, update, delete'))
     order by 1`,
    [schemas],
  );
  return rows.map((row) => ({ name: row.name, rowSecurity: row.row_security }));
}
