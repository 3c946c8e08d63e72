// In charge of: bringing the parts up in order and down in reverse. The one file that knows all names.
import type { Observe } from '../base/observe.ts';
import type { ValuesOf } from '../base/settings.ts';
import type { Clock } from '../base/time.ts';
import { openCatalog } from '../engine/catalog/source.ts';
import { type Database, openDatabase } from '../engine/db/database.ts';
import { endLeftLeases } from '../engine/db/leases.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { openChangeFeed } from '../engine/db/replication/change-feed.ts';
import { changeFeedSettings } from '../engine/db/replication/settings.ts';
import { upkeepTasks } from '../engine/db/shape/upkeep.ts';
import { openEgress } from '../engine/egress/egress.ts';
import { egressSettings } from '../engine/egress/settings.ts';
import { noSessionRules } from '../engine/identity/ended-sessions.ts';
import { limitTasks } from '../engine/limits/store.ts';
import type { Ctx, Service } from '../engine/service/contract.ts';
import type { Reads } from '../engine/service/reads.ts';
import { openTaskRunner } from '../engine/service/tasks.ts';
import { openInDatabaseSettings } from '../engine/settings/in-database.ts';
import { openStoredSettings } from '../engine/settings/stored.ts';
import { auth } from '../services/auth/service.ts';
import { realtime } from '../services/realtime/service.ts';
import { rest } from '../services/rest/service.ts';
import { storage } from '../services/storage/service.ts';
import { watchLeases } from './admin/lease-watch.ts';
import { operatorSocketPath, tryOperatorSocket } from './admin/socket.ts';
import { openProjectFanout } from './boot-fanout.ts';
import { openBackendGateway } from './boot-gateway.ts';
import { openProjectIdentity } from './boot-identity.ts';
import { openProjectInbox } from './boot-inbox.ts';
import { openProjectMail, readTextFile } from './boot-mail.ts';
import { openPorts, openProjectTls, stateFolderOf, tlsFacts } from './boot-port.ts';
import { openProjectSigning } from './boot-signing.ts';
import { openWorkers } from './boot-workers.ts';
import { openCatalogReload } from './catalog-reload.ts';
import { type Closers, openClosers } from './closers.ts';
import { configNotices } from './config-notices.ts';
import { isLoopbackHost } from './development-door.ts';
import { unnamedProxyNotices } from './guard/client-address.ts';
import { readExternalUrl } from './guard/external-url.ts';
import { guardSettings } from './guard/settings.ts';
import { inboxPath } from './inbox/inbox.ts';
import { type ProjectSecrets, refuseDevelopmentSecrets } from './keys.ts';
import type { Mounted } from './passage.ts';
import type { Prepared } from './prepare.ts';
import { applyFiles, openShapedServer } from './project-database.ts';
import { seedBuckets } from './seed-buckets.ts';
import type { serverSettings } from './settings.ts';

/** What a running backend tells about itself. */
export interface Backend {
  readonly apiUrl: string;
  readonly databaseUrl: string;
  /** Where the mails of development are read; undefined where there is no inbox. */
  readonly inboxUrl: string | undefined;
  readonly secrets: ProjectSecrets;
  /** Where clients of S3 are answered: in which region; undefined: nowhere. */
  readonly s3: { readonly region: string } | undefined;
  /** For whoever runs the backend in the own process: how each role logs in. */
  readonly login: PostgresServer['login'];
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

/** In their starting order. */
const servicesOf = ({
  authEnabled,
  storageEnabled,
  realtimeEnabled,
}: ValuesOf<typeof serverSettings>): readonly Service[] => [
  rest,
  ...(authEnabled ? [auth] : []),
  ...(storageEnabled ? [storage] : []),
  ...(realtimeEnabled ? [realtime] : []),
];

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
  const externalUrl = readExternalUrl(values.externalUrl, production);
  // Wrong settings are said before anything is started.
  tlsFacts(prepared);

  const shaped = await openShapedServer(prepared, options);
  const { server } = shaped;
  // It has bounds of its own; left behind, it would go on without us.
  closers.add(() => server.stop(), Number.POSITIVE_INFINITY);
  // People's data is in it: who knows the constants of development may not open it, not even from this machine.
  if (shaped.isImported) refuseDevelopmentSecrets(secrets, 'Data that came from `millrace import`');
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
  const egressConfig = settings.of(egressSettings);
  const egress = openEgress({ allow: () => egressConfig.now().allow, observe, now });
  closers.add(() => egress.close());
  const keyring = await openProjectSigning(prepared, { server, database, observe, now });
  const { signing } = keyring;
  closers.add(async () => signing.close());
  const who = await openProjectIdentity(prepared, {
    database,
    signing,
    egress,
    observe,
    now,
    signal: options.signal,
  });
  closers.add(() => who.issued.close());
  const { db } = database;
  const { identity } = who;
  // By the lock on its folder there is one process on a server of our own.
  if (server.engine !== 'external') await endLeftLeases(db);
  const leases = watchLeases(database.leases, now);
  let apiUrl = externalUrl.url;
  const mail = openProjectMail(prepared, {
    database,
    egress,
    secrets: keyring.secrets,
    externalUrl: () => apiUrl,
    observe,
    now,
  });
  closers.add(() => mail.close());
  const inbox = await openProjectInbox(prepared, { database, observe }, closers);
  const stateFolder = await stateFolderOf(prepared, server);
  const between = await openProjectFanout(prepared, { server, database, observe, signal: options.signal });
  closers.add(() => between.close());
  const feedConfig = settings.of(changeFeedSettings);
  const feed = await openChangeFeed({
    server,
    database,
    leases,
    isShared: server.engine === 'external',
    broker: between.broker,
    maxSlotBytes: () => feedConfig.now().maxSlotBytes,
    observe,
    now,
  });
  closers.add(() => feed.close());
  let reads: Reads | undefined;
  let sessionRules = () => noSessionRules;
  const context: Ctx = {
    db,
    catalog,
    identity,
    leases,
    fanout: between.fanout,
    changes: feed.changes,
    reads: () => reads,
    sessionRules: () => sessionRules(),
    egress,
    signToken: signing.sign,
    secrets: keyring.secrets,
    accessKeys: { s3: secrets.s3, publicKeys: [secrets.keys.anon, secrets.keys.publishable] },
    externalUrl: () => apiUrl,
    outbox: mail.outbox,
    smsInbox: mail.smsInbox,
    project: { folder: prepared.project.project, readFile: readTextFile },
    stateFolder,
    sharesDatabase: server.engine === 'external',
    now,
    observe,
    signal: options.signal,
  };
  const services = servicesOf(values);
  const running = await openServices(services, context, settings, closers);
  for (const { running: opened } of running) {
    reads ??= opened.reads;
    sessionRules = opened.sessionRules ?? sessionRules;
  }
  const tasks = [
    ...upkeepTasks(db),
    ...limitTasks(db),
    ...who.issued.tasks,
    ...signing.tasks,
    ...mail.tasks,
    ...running.flatMap(({ running: opened }) => opened.tasks ?? []),
  ];
  const runner = openTaskRunner(tasks, leases, observe);
  closers.add(() => runner.close());

  const tls = await openProjectTls(prepared, { server, leases, egress, observe, now });
  if (tls) closers.add(() => tls.close());
  const notices = [
    ...shaped.notices,
    ...applied.warnings,
    ...configNotices(prepared),
    ...externalUrl.notices,
    ...proxyNotices(prepared),
    ...keyring.notices,
    ...mail.notices,
    ...between.notices,
    ...feed.notices,
    ...(inbox?.notices ?? []),
    ...(tls?.notices ?? []),
  ];
  const parts = {
    server,
    database,
    leases,
    stored,
    running,
    identity: who,
    keyring,
    tls,
    inbox,
    notices,
    observe,
    now,
  };
  const { gateway, operators } = await openBackendGateway(
    prepared,
    { ...parts, apiUrl: () => apiUrl },
    closers,
  );
  let httpPort = 0;
  const places = { apiUrl: () => apiUrl, port: () => httpPort };
  await openWorkers(prepared, { server, database, leases, gateway, ...places, observe, now }, closers);
  const seeded =
    values.storageEnabled && prepared.chosen?.seed !== false
      ? await seedBuckets({
          project: prepared.project,
          send: (request) => gateway.fetch(request),
          base: 'http://127.0.0.1',
          key: secrets.keys.secret,
          files: production ? 'into_new_buckets' : 'changed',
          progress: options.progress,
          signal: options.signal,
        })
      : [];
  const port = await openPorts(prepared, { gateway, tls, apiUrl: () => apiUrl, observe }, closers);
  httpPort = port.port;
  apiUrl ||= `${tls ? 'https' : 'http'}://${urlHost(values.host)}:${port.port}`;
  const door = await tryOperatorSocket({
    path: operatorSocketPath(stateFolder),
    fetch: operators.fetch,
    observe,
  });
  closers.add(async () => door.socket?.close());
  who.issuers.warm();

  return {
    apiUrl,
    databaseUrl: server.url,
    inboxUrl: inbox && (inbox.portUrl ?? apiUrl + inboxPath),
    secrets,
    s3: s3Of(settings, values),
    login: (role, database) => server.login(role, database),
    engine: server.engine,
    postgresVersion: server.version,
    services: services.map(({ name }) => name),
    notices: [...notices, ...seeded, ...door.notices],
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

async function openServices(
  services: readonly Service[],
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

/** Where clients of S3 are answered; undefined: nowhere. */
function s3Of(
  settings: Prepared['settings'],
  { storageEnabled }: ValuesOf<typeof serverSettings>,
): Backend['s3'] {
  const { s3Enabled, s3Region } = settings.of(storage.settings).now();
  return storageEnabled && s3Enabled ? { region: s3Region } : undefined;
}

function proxyNotices({ settings, serverSettings, production }: Prepared): readonly string[] {
  const { trustedProxies } = settings.of(guardSettings).now();
  const onLoopback = isLoopbackHost(serverSettings.now().host);
  return unnamedProxyNotices({ production, onLoopback, trustedProxies });
}

/** Who else can reach this server; undefined when nobody can. */
function exposure(production: boolean, host: string): string | undefined {
  if (production) return '--production';
  return isLoopbackHost(host) ? undefined : `Listening on "${host}", where other machines can connect,`;
}

/** An address as it stands in a URL: every address of the machine is this machine for whoever reads the line. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
