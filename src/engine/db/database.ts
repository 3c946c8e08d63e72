// In charge of: the database as the program runs on it: the server, its shape, and the ways in that the other parts use.
import type { Pool } from 'pg';
import type { Observe } from '../../base/observe.ts';
import { type Db, type LoginRole, patientConnections } from './db.ts';
import { type DatabaseFanout, openFanout, openLocalFanout } from './fanout.ts';
import { type Leases, openLeases, openLocalLeases } from './leases.ts';
import { type Listener, openListener } from './listener.ts';
import { openPool, type PoolLimits, poolFigures } from './pool.ts';
import type { PostgresServer } from './postgres/server.ts';
import { openDb } from './session.ts';

export interface DatabaseOptions {
  readonly limits: PoolLimits;
  readonly prepared: 'auto' | 'on' | 'off';
  /** This process has nothing of its own in the database: events and leases stay within it. */
  readonly alone?: boolean;
  /** Whether there is a session that LISTENs. Unset: where one is possible. */
  readonly listens?: boolean;
}

export interface Database {
  readonly db: Db;
  /** Undefined behind a transaction pooler without DIRECT_URL. */
  readonly listener: Listener | undefined;
  readonly fanout: DatabaseFanout;
  readonly leases: Leases;
  /** The connections of requests at this moment, for figures. */
  requests(): ReturnType<typeof poolFigures>;
  close(): Promise<void>;
}

/** Each owner of a service's tables needs few connections: their work is short and never a client's. */
const ownerConnections = 3;
/** How long a close waits for connections in use before it leaves them to the end of the process. */
const poolEndMs = 5_000;

/** Opens the ways into a server that has its shape already, or with `alone` into any. */
export async function openDatabase(
  server: Pick<PostgresServer, 'login' | 'directLogin' | 'prepared'> &
    Partial<Pick<PostgresServer, 'engine'>>,
  { limits, prepared, alone = false, listens = true }: DatabaseOptions,
  observe: Observe,
): Promise<Database> {
  const requests = openPool(server.login('authenticator'), limits, observe);
  const owners = new Map<string, Pool>();
  const ownerPool = (owner: LoginRole, kind: 'patient' | undefined): Pool => {
    const name = kind === undefined ? owner : `${owner} ${kind}`;
    const known = owners.get(name);
    if (known) return known;
    const maxConnections = kind === undefined ? ownerConnections : patientConnections;
    const pool = openPool(server.login(owner), { ...limits, maxConnections }, observe);
    owners.set(name, pool);
    return pool;
  };
  const opened = openDb({
    requests,
    limits,
    ownerPool,
    prepared: prepared === 'auto' ? server.prepared : prepared,
    observe,
  });
  const db = { ...opened, hasOneSession: server.engine === 'pglite' };
  const direct = listens ? server.directLogin('authenticator') : undefined;
  const listener = direct && openListener(direct, observe);
  const fanout = alone ? openLocalFanout() : await openFanout(db, listener, observe);
  return {
    db,
    listener,
    fanout,
    leases: alone ? openLocalLeases() : openLeases(db),
    requests: () => poolFigures(requests),
    async close() {
      fanout.close();
      await listener?.close();
      const ended = Promise.allSettled([requests, ...owners.values()].map((pool) => pool.end()));
      let timer: NodeJS.Timeout | undefined;
      const bound = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, poolEndMs);
      });
      await Promise.race([ended, bound]);
      clearTimeout(timer);
    },
  };
}
