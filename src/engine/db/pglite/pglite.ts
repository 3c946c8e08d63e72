// In charge of: opening a project's PGlite: its state folder, its data, its engine.
//
//   openPglite({ project, port, password, observe, data?, host?, … }): Promise<PgliteServer>
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { placeInto } from '../extensions/place.ts';
import { keepVaultKey, vaultKeyFile } from '../extensions/vault-key.ts';
import { isLoopback } from '../postgres/configuration.ts';
import { type Lock, takeLock } from '../postgres/lock.ts';
import { claimPort } from '../postgres/port.ts';
import {
  openSocketFolder,
  openStateFolder,
  readStateFile,
  type StateFolder,
  stateFolderError,
  stateFormat,
  writeStateFile,
} from '../postgres/state-folder.ts';
import { openBundles } from './bundles.ts';
import type { EngineOptions } from './engine.ts';
import { hasPgliteData, pgliteFolderName } from './folder.ts';
import { PgliteServer } from './pglite-server.ts';
import { makeData, openCacheFolder } from './template.ts';
import { EngineThread } from './thread.ts';

export interface PgliteOptions {
  /** The folder that holds `supabase/`; the state is in `.millrace/` there. */
  readonly project: string;
  /** `--data DIR`: the state folder, when not that one. */
  readonly data?: string | undefined;
  /** `--db-port`; 0 takes a free one. */
  readonly port: number;
  /** `--db-host`; default 127.0.0.1. */
  readonly host?: string | undefined;
  /** The password of `postgres`, for `url` only: the roles are made elsewhere. */
  readonly password: string;
  readonly maxConnections?: number | undefined;
  /** `[db.settings]` */
  readonly parameters?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** `--memory`: the state is in a folder of the system for temporary files, no commit waits for the disk, and a stop removes it all. */
  readonly memory?: boolean | undefined;
  readonly observe: Observe;
  /** Gives up the start when aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Root's own place for state and copies; default /var/lib/millrace. */
  readonly systemFolder?: string | undefined;
}

/**
 * Starts the project's PGlite, making its data first when there is none. Answers when it takes connections.
 * @throws OperatorError, one sentence; nothing is left running or locked then.
 */
export async function openPglite(options: PgliteOptions): Promise<PgliteServer> {
  const state = await openStateFolder(options);
  const lock = await takeLock(state.path, options.signal).catch((error) => {
    throw error instanceof OperatorError || options.signal?.aborted
      ? error
      : stateFolderError(state.path, error);
  });
  try {
    return await start(state, lock, options);
  } catch (error) {
    await lock.release();
    if (error instanceof OperatorError || options.signal?.aborted) throw error;
    throw new OperatorError(
      `PGlite did not start: ${errorMessage(error)}.`,
      `Look at the disk that holds "${state.path}".`,
      error,
    );
  }
}

async function start(state: StateFolder, lock: Lock, options: PgliteOptions): Promise<PgliteServer> {
  const { observe, signal } = options;
  const host = options.host ?? '127.0.0.1';
  const port = await claimPort(host, options.port);
  const dataFolder = join(state.path, pgliteFolderName);
  const isThrowAway = options.memory === true;
  const version = pgliteVersion();
  const cacheFolder = await openCacheFolder(state);
  const bundleFolder = await openBundles(cacheFolder, version);
  // The sockets are this process's own, whoever another engine's would belong to.
  const socketFolder = await openSocketFolder({ ...state, runAs: undefined });
  const extensionFolder = join(state.path, 'extensions', 'extension');
  await placeInto(extensionFolder);
  const known = await readStateFile(state.path);
  // The engine runs in this process, and reads the key as it does.
  const vault = await keepVaultKey(state.path, undefined, known?.vaultKey);
  const notices = [...state.notices, ...vault.notices];
  if (!isLoopback(host)) {
    notices.push(
      `The database's port ${port} on "${host}" can be reached from other machines, and its connections are not encrypted.`,
    );
  }
  const engine: EngineOptions = {
    dataFolder,
    bundleFolder,
    extensionFolder,
    vaultKeyFile: join(state.path, vaultKeyFile),
    parameters: ownParameters(options.parameters ?? {}),
    durable: !isThrowAway,
  };
  if (isThrowAway || !hasPgliteData(state.path)) {
    observe({ kind: 'postgres.init', level: 'info', version: `(PGlite ${version})`, folder: dataFolder });
    const template = join(cacheFolder, `pglite-${version}-template`);
    await makeData(dataFolder, template, engine.durable, (folder) =>
      initData({ ...engine, dataFolder: folder }, signal),
    );
  }
  const server = await PgliteServer.start(
    {
      stateFolder: state.path,
      lock,
      engine,
      socketFolder,
      host,
      port,
      password: options.password,
      maxConnections: options.maxConnections ?? maxConnectionsDefault,
      notices,
      observe,
      isThrowAway,
    },
    signal,
  );
  try {
    await writeStateFile(state.path, {
      ...known,
      format: stateFormat,
      engine: 'pglite',
      major: server.major,
      version: server.version,
      socketFolder,
      port,
      ...(vault.fingerprint === undefined ? {} : { vaultKey: vault.fingerprint }),
    });
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Lets PGlite make its data in a folder that is empty, and closes it again. */
async function initData(engine: EngineOptions, signal: AbortSignal | undefined): Promise<void> {
  const events = { onNotified: () => {}, onEnded: () => {} };
  const thread = await EngineThread.open({ ...engine, durable: false, parameters: {} }, events, signal);
  await thread.stop();
}

export function pgliteVersion(): string {
  const require = createRequire(import.meta.url);
  const file = join(require.resolve('@electric-sql/pglite'), '..', '..', 'package.json');
  // Sound: every package has a version.
  return (require(file) as { version: string }).version;
}

/** A person's settings, and ours below them. */
function ownParameters(parameters: NonNullable<PgliteOptions['parameters']>): Record<string, string> {
  const theirs = Object.entries(parameters).map(([name, value]) => [
    name.toLowerCase(),
    typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value),
  ]);
  return {
    shared_preload_libraries: 'pg_stat_statements',
    password_encryption: 'scram-sha-256',
    timezone: 'UTC',
    lc_messages: 'C',
    ...Object.fromEntries(theirs.filter(([name]) => !notTheirs.has(name!))),
  };
}

/** What single-user mode has no use for, or what the design fixes. */
const notTheirs: ReadonlySet<string> = new Set([
  'max_connections',
  'shared_preload_libraries',
  'wal_level',
  'max_wal_senders',
  'max_replication_slots',
  'fsync',
  'full_page_writes',
  'password_encryption',
  'ssl',
  'timezone',
  'lc_messages',
  'listen_addresses',
  'port',
  'unix_socket_directories',
  'data_directory',
  'config_file',
  'hba_file',
  'ident_file',
]);

const maxConnectionsDefault = 100;
