// In charge of: which tables the API roles can reach, and whether row-level security guards them.
import type { Client } from 'pg';

export interface ReachableTable {
  /** `public.films` */
  readonly name: string;
  readonly rowSecurity: boolean;
}

/** The tables of schema `public` that `anon` may read; none in a database that has no such role yet. */
export async function loadExposedTables(client: Client): Promise<readonly ReachableTable[]> {
  const { rows } = await client.query<ReachableTable>(
    `select format('%I.%I', n.nspname, c.relname) as name, c.relrowsecurity as "rowSecurity"
     from pg_catalog.pg_class c
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     join pg_catalog.pg_roles r on r.rolname = 'anon'
     where n.nspname = 'public' and c.relkind in ('r', 'p') and pg_catalog.has_table_privilege(r.oid, c.oid, 'select')
     order by 1`,
  );
  return rows;
}
