// In charge of: working off a table of requests in this process: woken by NOTIFY or by the clock, bounded in number, drained at the end.
import { errorMessage } from '../../base/errors.ts';
import type { Observe } from '../../base/observe.ts';

export interface TakerOptions<T> {
  /** For the log. */
  readonly name: string;
  /** How many are worked on at once. */
  readonly parallel: number;
  /** Takes up to `room` out of the table; undefined where there is no such table. */
  readonly take: (room: number) => Promise<readonly T[] | undefined>;
  /** Never rejects for what is wrong with one of them. */
  readonly work: (item: T, signal: AbortSignal) => Promise<void>;
  /** How long until the next look when nobody wakes it. */
  readonly pollMs: number;
  /** The same where there is no table. */
  readonly absentMs: number;
  readonly observe: Observe;
}

export interface Taker {
  wake(): void;
  /** Takes no more, lets what runs finish for `drainMs`, then aborts it. */
  close(drainMs: number): Promise<void>;
}

export function openTaker<T>(options: TakerOptions<T>): Taker {
  const { name, parallel, take, work, observe } = options;
  const running = new Set<Promise<void>>();
  const closing = new AbortController();
  let isClosed = false;
  let looking: Promise<void> | undefined;
  let again = false;
  let timer: NodeJS.Timeout | undefined;

  function wake(): void {
    if (isClosed) return;
    if (looking !== undefined) {
      again = true;
      return;
    }
    clearTimeout(timer);
    looking = look()
      .catch((error: unknown) => {
        observe({ kind: 'net.take_failed', level: 'warn', queue: name, message: errorMessage(error) });
        return options.pollMs;
      })
      .then((waitMs) => {
        looking = undefined;
        if (isClosed) return;
        if (again) {
          again = false;
          wake();
          return;
        }
        timer = setTimeout(wake, waitMs);
        timer.unref();
      });
  }

  /** Gives how long to wait until the next look. */
  async function look(): Promise<number> {
    const room = parallel - running.size;
    // Whoever ends wakes.
    if (room <= 0) return options.pollMs;
    const items = await take(room);
    if (items === undefined) return options.absentMs;
    for (const item of items) {
      const done: Promise<void> = work(item, closing.signal)
        .catch((error: unknown) =>
          observe({ kind: 'net.work_failed', level: 'error', queue: name, message: errorMessage(error) }),
        )
        .finally(() => {
          running.delete(done);
          wake();
        });
      running.add(done);
    }
    return options.pollMs;
  }

  return {
    wake,
    async close(drainMs) {
      isClosed = true;
      clearTimeout(timer);
      await looking;
      const abort = setTimeout(() => closing.abort(new Error('the program stops')), drainMs);
      await Promise.all(running);
      clearTimeout(abort);
    },
  };
}
