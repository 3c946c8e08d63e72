// In charge of: the extensions that a new database of ours has from the start, as hosted projects have, and the absent ones that a database has.
import type { Client } from 'pg';
import { installStatement, loadPlainSql } from './install.ts';
import { absentVersion, findExtension, sayAbsent } from './registry.ts';

/**
 * Installs the vault in the session's transaction, once: who drops it later does not get it back. The session is the superuser's.
 * A server that has a vault of its own keeps it.
 */
export async function installDefaults(client: Client): Promise<void> {
  const vault = findExtension('supabase_vault');
  if (vault?.kind !== 'provided') throw new Error('the registry has no vault');
  const { rows } = await client.query<{ available: boolean }>(
    'select exists (select from pg_catalog.pg_available_extensions where name = $1) as available',
    [vault.name],
  );
  if (rows[0]!.available) {
    await client.query('create extension if not exists supabase_vault with schema vault');
    await client.query(
      `insert into _millrace.extensions (name, version, schema)
       select extname, extversion, extnamespace::regnamespace from pg_catalog.pg_extension where extname = $1`,
      [vault.name],
    );
    return;
  }
  await client.query(await loadPlainSql());
  await client.query(await installStatement(vault, { mayExist: true }, true));
}

/** What a database says of the absent extensions that it was asked for, a sentence for each. `names` as `absentNames` gives them. */
export function absentNotices(names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    const known = findExtension(name);
    return known?.kind === 'absent' ? [sayAbsent(known)] : [];
  });
}

/** SQL that gives the names of absent extensions as a JSON array. */
export const absentNames = `(select coalesce(json_agg(name order by name), '[]') from (
  select extname::text as name from pg_catalog.pg_extension where extversion = '${absentVersion}'
  union select name from _millrace.extensions where version = '${absentVersion}') as absent)`;
