// In charge of: setting the history of migrations right by hand, and reading back what stands in it. Nothing of a migration is run.
import type { Client } from 'pg';
import { recordedStatements } from './recorded.ts';

/** A migration as the history keeps it. */
export interface RecordedMigration {
  readonly version: string;
  readonly name: string;
  readonly statements: readonly string[];
}

/** Writes a migration down as applied, with the text that it has now. Source: supabase/cli apps/cli-go/pkg/migration/history.go. */
export async function markApplied(
  client: Client,
  { version, name }: Pick<RecordedMigration, 'version' | 'name'>,
  text: string,
): Promise<void> {
  await client.query(
    `insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)
     on conflict (version) do update set name = excluded.name, statements = excluded.statements`,
    [version, name, recordedStatements(text)],
  );
}

export async function markReverted(client: Client, versions: readonly string[]): Promise<void> {
  await client.query('delete from supabase_migrations.schema_migrations where version = any($1)', [versions]);
}

export async function forgetAll(client: Client): Promise<void> {
  await client.query('delete from supabase_migrations.schema_migrations');
}

/** Everything that is applied, in order. A history of a CLI before 2022 has no statements. */
export async function loadRecorded(client: Client): Promise<readonly RecordedMigration[]> {
  const { rows } = await client.query<RecordedMigration>(
    `select version, coalesce(name, '') as name, coalesce(statements, '{}') as statements
     from supabase_migrations.schema_migrations order by version collate "C"`,
  );
  return rows;
}
