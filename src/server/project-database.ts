// In charge of: the project's database up to the point where requests can use it: a server, Supabase's shape, the project's migrations.
import type { Client } from 'pg';
import type { Observe } from '../base/observe.ts';
import { withClient } from '../engine/db/client.ts';
import type { LoginRole } from '../engine/db/db.ts';
import { loadExposedTables } from '../engine/db/exposed-tables.ts';
import { provideExtension } from '../engine/db/extensions/provide.ts';
import { wasImported } from '../engine/db/import/imported.ts';
import { type ApplyOptions, type ApplyReport, applyProject } from '../engine/db/migrations/apply.ts';
import { type ResetReport, resetProject } from '../engine/db/migrations/reset.ts';
import { openPglite } from '../engine/db/pglite/pglite.ts';
import { openExternal } from '../engine/db/postgres/external.ts';
import { findRunningServer } from '../engine/db/postgres/running.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { findStateFolder, readStateFile } from '../engine/db/postgres/state-folder.ts';
import { openPostgres } from '../engine/db/postgres/supervisor.ts';
import { bootstrapDatabase } from '../engine/db/shape/shape.ts';
import { decideExposure } from '../engine/project/expose.ts';
import { loadProjectFiles, type ProjectFiles } from '../engine/project/files.ts';
import { findMasterKeys } from '../engine/secrets/master-key.ts';
import { refuseOtherMasterKey } from '../engine/secrets/secrets.ts';
import { chooseEngine, type EngineName } from './choose-engine.ts';
import { externalPasswords } from './external-passwords.ts';
import type { Prepared } from './prepare.ts';
import { findRunning } from './run-file.ts';
import { settleLogins } from './settle-logins.ts';
import { settlePassword } from './settle-password.ts';

export interface OpenOptions {
  readonly observe: Observe;
  /** One line for a person about what takes long. */
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What bringing a database up to date needs of a server. */
type ServerLogins = Pick<PostgresServer, 'engine' | 'login' | 'directLogin' | 'passwords' | 'stop'>;

/** A server whose database has Supabase's shape, and the project's files, not applied yet. */
export interface ShapedServer<S extends ServerLogins = PostgresServer> {
  readonly server: S;
  readonly files: ProjectFiles;
  readonly notices: readonly string[];
  /** Whether its data came from another server; unknown where the server runs already. */
  readonly isImported?: boolean;
}

/**
 * Opens the server that the project asks for and gives its database Supabase's shape. Closes it again when that fails.
 * @throws OperatorError
 */
export async function openShapedServer(prepared: Prepared, options: OpenOptions): Promise<ShapedServer> {
  const files = await loadProjectFiles(prepared.project);
  const { engine, notice } = await chooseEngine(prepared, files);
  const server = await openServer(prepared, engine, options);
  try {
    const shaped = await shape(server, prepared, files, options.observe);
    return {
      server,
      files: chosenOf(files, prepared),
      isImported: shaped.isImported,
      notices: [
        ...prepared.project.notices,
        ...files.notices,
        notice,
        ...server.notices,
        ...shaped.notices,
      ].filter((sentence) => sentence !== undefined),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/**
 * The same for a command beside a backend: when the project's server runs already, in another process, it is used as it is.
 * @throws OperatorError
 */
export async function openShapedForCommand(
  prepared: Prepared,
  options: OpenOptions,
): Promise<ShapedServer<ServerLogins>> {
  const { environment, project } = prepared.project;
  const stateFolder = await findStateFolder({ project, data: prepared.data });
  // Only a backend that says that it is ready has a database in shape. Anything else is for the lock and the leftovers of a start.
  const login =
    environment.DATABASE_URL || !(await findRunning(stateFolder))
      ? undefined
      : await findRunningServer(stateFolder);
  if (login === undefined) return openShapedServer(prepared, options);
  const files = await loadProjectFiles(prepared.project);
  const server: ServerLogins = {
    engine: (await readStateFile(stateFolder))?.engine === 'pglite' ? 'pglite' : 'embedded',
    login,
    directLogin: login,
    passwords: {},
    stop: async () => {},
  };
  return { server, files, notices: files.notices };
}

/** Opens the server that the project asks for: DATABASE_URL's, an installed one, the embedded one, or PGlite. */
export async function openServer(
  prepared: Prepared,
  engine: EngineName,
  { observe, signal }: Pick<OpenOptions, 'observe' | 'signal'>,
  databasePort?: number,
): Promise<PostgresServer> {
  const { environment } = prepared.project;
  const values = prepared.serverSettings.now();
  const url = environment.DATABASE_URL;
  if (url) {
    const passwordOf = externalPasswords(url, environment.MILLRACE_MASTER_KEY);
    return openExternal({ url, directUrl: environment.DIRECT_URL || undefined, passwordOf, observe, signal });
  }
  const place = {
    project: prepared.project.project,
    data: prepared.data,
    host: values.databaseHost,
    port: databasePort ?? values.databasePort,
    password: prepared.secrets.databasePassword,
    maxConnections: Math.max(minConnections, values.poolSize + connectionsBesidePool),
    // Sound: both engines refuse what is no setting of Postgres.
    parameters: prepared.project.section('db.settings') as Readonly<
      Record<string, string | number | boolean>
    >,
    observe,
    signal,
  };
  if (engine === 'pglite')
    return openPglite({ ...place, memory: prepared.memory === true || prepared.makeData !== undefined });
  return openPostgres({
    ...place,
    engine: engine === 'system' ? 'system' : undefined,
    pgBin: prepared.pgBin,
    majorVersion: values.majorVersion === 0 ? undefined : values.majorVersion,
    ...(prepared.makeData === undefined ? {} : { throwAway: true, makeData: prepared.makeData }),
    environment,
  });
}

/** The files that are to be applied. */
function chosenOf(files: ProjectFiles, { chosen }: Prepared): ProjectFiles {
  if (chosen === undefined) return files;
  const migrated = chosen.migrations ? files : { ...files, migrations: [], roles: undefined, vault: [] };
  return chosen.seed ? migrated : { ...migrated, seeds: [] };
}

const minConnections = 100;
/** For services, people and the superuser, whatever the size of the requests' pool. */
const connectionsBesidePool = 60;

interface Shaped {
  /** Sentences that should be read once. */
  readonly notices: readonly string[];
  readonly isImported: boolean;
}

async function shape(
  server: ServerLogins,
  prepared: Prepared,
  files: ProjectFiles,
  observe: Observe,
): Promise<Shaped> {
  const external = server.engine === 'external';
  const passwordOf = external
    ? externalPasswords(
        prepared.project.environment.DATABASE_URL ?? '',
        prepared.project.environment.MILLRACE_MASTER_KEY,
      )
    : () => undefined;
  // As the server's superuser, on a session without a pooler where there is one: locks and DDL need it.
  const login = server.directLogin('supabase_admin') ?? server.login('supabase_admin');
  return withClient(login, async (client) => {
    const setting = prepared.serverSettings.now().autoExposeNewTables;
    const exposure = decideExposure({
      setting: setting === 'unset' ? undefined : setting,
      firstVersion: files.migrations[0]?.version,
      production: prepared.production,
      tables: await loadExposedTables(client),
    });
    const { notices, ownRoles } = await bootstrapDatabase(client, {
      external,
      // Sound: a role that is no login role has no password in either.
      passwordOf: (role) =>
        role === 'postgres' && !external
          ? prepared.secrets.databasePassword
          : (server.passwords[role as LoginRole] ?? passwordOf(role as LoginRole)),
      autoExposeNewTables: exposure.exposes,
      observe,
    });
    // Upstream puts it there before the migrations, too. Source: supabase/cli apps/cli-go/internal/db/start/templates/webhook.sql.
    if (prepared.project.value('experimental.webhooks.enabled') === true)
      await provideExtension(client, 'pg_net', { schema: 'extensions', external });
    if (external) {
      // A wrong one would take the roles' passwords away from the processes that have the right one.
      await refuseWrongMasterKey(client, prepared);
      await settleLogins(server, client, ownRoles, passwordOf);
    }
    const password = external ? undefined : await settlePassword(client, prepared);
    return {
      notices: [...notices, exposure.warning, password].filter((notice) => notice !== undefined),
      isImported: await wasImported(client),
    };
  });
}

/** Without MILLRACE_MASTER_KEY the passwords do not depend on it, and the secrets are looked at when they are opened. */
async function refuseWrongMasterKey(client: Client, { project, data }: Prepared): Promise<void> {
  const { environment } = project;
  if (!environment.MILLRACE_MASTER_KEY) return;
  const stateFolder = await findStateFolder({ project: project.project, data });
  await refuseOtherMasterKey(client, await findMasterKeys({ environment, stateFolder }));
}

/** Applies the project's files: what `start` does with what is pending, and `migrate` by itself. */
export function applyFiles(
  shaped: ShapedServer<ServerLogins>,
  options: OpenOptions,
  more: Pick<ApplyOptions, 'drift' | 'includeAll' | 'includeRoles' | 'includeSeed'>,
): Promise<ApplyReport> {
  return applyProject({ ...applyOptions(shaped, options), ...more });
}

/** Throws everything in the project's database away and applies the project from the beginning. `seed`: whether the seeds, too. */
export function resetDatabase(
  shaped: ShapedServer<ServerLogins>,
  prepared: Prepared,
  options: OpenOptions,
  seed: boolean,
): Promise<ResetReport> {
  const { server, files } = shaped;
  const project = seed ? files : { ...files, seeds: [] };
  // PGlite has one database, which cannot be dropped from within.
  const admin =
    server.engine === 'external' || server.engine === 'pglite' ? undefined : server.login('supabase_admin');
  return resetProject({
    ...applyOptions({ ...shaped, files: project }, options),
    admin,
    extensionOwner: server.engine === 'pglite' ? server.login('supabase_admin') : undefined,
    bootstrap: async () => {
      await shape(server, prepared, files, options.observe);
    },
  });
}

/** Gives another database of the server Supabase's shape, as that of the project has it. */
export async function shapeDatabase(
  { server, files }: ShapedServer<ServerLogins>,
  prepared: Prepared,
  { observe }: Pick<OpenOptions, 'observe'>,
  database: string,
): Promise<void> {
  const there: ServerLogins = {
    engine: server.engine,
    passwords: server.passwords,
    login: (role) => server.login(role, database),
    directLogin: (role) => server.directLogin(role, database),
    stop: async () => {},
  };
  await shape(there, prepared, files, observe);
}

/** Applies the project's migrations, and no seed, to another database of the server. */
export async function migrateDatabase(
  shaped: ShapedServer<ServerLogins>,
  options: OpenOptions,
  database: string,
): Promise<void> {
  const login = (role: 'postgres' | 'supabase_admin') => shaped.server.login(role, database);
  await applyProject({
    ...applyOptions({ ...shaped, files: { ...shaped.files, seeds: [] } }, options),
    logins: { postgres: login('postgres'), admin: login('supabase_admin') },
  });
}

function applyOptions({ server, files }: ShapedServer<ServerLogins>, options: OpenOptions): ApplyOptions {
  return {
    logins: migrationLogins(server),
    project: files,
    observe: sayProgress(options),
    signal: options.signal,
    hasOneSession: server.engine === 'pglite',
  };
}

/** Whom migrations run as; on an external server the URL's own user does it all. */
function migrationLogins(server: ServerLogins): ApplyOptions['logins'] {
  const login = (role: 'postgres' | 'supabase_admin') => server.directLogin(role) ?? server.login(role);
  if (server.engine === 'external') return { postgres: login('supabase_admin') };
  return { postgres: login('postgres'), admin: login('supabase_admin') };
}

/** A line for each file that is applied, beside the log. */
function sayProgress({ observe, progress }: OpenOptions): Observe {
  return (observation) => {
    observe({ level: 'debug', ...observation });
    const { kind, file, number, total } = observation;
    if (kind === 'migrations.applying') progress(`  ${number}/${total} ${file}`);
    if (kind === 'migrations.waiting') progress('  another process is migrating; waiting for it');
  };
}
