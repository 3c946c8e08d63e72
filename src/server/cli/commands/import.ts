// In charge of: `millrace import`: a hosted or self-hosted Supabase project, taken in whole.
import { OperatorError } from '../../../base/errors.ts';
import type { ImportReport } from '../../../engine/db/import/import.ts';
import { openExternal } from '../../../engine/db/postgres/external.ts';
import { findStateFolder } from '../../../engine/db/postgres/state-folder.ts';
import type { Prepared } from '../../prepare.ts';
import { migrateDatabase, shapeDatabase } from '../../project-database.ts';
import { findRunning } from '../../run-file.ts';
import type { Invocation } from '../command.ts';
import { prepare } from '../prepare.ts';
import { serviceKeyOf } from '../service-key.ts';
import { renderTable } from '../table.ts';
import { withDatabase } from '../with-database.ts';
import { importFilesFrom, renderFiles } from './import-files.ts';

export async function importFrom(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const url = options.text('db-url');
  const storageUrl = options.text('storage');
  if (url === undefined && storageUrl === undefined)
    throw new OperatorError(
      'import needs to know where from.',
      'Give the URL of the database: --db-url postgresql://…',
    );
  if (options.has('schema-only') && options.has('data-only'))
    throw new OperatorError('--schema-only and --data-only exclude each other.', 'Say one of them.');
  const prepared = await prepare(invocation);
  // A key that is missing is said before rows are copied for an hour.
  const key =
    storageUrl === undefined ? undefined : serviceKeyOf(invocation, prepared, 'MILLRACE_SOURCE_SERVICE_KEY');
  const rows = url === undefined ? undefined : await importRows(invocation, prepared, url);
  const files =
    storageUrl === undefined || key === undefined
      ? undefined
      : await importFilesFrom(prepared, storageUrl, key);
  if (options.json) console.log(JSON.stringify(files === undefined ? rows : { ...rows, files }));
  else {
    const { project, secrets } = prepared;
    if (rows)
      console.log(renderReport(rows, sayOfSessions(sourceSecret(options, project), secrets.jwtSecret)));
    if (files) console.log(renderFiles(files));
    else if (rows?.tables.some(({ table, source }) => table === 'storage.objects' && source.rows > 0))
      console.log('- The bytes of files are not here yet: millrace import --storage URL');
  }
  return files === undefined || files.isDone ? 0 : 1;
}

/** By `--jwt-secret`, which other users of the machine can read, or in the environment. */
const sourceSecret = (options: Invocation['options'], project: Prepared['project']): string | undefined =>
  options.text('jwt-secret') ?? project.environment.MILLRACE_SOURCE_JWT_SECRET;

async function importRows(invocation: Invocation, prepared: Prepared, url: string): Promise<ImportReport> {
  const { options } = invocation;
  if (prepared.project.environment.DATABASE_URL) {
    throw new OperatorError(
      'An import is made ready in a database beside, which needs a server of Millrace’s own; DATABASE_URL names another.',
      'Leave DATABASE_URL out; or load the output of `millrace export --db-url` with psql.',
    );
  }
  const stateFolder = await findStateFolder({ project: prepared.project.project, data: options.data });
  if (await findRunning(stateFolder)) {
    throw new OperatorError(
      `"${prepared.project.id}" is running, and an import takes the place of its database.`,
      'Stop it first: millrace stop',
    );
  }
  const jwtSecret = sourceSecret(options, prepared.project);
  const { importProject } = await import('../../../engine/db/import/import.ts');
  return withDatabase(prepared, async (shaped, opening) => {
    if (shaped.server.engine === 'pglite') {
      throw new OperatorError(
        'An import is made ready in a database beside, and pglite has one database only.',
        'Import with the embedded engine, then: millrace engine move pglite',
      );
    }
    const source = await openExternal({ ...opening, url, urlName: '--db-url', allowsStandby: true });
    return importProject({
      source: source.directLogin('supabase_admin') ?? source.login('supabase_admin'),
      login: (role, database) => shaped.server.login(role, database),
      database: 'postgres',
      bootstrap: (database) => shapeDatabase(shaped, prepared, opening, database),
      migrate: (database) => migrateDatabase(shaped, opening, database),
      parts: options.has('schema-only') ? 'schema' : options.has('data-only') ? 'data' : 'all',
      jwtSecret: jwtSecret || undefined,
      resume: options.has('resume'),
      ...opening,
    });
  });
}

function renderReport({ tables, roles, notices }: ImportReport, sessions: string): string {
  const filled = tables.filter(({ source }) => source.rows > 0);
  const rows = filled.map(({ table: name, source, here }) => [
    name,
    String(source.rows),
    String(here.rows),
    here.checksum,
  ]);
  const total = filled.reduce((sum, { here }) => sum + here.rows, 0);
  return [
    renderTable(['table', 'rows there', 'rows here', 'checksum of both'], rows),
    '',
    `Imported ${total} rows of ${filled.length} tables; counts and checksums are equal on both sides.`,
    ...notices.map((notice) => `- ${notice}`),
    ...(roles.length === 0 ? [] : [`- Roles without a password yet: ${roles.join(', ')}.`]),
    `- ${sessions}`,
    '- Secrets of your own are needed to start: `millrace keys new` prints them.',
  ].join('\n');
}

/** Refresh tokens are rows, and of use whatever signs; what is signed is of use only under its own secret. */
function sayOfSessions(source: string | undefined, own: string): string {
  if (!source) return 'Sessions were left out: people sign in again. With --jwt-secret they come along.';
  return source === own
    ? 'Sessions came along, and this project signs with the same secret: access tokens and API keys of the source stay valid.'
    : 'Sessions came along. Access tokens and API keys of the source are not valid, as this project signs with another secret; they are when you start with MILLRACE_JWT_SECRET set to that of the source.';
}
