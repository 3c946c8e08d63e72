// In charge of: whether the catalog has changed, for where nobody says so.
import { readFile } from 'node:fs/promises';
import type { Db, LoginRole } from '../db/db.ts';

/** Gives a text that is another one after any committed change to what the catalog is read from. Costs a few milliseconds of Postgres. */
export async function openCatalogVersion(
  db: Pick<Db, 'asOwner'>,
  reader: LoginRole,
): Promise<() => Promise<string>> {
  const sql = await readFile(new URL('./sql/version.sql', import.meta.url), 'utf8');
  return () =>
    db.asOwner(reader, async (client) => {
      const { rows } = await client.query<{ version: string }>(sql);
      return rows[0]?.version ?? '';
    });
}
