// In charge of: bringing the parts up in order and down in reverse. The one file that knows all names.
import type { Observe } from '../base/observe.ts';
import type { Clock } from '../base/time.ts';
import { openCatalog } from '../engine/catalog/source.ts';
import { type Database, openDatabase } from '../engine/db/database.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { upkeepTasks } from '../engine/db/shape/upkeep.ts';
import { type Identity, openIdentity } from '../engine/identity/identity.ts';
import type { Ctx, Service } from '../engine/service/contract.ts';
import { openTaskRunner } from '../engine/service/tasks.ts';
import { openInDatabaseSettings } from '../engine/settings/in-database.ts';
import { openStoredSettings } from '../engine/settings/stored.ts';
import { rest } from '../services/rest/service.ts';
import { openCatalogReload } from './catalog-reload.ts';
import { type Closers, openClosers } from './closers.ts';
import { configNotices } from './config-notices.ts';
import { everyOrigin } from './cors.ts';
import { isLoopbackHost, openDevelopmentDoor } from './development-door.ts';
import { openExampleRoutes } from './example-routes.ts';
import { openGateway } from './gateway.ts';
import { type ProjectSecrets, refuseDevelopmentSecrets } from './keys.ts';
import { landingFacts } from './landing-facts.ts';
import { openHttpPort } from './listen.ts';
import { buildPages } from './pages.ts';
import type { Mounted } from './passage.ts';
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
  const closers = openClosers(options.observe);
  try {
    return await open(prepared, options, closers);
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

async function open(prepared: Prepared, options: BootOptions, closers: Closers): Promise<Backend> {
  const { settings, secrets, production } = prepared;
  const { observe, now } = options;
  const values = prepared.serverSettings.now();
  refuseDevelopmentSecrets(secrets, exposure(production, values.host));

  const shaped = await openShapedServer(prepared, options);
  const { server } = shaped;
  closers.add(() => server.stop());
  const applied = await applyFiles(shaped, options, { drift: 'warn' });
  const lost = new Promise<Error>((resolve) => server.onExit(resolve));

  const limits = {
    maxConnections: values.poolSize,
    acquireTimeoutMs: values.poolAcquireSeconds * 1000,
    maxWaiting: values.poolMaxWaiting,
  };
  const database = await openDatabase(server, { limits, prepared: values.prepared }, observe);
  closers.add(() => database.close());
  const stored = await openStoredSettings(settings, database.db, database.fanout, observe);
  closers.add(async () => stored.close());

  const catalog = await openSchema(prepared, database, observe, closers);
  const identity = openProjectIdentity(prepared, now);
  const { db, leases, fanout } = database;
  const context: Ctx = { db, catalog, identity, leases, fanout, now, observe, signal: options.signal };
  const running = await openServices(context, settings, closers);
  const tasks = [...upkeepTasks(db), ...running.flatMap(({ running: opened }) => opened.tasks ?? [])];
  const runner = openTaskRunner(tasks, leases, observe);
  closers.add(() => runner.close());

  let apiUrl = '';
  const gateway = await buildApp(prepared, {
    server,
    database,
    running,
    identity,
    observe,
    now,
    apiUrl: () => apiUrl,
  });
  const port = await openHttpPort({ host: values.host, port: values.port, handle: gateway.handle, observe });
  closers.add(() => port.close(prepared.serverSettings.now().drainSeconds * 1000));
  apiUrl = values.externalUrl.replace(/\/+$/, '') || `http://${urlHost(values.host)}:${port.port}`;

  return {
    apiUrl,
    databaseUrl: server.url,
    secrets,
    engine: server.engine,
    postgresVersion: server.version,
    services: services.map(({ name }) => name),
    notices: [...shaped.notices, ...applied.warnings, ...configNotices(prepared)],
    lost,
    fetch: (request) => gateway.fetch(request),
    stop: closers.closeAll,
  };
}

/** The catalog, kept up to date with the database's schema and with the settings that live in the database. */
async function openSchema({ settings }: Prepared, database: Database, observe: Observe, closers: Closers) {
  const { db, listener } = database;
  const reader = 'authenticator';
  const config = settings.of(rest.settings);
  const reloadSettings = openInDatabaseSettings({ settings, db, reader, preConfig: () => '', observe });
  await reloadSettings();
  const catalog = await openCatalog({ db, reader, scope: () => rest.catalogScope(config.now()), observe });
  closers.add(async () => catalog.close());
  const reload = await openCatalogReload({ db, catalog, listener, reloadSettings, reader, observe });
  closers.add(() => reload.close());
  return catalog;
}

function openProjectIdentity(prepared: Prepared, now: Clock): Identity {
  const { secrets, settings, serverSettings, production } = prepared;
  const restConfig = settings.of(rest.settings);
  const secret = new TextEncoder().encode(secrets.jwtSecret);
  const identity = openIdentity({
    keys: secrets.keys,
    tokenKeys: () => ({ secret, jwks: secrets.jwks }),
    rules: () => ({
      anonymousRole: restConfig.now().anonRole || undefined,
      audience: undefined,
      roleOf: ({ role }) => (typeof role === 'string' ? role : undefined),
    }),
    anonymousWithoutKey() {
      const { anonymousWithoutKey } = serverSettings.now();
      return anonymousWithoutKey === 'unset' ? !production : anonymousWithoutKey === 'anonymous';
    },
    now,
  });
  // A token without a role was remembered as the anonymous one of that time.
  restConfig.onChange(() => identity.forget());
  return identity;
}

async function openServices(
  context: Ctx,
  settings: Prepared['settings'],
  closers: Closers,
): Promise<Mounted[]> {
  const running: Mounted[] = [];
  for (const service of services) {
    // Sound: the values are those of the service's own table.
    const opened = await service.open(context, settings.of(service.settings) as never);
    closers.add(async () => opened.close?.());
    running.push({ service, running: opened });
  }
  return running;
}

interface AppParts {
  readonly server: PostgresServer;
  readonly database: Database;
  readonly running: readonly Mounted[];
  readonly identity: Identity;
  readonly observe: Observe;
  readonly now: Clock;
  /** Known once the port is open. */
  readonly apiUrl: () => string;
}

/** Everything behind the port: the gateway with the services, and the pages. */
async function buildApp(prepared: Prepared, parts: AppParts) {
  const { settings, serverSettings: own, secrets, project, production } = prepared;
  const { server, running, identity, observe, apiUrl } = parts;
  const restConfig = settings.of(rest.settings);
  const isDevelopment = secrets.development.length > 0;
  const example = production ? undefined : await openExampleRoutes(project.project, apiUrl, secrets);
  const startedAt = new Date(parts.now());
  const pages = buildPages({
    landing: () =>
      landingFacts({
        prepared,
        server,
        database: parts.database,
        running,
        apiUrl: apiUrl(),
        startedAt,
        schemas: restConfig.now().schemas,
        hasExample: example !== undefined,
      }),
    ready: () => readiness(server, running),
    example,
  });
  return openGateway({
    services: running,
    pages,
    identity,
    settings: own,
    serverTiming: () => own.now().serverTiming || restConfig.now().serverTiming,
    cors: everyOrigin,
    door: openDevelopmentDoor(() => isDevelopment && !own.now().tunnel),
    observe,
  });
}

/** Who else can reach this server; undefined when nobody can. */
function exposure(production: boolean, host: string): string | undefined {
  if (production) return '--production';
  return isLoopbackHost(host) ? undefined : `Listening on "${host}", where other machines can connect,`;
}

async function readiness(server: PostgresServer, running: readonly Mounted[]) {
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
