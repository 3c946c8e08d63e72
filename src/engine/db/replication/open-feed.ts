// In charge of: the feed over a source: reading begins with the first listener, and ends some time after the last.
import { randomUUID } from 'node:crypto';
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { type Clock, delay } from '../../../base/time.ts';
import { DatabaseUnavailable } from '../db.ts';
import { openAudience } from './audience.ts';
import type { ChangeFeed } from './feed.ts';
import { type HistoryBounds, historyBounds, openHistory } from './history.ts';
import { isChangeId } from './position.ts';
import type { ChangeSource, Sink } from './source.ts';

export interface FeedOptions {
  readonly source: ChangeSource;
  readonly observe: Observe;
  readonly now: Clock;
  readonly bounds?: HistoryBounds;
  /** How long reading goes on without a listener; default 5 minutes. */
  readonly idleMs?: number;
  /** How often a process that does not read looks what the database keeps for another that did; unset: there is no other. */
  readonly lookEveryMs?: number | undefined;
}

export interface OpenChangeFeed extends ChangeFeed {
  /** Stops reading. What the database keeps for this program it keeps on: the next start goes on there. */
  close(): Promise<void>;
}

/** Clients that come back within this time are told what they missed. */
const idleMsDefault = 5 * 60 * 1000;
/** A database whose oldest transaction stays open for longer lets nobody begin to listen. */
const listenWithinMs = 30_000;
/** A mark can be lost with the slot, and with a database that is restarted. */
const markAgainMs = 2_000;

export function openFeed({
  source,
  observe,
  now,
  bounds = historyBounds,
  idleMs = idleMsDefault,
  lookEveryMs,
}: FeedOptions): OpenChangeFeed {
  const history = openHistory(bounds, now);
  const audience = openAudience(history, observe);
  const sink: Sink = { ...audience, floor: history.floor, forget: history.forget };
  let reading: { readonly stop: AbortController; readonly over: Promise<void> } | undefined;
  let isClosed = false;
  // Another process, before this one or beside it, may have been killed: what is kept for it is not kept for ever, nor without a bound.
  let idle: NodeJS.Timeout | undefined;
  let looking: NodeJS.Timeout | undefined;
  waitIdle();
  if (lookEveryMs !== undefined) {
    looking = setInterval(() => {
      letGoOfTooMuch().catch((error: unknown) =>
        observe({ kind: 'changes.look_failed', level: 'debug', message: errorMessage(error) }),
      );
    }, lookEveryMs);
    looking.unref();
  }

  function begin(): void {
    clearTimeout(idle);
    if (reading || isClosed) return;
    const stop = new AbortController();
    reading = { stop, over: source.run(sink, stop.signal) };
  }

  async function end(): Promise<void> {
    const ending = reading;
    ending?.stop.abort();
    await ending?.over;
    reading = undefined;
  }

  function waitIdle(): void {
    if (isClosed || audience.isWanted()) return;
    clearTimeout(idle);
    idle = setTimeout(() => {
      stopForIdleness()
        .catch((error: unknown) =>
          observe({ kind: 'changes.let_go_failed', level: 'warn', message: errorMessage(error) }),
        )
        .finally(() => {
          if (lookEveryMs !== undefined) waitIdle();
        });
    }, idleMs);
    idle.unref();
  }

  async function letGoOfTooMuch(): Promise<void> {
    if (reading !== undefined || !(await source.holdsTooMuch())) return;
    if (reading === undefined && !isClosed) await source.letGo();
  }

  async function stopForIdleness(): Promise<void> {
    await end();
    if (!audience.isWanted()) await source.letGo();
    if (audience.isWanted()) begin();
  }

  return {
    async listen(listener) {
      if (isClosed) throw new DatabaseUnavailable('unreachable', 'the program is stopping', 1);
      const token = randomUUID();
      let isReached = false;
      const reached = new Promise<void>((resolve) => {
        audience.add(listener, token, () => {
          isReached = true;
          resolve();
        });
      });
      begin();
      const untilMs = performance.now() + listenWithinMs;
      let trouble: unknown;
      const within = async (awaited: Promise<void>): Promise<void> => {
        const waiting = new AbortController();
        await Promise.race([awaited, delay(markAgainMs, waiting.signal).catch(() => {})]);
        waiting.abort();
      };
      while (!isReached && performance.now() < untilMs && !isClosed) {
        await within(source.ready());
        await source.mark(token).catch((error: unknown) => {
          trouble = error;
        });
        await within(reached);
      }
      const remove = () => {
        audience.remove(listener);
        waitIdle();
      };
      if (isReached) return remove;
      remove();
      const why = source.trouble() ?? (trouble === undefined ? undefined : errorMessage(trouble));
      throw new DatabaseUnavailable(
        'timeout',
        `changes cannot be read at the moment${why === undefined ? ': the database is busy with older transactions' : `: ${why}`}`,
        5,
        trouble,
      );
    },
    since(id, limit) {
      const newest = audience.newest();
      if (!isChangeId(id) || newest === undefined || id > newest) return undefined;
      return history.since(id, limit);
    },
    latestId: () => audience.newest(),
    state() {
      const trouble = source.trouble();
      const isReading = reading !== undefined;
      const way = source.by === 'replication' ? 'by logical replication' : 'by triggers';
      const sentence = !isReading
        ? `Changes come ${way}; nobody listens.`
        : trouble === undefined
          ? `Changes come ${way}.`
          : `Changes come ${way}, but not at the moment: ${trouble}.`;
      return { by: source.by, isReading, sentence };
    },
    async close() {
      isClosed = true;
      clearTimeout(idle);
      clearInterval(looking);
      await end();
    },
  };
}
