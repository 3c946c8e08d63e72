// In charge of: whether a database holds what came from another server.
import type { ClientBase } from 'pg';

export async function wasImported(client: Pick<ClientBase, 'query'>): Promise<boolean> {
  const { rows } = await client.query<{ imported: boolean }>(
    'select exists (select from _millrace.imports) as imported',
  );
  return rows[0]!.imported;
}
