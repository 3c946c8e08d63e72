// In charge of: asking the shared counters: many at once, one statement at a time, and what happens while nobody answers.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';
import { type Counter, pointsWanted, settle } from './counter.ts';
import type { Answer, Ask, LimitStore } from './store.ts';
import type { DatabaseClock } from './windows.ts';

export type PromiseWithResolvers = ReturnType<typeof Promise.withResolvers<void>>;

export interface Desk {
  /** True while the store does not answer. It is tried again by itself. */
  isDown(): boolean;
  /** Asks for more points of this counter, soon. */
  ask(counter: Counter): void;
  /** Resolves when the counter was asked about, or could not be. It never rejects. */
  wait(counter: Counter): Promise<void>;
  /** Asks nothing; learns the database's clock. */
  greet(): Promise<void>;
  /** Gives back what these counters have not spent, and stops. */
  close(counters: Iterable<Counter>): Promise<void>;
}

/** Counters in one statement. */
const maxAsksAtOnce = 500;
/** Counters that are to be asked about. Beyond, a request is decided as while the store is down. */
const maxQueued = 20_000;
/** An answer that takes longer counts as none. */
const storeTimeoutMs = 1_000;
/** A store that is down is tried again after this long. */
const retryAfterMs = 1_000;

export interface DeskOptions {
  readonly store: LimitStore;
  readonly clock: DatabaseClock;
  /** The points were put on a later window than was asked for: the clock of this process is behind. */
  readonly onLaterWindow: (counter: Counter, points: number, answer: Answer) => void;
  readonly observe: Observe;
}

export function openDesk({ store, clock, onLaterWindow, observe }: DeskOptions): Desk {
  let queue: Counter[] = [];
  let underWay: Promise<void> | undefined;
  let isScheduled = false;
  let isDown = false;
  let isClosed = false;
  let retry: NodeJS.Timeout | undefined;

  function ask(counter: Counter): void {
    if (counter.asked !== 'no' || isClosed || queue.length >= maxQueued) return;
    counter.asked = 'queued';
    queue.push(counter);
    schedule();
  }

  /** At the end of this turn of the event loop: what other requests of the turn ask for goes along. */
  function schedule(): void {
    if (isScheduled || underWay !== undefined || isDown) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      flush();
    });
  }

  function flush(): void {
    if (underWay !== undefined || isClosed) return;
    underWay = askTogether(takeBatch()).then(() => {
      underWay = undefined;
      if (isClosed) return;
      if (isDown) retry = setTimeout(flush, retryAfterMs).unref();
      else if (queue.length > 0) schedule();
    });
  }

  /** Never rejects. Without counters it asks for the time only. */
  async function askTogether(batch: readonly Counter[]): Promise<void> {
    const wanted = batch.map(pointsWanted);
    const paid = batch.map(({ unpaid }) => unpaid);
    const asks = batch.map((counter, at) => askOf(counter, wanted[at]! + paid[at]!));
    const sentMs = clock.localMs();
    const asked = store.add(asks);
    try {
      await inTime(asked, storeTimeoutMs);
    } catch (error) {
      if (!isDown) observe({ kind: 'limits.store_down', level: 'warn', message: errorMessage(error) });
      isDown = true;
      for (const counter of [...batch, ...queue]) release(counter);
    }
    try {
      // An answer that comes too late for those who waited has counted their points all the same.
      const { answers, nowMs } = await asked;
      clock.heard(nowMs, sentMs, clock.localMs());
      for (const [at, counter] of batch.entries()) {
        const answer = answers[at];
        if (answer === undefined) continue;
        if (answer.startMs === counter.startMs) settle(counter, wanted[at]!, paid[at]!, answer.used);
        else onLaterWindow(counter, asks[at]!.points, answer);
      }
      if (isDown) observe({ kind: 'limits.store_back', level: 'info' });
      isDown = false;
    } catch {
      // Said above; tried again soon.
    }
    for (const counter of batch) land(counter);
  }

  /** The next counters to ask about, each name once: one statement cannot count a row twice. */
  function takeBatch(): readonly Counter[] {
    const names = new Set<string>();
    const batch: Counter[] = [];
    const later: Counter[] = [];
    for (const counter of queue) {
      const name = `${counter.rule.id}\n${counter.subject}`;
      if (counter.startMs < counter.rule.startMs) land(counter);
      else if (batch.length >= maxAsksAtOnce || names.has(name)) later.push(counter);
      else {
        names.add(name);
        batch.push(counter);
        counter.asked = 'under way';
      }
    }
    queue = later;
    return batch;
  }

  return {
    isDown: () => isDown,
    ask,
    async wait(counter) {
      ask(counter);
      if (counter.asked === 'no') return;
      counter.waiting += 1;
      counter.answered ??= Promise.withResolvers<void>();
      await counter.answered.promise;
    },
    async greet() {
      flush();
      // A store that hangs is waited for no longer than anywhere else.
      if (underWay !== undefined) await inTime(underWay, storeTimeoutMs).catch(() => {});
    },
    async close(counters) {
      isClosed = true;
      clearTimeout(retry);
      for (const counter of queue) land(counter);
      queue = [];
      if (underWay !== undefined) await inTime(underWay, storeTimeoutMs).catch(() => {});
      if (isDown) return;
      const left = [...counters].filter(({ credit, unpaid }) => credit > unpaid);
      for (let at = 0; at < left.length; at += maxAsksAtOnce) {
        const asks = left
          .slice(at, at + maxAsksAtOnce)
          .map((counter) => askOf(counter, counter.credit - counter.unpaid));
        // What cannot be given back is lost to the caller: less than one in a hundred of its limit.
        await inTime(store.giveBack(asks), storeTimeoutMs).catch(() => {});
      }
    },
  };
}

function land(counter: Counter): void {
  counter.asked = 'no';
  release(counter);
}

/** Lets those go on who wait; they look for themselves what there is. */
function release(counter: Counter): void {
  counter.waiting = 0;
  const { answered } = counter;
  counter.answered = undefined;
  answered?.resolve();
}

function askOf({ rule, subject, startMs, endMs }: Counter, points: number): Ask {
  return { rule: rule.id, subject, startMs, endMs, limit: rule.limit, points };
}

async function inTime<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
