// In charge of: bringing the parts up in order and down in reverse. The one file that knows all names.
import type { Observe } from '../base/observe.ts';
import type { Clock } from '../base/time.ts';
import { openCatalog } from '../engine/catalog/source.ts';
import { openDatabase } from '../engine/db/database.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { upkeepTasks } from '../engine/db/shape/upkeep.ts';
import { openIdentity } from '../engine/identity/identity.ts';
import { unknownKeys } from '../engine/project/config.ts';
import type { Ctx, Running, Service } from '../engine/service/contract.ts';
import { openTaskRunner } from '../engine/service/tasks.ts';
import { openInDatabaseSettings } from '../engine/settings/in-database.ts';
import { openStoredSettings } from '../engine/settings/stored.ts';
import { rest } from '../services/rest/service.ts';
import { openCatalogReload } from './catalog-reload.ts';
import { everyOrigin } from './cors.ts';
import { isLoopbackHost, openDevelopmentDoor } from './development-door.ts';
import { openExampleRoutes } from './example-routes.ts';
import { buildGateway } from './gateway.ts';
import { type ProjectSecrets, refuseDevelopmentSecrets } from './keys.ts';
import { landingFacts } from './landing-facts.ts';
import { openHttpPort } from './listen.ts';
import { buildPages } from './pages.ts';
import type { Prepared } from './prepare.ts';
import { applyFiles, openShapedServer } from './project-database.ts';

/** What a running backend tells about itself. */
export interface Backend {
  readonly apiUrl: string;
  readonly databaseUrl: string;
  readonly secrets: ProjectSecrets;
  readonly engine: PostgresServer['engine'];
  readonly postgresVersion: string;
  readonly services: readonly string[];
  /** Sentences that the person who starts the program should read once. */
  readonly notices: readonly string[];
  /** The whole backend as a function, without the port. */
  fetch(request: Request): Response | Promise<Response>;
  /** Resolves with the reason when the database has gone for good. */
  readonly lost: Promise<Error>;
  /** Drains: requests in flight finish, new ones are refused, then everything closes. */
  stop(): Promise<void>;
}

export interface BootOptions {
  readonly observe: Observe;
  /** One line for a person about what takes long. */
  readonly progress: (line: string) => void;
  readonly now: Clock;
  readonly signal: AbortSignal;
}

const services: readonly Service[] = [rest];

/** Starts the backend of a prepared project. What was opened is closed again, in reverse, when a later part fails. */
export async function startBackend(prepared: Prepared, options: BootOptions): Promise<Backend> {
  const closers: (() => Promise<unknown>)[] = [];
  const closeAll = async () => {
    for (const close of closers.toReversed()) {
      await close().catch((error: unknown) =>
        options.observe({ kind: 'stop.failed', level: 'error', error }),
      );
    }
  };
  try {
    return await open(prepared, options, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function open(
  prepared: Prepared,
  { observe, progress, now, signal }: BootOptions,
  closers: (() => Promise<unknown>)[],
  closeAll: () => Promise<void>,
): Promise<Backend> {
  const { settings, secrets, project, production } = prepared;
  const own = prepared.serverSettings;
  const values = own.now();
  refuseDevelopmentSecrets(secrets, exposure(production, values.host));

  const opening = { observe, progress, signal };
  const shaped = await openShapedServer(prepared, opening);
  const { server } = shaped;
  closers.push(() => server.stop());
  const applied = await applyFiles(shaped, opening, { drift: 'warn' });
  const lost = new Promise<Error>((resolve) => server.onExit(resolve));

  const database = await openDatabase(
    server,
    {
      limits: {
        maxConnections: values.poolSize,
        acquireTimeoutMs: values.poolAcquireSeconds * 1000,
        maxWaiting: values.poolMaxWaiting,
      },
      prepared: values.prepared,
    },
    observe,
  );
  closers.push(() => database.close());

  const stored = await openStoredSettings(settings, database.db, database.fanout, observe);
  closers.push(async () => stored.close());

  const identity = openIdentity({
    keys: secrets.keys,
    tokenKeys: () => ({ secret: new TextEncoder().encode(secrets.jwtSecret), jwks: secrets.jwks }),
    rules: () => ({
      anonymousRole: 'anon',
      audience: undefined,
      roleOf: ({ role }) => (typeof role === 'string' ? role : undefined),
    }),
    anonymousWithoutKey: () =>
      own.now().anonymousWithoutKey === 'anonymous' ||
      (own.now().anonymousWithoutKey === 'unset' && !production),
    now,
  });

  const restConfig = settings.of(rest.settings);
  const reloadSettings = openInDatabaseSettings({
    settings,
    db: database.db,
    reader: 'authenticator',
    preConfig: () => '',
    observe,
  });
  await reloadSettings();
  const catalog = await openCatalog({
    db: database.db,
    reader: 'authenticator',
    scope: () => rest.catalogScope(restConfig.now()),
    observe,
  });
  closers.push(async () => catalog.close());
  const catalogReload = await openCatalogReload({
    db: database.db,
    catalog,
    listener: database.listener,
    reloadSettings,
    reader: 'authenticator',
    observe,
  });
  closers.push(() => catalogReload.close());

  const context: Ctx = {
    db: database.db,
    catalog,
    identity,
    leases: database.leases,
    fanout: database.fanout,
    now,
    observe,
    signal,
  };
  const running: { service: Service; running: Running }[] = [];
  for (const service of services) {
    const opened = await service.open(context, settings.of(service.settings) as never);
    if (opened.close) closers.push(() => opened.close!());
    running.push({ service, running: opened });
  }

  const tasks = [
    ...upkeepTasks(database.db),
    ...running.flatMap(({ running: opened }) => opened.tasks ?? []),
  ];
  const runner = openTaskRunner(tasks, database.leases, observe);
  closers.push(() => runner.close());

  const isDevelopment = secrets.development.length > 0;
  let apiUrl = '';
  const example = production ? undefined : await openExampleRoutes(project.project, () => apiUrl, secrets);
  const startedAt = new Date(now());
  const app = buildGateway({
    services: running,
    pages: buildPages({
      landing: () =>
        landingFacts({
          prepared,
          server,
          database,
          running,
          apiUrl,
          startedAt,
          schemas: restConfig.now().schemas,
          hasExample: example !== undefined,
        }),
      ready: () => readiness(server, running),
      example,
    }),
    identity,
    settings: own,
    serverTiming: () => own.now().serverTiming || restConfig.now().serverTiming,
    cors: everyOrigin,
    door: openDevelopmentDoor(() => isDevelopment && !own.now().tunnel),
    observe,
  });
  const port = await openHttpPort({ host: values.host, port: values.port, fetch: app.fetch, observe });
  closers.push(() => port.close(own.now().drainSeconds * 1000));
  apiUrl = values.externalUrl.replace(/\/+$/, '') || `http://${urlHost(values.host)}:${port.port}`;

  return {
    apiUrl,
    databaseUrl: server.url,
    secrets,
    engine: server.engine,
    postgresVersion: server.version,
    services: services.map(({ name }) => name),
    notices: [...shaped.notices, ...applied.warnings, ...settings.shadowed(), ...ignoredKeys(prepared)],
    lost,
    fetch: (request) => app.fetch(request, {}),
    stop: closeAll,
  };
}

/** The keys of config.toml that nothing here acts on, a line for each section: never dropped in silence. */
function ignoredKeys({ project, settings }: Prepared): readonly string[] {
  const acted = [...settings.origins().map(({ key }) => key), ...projectKeys];
  const sections = Map.groupBy(unknownKeys(project, acted), (key) =>
    key.slice(0, Math.max(0, key.indexOf('.'))),
  );
  const lines = [...sections].map(([section, keys]) => {
    const names = keys.map((key) => (section === '' ? key : key.slice(section.length + 1)));
    return `  ${section === '' ? '(top)' : `[${section}]`} ${names.join(', ')}`;
  });
  return lines.length === 0
    ? []
    : [['config.toml has keys that nothing here acts on yet:', ...lines].join('\n')];
}

/** What reads the file by itself: `engine/project`. */
const projectKeys = [
  'project_id',
  'db.migrations.enabled',
  'db.seed.enabled',
  'db.seed.sql_paths',
  'db.vault.**',
];

/** Who else can reach this server; undefined when nobody can. */
function exposure(production: boolean, host: string): string | undefined {
  if (production) return '--production';
  return isLoopbackHost(host) ? undefined : `Listening on "${host}", where other machines can connect,`;
}

async function readiness(server: PostgresServer, running: readonly { service: Service; running: Running }[]) {
  const database = await server.health();
  if (!database.ok) return database;
  for (const { service, running: opened } of running) {
    const health = await opened.health?.();
    if (health && !health.ok) return { ok: false, sentence: `${service.name}: ${health.sentence}` };
  }
  return { ok: true, sentence: 'Everything answers.' };
}

/** An address as it stands in a URL: every address of the machine is this machine for whoever reads the line. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
