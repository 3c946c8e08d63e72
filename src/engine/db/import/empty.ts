// In charge of: that an import takes the place of nothing: it is for a project that has no data yet.
import type { ClientConfig } from 'pg';
import { OperatorError } from '../../../base/errors.ts';
import { withClient } from '../client.ts';
import { platformSchemas } from '../dump/platform.ts';

/** @throws OperatorError when the database holds tables, users, or a history of migrations. */
export async function refuseFilled(login: ClientConfig): Promise<void> {
  const { rows } = await withClient(login, (client) =>
    client.query<{ relations: number; users: number; migrations: number }>(query, [[...platformSchemas]]),
  );
  const { relations, users, migrations } = rows[0]!;
  if (relations + users + migrations === 0) return;
  throw new OperatorError(
    `The database of this project holds ${relations} tables and views, ${users} users and ${migrations} applied migrations; an import takes the place of an empty one.`,
    'Import into data of its own (--data DIR), or move the state folder (.millrace) of this project away first.',
  );
}

const query = `
  select (select count(*)::int from pg_catalog.pg_class as class
      join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
      where class.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and not space.nspname = any ($1) and space.nspname !~ '^pg_') as relations,
    (select count(*)::int from auth.users) as users,
    (select count(*)::int from supabase_migrations.schema_migrations) as migrations`;
