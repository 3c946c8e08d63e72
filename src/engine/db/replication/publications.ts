// In charge of: what is read: the publication that projects add their tables to, and ours of the messages of realtime.
import type { ClientBase } from 'pg';

/** Source: supabase/realtime lib/realtime/tenants/replication_connection.ex `publication_name` for the second. */
export const publications: readonly string[] = [
  'supabase_realtime',
  'supabase_realtime_messages_publication',
];

/** Those that are not there: projects drop theirs and make it anew. */
export async function missingPublications(client: Pick<ClientBase, 'query'>): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select name from pg_catalog.unnest(array[${publications.map((name) => `'${name}'`).join(', ')}]) as name
     where not exists (select from pg_catalog.pg_publication where pubname = name)`,
  );
  return rows.map(({ name }) => name);
}
