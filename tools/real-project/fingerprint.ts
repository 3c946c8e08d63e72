// In charge of: a database's schema as lines of text, the same for the same schema, so that two can be compared.
import { readFile } from 'node:fs/promises';
import type { Client } from 'pg';

/** One line a fact, in order. What Millrace keeps for itself is left out. */
export async function fingerprint(client: Client): Promise<readonly string[]> {
  const sql = await readFile(new URL('./fingerprint.sql', import.meta.url), 'utf8');
  // Names are written with their schemas whatever the session's search path is.
  await client.query("set search_path = ''");
  const { rows } = await client.query<{ line: string }>(sql);
  await client.query('reset search_path');
  return rows.map(({ line }) => line);
}

/** What one has and the other lacks, as `- line` and `+ line`. Pure. */
export function difference(before: readonly string[], after: readonly string[]): readonly string[] {
  const [was, is] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !is.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !was.has(line)).map((line) => `+ ${line}`),
  ];
}
