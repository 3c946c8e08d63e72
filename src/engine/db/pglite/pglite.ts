// In charge of: opening a project's PGlite: its state folder, its data, its engine.
//
//   openPglite({ project, port, password, observe, data?, host?, … }): Promise<PgliteServer>
import { mkdir, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { errorCode, errorMessage, OperatorError } from '../../../base/errors.ts';
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
import { pgliteFolderName } from './folder.ts';
import { PgliteServer } from './pglite-server.ts';

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

/** In a data folder that is whole: a start that was killed while it made one begins anew. */
const wholeMark = 'millrace-whole';

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
  const isNew = await openDataFolder(dataFolder, isThrowAway);
  const bundleFolder = await openBundles(state.copiesFolder, pgliteVersion());
  if (isNew)
    observe({
      kind: 'postgres.init',
      level: 'info',
      version: `(PGlite ${pgliteVersion()})`,
      folder: dataFolder,
    });
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
  const server = await PgliteServer.start(
    {
      stateFolder: state.path,
      lock,
      engine: {
        dataFolder,
        bundleFolder,
        extensionFolder,
        vaultKeyFile: join(state.path, vaultKeyFile),
        parameters: ownParameters(options.parameters ?? {}),
        durable: !isThrowAway,
      },
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
    if (isNew) await markWhole(dataFolder, !isThrowAway);
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

/** Whether the folder is new. What a killed start left of one is removed; of one that was to be thrown away, all. */
async function openDataFolder(dataFolder: string, isThrowAway: boolean): Promise<boolean> {
  try {
    await stat(join(dataFolder, wholeMark));
    if (!isThrowAway) return false;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw stateFolderError(dataFolder, error);
  }
  await rm(dataFolder, { recursive: true, force: true });
  await mkdir(dataFolder, { mode: 0o700 });
  return true;
}

/** Initdb's files have to be on the disk before they count. */
async function markWhole(dataFolder: string, durable: boolean): Promise<void> {
  if (durable) {
    for (const name of await readdir(dataFolder, { recursive: true })) await syncPath(join(dataFolder, name));
  }
  await writeFile(join(dataFolder, wholeMark), '', { mode: 0o600 });
  if (durable) await syncPath(dataFolder);
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
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
