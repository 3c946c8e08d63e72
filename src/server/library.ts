// In charge of: the backend as a library, for tests of applications: `import { createBackend } from 'millrace'`.
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { OperatorError } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import { openSql, type Sql } from '../engine/db/sql.ts';
import { templatesFolder } from '../engine/db/template/cache-folder.ts';
import { dataFromTemplate } from '../engine/db/template/template.ts';
import { developmentDatabasePassword } from '../engine/identity/development-secrets.ts';
import { startBackend } from './boot.ts';
import { openLog } from './log.ts';
import { engineOf, type Prepared, prepareProject } from './prepare.ts';
import { openThrowAwayFolder, type ThrowAwayFolder } from './throw-away.ts';

export interface BackendOptions {
  /** The folder that holds `supabase/`. Without one the database has Supabase's shape and nothing else. */
  readonly project?: string | undefined;
  /** Apply the project's migrations. Default: true. */
  readonly migrations?: boolean | undefined;
  /** Run the project's seeds. Default: as `migrations`. */
  readonly seed?: boolean | undefined;
  /** Settings by their key in docs/settings.md: `{ 'api.max_rows': 100 }`. They win over config.toml. */
  readonly settings?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** What `env(NAME)` in config.toml reads beside the project's `.env` files. Default: nothing of this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Keep the data in this folder. Default: a temporary one, copied from a template, without fsync, and removed by `close`. */
  readonly data?: string | undefined;
  /** A PostgreSQL of your own instead of one for a while: `postgres://…`. Nothing of it is removed. */
  readonly databaseUrl?: string | undefined;
  /** An installed PostgreSQL's bin folder. Default: the embedded PostgreSQL. */
  readonly pgBin?: string | undefined;
  /** Default: `embedded`; `pglite` where the project's migrations need an extension that only it has; that of `data`, where there is some. */
  readonly engine?: 'embedded' | 'system' | 'pglite' | undefined;
  /** The HTTP port. Default: any free one. */
  readonly port?: number | undefined;
  /** The database's port. Default: any free one. */
  readonly databasePort?: number | undefined;
  /** What is written to standard error, or who hears it. Default: `silent`. */
  readonly log?: 'debug' | 'info' | 'warn' | 'error' | 'silent' | Observe | undefined;
  /** Where the template is kept. Default: `.cache/millrace` in the home folder. */
  readonly cacheFolder?: string | undefined;
  /** Gives up the start when aborted. */
  readonly signal?: AbortSignal | undefined;
}

export interface BackendKeys {
  readonly publishable: string;
  readonly secret: string;
  readonly anon: string;
  readonly serviceRole: string;
  readonly jwtSecret: string;
}

/** A backend in this process. `await using` closes it. */
export interface TestBackend extends AsyncDisposable {
  /** For a client SDK, and for other processes: a real port on this machine. */
  readonly url: string;
  /** For a plain driver: role `postgres`, which is no superuser. */
  readonly databaseUrl: string;
  readonly keys: BackendKeys;
  /** The whole backend as a function, without the port: for `createClient(url, key, { global: { fetch } })`. A path is one of `url`. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Runs SQL as role `postgres` and gives the rows. */
  readonly sql: Sql;
  /** What `millrace start` would say at its start. */
  readonly notices: readonly string[];
  /** Finishes requests in flight, stops everything, and removes what was temporary. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts a backend. It has the development keys that the Supabase CLI prints unless settings say otherwise, and listens on this machine alone.
 * @throws OperatorError for whatever is wrong with the project or the options; nothing is left behind then.
 */
export async function createBackend(options: BackendOptions = {}): Promise<TestBackend> {
  const { log = 'silent', signal = new AbortController().signal } = options;
  const { observe, close: closeLog } =
    typeof log === 'function' ? { observe: log, close() {} } : observerOf(log);
  if (options.project !== undefined) await refuseMissing(options.project);
  // The operator's socket and the run's own files need a place also where the database has another.
  const place = options.data === undefined ? await openThrowAwayFolder() : undefined;
  const closeAll = async (stop: () => Promise<void>) => {
    try {
      await stop();
    } finally {
      // Also when something did not stop as it should: nobody else will remove it.
      await place?.remove();
      closeLog();
    }
  };
  try {
    const prepared = await prepareOptions(options, place, observe, signal);
    const backend = await startBackend(prepared, { observe, progress: () => {}, now: Date.now, signal });
    const { sql, close: closeSql } = openSql(() => backend.login('postgres'));
    const { keys, jwtSecret } = backend.secrets;
    let closed: Promise<void> | undefined;
    const close = () => {
      closed ??= closeAll(async () => {
        await closeSql().finally(() => backend.stop());
      });
      return closed;
    };
    return {
      url: backend.apiUrl,
      databaseUrl: backend.databaseUrl,
      keys: { ...keys, jwtSecret },
      async fetch(input, init) {
        const isPath = typeof input === 'string' && input.startsWith('/');
        return backend.fetch(new Request(isPath ? backend.apiUrl + input : input, init));
      },
      sql,
      notices: backend.notices,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await closeAll(async () => {});
    throw error;
  }
}

async function prepareOptions(
  options: BackendOptions,
  place: ThrowAwayFolder | undefined,
  observe: Observe,
  signal: AbortSignal,
): Promise<Prepared> {
  const { migrations = true, seed = migrations, databaseUrl } = options;
  const settings = new Map(
    Object.entries(options.settings ?? {}).map(([key, value]) => [key, String(value)]),
  );
  const cacheFolder = options.cacheFolder ?? templatesFolder();
  const prepared = await prepareProject({
    folder: options.project === undefined ? (place?.path ?? options.data!) : resolve(options.project),
    environment: options.env ?? {},
    commandLine: new Map([
      ['api.port', String(options.port ?? 0)],
      ['db.port', String(options.databasePort ?? 0)],
      // One port for all, in config.toml; the inbox is at the API's own port as well.
      ['inbucket.port', '0'],
      ...settings,
    ]),
    production: false,
    data: options.data ?? place?.stateFolder,
    pgBin: options.pgBin,
    engine: engineOf(options.engine),
    chosen: { migrations, seed },
    // A project's .env may name the database of production: only the option counts.
    database: { url: databaseUrl },
    makeData:
      place === undefined
        ? undefined
        : dataFromTemplate({ cacheFolder, password: developmentDatabasePassword, observe, signal }),
  });
  refuseUnknown(prepared, settings.keys());
  return prepared;
}

function refuseUnknown({ settings }: Prepared, keys: Iterable<string>): void {
  const known = new Set(settings.origins().map(({ key }) => key));
  for (const key of keys) {
    if (known.has(key)) continue;
    throw new OperatorError(
      `"${key}" is not a setting.`,
      'docs/settings.md lists every setting with what it takes.',
    );
  }
}

async function refuseMissing(project: string): Promise<void> {
  const folder = resolve(project);
  const found = await stat(join(folder, 'supabase')).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new OperatorError(
    `The project folder "${folder}" holds no folder "supabase".`,
    'Give the folder that holds supabase/ as `project`, or leave `project` out for an empty database.',
  );
}

function observerOf(level: 'debug' | 'info' | 'warn' | 'error' | 'silent') {
  // Nothing is opened for nobody: each log listens to the end of the process.
  return level === 'silent' ? { observe: () => {}, close() {} } : openLog(level, 2);
}
