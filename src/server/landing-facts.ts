// In charge of: what the landing page says about this backend, gathered when somebody looks.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../base/errors.ts';
import type { Database } from '../engine/db/database.ts';
import { DatabaseUnavailable } from '../engine/db/db.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { developmentDatabasePassword } from '../engine/identity/development-secrets.ts';
import type { Running, Service } from '../engine/service/contract.ts';
import type { LandingFacts } from './pages/landing.ts';
import type { Prepared } from './prepare.ts';
import { packageVersion } from './version.ts';

export interface LandingSources {
  readonly prepared: Prepared;
  readonly server: PostgresServer;
  readonly database: Database;
  readonly running: readonly { readonly service: Service; readonly running: Running }[];
  readonly apiUrl: string;
  readonly startedAt: Date;
  readonly schemas: readonly string[];
  readonly hasExample: boolean;
  readonly inboxPath: string | undefined;
}

const titles: Readonly<Record<string, string>> = { rest: 'Data API', auth: 'Sign-in' };

export async function landingFacts(sources: LandingSources): Promise<LandingFacts> {
  const { prepared, server, database, running, apiUrl, startedAt, schemas, hasExample, inboxPath } = sources;
  const services = await Promise.all(
    running.map(async ({ service, running: opened }) => {
      const health = (await opened.health?.()) ?? { ok: true, sentence: 'answers' };
      return {
        name: service.name,
        title: titles[service.name] ?? service.name,
        url: `${apiUrl}${service.mount}/`,
        ...health,
      };
    }),
  );
  return {
    production: prepared.production,
    version: packageVersion(),
    engine: server.engine,
    postgresVersion: server.version,
    project: prepared.project.id,
    since: startedAt,
    apiUrl,
    publishableKey: prepared.secrets.keys.publishable,
    databaseUrl: server.engine === 'external' ? undefined : publicUrl(server.url, prepared.secrets),
    table: await findReadableTable(database, schemas),
    services,
    examplePath: hasExample ? '/example/' : undefined,
    inboxPath,
    docs: docs(),
  };
}

/** The page is anybody's to read: only the password that everybody knows stands in it. */
function publicUrl(url: string, { databasePassword }: Prepared['secrets']): string {
  if (databasePassword === developmentDatabasePassword) return url;
  const hidden = new URL(url);
  hidden.password = '';
  return hidden.href;
}

/**
 * A table of the first exposed schema that anybody may read, so that the snippet works as it stands. None while the database does not
 * answer: the page is there to say so.
 */
export async function findReadableTable({ db }: Pick<Database, 'db'>, schemas: readonly string[]) {
  const asked = db.asOwner('authenticator', (client) =>
    client.query<{ schema: string; name: string }>(
      `select n.nspname as schema, c.relname as name
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relkind in ('r', 'v', 'm', 'p') and pg_catalog.has_table_privilege('anon', c.oid, 'select')
       -- Rather one whose policies show a visitor something.
       order by (not c.relrowsecurity or exists (
           select from pg_catalog.pg_policy p
           where p.polrelid = c.oid and p.polcmd in ('r', '*')
             and p.polroles operator(pg_catalog.&&) array[0::pg_catalog.oid, 'anon'::pg_catalog.regrole::pg_catalog.oid]
         )) desc, c.relkind, c.relname
       limit 1`,
      [schemas[0] ?? 'public'],
    ),
  );
  try {
    return (await asked).rows[0];
  } catch (error) {
    // query_canceled: somebody had it stopped.
    if (error instanceof DatabaseUnavailable || errorCode(error) === '57014') return undefined;
    throw error;
  }
}

function docs(): LandingFacts['docs'] {
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  const pages = [
    { title: 'Read me', file: join(root, 'README.md') },
    { title: 'Architecture', file: join(root, 'docs', 'architecture.md') },
    { title: 'Settings', file: join(root, 'docs', 'settings.md') },
  ];
  return pages.filter(({ file }) => existsSync(file));
}
