// In charge of: a PostgreSQL of our own: made, configured, started as our child, brought back when it falls, stopped.
//
//   openPostgres({ project, port, password, observe, majorVersion?, pgBin?, engine?, data?, host?, … }): Promise<PostgresServer>
//
// `PostgresServer` is in server.ts; `openExternal` in external.ts gives the same for a DATABASE_URL.
import { randomBytes, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lchown, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { LoginRole } from '../db.ts';
import { placeInState } from '../extensions/place.ts';
import { keepVaultKey } from '../extensions/vault-key.ts';
import {
  type Binaries,
  embeddedMajors,
  findEmbedded,
  findSystem,
  preloadable,
  prepareBinaries,
} from './binaries.ts';
import {
  ignoredParameters,
  isLoopback,
  renderAccess,
  renderConfiguration,
  renderIdentities,
} from './configuration.ts';
import { otherVersion } from './failures.ts';
import { initData, type MakeData, readDataMajor, removeUnfinished } from './init.ts';
import { stopLeftovers } from './leftovers.ts';
import { type Lock, takeLock } from './lock.ts';
import { ownName } from './os-user.ts';
import { claimPort } from './port.ts';
import type { Environment } from './process.ts';
import { loginRoles, type PostgresServer } from './server.ts';
import {
  openSocketFolder,
  openStateFolder,
  readStateFile,
  type StateFolder,
  stateFolderError,
  stateFormat,
  writeStateFile,
} from './state-folder.ts';
import { SupervisedServer } from './supervised-server.ts';

export interface PostgresOptions {
  /** The folder that holds `supabase/`; the state is in `.millrace/` there. */
  readonly project: string;
  /** `--data DIR`: the state folder, when not that one. */
  readonly data?: string | undefined;
  /** `system` searches the usual places when `pgBin` is not given. Default: `embedded`, or `system` with `pgBin`. */
  readonly engine?: 'embedded' | 'system' | undefined;
  /** `--pg-bin DIR` */
  readonly pgBin?: string | undefined;
  /** `[db].major_version`; unset: that of the data, for new data the newest. */
  readonly majorVersion?: number | undefined;
  /** `--db-port`; 0 takes a free one. */
  readonly port: number;
  /** `--db-host`; default 127.0.0.1. */
  readonly host?: string | undefined;
  /** The password of `postgres`, for `url` only: the roles are made elsewhere. */
  readonly password: string;
  readonly maxConnections?: number | undefined;
  /** Connections that only roles with pg_use_reserved_connections may use. */
  readonly reservedConnections?: number | undefined;
  /** `[db.settings]` */
  readonly parameters?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** The data will be thrown away: it does not survive a crash of the machine, and is faster for it. */
  readonly throwAway?: boolean | undefined;
  /** Makes new data instead of initdb. */
  readonly makeData?: MakeData | undefined;
  readonly observe: Observe;
  /** Ours: its PATH is searched for an installed PostgreSQL, and Windows needs some of it. Nothing else of it is handed on. */
  readonly environment?: Environment | undefined;
  /** Gives up the start when aborted. */
  readonly signal?: AbortSignal | undefined;
  /** `tcp` where Node has no Unix sockets (Windows): passwords over loopback. Settable for its tests. */
  readonly transport?: 'socket' | 'tcp' | undefined;
  /** Root's own place for state and copies; default /var/lib/millrace. */
  readonly systemFolder?: string | undefined;
}

/**
 * Starts the project's own PostgreSQL, making it first when there is none. Answers when it takes connections.
 * @throws OperatorError, one sentence, for everything that a person can put right; nothing is left running or locked then.
 */
export async function openPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const state = await openStateFolder(options);
  const lock = await takeLock(state.path, options.signal).catch((error) => {
    throw error instanceof OperatorError || options.signal?.aborted
      ? error
      : stateFolderError(state.path, error);
  });
  try {
    const server = await prepare(state, lock, options);
    await server.start(options.signal);
    return server;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Everything up to the point where the server can be started. */
async function prepare(state: StateFolder, lock: Lock, options: PostgresOptions): Promise<SupervisedServer> {
  const { signal, observe } = options;
  const transport = options.transport ?? (process.platform === 'win32' ? 'tcp' : 'socket');
  const osUser = transport === 'socket' ? ownName() : '';
  const dataMajor = await readDataMajor(state.dataFolder);
  const binaries = await findBinaries(state, dataMajor, options);
  if (dataMajor !== undefined && dataMajor !== binaries.major) {
    throw otherVersion(state.dataFolder, dataMajor, binaries.major, binaries.engine);
  }
  if (dataMajor !== undefined) {
    const stopped = await stopLeftovers(state.dataFolder, signal);
    if (stopped > 0)
      observe({
        kind: 'postgres.leftover',
        level: 'warn',
        processes: stopped,
        sentence: 'A PostgreSQL that an earlier start left behind was stopped.',
      });
  }
  const host = options.host ?? '127.0.0.1';
  const port = await claimPort(host, options.port);
  const passwords = transport === 'tcp' ? await openPasswords(state, options.password) : {};
  await removeUnfinished(state);
  // A template has no passwords of roles that log in by them, as they do where there is no socket.
  if (dataMajor === undefined && options.makeData !== undefined && transport === 'socket') {
    await options.makeData(state, binaries);
  } else if (dataMajor === undefined) {
    observe({ kind: 'postgres.init', level: 'info', version: binaries.version, folder: state.dataFolder });
    await initData(state, binaries, {
      superuserPassword: passwords.supabase_admin,
      throwAway: options.throwAway,
      environment: options.environment,
      signal,
    });
  }
  const socketFolder = transport === 'socket' ? await openSocketFolder(state) : undefined;
  const exposed = !isLoopback(host);
  await writeFiles(state, {
    'millrace.conf': renderConfiguration({
      major: binaries.major,
      maxConnections: options.maxConnections ?? maxConnectionsDefault,
      reservedConnections: options.reservedConnections ?? reservedConnectionsDefault,
      parameters: options.parameters ?? {},
      preloaded: preloadable(binaries, preloaded),
      extensionPath: await placeInState(state.path, binaries.major),
      throwAway: options.throwAway,
    }),
    'pg_hba.conf': renderAccess({ transport, open: exposed }),
    'pg_ident.conf': renderIdentities(osUser, binaries.major),
  });
  const known = await readStateFile(state.path);
  const vault = await keepVaultKey(state.path, state.runAs, known?.vaultKey);
  await writeStateFile(state.path, {
    ...known,
    format: stateFormat,
    engine: binaries.engine,
    major: binaries.major,
    version: binaries.version,
    ...(socketFolder === undefined ? {} : { socketFolder }),
    port,
    ...(vault.fingerprint === undefined ? {} : { vaultKey: vault.fingerprint }),
  });
  const notices = [
    ...state.notices,
    ...binaries.notices,
    ...vault.notices,
    ...ignoredParameters(options.parameters ?? {}),
  ];
  if (options.majorVersion === undefined && binaries.engine === 'embedded') {
    notices.push(`[db].major_version is not set; this runs PostgreSQL ${binaries.version}.`);
  }
  if (
    options.majorVersion !== undefined &&
    binaries.engine === 'system' &&
    options.majorVersion !== binaries.major
  ) {
    notices.push(
      `[db].major_version is ${options.majorVersion}; the installed PostgreSQL is ${binaries.version}, and that is what runs.`,
    );
  }
  if (exposed)
    notices.push(
      `The database's port ${port} on "${host}" can be reached from other machines, and its connections are not encrypted.`,
    );
  return new SupervisedServer({
    state,
    lock,
    binaries,
    host,
    port,
    anyPort: options.port === 0,
    socketFolder,
    passwords,
    password: options.password,
    notices,
    observe,
    environment: options.environment,
  });
}

async function findBinaries(
  state: StateFolder,
  dataMajor: number | undefined,
  options: PostgresOptions,
): Promise<Binaries> {
  const engine = options.engine ?? (options.pgBin === undefined ? 'embedded' : 'system');
  const known =
    dataMajor !== undefined && (engine === 'system' || embeddedMajors.includes(dataMajor))
      ? dataMajor
      : undefined;
  const major = options.majorVersion ?? known;
  const found =
    engine === 'embedded' ? findEmbedded(major) : await findSystem(options.pgBin, major, options.environment);
  return prepareBinaries(found, {
    runAs: state.runAs,
    copiesFolder: state.copiesFolder,
    environment: options.environment,
    signal: options.signal,
  });
}

/**
 * Puts our files into the data folder, which may be another user's: they are made beside and renamed, because writing
 * through a link that this user has put there would let them write any file as root.
 */
async function writeFiles(state: StateFolder, files: Readonly<Record<string, string>>): Promise<void> {
  const { runAs, dataFolder } = state;
  try {
    for (const [name, text] of Object.entries(files)) {
      const draft = join(state.path, `lock.${randomUUID()}.new`);
      await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
      if (runAs !== undefined) await lchown(draft, runAs.uid, runAs.gid);
      await rename(draft, join(dataFolder, name));
    }
    const main = await open(
      join(dataFolder, 'postgresql.conf'),
      constants.O_RDWR | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0),
    );
    try {
      if (!(await main.readFile('utf8')).includes(includeLine)) await main.appendFile(`\n${includeLine}\n`);
    } finally {
      await main.close();
    }
  } catch (error) {
    throw stateFolderError(dataFolder, error);
  }
}

/** Passwords of the login roles, made once and readable by us alone. Only where there is no `peer`. */
async function openPasswords(
  state: StateFolder,
  postgres: string,
): Promise<Partial<Record<LoginRole, string>>> {
  const file = join(state.path, 'login-passwords.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text !== undefined) return { ...(JSON.parse(text) as Record<string, string>), postgres };
  const passwords = Object.fromEntries(
    loginRoles.map((role) => [role, randomBytes(24).toString('base64url')]),
  );
  await writeFile(file, JSON.stringify(passwords), { mode: 0o600, flag: 'wx' });
  return { ...passwords, postgres };
}

/** Without `[db].settings.max_connections`: upstream's number, and PostgreSQL's. */
/** Hosted projects have it loaded, and the CLI's `inspect` reads it. */
const preloaded = ['pg_stat_statements'];
const maxConnectionsDefault = 100;
const reservedConnectionsDefault = 20;
const includeLine = "include 'millrace.conf'";
