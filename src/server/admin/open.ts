// In charge of: the operator plane as the program runs it: figures, routes, and the local socket, opened together and closed together.
import { OperatorError } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import type { Clock } from '../../base/time.ts';
import type { Database } from '../../engine/db/database.ts';
import type { LiveSettings } from '../../engine/settings/live.ts';
import type { StoredSettings } from '../../engine/settings/stored.ts';
import type { WatchedLeases } from './lease-watch.ts';
import { type Metrics, openMetrics } from './metrics.ts';
import { type AdminPart, type AdminPlane, buildAdmin } from './plane.ts';
import { adminSettings } from './settings.ts';
import { openOperatorSocket, operatorSocketPath, socketOwner } from './socket.ts';
import { type StatusSources, statusOf } from './status.ts';

export interface OperatorPlaneOptions {
  readonly database: Pick<Database, 'db' | 'requests'>;
  readonly poolSize: number;
  readonly settings: LiveSettings;
  readonly stored: StoredSettings;
  readonly leases: WatchedLeases;
  /** Requests that are being answered. */
  readonly inFlight: () => number;
  readonly status: StatusSources;
  readonly parts: readonly AdminPart[];
  /** `findStateFolder(…)`: where the socket goes. */
  readonly stateFolder: string;
  readonly now: Clock;
  readonly observe: Observe;
}

export interface OperatorPlane {
  /** For the port: whatever lies at or below `/admin/v1`, before anything else that the gateway does but the request id and the client address. */
  readonly remote: AdminPlane['remote'];
  readonly metrics: Metrics;
  /** A sentence when there is no socket. */
  readonly notices: readonly string[];
  close(): Promise<void>;
}

export async function openOperatorPlane(options: OperatorPlaneOptions): Promise<OperatorPlane> {
  const { database, settings, stored, status, parts, now, observe } = options;
  const { db, requests: pool } = database;
  const config = settings.of(adminSettings);
  const { version, engine, postgresVersion: postgres } = status;
  const metrics = openMetrics({
    db,
    pool,
    poolSize: options.poolSize,
    inFlight: options.inFlight,
    leases: options.leases,
    build: { version, engine, postgres },
    observe,
  });
  const { remote, local } = buildAdmin({
    db,
    settings,
    stored,
    metrics,
    status: () => statusOf(status),
    isRemoteOpen: () => config.now().remoteOperators,
    parts,
    owner: socketOwner(),
    now,
    observe,
  });
  const notices: string[] = [];
  const path = operatorSocketPath(options.stateFolder);
  const socket = await openOperatorSocket({ path, fetch: local.fetch, observe }).catch((error: unknown) => {
    // Several processes of one folder, or a folder that cannot be written: requests are served all the same.
    if (!(error instanceof OperatorError)) throw error;
    observe({ kind: 'operator.no_socket', level: 'warn', message: error.message });
    notices.push(`${error.message} The command line cannot operate this process.`);
    return undefined;
  });
  return {
    remote,
    metrics,
    notices,
    async close() {
      await socket?.close();
      metrics.close();
    },
  };
}
