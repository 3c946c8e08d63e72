// In charge of: the Data API alone, in the place of a PostgREST process: over any database, of which it asks nothing but what
// PostgREST does. The whole backend is brought up in boot.ts.
import { resolve } from 'node:path';
import { errorCode, errorMessage, OperatorError } from '../base/errors.ts';
import type { Observe } from '../base/observe.ts';
import { type Clock, delay } from '../base/time.ts';
import { openCatalog } from '../engine/catalog/source.ts';
import { type Database, openDatabase } from '../engine/db/database.ts';
import type { Db } from '../engine/db/db.ts';
import { openExternal } from '../engine/db/postgres/external.ts';
import type { PostgresServer } from '../engine/db/postgres/server.ts';
import { absentChanges } from '../engine/db/replication/absent.ts';
import { openEgress } from '../engine/egress/egress.ts';
import { noSessionRules } from '../engine/identity/ended-sessions.ts';
import { type Identity, openIdentity } from '../engine/identity/identity.ts';
import { roleAt } from '../engine/identity/role-path.ts';
import type { TokenKeys } from '../engine/identity/tokens.ts';
import type { Running } from '../engine/service/contract.ts';
import { openInDatabaseSettings } from '../engine/settings/in-database.ts';
import type { Live, LiveSettings } from '../engine/settings/live.ts';
import { restAt } from '../services/rest/service.ts';
import type { RestSettings } from '../services/rest/settings.ts';
import { type CatalogReload, openCatalogReload } from './catalog-reload.ts';
import { bareFront } from './front.ts';
import { openGateway } from './gateway.ts';
import { type HttpPort, openHttpPort } from './listen.ts';
import { fetchHandler } from './outside.ts';
import { type AdminFacts, buildPostgrestAdmin } from './postgrest-admin.ts';
import { openPostgrestCors } from './postgrest-cors.ts';
import { listenAddress, type PostgrestSettings } from './postgrest-settings.ts';
import { readTokenKeys } from './token-keys.ts';

/** What is known before anything is opened. */
export interface PreparedRest {
  readonly settings: LiveSettings;
  readonly own: Live<PostgrestSettings>;
  readonly rest: Live<RestSettings>;
  /** The connection string as a URL. */
  readonly databaseUrl: string;
  /** What relative paths are relative to. */
  readonly currentFolder: string;
  /** Reads the file again; sentences about what is wrong in it, of which nothing holds then. @throws OperatorError when it cannot be read. */
  readAgain(): Promise<readonly string[]>;
}

export interface RestProcess {
  readonly port: number;
  readonly host: string;
  /** Resolves when the database has answered for the first time. */
  readonly opened: Promise<PostgresServer>;
  /** Resolves with the reason when there is no use in waiting for the database. */
  readonly lost: Promise<Error>;
  reloadSchema(): void;
  reloadConfig(): void;
  /** Drains: requests in flight finish, new ones are refused, then everything closes. */
  stop(): Promise<void>;
}

export interface RestBootOptions {
  readonly observe: Observe;
  readonly now: Clock;
  readonly signal: AbortSignal;
}

const service = restAt('/');

/** A database that answers within this time is waited for, so that whoever starts this in a script never meets PGRST002. */
const quietMs = 3_000;
/** Source: PostgREST 14.12, src/PostgREST/AppState.hs `retryPolicy`. */
const firstRetrySeconds = 1;
const lastRetrySeconds = 32;

/** What stands behind the gateway once the database has answered. */
interface Opened {
  readonly server: PostgresServer;
  readonly database: Database;
  readonly running: Running;
  readonly reload: CatalogReload;
  readonly facts: AdminFacts;
  close(): Promise<void>;
}

/** @throws OperatorError when the port cannot be had, a setting is wrong, or the database refuses for good. */
export async function startRest(prepared: PreparedRest, options: RestBootOptions): Promise<RestProcess> {
  const { own, rest } = prepared;
  const observe = leveled(options.observe);
  const values = own.now();
  const { identity, readKeys } = openPostgrestIdentity(prepared, observe, options.now);
  const readAgain = async () => {
    try {
      for (const message of await prepared.readAgain())
        observe({ kind: 'settings.ignored', level: 'error', message });
      // The path of a secret's file may be the same and its text another.
      readKeys();
    } catch (error) {
      observe({ kind: 'settings.ignored', level: 'error', message: errorMessage(error) });
    }
  };
  const gatewayOver = (running: Running) =>
    openGateway({
      services: [{ service, running }],
      identity,
      front: bareFront(() => own.now()),
      serverTiming: () => rest.now().serverTiming,
      cors: openPostgrestCors(() => own.now().corsOrigins),
      door: { check() {} },
      observe,
    });

  let retrySeconds = firstRetrySeconds;
  let gateway = gatewayOver(service.waiting(() => retrySeconds));
  let current: Opened | undefined;
  const closing = new AbortController();
  const signal = AbortSignal.any([options.signal, closing.signal]);
  const opened = (async () => {
    for (;;) {
      try {
        current = await openDatabaseSide(prepared, identity, readAgain, { ...options, observe, signal });
        gateway = gatewayOver(current.running);
        observe({ kind: 'start.connected', version: current.server.version });
        return current.server;
      } catch (error) {
        if (signal.aborted || !values.recovers || isFinal(error)) throw error;
        // At the level that every log holds: PostgREST's `crit`.
        observe({ kind: 'start.waiting', level: 'error', message: errorMessage(error), retrySeconds });
        await delay(retrySeconds * 1000, signal);
        retrySeconds = Math.min(retrySeconds * 2, lastRetrySeconds);
      }
    }
  })();
  const failed = new Promise<Error>((tell) => {
    opened.catch((error: unknown) => {
      if (!signal.aborted) tell(error instanceof Error ? error : new Error(errorMessage(error)));
    });
  });
  const ports: HttpPort[] = [];
  const stop = async () => {
    const drainMs = own.now().drainSeconds * 1000;
    await Promise.all(ports.map((port) => port.close(drainMs)));
    closing.abort(new Error('stopped'));
    await opened.catch(() => {});
    await current?.close();
  };
  try {
    const first = await Promise.race([opened, failed, delay(quietMs, signal)]);
    if (first instanceof Error) throw first;
    const host =
      values.unixSocket === ''
        ? listenAddress(values.host)
        : resolve(prepared.currentFolder, values.unixSocket);
    const port = await openHttpPort({
      host,
      ...(values.unixSocket === '' ? {} : { socketMode: values.unixSocketMode }),
      port: values.port,
      handle: (incoming, outgoing) => gateway.handle(incoming, outgoing),
      observe,
    });
    ports.push(port);
    if (values.adminPort !== 0) {
      const handle = fetchHandler(
        buildPostgrestAdmin(() => current?.facts),
        observe,
      );
      const adminHost = listenAddress(values.adminHost || values.host);
      ports.push(await openHttpPort({ host: adminHost, port: values.adminPort, handle, observe }));
    }
    return {
      port: port.port,
      host,
      opened,
      lost: failed,
      reloadSchema: () => current?.reload.schema(),
      reloadConfig: () => current?.reload.config(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Who asks: by token, or the anonymous role. There are no API keys. */
function openPostgrestIdentity(
  { own, rest, currentFolder }: PreparedRest,
  observe: Observe,
  now: Clock,
): { readonly identity: Identity; readKeys(): void } {
  let keys: TokenKeys | undefined = readTokenKeys(own.now(), currentFolder);
  const identity = openIdentity({
    keys: undefined,
    tokenKeys: () => keys,
    rules: () => {
      const { jwtAudience, rolePath, jwtCacheMaxEntries } = own.now();
      return {
        anonymousRole: rest.now().anonRole || undefined,
        audience: jwtAudience || undefined,
        roleOf: (claims) => roleAt(rolePath, claims),
        maxRemembered: jwtCacheMaxEntries,
      };
    },
    anonymousWithoutKey: () => true,
    now,
  });
  const readKeys = () => {
    try {
      keys = readTokenKeys(own.now(), currentFolder);
    } catch (error) {
      observe({ kind: 'settings.ignored', level: 'error', message: errorMessage(error) });
    }
    identity.forget();
  };
  own.onChange(readKeys);
  rest.onChange(() => identity.forget());
  return { identity, readKeys };
}

/** One attempt at everything that needs the database. What it opened is closed again when a later part fails. */
async function openDatabaseSide(
  { settings, own, rest, databaseUrl }: PreparedRest,
  identity: Identity,
  readAgain: () => Promise<void>,
  { observe, now, signal }: RestBootOptions,
): Promise<Opened> {
  const values = own.now();
  const server = asOneRole(
    await openExternal({
      url: databaseUrl,
      urlName: 'PGRST_DB_URI',
      allowsStandby: true,
      startingWithinMs: 0,
      observe,
      signal,
    }),
  );
  const database = await openDatabase(
    server,
    {
      limits: {
        maxConnections: values.poolSize,
        acquireTimeoutMs: values.poolAcquireSeconds * 1000,
        maxWaiting: values.poolMaxWaiting,
        idleTimeoutMs: values.poolIdleSeconds * 1000,
        maxLifetimeSeconds: values.poolLifetimeSeconds,
      },
      prepared: values.prepared ? server.prepared : 'off',
      alone: true,
      listens: values.channelEnabled,
    },
    observe,
  );
  try {
    const reloadSettings = openInDatabaseSettings({
      settings,
      db: database.db,
      reader: 'authenticator',
      preConfig: () => own.now().preConfig,
      observe,
    });
    const readInDatabase = async () => {
      if (own.now().inDatabase) await reloadSettings();
      else settings.setInDatabase(new Map());
    };
    await readInDatabase();
    const catalog = await openCatalog({
      db: database.db,
      reader: 'authenticator',
      scope: () => service.catalogScope(rest.now()),
      observe,
    });
    const reload = await openCatalogReload({
      db: database.db,
      catalog,
      listener: database.listener,
      reloadSettings: () => readAgain().then(readInDatabase),
      reader: 'authenticator',
      channel: values.channel,
      askEveryMs: 'never',
      observe,
    });
    const db = values.logQuery ? withQueryLog(database.db, observe) : database.db;
    const { fanout, leases } = database;
    const egress = openEgress({ allow: () => [], observe, now });
    // Nobody signs in here, and no mail is sent.
    const absent = async () => Promise.reject(new Error('This is not there beside the Data API alone.'));
    const project = { folder: '', readFile: async () => undefined };
    const others = {
      signToken: absent,
      secrets: { put: absent, find: absent, remove: absent },
      outbox: { put: absent },
      smsInbox: undefined,
      project,
      stateFolder: '',
      sharesDatabase: true,
      externalUrl: () => '',
      accessKeys: { s3: undefined, publicKeys: [] },
    };
    const context = {
      db,
      catalog,
      identity,
      leases,
      fanout,
      changes: absentChanges,
      reads: () => undefined,
      sessionRules: () => noSessionRules,
      egress,
      ...others,
      now,
      observe,
      signal,
    };
    const running = await service.open(context, rest);
    return {
      server,
      database,
      running,
      reload,
      facts: { catalog, requests: database.requests, poolSize: values.poolSize, health: server.health },
      async close() {
        await running.close?.();
        await egress.close();
        await reload.close();
        catalog.close();
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** PostgREST has one role: the URL's own, whatever it may do, logs in for everything. */
function asOneRole(server: PostgresServer): PostgresServer {
  return {
    ...server,
    login: (_, database) => server.login('supabase_admin', database),
    directLogin: (_, database) => server.directLogin('supabase_admin', database),
  };
}

/** A wrong password or a server that is too old does not get better by waiting. Source: PostgREST 14.12, src/PostgREST/AppState.hs `usePool`. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof OperatorError)) return false;
  return (
    error.cause === undefined ||
    errorCode(error.cause) === '28P01' ||
    /password must be a (non-empty )?string/.test(errorMessage(error.cause))
  );
}

/** PostgREST's log levels: an answer counts by its status. Source: PostgREST 14.12, src/PostgREST/Logger.hs. */
function leveled(observe: Observe): Observe {
  return (observation) => {
    if (observation.kind !== 'http.request') return observe(observation);
    const status = Number(observation.status);
    observe({ ...observation, level: status >= 500 ? 'error' : status >= 400 ? 'warn' : 'info' });
  };
}

function withQueryLog(db: Db, observe: Observe): Db {
  const log = (text: string) => observe({ kind: 'rest.query', level: 'error', sql: text });
  return {
    ...db,
    as(caller, work) {
      log(work.statement.text);
      return db.as(caller, work);
    },
    transaction: (caller, run, options) =>
      db.transaction(
        caller,
        (step) =>
          run((work) => {
            log(work.statement.text);
            return step(work);
          }),
        options,
      ),
  };
}
