// In charge of: the connections of one role. Waiting for one is bounded in time and number; a lost server is a DatabaseUnavailable.

import type { ClientConfig, Pool, PoolClient } from 'pg';
import pg from 'pg';
import { errorCode, errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { DatabaseUnavailable } from './db.ts';

export interface PoolLimits {
  readonly maxConnections: number;
  /** How long a request waits for a connection, in milliseconds (PostgREST's db-pool-acquisition-timeout). */
  readonly acquireTimeoutMs: number;
  /** More requests than this waiting at once are refused without waiting. */
  readonly maxWaiting: number;
  /** An idle connection is closed after this long. Unset: 30 seconds. */
  readonly idleTimeoutMs?: number;
  /** A connection is not used again after this long. Unset: it lives as long as it is used. */
  readonly maxLifetimeSeconds?: number;
}

/** Idle connections are closed after this long, so that a quiet server is a small one. */
const idleTimeoutMsDefault = 30_000;

/** @param config a role's login; the pool connects when it is first used. */
export function openPool(config: ClientConfig, limits: PoolLimits, observe: Observe): Pool {
  const pool = new pg.Pool({
    ...config,
    application_name: config.application_name ?? 'millrace',
    max: limits.maxConnections,
    connectionTimeoutMillis: limits.acquireTimeoutMs,
    idleTimeoutMillis: limits.idleTimeoutMs ?? idleTimeoutMsDefault,
    maxLifetimeSeconds: limits.maxLifetimeSeconds ?? 0,
    // A client that is gone must not keep its backend: without keep-alive a half-open TCP connection lives for hours.
    keepAlive: true,
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', (error) => {
    // A pool that is closing has let go of its connections before the server has; their end is no news.
    if (pool.ending) return;
    observe({ kind: 'db.connection_lost', level: 'warn', role: config.user, message: error.message });
  });
  // An error event between two queries would end the process when nobody listens. Once for each connection, not for each request.
  pool.on('connect', (client) => client.on('error', () => {}));
  let saidAtMs = Number.NEGATIVE_INFINITY;
  reporters.set(pool, (error) => {
    // Each request that fails has its own line; why, is said once in a while.
    if (performance.now() - saidAtMs < sayAgainAfterMs) return;
    saidAtMs = performance.now();
    observe({ kind: 'db.unreachable', level: 'error', role: config.user, message: errorMessage(error) });
  });
  return pool;
}

const sayAgainAfterMs = 5_000;
const reporters = new WeakMap<Pool, (error: unknown) => void>();

/** Who wants a connection. */
export interface Taker {
  readonly give: (client: PoolClient) => void;
  readonly refuse: (error: DatabaseUnavailable) => void;
}

interface Waiter {
  readonly taker: Taker;
  readonly untilMs: number;
}

// The waiters of each pool, the first first. Kept here and not by pg-pool, whose queue costs two timers for each request: a
// connection that is given back goes straight to the next, and one timer looks after all who wait too long.
const queues = new WeakMap<Pool, Waiter[]>();
const sweepEveryMs = 50;

/** A connection for `taker`, or the DatabaseUnavailable that says why not: none comes free in time, too many wait already, or the server does not answer. */
export function acquire(pool: Pool, limits: PoolLimits, taker: Taker): void {
  const queue = queueOf(pool);
  if (queue.length === 0 && hasRoom(pool, limits)) {
    connect(pool, limits, taker);
    return;
  }
  if (queue.length >= limits.maxWaiting) {
    const problem = `${queue.length} requests wait for a database connection already`;
    taker.refuse(new DatabaseUnavailable('overloaded', problem, 1));
    return;
  }
  if (queue.length === 0) setTimeout(sweep, sweepEveryMs, queue).unref();
  queue.push({ taker, untilMs: performance.now() + limits.acquireTimeoutMs });
}

/** @throws DatabaseUnavailable as `acquire` tells it. */
export function acquired(pool: Pool, limits: PoolLimits): Promise<PoolClient> {
  return new Promise((give, refuse) => acquire(pool, limits, { give, refuse }));
}

/** Gives a connection to whoever waits first, or back to the pool. `broken`: it is not to be used again. */
export function giveBack(pool: Pool, limits: PoolLimits, client: PoolClient, broken: boolean): void {
  const queue = queueOf(pool);
  // A connection with a lifetime has to pass through the pool, which ends it when its time is over.
  const next = broken || pool.ending || limits.maxLifetimeSeconds ? undefined : queue.shift();
  if (next) {
    next.taker.give(client);
    return;
  }
  client.release(broken);
  connectWaiting(pool, limits);
}

/** The connections of a pool at this moment, for figures. */
export function poolFigures(pool: Pool): {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
} {
  return { total: pool.totalCount, idle: pool.idleCount, waiting: queueOf(pool).length + pool.waitingCount };
}

function queueOf(pool: Pool): Waiter[] {
  let queue = queues.get(pool);
  if (queue === undefined) {
    queue = [];
    queues.set(pool, queue);
  }
  return queue;
}

function hasRoom(pool: Pool, limits: PoolLimits): boolean {
  return pool.idleCount > 0 || pool.totalCount < limits.maxConnections;
}

/** A connection has gone, or an attempt at one has failed: there is room for those who wait. */
function connectWaiting(pool: Pool, limits: PoolLimits): void {
  const queue = queueOf(pool);
  while (queue.length > 0 && (pool.ending || hasRoom(pool, limits)))
    connect(pool, limits, queue.shift()!.taker);
}

function connect(pool: Pool, limits: PoolLimits, taker: Taker): void {
  // With a callback: the pool's own promise is two more, and a stack trace for each error.
  pool.connect((error, client) => {
    if (client) {
      taker.give(client);
      return;
    }
    // Whatever a server answers to a login, there is no session: a wrong password or a dropped database too.
    const lost = unavailable(error) ?? unreachable(error);
    if (lost.reason === 'unreachable') reporters.get(pool)?.(error);
    taker.refuse(lost);
    connectWaiting(pool, limits);
  });
}

/** Refuses who has waited too long; the queue is in the order of their times. */
function sweep(queue: Waiter[]): void {
  const now = performance.now();
  while (queue.length > 0 && queue[0]!.untilMs <= now) queue.shift()!.taker.refuse(timedOut());
  if (queue.length > 0) setTimeout(sweep, sweepEveryMs, queue).unref();
}

function timedOut(cause?: unknown): DatabaseUnavailable {
  return new DatabaseUnavailable('timeout', 'no database connection came free in time', 1, cause);
}

function unreachable(cause: unknown): DatabaseUnavailable {
  return new DatabaseUnavailable('unreachable', 'the database cannot be reached', 1, cause);
}

/** The DatabaseUnavailable that a driver's error stands for; undefined when the server did answer with an error of its own. */
export function unavailable(error: unknown): DatabaseUnavailable | undefined {
  if (error instanceof DatabaseUnavailable) return error;
  const message = errorMessage(error);
  // Source: pg-pool 3 index.js, the message of a waiter whose time is over.
  if (message === 'timeout exceeded when trying to connect') {
    return timedOut(error);
  }
  const code = errorCode(error) ?? '';
  const lost = connectionLostCodes.has(code) || lostMessages.some((part) => message.includes(part));
  return lost ? unreachable(error) : undefined;
}

// Node's system errors, and what a server says that is starting, stopping or has just crashed (SQLSTATE class 57P and 08).
const connectionLostCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  '57P01',
  '57P02',
  '57P03',
  '08000',
  '08003',
  '08006',
]);

// Source: pg 8 lib/client.js and pg-pool 3 index.js; these errors carry no code.
const lostMessages = [
  'Connection terminated',
  'Client has encountered a connection error',
  'Client was closed and is not queryable',
  'Cannot use a pool after calling end',
];
