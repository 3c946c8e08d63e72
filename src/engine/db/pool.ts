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
  pool.on('connect', (client) => {
    client.on('error', () => dead.add(client));
    bornMs.set(client, performance.now());
  });
  let saidAtMs = Number.NEGATIVE_INFINITY;
  reporters.set(pool, (error) => {
    // Each request that fails has its own line; why, is said once in a while.
    if (performance.now() - saidAtMs < sayAgainAfterMs) return;
    saidAtMs = performance.now();
    observe({ kind: 'db.unreachable', level: 'error', role: config.user, message: errorMessage(error) });
  });
  return pool;
}

/** Connections that have ended: they may be in somebody's hands still. */
const dead = new WeakSet<PoolClient>();
const bornMs = new WeakMap<PoolClient, number>();
const sayAgainAfterMs = 5_000;
const reporters = new WeakMap<Pool, (error: unknown) => void>();

/** Who wants a connection. */
export interface Taker {
  /** `others`: quick ones that get it together with this one. */
  readonly give: (client: PoolClient, others?: readonly Taker[]) => void;
  readonly refuse: (error: DatabaseUnavailable) => void;
  /**
   * Whether it may get a connection together with others: it takes so little time that it rather waits for one in use than wakes up another
   * (`eager`), or only where all are in use (`full`). Undefined: never.
   */
  readonly sharing?: 'eager' | 'full';
}

interface Waiter {
  readonly taker: Taker;
  readonly untilMs: number;
  readonly sinceMs: number;
}

/** Who waits for the connections of a pool, the first first, and how many of these are with eager sharers. */
interface Line {
  readonly waiters: Waiter[];
  /** Connections that somebody has or is about to get. pg-pool's own counts change a turn of the event loop later: who trusts them waits in its queue, which nobody serves under load. */
  taken: number;
  eager: number;
  /** Whether a timer looks after those who wait. */
  swept: boolean;
}

// Kept here and not by pg-pool, whose queue costs two timers for each request: a connection that is given back goes straight to the next, and
// one timer looks after all who wait too long.
const lines = new WeakMap<Pool, Line>();
const sweepEveryMs = 20;
/** So many connections with eager sharers keep the processors of a small machine busy; the next ones wait for these, and then share. */
const eagerConnections = 3;
/** …unless they take longer than they used to. */
const eagerWaitMs = 20;
/** The most that share a connection at once: the last waits for all of them. Those that write may wait for a lock, and all behind them. */
const maxShared = { eager: 8, full: 3 } as const;

/**
 * A connection for `taker`, or the DatabaseUnavailable that says why not: none comes free in time, too many wait already, or the server does not
 * answer. `again`: it had one already and was to share it with somebody who spoilt it, so it is not refused for those who came since.
 */
export function acquire(pool: Pool, limits: PoolLimits, taker: Taker, again = false): void {
  const line = lineOf(pool);
  const { waiters } = line;
  const isFull = waiters.length >= limits.maxWaiting;
  const sharesSoon = taker.sharing === 'eager' && line.eager >= eagerConnections && !isFull;
  // With room, only those wait that chose to.
  if (!sharesSoon && hasRoom(line, limits)) {
    connect(pool, limits, taker);
    return;
  }
  if (isFull && !again) {
    const problem = `${waiters.length} requests wait for a database connection already`;
    taker.refuse(new DatabaseUnavailable('overloaded', problem, 1));
    return;
  }
  const sinceMs = performance.now();
  waiters.push({ taker, sinceMs, untilMs: sinceMs + limits.acquireTimeoutMs });
  sweepSoon(pool, limits, line);
}

/** @throws DatabaseUnavailable as `acquire` tells it. */
export function acquired(pool: Pool, limits: PoolLimits): Promise<PoolClient> {
  return new Promise((give, refuse) => acquire(pool, limits, { give, refuse }));
}

/** Gives a connection to whoever waits first, or back to the pool. `broken`: it is not to be used again; `wasEager`: it was given to one who shares eagerly. */
export function giveBack(
  pool: Pool,
  limits: PoolLimits,
  client: PoolClient,
  broken: boolean,
  wasEager = false,
): void {
  const line = lineOf(pool);
  const { waiters } = line;
  if (wasEager) line.eager -= 1;
  const isUnfit = broken || dead.has(client) || isInTransaction(client);
  // One whose time is over goes back to the pool, which ends it.
  const isOver = isUnfit || pool.ending || isTooOld(client, limits);
  const next = isOver ? undefined : waiters.shift();
  if (!next) {
    line.taken -= 1;
    client.release(isUnfit);
    connectWaiting(pool, limits);
    return;
  }
  if (next.taker.sharing === 'eager') line.eager += 1;
  next.taker.give(client, sharersOf(next.taker, waiters));
}

/** Takes those out of the line that come along: the next ones, as long as they share. */
function sharersOf(first: Taker, waiters: Waiter[]): readonly Taker[] {
  const sharers: Taker[] = [];
  if (first.sharing === undefined) return sharers;
  let room: number = maxShared[first.sharing];
  for (;;) {
    const sharing = waiters[0]?.taker.sharing;
    if (sharing === undefined) return sharers;
    room = Math.min(room, maxShared[sharing]);
    if (sharers.length + 2 > room) return sharers;
    sharers.push(waiters.shift()!.taker);
  }
}

/** The connections of a pool at this moment, for figures. */
export function poolFigures(pool: Pool): {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
  /** Those that somebody has or is about to get. */
  readonly taken: number;
  /** …of these, with those that share eagerly. */
  readonly eager: number;
} {
  const { waiters, taken, eager } = lineOf(pool);
  return {
    total: pool.totalCount,
    idle: pool.idleCount,
    waiting: waiters.length + pool.waitingCount,
    taken,
    eager,
  };
}

function lineOf(pool: Pool): Line {
  let line = lines.get(pool);
  if (line === undefined) {
    line = { waiters: [], taken: 0, eager: 0, swept: false };
    lines.set(pool, line);
  }
  return line;
}

/** A transaction that could not be ended: whoever came next would run in it. */
function isInTransaction(client: PoolClient): boolean {
  const status = client.getTransactionStatus();
  return status === 'T' || status === 'E';
}

function isTooOld(client: PoolClient, { maxLifetimeSeconds }: PoolLimits): boolean {
  if (!maxLifetimeSeconds) return false;
  return performance.now() - (bornMs.get(client) ?? 0) > maxLifetimeSeconds * 1000;
}

function hasRoom({ taken }: Line, { maxConnections }: PoolLimits): boolean {
  return taken < maxConnections;
}

/** A connection has gone, or an attempt at one has failed: there is room for those who wait. */
function connectWaiting(pool: Pool, limits: PoolLimits): void {
  const line = lineOf(pool);
  const { waiters } = line;
  // All at once: each that asks an ending pool is refused on the spot and looks after the next, one call deeper each time.
  if (pool.ending) {
    for (const { taker } of waiters.splice(0)) taker.refuse(unreachable(new Error('the pool is closed')));
    return;
  }
  while (waiters.length > 0 && hasRoom(line, limits)) connect(pool, limits, waiters.shift()!.taker);
}

function connect(pool: Pool, limits: PoolLimits, taker: Taker): void {
  const line = lineOf(pool);
  line.taken += 1;
  if (taker.sharing === 'eager') line.eager += 1;
  // A connection's events hold this callback for as long as it lives: it lets go of the request, or its answer would stay as well.
  let waiting: Taker | undefined = taker;
  // With a callback: the pool's own promise is two more, and a stack trace for each error.
  pool.connect((error, client) => {
    const found = waiting;
    waiting = undefined;
    if (found === undefined) return;
    if (client) {
      found.give(client);
      return;
    }
    line.taken -= 1;
    if (found.sharing === 'eager') line.eager -= 1;
    // Whatever a server answers to a login, there is no session: a wrong password or a dropped database too.
    const lost = unavailable(error) ?? unreachable(error);
    if (lost.reason === 'unreachable') reporters.get(pool)?.(error);
    found.refuse(lost);
    connectWaiting(pool, limits);
  });
}

/** Refuses who has waited too long; those who wait are in the order of their times. */
function sweep(pool: Pool, limits: PoolLimits): void {
  const line = lineOf(pool);
  const { waiters } = line;
  const now = performance.now();
  line.swept = false;
  while (waiters.length > 0 && waiters[0]!.untilMs <= now) waiters.shift()!.taker.refuse(timedOut());
  // What was quick is not any more: there may be room beside it.
  while (waiters.length > 0 && now - waiters[0]!.sinceMs > eagerWaitMs && hasRoom(line, limits))
    connect(pool, limits, waiters.shift()!.taker);
  if (waiters.length > 0) sweepSoon(pool, limits, line);
}

/** One timer for all: one for each time that somebody begins to wait would be many, as each goes on as long as anybody does. */
function sweepSoon(pool: Pool, limits: PoolLimits, line: Line): void {
  if (line.swept) return;
  line.swept = true;
  setTimeout(sweep, sweepEveryMs, pool, limits).unref();
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
