// In charge of: `[db.vault]`: secrets of the project that go into the database's vault, where there is one.
import type { Client } from 'pg';

export interface VaultSecret {
  readonly name: string;
  readonly value: string;
}

/**
 * Creates or updates the secrets. False when the database has no vault.
 * Source: supabase/cli apps/cli-go/pkg/vault/batch.go.
 */
export async function updateVault(client: Client, secrets: readonly VaultSecret[]): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    `select count(*) > 0 as there from pg_catalog.pg_proc as routine
       join pg_catalog.pg_namespace as schema on schema.oid = routine.pronamespace
     where schema.nspname = 'vault' and routine.proname = 'create_secret'`,
  );
  if (rows[0]?.there !== true) return false;
  await client.query('begin');
  try {
    const known = await client.query<{ id: string; name: string }>(
      'select id, name from vault.secrets where name = any($1)',
      [secrets.map(({ name }) => name)],
    );
    const ids = new Map(known.rows.map(({ id, name }) => [name, id]));
    for (const { name, value } of secrets) {
      const id = ids.get(name);
      if (id === undefined) await client.query('select vault.create_secret($1, $2)', [value, name]);
      else await client.query('select vault.update_secret($1, $2)', [id, value]);
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
  return true;
}
