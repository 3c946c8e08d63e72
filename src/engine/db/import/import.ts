// In charge of: taking a project in whole from another server: made ready in a database beside, visible all at once, resumable until then.
import { createHash } from 'node:crypto';
import type { ClientConfig } from 'pg';
import { errorCode, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { withClient } from '../client.ts';
import { type CopiedTable, isSame } from '../dump/copy-table.ts';
import { type DumpEntry, renderEntries } from '../dump/entries.ts';
import { splitAtData } from '../dump/export.ts';
import { copyLargeObject, listLargeObjects } from '../dump/large-objects.ts';
import { rowsOfPlatform, sessionTables } from '../dump/platform-rows.ts';
import { makeAppSetting, projectRoles } from '../dump/project-roles.ts';
import { plainSession } from '../dump/table-rows.ts';
import { refreshStatements, sequenceStatements } from '../dump/write-rows.ts';
import { dropReplaced, exchangeDatabases, hasDatabase, makeDatabase } from '../exchange-databases.ts';
import { keepRoleBaseline } from '../migrations/baseline.ts';
import { loadProgress } from '../migrations/progress.ts';
import { runScript } from '../migrations/run-script.ts';
import { MigrationSession } from '../migrations/session.ts';
import { ensureState, recordStep } from '../migrations/state.ts';
import { copyOnce, pairTables } from './copy-rows.ts';
import { refuseFilled } from './empty.ts';
import { copyExtensionState } from './extensions.ts';
import { type Source, withSource } from './source.ts';
import { dropSteps, openSteps, recordOf, type Steps } from './steps.ts';

export interface ImportOptions {
  readonly source: ClientConfig;
  /** Our server. */
  readonly login: (role: 'postgres' | 'supabase_admin', database: string) => ClientConfig;
  /** The project's database, which the import takes the place of. */
  readonly database: string;
  /** Brings a new database into Supabase's shape. */
  readonly bootstrap: (database: string) => Promise<void>;
  /** `schema`: no rows. `data`: the structure is what `migrate` makes, and the source's rows go into it. */
  readonly parts: 'all' | 'schema' | 'data';
  /** Applies the project's own migrations to a new database. */
  readonly migrate: (database: string) => Promise<void>;
  /** What the source signs its tokens with: given, sessions and refresh tokens come along. */
  readonly jwtSecret: string | undefined;
  /** Go on with an import that broke off. */
  readonly resume: boolean;
  readonly observe: Observe;
  /** A line about what takes long. */
  readonly progress: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface ImportReport {
  readonly version: string;
  readonly tables: readonly CopiedTable[];
  /** Roles that were made: without a password. */
  readonly roles: readonly string[];
  readonly notices: readonly string[];
}

/**
 * Imports a project. Rows are compared on both sides by count and checksum; where they differ nothing becomes visible.
 * @throws OperatorError when the project here is not empty; when the JWT secret is not the source's; when the source cannot be read or breaks off, with how to go on; when rows differ.
 */
export async function importProject(options: ImportOptions): Promise<ImportReport> {
  const { database, progress } = options;
  await refuseFilled(options.login('postgres', database));
  const beside = `${database}_import`;
  return withSource(options.source, options.signal, async (source) => {
    if (options.jwtSecret !== undefined && (source.jwtSecret ?? options.jwtSecret) !== options.jwtSecret) {
      throw new OperatorError(
        'The JWT secret that was given is not the one of the source: its setting app.settings.jwt_secret is another.',
        'Give the JWT_SECRET that the source runs with; or none, and people sign in again.',
      );
    }
    progress('reading the structure');
    const entries = await source.loadStructure();
    const digest = createHash('sha256').update(renderEntries(entries)).digest('hex');
    await openBeside(options, beside, digest);
    const report = await fill(options, beside, source, entries, digest);
    progress('putting it in place');
    await exchangeDatabases((name) => options.login('supabase_admin', name), beside, database);
    await withClient(options.login('supabase_admin', database), (client) => dropReplaced(client, database));
    return report;
  });
}

/** Makes the database beside, or finds the one that an earlier import of the same structure left. */
async function openBeside(
  { login, database, bootstrap, resume, progress }: ImportOptions,
  beside: string,
  digest: string,
) {
  const admin = (name: string) => login('supabase_admin', name);
  if (await hasDatabase(admin, beside)) {
    const known = await withClient(login('postgres', beside), (client) =>
      client
        .query<{ digest: string }>(
          "select facts ->> 'digest' as digest from _millrace_import.steps where step = 'begun'",
        )
        .then(({ rows }) => rows[0]?.digest)
        .catch(() => undefined),
    );
    if (resume && known === digest) return;
    progress(
      resume
        ? 'the structure of the source has changed since: beginning again'
        : 'an earlier import broke off: beginning again (--resume goes on with it)',
    );
  } else if (resume) progress('there is no import to go on with: beginning');
  await makeDatabase(admin, beside, database);
  await bootstrap(beside);
}

async function fill(
  options: ImportOptions,
  beside: string,
  source: Source,
  entries: readonly DumpEntry[],
  digest: string,
): Promise<ImportReport> {
  const { login, observe, progress, signal } = options;
  const logins = { postgres: login('postgres', beside), admin: login('supabase_admin', beside) };
  await using session = await MigrationSession.open(logins, observe, signal);
  await ensureState(session);
  const steps = await openSteps(session.client);
  if (steps.of('begun') === undefined) {
    await keepRoleBaseline(session);
    await steps.record(session.client, 'begun', { digest });
  }
  const notices: string[] = [];
  const hasStructure = options.parts !== 'data';
  const { roles, statements, appSettings } = hasStructure
    ? await projectRoles(source.client)
    : { roles: [], statements: [], appSettings: [] };
  const [before, behind] = splitAtData(entries);
  if (hasStructure) {
    notices.push(...(await script(session, steps, 'roles', statements.join('\n'))));
    const admin = (await session.admin()) ?? session.client;
    for (const setting of appSettings) await admin.query(makeAppSetting(setting, beside));
    notices.push(...(await script(session, steps, 'structure', head + renderEntries(before))));
  } else if (steps.of('structure') === undefined) {
    progress('applying the migrations of the project');
    await options.migrate(beside);
    await steps.record(session.client, 'structure');
  }
  const tables = options.parts === 'schema' ? [] : await rows(options, session, source, steps, notices);
  if (hasStructure) {
    progress('building indexes, constraints, policies and triggers');
    notices.push(...(await script(session, steps, 'behind', head + renderEntries(behind))));
  }
  if (options.parts !== 'schema') {
    // Of the views that are filled there, those that are here: a project's migrations may make others.
    for (const statement of await refreshStatements(
      hasStructure ? source.client : session.client,
      source.schemas,
    ))
      await session.client.query(statement);
  }
  await session.refresh();
  await session.client.query('analyze');
  // What the project's first start would run once has been run where it comes from.
  await session.client.query(`${recordStep('roles', undefined)}; ${recordStep('seed', undefined)}`);
  await session.client.query(dropSteps);
  const admin = await session.admin();
  await admin?.query('insert into _millrace.imports (source_version, tables) values ($1, $2)', [
    source.version,
    tables.length,
  ]);
  return { version: source.version, tables, roles, notices };
}

/** Runs a script once, in one transaction where that can be, and records it. */
async function script(
  session: MigrationSession,
  steps: Steps,
  step: string,
  text: string,
): Promise<readonly string[]> {
  if (steps.of(step) !== undefined) return [];
  const { warnings } = await runScript(session, await loadProgress(session.client), {
    file: `${step} of the source`,
    text,
    record: recordOf(step, {}),
  });
  return warnings;
}

async function rows(
  options: ImportOptions,
  session: MigrationSession,
  source: Source,
  steps: Steps,
  notices: string[],
): Promise<readonly CopiedTable[]> {
  const { progress, signal } = options;
  const login = options.login('postgres', `${options.database}_import`);
  return withClient({ ...login, application_name: 'millrace import' }, async (target) => {
    await target.query(`${plainSession}; set session_replication_role = replica`);
    const platform = await pairTables(
      source.client,
      target,
      [...rowsOfPlatform.keys()],
      ({ schema, name }) => {
        if (options.jwtSecret === undefined && schema === 'auth' && sessionTables.has(name)) return false;
        // Which migrations are applied here is what was applied here.
        if (options.parts === 'data' && schema === 'supabase_migrations') return false;
        return rowsOfPlatform.get(schema)!.has(name);
      },
    );
    const own = await pairTables(source.client, target, source.schemas, () => true);
    const admin = (await session.admin()) ?? session.client;
    notices.push(...(await copyExtensionState(source.client, target, admin)));
    const isQueue = ({ name }: { readonly name: string }) => /^[qa]_/.test(name);
    const queues = await pairTables(source.client, target, ['pgmq'], isQueue, { withMembers: true });
    const pairs = [...platform.pairs, ...own.pairs, ...queues.pairs];
    notices.push(
      ...[...platform.missing, ...own.missing].map(
        ({ schema, name }) => `${schema}.${name} is not there here: left out.`,
      ),
    );
    notices.push(...pairs.flatMap(({ lost }) => lost ?? []));
    const copied: CopiedTable[] = [];
    for (const [at, pair] of pairs.entries()) {
      const { schema, name, sizeBytes } = pair.table;
      if (sizeBytes > saidFromBytes)
        progress(`${at + 1}/${pairs.length} ${schema}.${name} (${Math.round(sizeBytes / 1e6)} MB)`);
      copied.push(await copyOnce(source.client, target, pair, steps, signal));
    }
    const differing = copied.filter((table) => !isSame(table));
    if (differing.length > 0) {
      throw new OperatorError(
        `These tables hold something else here than in the source: ${differing.map(({ table }) => table).join(', ')}.`,
        'Nothing of the import is visible. --resume copies them again; if they differ again, please report it.',
      );
    }
    const schemas = [...source.schemas, 'auth', 'storage', 'pgmq'];
    for (const statement of await sequenceStatements(source.client, schemas)) {
      await target.query(statement).catch((error: unknown) => {
        // The project's own migrations need not make every sequence of the source.
        if (options.parts !== 'data' || errorCode(error) !== undefinedTable) throw error;
      });
    }
    const objects = await listLargeObjects(source.client);
    for (const { oid } of objects) await copyLargeObject(source.client, target, oid);
    if (objects.length > 0) progress(`${objects.length} large objects`);
    const files = copied.find(({ table }) => table === 'storage.objects')?.here.rows ?? 0;
    if (files > 0)
      notices.push(`The files of ${files} objects in storage are not here: only their rows are.`);
    return copied;
  });
}

const head = `set check_function_bodies = false;
set client_min_messages = warning;
set search_path = '';
`;
const undefinedTable = '42P01';
/** A table of this size takes long enough for a line of its own. */
const saidFromBytes = 10_000_000;
