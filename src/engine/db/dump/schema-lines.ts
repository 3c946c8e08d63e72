// In charge of: a schema dump that a Supabase project can be loaded with: what pg_dump is asked for, and what of its lines must not be run there. Pure.

/** What is the platform's, by schema; `*` as pg_dump reads it. Source: supabase/cli apps/cli-go/pkg/migration/dump.go, `InternalSchemas`. */
export const platformSchemas: readonly string[] = [
  'information_schema',
  'pg_*',
  '_analytics',
  '_millrace',
  '_realtime',
  '_supavisor',
  'auth',
  'cron',
  'dbdev',
  'etl',
  'extensions',
  'graphql',
  'graphql_public',
  'net',
  'pgbouncer',
  'pgmq',
  'pgsodium',
  'pgsodium_masks',
  'pgtle',
  'realtime',
  'repack',
  'storage',
  'supabase_functions',
  'supabase_migrations',
  'tiger',
  'tiger_data',
  'timescaledb_*',
  '_timescaledb_*',
  'topology',
  'vault',
];

/** The arguments of pg_dump for a schema: those named, or else all but the platform's. */
export function schemaDumpArgs(schemas: readonly string[], role: string | undefined): readonly string[] {
  return [
    '--schema-only',
    '--quote-all-identifiers',
    ...(role === undefined ? [] : ['--role', role]),
    ...(schemas.length > 0
      ? schemas.flatMap((schema) => ['--schema', schema])
      : platformSchemas.flatMap((schema) => ['--exclude-schema', schema])),
  ];
}

/**
 * Makes pg_dump's output one that can be applied to a project twice, and by `postgres`: what is there already is no error, and what
 * only a superuser may do is commented out. Comments go, unless `keepComments`.
 * Source: supabase/cli apps/cli-go/pkg/migration/scripts/dump_schema.sh, whose sed lines these are.
 */
export function toProjectSchema(dump: string, keepComments: boolean): string {
  const lines = dump
    .split('\n')
    .map((line) => rules.reduce((text, [pattern, put]) => text.replace(pattern, put), line));
  const kept = keepComments ? lines : lines.filter((line) => !line.startsWith('--'));
  return kept
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trimStart();
}

const internal = platformSchemas.map((schema) => schema.replaceAll('*', '.*')).join('|');

const rules: readonly (readonly [pattern: RegExp, put: string])[] = [
  [/^\\(?:un)?restrict .*$/, '-- $&'],
  [/^CREATE SCHEMA "/, 'CREATE SCHEMA IF NOT EXISTS "'],
  [/^CREATE TABLE "/, 'CREATE TABLE IF NOT EXISTS "'],
  [/^CREATE SEQUENCE "/, 'CREATE SEQUENCE IF NOT EXISTS "'],
  [/^CREATE VIEW "/, 'CREATE OR REPLACE VIEW "'],
  [/^CREATE FUNCTION "/, 'CREATE OR REPLACE FUNCTION "'],
  [/^CREATE TRIGGER "/, 'CREATE OR REPLACE TRIGGER "'],
  [/^CREATE PUBLICATION "supabase_realtime/, '-- $&'],
  [/^CREATE EVENT TRIGGER /, '-- $&'],
  [/^ {9}WHEN TAG IN /, '-- $&'],
  [/^ {3}EXECUTE FUNCTION /, '-- $&'],
  [/^ALTER EVENT TRIGGER /, '-- $&'],
  [/^ALTER PUBLICATION "supabase_realtime_/, '-- $&'],
  [/^ALTER FOREIGN DATA WRAPPER (.+) OWNER TO /, '-- $&'],
  [/^ALTER DEFAULT PRIVILEGES FOR ROLE "supabase_admin"/, '-- $&'],
  [/^GRANT ALL ON FOREIGN DATA WRAPPER (.+) TO "postgres" WITH GRANT OPTION/, '-- $&'],
  [new RegExp(`^GRANT (.+) ON (.+) "(?:${internal})"`), '-- $&'],
  [new RegExp(`^REVOKE (.+) ON (.+) "(?:${internal})"`), '-- $&'],
  [/^(CREATE EXTENSION IF NOT EXISTS "(?:pg_tle|pgsodium|pgmq)").+/, '$1;'],
  [/^COMMENT ON EXTENSION (.+)/, '-- $&'],
  [/^CREATE POLICY "cron_job_/, '-- $&'],
  [/^ALTER TABLE "cron"/, '-- $&'],
  // A server before 17 does not know it.
  [/^SET transaction_timeout = 0;/, '-- $&'],
];
