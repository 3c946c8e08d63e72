// In charge of: putting the gateway of the whole backend together: the checks in front, the services, the pages, the operator plane.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Observe } from '../base/observe.ts';
import type { Clock } from '../base/time.ts';
import type { Database } from '../engine/db/database.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { openLimits } from '../engine/limits/limits.ts';
import { limitSettings } from '../engine/limits/settings.ts';
import type { StoredSettings } from '../engine/settings/stored.ts';
import { rest } from '../services/rest/service.ts';
import { keysPart } from './admin/keys.ts';
import type { WatchedLeases } from './admin/lease-watch.ts';
import { type Metrics, openMetrics } from './admin/metrics.ts';
import { type AdminPlane, buildAdmin } from './admin/plane.ts';
import { s3KeysPart } from './admin/s3-keys.ts';
import { adminSettings } from './admin/settings.ts';
import { masterKeyPart, signingKeysPart } from './admin/signing-keys.ts';
import { socketOwner } from './admin/socket.ts';
import { statusOf } from './admin/status.ts';
import type { ProjectIdentity } from './boot-identity.ts';
import type { ProjectInbox } from './boot-inbox.ts';
import type { ProjectSigning } from './boot-signing.ts';
import type { Closers } from './closers.ts';
import { openCors } from './cors.ts';
import { openDevelopmentDoor } from './development-door.ts';
import { openExampleRoutes } from './example-routes.ts';
import { bareFront, type Front, openFront } from './front.ts';
import { type Gateway, openGateway } from './gateway.ts';
import { openBounds } from './guard/bounds.ts';
import { openClients, unnamedProxy } from './guard/client-address.ts';
import { openRules } from './guard/rules.ts';
import { openSecureHeaders } from './guard/secure-headers.ts';
import { guardSettings } from './guard/settings.ts';
import { whenChanged } from './guard/when-changed.ts';
import { inboxPath } from './inbox/inbox.ts';
import { landingFacts } from './landing-facts.ts';
import { buildPages } from './pages.ts';
import type { Mounted } from './passage.ts';
import type { Prepared } from './prepare.ts';
import { openShedder } from './shedder.ts';
import { hstsHeader } from './tls/hsts.ts';
import { tlsSettings } from './tls/settings.ts';
import type { Tls } from './tls/tls.ts';
import { packageVersion } from './version.ts';

export interface GatewayParts {
  readonly server: PostgresServer;
  readonly database: Database;
  readonly leases: WatchedLeases;
  readonly stored: StoredSettings;
  readonly running: readonly Mounted[];
  readonly identity: ProjectIdentity;
  readonly keyring: ProjectSigning;
  readonly tls: Tls | undefined;
  readonly inbox: Pick<ProjectInbox, 'routes'> | undefined;
  readonly notices: readonly string[];
  readonly observe: Observe;
  readonly now: Clock;
  /** Known once the port is open. */
  readonly apiUrl: () => string;
}

export interface BackendGateway {
  readonly gateway: Gateway;
  /** For the local socket. */
  readonly operators: AdminPlane['local'];
}

/** Everything behind the port. What was opened closes with `closers`. */
export async function openBackendGateway(
  prepared: Prepared,
  parts: GatewayParts,
  closers: Closers,
): Promise<BackendGateway> {
  const { settings, serverSettings: own, secrets } = prepared;
  const { running, identity, observe } = parts;
  const restConfig = settings.of(rest.settings);
  const guards = settings.of(guardSettings);
  const isDevelopment = secrets.development.length > 0;
  const { front, metrics } = await openProjectFront(prepared, parts, closers);
  const admin = buildAdminPlane(prepared, parts, metrics);
  const gateway = openGateway({
    services: running,
    pages: await projectPages(prepared, parts),
    admin: admin.remote,
    challengeResponse: parts.tls?.challengeResponse,
    identity: identity.identity,
    front,
    serverTiming: () => own.now().serverTiming || restConfig.now().serverTiming,
    cors: openCors(() => guards.now()),
    door: openDevelopmentDoor(() => isDevelopment && !own.now().tunnel),
    observe,
  });
  return { gateway, operators: admin.local };
}

/** How many requests may be in flight at least, for each connection to the database: it must always have something to do. */
const minInFlightPerConnection = 4;
const maxInFlight = 10_000;

async function openProjectFront(
  prepared: Prepared,
  { database, server, leases, observe, now, apiUrl }: GatewayParts,
  closers: Closers,
): Promise<{ readonly front: Front; readonly metrics: Metrics }> {
  const { settings, serverSettings: own, production } = prepared;
  const guards = settings.of(guardSettings);
  const tls = settings.of(tlsSettings);
  const limits = await openLimits({
    settings: settings.of(limitSettings),
    db: database.db,
    alone: false,
    observe,
    now,
  });
  closers.add(() => limits.close());
  const loop = monitorEventLoopDelay({ resolution: 10 });
  loop.enable();
  closers.add(async () => void loop.disable());
  const { poolSize } = own.now();
  const shedder = openShedder({
    targetMs: () => own.now().shedTargetSeconds * 1000,
    minLimit: poolSize * minInFlightPerConnection,
    maxLimit: maxInFlight,
    loopDelayMs() {
      const worstMs = loop.max / 1e6;
      loop.reset();
      return worstMs;
    },
    now: () => performance.now(),
  });
  const metrics = openMetrics({
    db: database.db,
    pool: database.requests,
    poolSize,
    inFlight: () => shedder.figures().inFlight,
    leases,
    build: { version: packageVersion(), engine: server.engine, postgres: server.version },
    observe,
  });
  closers.add(async () => metrics.close());
  if (!own.now().guards) return { front: bareFront(() => own.now()), metrics };
  const everywhere = whenChanged(
    () => `${own.now().maxBodyBytes} ${own.now().requestTimeoutSeconds} ${guards.now().maxUrlBytes}`,
    () => ({
      maxBodyBytes: own.now().maxBodyBytes,
      timeoutMs: own.now().requestTimeoutSeconds * 1000,
      maxUrlBytes: guards.now().maxUrlBytes,
    }),
  );
  const front = openFront({
    clients: openClients(() => guards.now(), {
      production,
      onUnnamedProxy: () => observe({ kind: 'gateway.proxy_unnamed', level: 'warn', sentence: unnamedProxy }),
    }),
    bounds: openBounds(() => guards.now().routes, everywhere),
    rules: openRules(() => guards.now().rules),
    limits,
    shedder,
    secureHeaders: openSecureHeaders(() => guards.now().secureHeaders),
    hsts: whenChanged(
      () => tls.now().hstsMaxAgeSeconds,
      (maxAgeSeconds) => hstsHeader({ maxAgeSeconds, externalUrl: apiUrl(), production }),
    ),
    metrics,
  });
  return { front, metrics };
}

function buildAdminPlane(prepared: Prepared, parts: GatewayParts, metrics: Metrics): AdminPlane {
  const { settings, project, production, secrets } = prepared;
  const { database, stored, server, running, identity, notices, observe, now, apiUrl } = parts;
  const { db } = database;
  const startedAt = new Date(now());
  const remoteOperators = settings.of(adminSettings);
  return buildAdmin({
    db,
    settings,
    stored,
    metrics,
    status: () =>
      statusOf({
        version: packageVersion(),
        project: project.id,
        production,
        apiUrl,
        engine: server.engine,
        postgresVersion: server.version,
        startedAt,
        services: () => serviceStates(running),
        database: () => server.health(),
        development: secrets.development,
        notices: () => notices,
      }),
    isRemoteOpen: () => remoteOperators.now().remoteOperators,
    parts: [
      keysPart({ db, issued: identity.issued, now }),
      s3KeysPart({ db, secrets: parts.keyring.secrets, now }),
      signingKeysPart({ db, signing: parts.keyring.signing }),
      masterKeyPart({ db, secrets: parts.keyring.secrets }),
    ],
    owner: socketOwner(),
    now,
    observe,
  });
}

async function serviceStates(running: readonly Mounted[]) {
  return Promise.all(
    running.map(async ({ service, running: opened }) => {
      const { ok, sentence } = (await opened.health?.()) ?? { ok: true, sentence: 'answers' };
      return { name: service.name, mount: service.mount, ok, sentence };
    }),
  );
}

async function projectPages(prepared: Prepared, parts: GatewayParts) {
  const { settings, project, production, secrets } = prepared;
  const { server, running, database, inbox, apiUrl } = parts;
  const restConfig = settings.of(rest.settings);
  const example = production ? undefined : await openExampleRoutes(project.project, apiUrl, secrets);
  const startedAt = new Date(parts.now());
  return buildPages({
    landing: () =>
      landingFacts({
        prepared,
        server,
        database,
        running,
        apiUrl: apiUrl(),
        startedAt,
        schemas: restConfig.now().schemas,
        hasExample: example !== undefined,
        inboxPath: inbox && inboxPath,
      }),
    ready: () => readiness(server, running),
    example,
    inbox: inbox?.routes,
  });
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
