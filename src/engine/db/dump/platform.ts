// In charge of: what in a database is the platform's, there before a project came, and what is the project's.
import type { DumpEntry } from './entries.ts';

/**
 * Schemas that Supabase, an extension or Millrace makes.
 * Source: supabase/cli apps/cli-go/pkg/migration/dump.go `InternalSchemas`; `_millrace` is ours.
 */
export const platformSchemas: ReadonlySet<string> = new Set(
  `_analytics _millrace _realtime _supavisor _timescaledb_internal auth cron dbdev etl extensions graphql graphql_public
   information_schema net pgbouncer pgmq pgsodium pgsodium_masks pgtle realtime repack storage supabase_functions
   supabase_migrations tiger tiger_data topology vault`
    .trim()
    .split(/\s+/),
);

/** Whether a role is one of the platform's. Source: the same file, `reservedRoles`. */
export function isPlatformRole(name: string): boolean {
  return platformRoles.has(name) || /^(pg_|supabase_|cli_login_)/.test(name);
}

export interface ProjectFacts {
  /** Triggers on tables of platform schemas that call the project's functions, as pg_dump names them: `users on_auth_user_created`. */
  readonly triggers: ReadonlySet<string>;
}

/**
 * The project's part of a database: everything outside of the platform's schemas, and in them its policies and the triggers that call its functions.
 * Statements that only a superuser could run are left out: what belongs to one of the platform's roles stays with `postgres`.
 */
export function projectEntries(entries: readonly DumpEntry[], facts: ProjectFacts): readonly DumpEntry[] {
  const own = entries.flatMap((entry) => {
    if (!isProjects(entry, facts)) return [];
    const statements = withoutForeignGrants(entry.statements)
      .filter((text) => !givesToPlatform(text))
      .map((text) => (entry.kind === 'EXTENSION' ? withoutOwnSchema(text) : text));
    return statements.length === 0 ? [] : [{ ...entry, statements }];
  });
  // A table is handed only to who may create in its schema. pg_dump, which is loaded by superusers, grants that at the end.
  const isSchemaGrant = ({ kind, name }: DumpEntry) => kind === 'ACL' && name.startsWith('SCHEMA ');
  const others = own.filter((entry) => !isSchemaGrant(entry));
  const behindSchemas = others.findLastIndex(({ kind }) => kind === 'SCHEMA') + 1;
  return [...others.slice(0, behindSchemas), ...own.filter(isSchemaGrant), ...others.slice(behindSchemas)];
}

/** The triggers of `ProjectFacts`. A function of the platform that `postgres` may call in a trigger is `supabase_functions.http_request`. */
export const projectTriggersQuery = `
  select class.relname || ' ' || trigger.tgname as name
  from pg_catalog.pg_trigger as trigger
  join pg_catalog.pg_class as class on class.oid = trigger.tgrelid
  join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
  join pg_catalog.pg_proc as routine on routine.oid = trigger.tgfoid
  join pg_catalog.pg_namespace as called on called.oid = routine.pronamespace
  where not trigger.tgisinternal and space.nspname = any ($1)
    and (called.nspname = 'supabase_functions' or not called.nspname = any ($1))`;

function isProjects(entry: DumpEntry, facts: ProjectFacts): boolean {
  const { kind, name, schema } = entry;
  if (schema?.startsWith('pg_')) return false;
  // They come and go with those who listen, where there is no logical replication.
  if (kind === 'TRIGGER' && / millrace_note_(change|truncate)$/.test(name)) return false;
  if (schema !== undefined && platformSchemas.has(schema)) {
    if (kind === 'POLICY') return opened.has(schema);
    return kind === 'TRIGGER' && facts.triggers.has(name);
  }
  switch (kind) {
    case 'SCHEMA':
      return !platformSchemas.has(name);
    case 'EXTENSION':
      return name !== 'plpgsql' && name !== 'pg_tle';
    case 'COMMENT':
    case 'ACL':
    case 'SECURITY LABEL': {
      const about = /^(?:SCHEMA|EXTENSION|PUBLICATION|EVENT TRIGGER) (.*)$/.exec(name);
      if (about === null) return true;
      // A comment on an extension or an event trigger needs its owner, who is a superuser.
      return name.startsWith('SCHEMA ') && !platformSchemas.has(about[1]!);
    }
    case 'PUBLICATION':
      return !/^supabase_realtime/.test(name);
    case 'PUBLICATION TABLE':
      return !name.startsWith('supabase_realtime_messages_publication ');
    case 'EVENT TRIGGER': {
      const called = /EXECUTE (?:FUNCTION|PROCEDURE) "?(\w+)"?\./.exec(entry.statements.join('\n'))?.[1];
      return called === undefined || !platformSchemas.has(called);
    }
    case 'DEFAULT ACL': {
      const role = ownerIn(entry.statements[0] ?? '', /FOR ROLE ("(?:[^"]|"")+"|\w+)/);
      return role === 'postgres' || role === undefined || !isPlatformRole(role);
    }
    case 'SUBSCRIPTION':
      return false;
    default:
      return true;
  }
}

/** An extension that makes its schema itself is created without one: the schema is not there before. */
function withoutOwnSchema(statement: string): string {
  return statement.replace(/ WITH SCHEMA "?(\w+)"?;$/, (whole, schema: string) =>
    platformSchemas.has(schema) && !standing.has(schema) ? ';' : whole,
  );
}

/** `set session authorization` stands around grants by somebody who is not the owner, and is a superuser's. */
function withoutForeignGrants(statements: readonly string[]): readonly string[] {
  let isForeign = false;
  return statements.filter((text) => {
    if (/^SET SESSION AUTHORIZATION /.test(text)) isForeign = true;
    if (!isForeign) return true;
    if (/^RESET SESSION AUTHORIZATION/.test(text)) isForeign = false;
    return false;
  });
}

function givesToPlatform(statement: string): boolean {
  // Whoever makes an event trigger has it; to give one away only superusers take.
  if (/^ALTER EVENT TRIGGER .* OWNER TO /.test(statement)) return true;
  const role = ownerIn(statement, /^ALTER .* OWNER TO ("(?:[^"]|"")+"|\w+);$/s);
  return role !== undefined && role !== 'postgres' && isPlatformRole(role);
}

function ownerIn(statement: string, pattern: RegExp): string | undefined {
  const found = pattern.exec(statement)?.[1];
  return found?.startsWith('"') ? found.slice(1, -1).replaceAll('""', '"') : found;
}

/** Platform schemas that are there whatever extensions there are. */
const standing: ReadonlySet<string> = new Set(['extensions', 'graphql', 'graphql_public', 'vault']);

/** Platform schemas in which a project may write policies. */
const opened: ReadonlySet<string> = new Set(['auth', 'realtime', 'storage']);

const platformRoles: ReadonlySet<string> = new Set(
  `anon authenticated authenticator dashboard_user millrace_admin pgbouncer postgres service_role pgsodium_keyholder
   pgsodium_keyiduser pgsodium_keymaker pgtle_admin`
    .trim()
    .split(/\s+/),
);
