// In charge of: an extension that the program needs in a database by itself, without a migration that asks for it.
import type { Client } from 'pg';
import { ident } from '../ident.ts';
import { installStatement, loadPlainSql } from './install.ts';
import { findExtension } from './registry.ts';

export interface ProvideOptions {
  readonly schema: string;
  /** Somebody else's server, whose catalog is left alone. */
  readonly external: boolean;
}

/** Creates the extension unless it is there: as the server has it, or as SQL of ours. The session is one that may. */
export async function provideExtension(
  client: Client,
  name: string,
  { schema, external }: ProvideOptions,
): Promise<void> {
  const { rows } = await client.query<{ available: boolean }>(
    'select exists (select from pg_catalog.pg_available_extensions where name = $1) as available',
    [name],
  );
  if (rows[0]!.available) {
    await client.query(`create extension if not exists ${ident(name)} with schema ${ident(schema)}`);
    return;
  }
  const extension = findExtension(name);
  if (extension === undefined || extension.kind === 'elsewhere') throw new Error(`nobody provides "${name}"`);
  await client.query(await loadPlainSql());
  await client.query(await installStatement(extension, { schema, mayExist: true }, !external));
}
