// In charge of: the history that the Supabase CLI keeps, `supabase_migrations`, and what of a project is still to be applied.
import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { errorCode } from '../../../base/errors.ts';
import { literal } from '../ident.ts';
import { recordedStatements } from './recorded.ts';

/** A migration as it lies in the project. */
export interface MigrationFile {
  /** The digits before the first `_`, as they stand. */
  readonly version: string;
  /** What is between them and `.sql`. */
  readonly name: string;
  /** As people know it: `supabase/migrations/20240101000000_films.sql`. */
  readonly path: string;
  readonly read: () => Promise<Buffer>;
}

export interface AppliedMigration {
  readonly version: string;
  /** MD5 of the recorded statements; undefined when none are recorded. */
  readonly digest: string | undefined;
}

/** How project and history compare. */
export interface Comparison {
  /** To be applied, in order. */
  readonly pending: readonly MigrationFile[];
  /** Pending, but older than one that is applied. */
  readonly outOfOrder: readonly MigrationFile[];
  /** Versions in the history without a file. */
  readonly missing: readonly string[];
  /** Applied, and changed since. */
  readonly edited: readonly MigrationFile[];
}

/** The versions that are applied, in the CLI's order; empty where there is no history yet. */
export async function loadHistory(client: Client): Promise<readonly AppliedMigration[]> {
  try {
    const { rows } = await client.query<{ version: string; digest: string | null }>(
      `select version, md5(array_to_string(statements, chr(1), chr(2))) as digest
       from supabase_migrations.schema_migrations order by version collate "C"`,
    );
    return rows.map(({ version, digest }) => ({ version, digest: digest ?? undefined }));
  } catch (error) {
    const code = errorCode(error);
    if (code === undefinedTable || code === invalidSchemaName) return [];
    // A history of a CLI before 2022 has versions only.
    if (code !== undefinedColumn) throw error;
    const { rows } = await client.query<{ version: string }>(
      'select version from supabase_migrations.schema_migrations order by version collate "C"',
    );
    return rows.map(({ version }) => ({ version, digest: undefined }));
  }
}

/**
 * Compares as the CLI does: versions are texts, and both lists are in their order.
 * Source: supabase/cli apps/cli-go/pkg/migration/apply.go, `FindPendingMigrations`.
 */
export function compare(
  files: readonly MigrationFile[],
  applied: readonly AppliedMigration[],
  digests: ReadonlyMap<string, string> = new Map(),
): Comparison {
  const sorted = [...files].sort((a, b) => (a.version < b.version ? -1 : a.version > b.version ? 1 : 0));
  const known = new Map(applied.map((entry) => [entry.version, entry]));
  const local = new Set(sorted.map(({ version }) => version));
  const last = applied.at(-1)?.version ?? '';
  const pending = sorted.filter(({ version }) => !known.has(version));
  return {
    pending,
    outOfOrder: pending.filter(({ version }) => version < last),
    missing: applied.map(({ version }) => version).filter((version) => !local.has(version)),
    edited: sorted.filter(({ version }) => {
      const was = known.get(version)?.digest;
      const is = digests.get(version);
      return was !== undefined && is !== undefined && was !== is;
    }),
  };
}

/** The digest under which a script is found unchanged: the one that Postgres computes of its recorded statements. */
export function digestOfStatements(statements: readonly string[]): string {
  return createHash('md5').update(statements.join('\u0001')).digest('hex');
}

/** Makes the CLI's tables where they are not. Source: supabase/cli apps/cli-go/pkg/migration/history.go. */
export async function ensureHistory(client: Client): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    `select count(*) = 5 as there from pg_catalog.pg_attribute
     where not attisdropped and (
       attrelid = to_regclass('supabase_migrations.schema_migrations') and attname in ('version', 'statements', 'name')
       or attrelid = to_regclass('supabase_migrations.seed_files') and attname in ('path', 'hash'))`,
  );
  if (rows[0]?.there === true) return;
  await client.query(`
    begin;
    set local lock_timeout = '4s';
    set local client_min_messages = warning;
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
    alter table supabase_migrations.schema_migrations add column if not exists statements text[];
    alter table supabase_migrations.schema_migrations add column if not exists name text;
    create table if not exists supabase_migrations.seed_files (path text not null primary key, hash text not null);
    commit`);
}

/** The statement that writes a migration down: it goes along with the migration's own. */
export function recordMigration({ version, name }: MigrationFile, text: string): string {
  const statements = recordedStatements(text).map(literal).join(', ');
  return `insert into supabase_migrations.schema_migrations (version, name, statements)
    values (${literal(version)}, ${literal(name)}, array[${statements}]::pg_catalog.text[])`;
}

/** The seeds that are recorded, with the SHA-256 of their bytes. */
export async function loadSeeds(client: Client): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ path: string; hash: string }>(
    'select path, hash from supabase_migrations.seed_files',
  );
  return new Map(rows.map(({ path, hash }) => [path, hash]));
}

/** The statement that writes a seed down. */
export function recordSeed(path: string, hash: string): string {
  return `insert into supabase_migrations.seed_files (path, hash) values (${literal(path)}, ${literal(hash)})
    on conflict (path) do update set hash = excluded.hash`;
}

const undefinedTable = '42P01';
const invalidSchemaName = '3F000';
const undefinedColumn = '42703';
