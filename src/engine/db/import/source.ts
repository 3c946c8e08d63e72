// In charge of: the project that is imported, as it was at one moment: a session of it, what is in it, and whose tables can be read.
import type { Client, ClientConfig } from 'pg';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import { withClient } from '../client.ts';
import { type DumpEntry, parseDump } from '../dump/entries.ts';
import { runPgDump } from '../dump/pg-dump.ts';
import { platformSchemas, projectEntries, projectTriggersQuery } from '../dump/platform.ts';
import { plainSession } from '../dump/table-rows.ts';
import { ident } from '../ident.ts';

export interface Source {
  /** In one transaction, in which everything is read. */
  readonly client: Client;
  /** The project's own schemas. */
  readonly schemas: readonly string[];
  readonly version: string;
  /** What its tokens are signed with; undefined where its database does not hold it, as hosted ones do not. */
  readonly jwtSecret: string | undefined;
  loadStructure(): Promise<readonly DumpEntry[]>;
}

interface Moment {
  readonly jwt_secret: string | null;
  readonly version: string;
  readonly version_number: number;
  readonly schemas: readonly string[];
  readonly triggers: readonly string[];
  readonly there: readonly string[];
  readonly closed: readonly { readonly schema: string; readonly name: string }[];
  readonly unreadable: readonly string[];
}

/**
 * Opens a session of the source that sees one moment, and runs `work` on it.
 * @throws OperatorError when the server cannot be reached, is too old or too new for pg_dump, or holds tables that the user may not read.
 */
export async function withSource<T>(
  login: ClientConfig,
  signal: AbortSignal | undefined,
  work: (source: Source) => Promise<T>,
): Promise<T> {
  return withClient({ ...login, application_name: 'millrace import', keepAlive: true }, async (client) => {
    await client.query(plainSession);
    await client.query('begin isolation level repeatable read, read only');
    const { rows } = await client.query<Moment>(momentQuery, [[...platformSchemas], [...opened]]);
    const moment = rows[0]!;
    if (moment.version_number < oldestVersion) {
      throw new OperatorError(
        `The source runs PostgreSQL ${moment.version}; an import takes 14 and later.`,
        'Upgrade it first; hosted projects do that in their settings.',
      );
    }
    if (moment.unreadable.length > 0) {
      throw new OperatorError(
        `The user of --db-url may not read ${moment.unreadable.slice(0, 5).join(', ')}${moment.unreadable.length > 5 ? ` and ${moment.unreadable.length - 5} more` : ''}.`,
        'Give the URL of role postgres, which a project shows under "Connect".',
      );
    }
    return work({
      client,
      schemas: moment.schemas,
      version: moment.version,
      jwtSecret: moment.jwt_secret || undefined,
      loadStructure: async () => {
        const text = await runPgDump({ login: client, args: argumentsFor(moment), signal });
        return projectEntries(parseDump(text), { triggers: new Set(moment.triggers) });
      },
    });
  }).catch((error: unknown) => {
    throw error instanceof OperatorError || signal?.aborted ? error : brokenOff(error);
  });
}

/** Of the platform's schemas those in which a project has policies and triggers are read, but for tables of theirs that this user may not lock. */
function argumentsFor({ there, closed }: Moment): readonly string[] {
  const left = there.filter((schema) => !opened.has(schema));
  return [
    '--schema-only',
    '--no-tablespaces',
    '--no-table-access-method',
    '--no-subscriptions',
    '--no-security-labels',
    ...left.map((schema) => `--exclude-schema=${ident(schema)}`),
    ...closed.map(({ schema, name }) => `--exclude-table=${ident(schema)}.${ident(name)}`),
  ];
}

function brokenOff(error: unknown): OperatorError {
  return new OperatorError(
    `The import broke off: ${errorMessage(error)}.`,
    'Nothing of it is visible. Go on where it stopped with: millrace import --resume, and the same --db-url.',
    error,
  );
}

const oldestVersion = 140_000;
/** Platform schemas in which a project may write policies and triggers. */
const opened: ReadonlySet<string> = new Set(['auth', 'realtime', 'storage']);

/** Source: of the secret, supabase/supabase docker/volumes/db/jwt.sql. */
const momentQuery = `
  select pg_catalog.current_setting('server_version') as version,
    pg_catalog.current_setting('server_version_num')::int as version_number,
    pg_catalog.current_setting('app.settings.jwt_secret', true) as jwt_secret,
    array(select nspname::text from pg_catalog.pg_namespace
      where not nspname = any ($1) and nspname !~ '^pg_' order by nspname collate "C") as schemas,
    array(select nspname::text from pg_catalog.pg_namespace where nspname = any ($1)) as there,
    array(${projectTriggersQuery}) as triggers,
    (select coalesce(json_agg(json_build_object('schema', space.nspname, 'name', class.relname)), '[]')
      from pg_catalog.pg_class as class join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
      where class.relkind in ('r', 'p') and space.nspname = any ($2)
        and not pg_catalog.has_table_privilege(class.oid, 'select')) as closed,
    array(select space.nspname || '.' || class.relname
      from pg_catalog.pg_class as class join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
      where class.relkind in ('r', 'p') and not space.nspname = any ($1) and space.nspname !~ '^pg_'
        and not pg_catalog.has_table_privilege(class.oid, 'select')
      order by 1) as unreadable`;
