// In charge of: asking a database again, for a while, that is away, or whose table somebody has locked.
import { errorCode } from '../../../base/errors.ts';
import { type Clock, delay } from '../../../base/time.ts';
import { DatabaseUnavailable } from '../../../engine/db/db.ts';
import type { ChangeLimits } from './limits.ts';

export interface RetryParts {
  readonly limits: Pick<ChangeLimits, 'retryForMs'>;
  readonly now: Clock;
  readonly signal: AbortSignal;
}

/** As long as `lockTimeout` says nobody waits within Postgres for a table that a migration holds: its connection would be others' as well. */
export const lockTimeout = ['lock_timeout', '1000'] as const;

/** What could not be asked because of a lock. */
export const isLocked = (error: unknown) => errorCode(error) === '55P03';

/** @throws DatabaseUnavailable when the time is over */
export async function retrying<T>(parts: RetryParts, work: () => Promise<T>): Promise<T> {
  const until = parts.now() + parts.limits.retryForMs;
  for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, lastRetryMs)) {
    try {
      return await work();
    } catch (error) {
      const isAway = error instanceof DatabaseUnavailable;
      if ((!isAway && !isLocked(error)) || parts.signal.aborted) throw error;
      if (parts.now() > until) throw isAway ? error : locked(error);
      // Whoever closes does not wait.
      await delay(waitMs, parts.signal).catch(() => {});
    }
  }
}

const firstRetryMs = 100;
const lastRetryMs = 2_000;

const locked = (cause: unknown) =>
  new DatabaseUnavailable('timeout', 'a table is locked, as by a migration', 5, cause);

/** Whoever asks does it again later. @throws DatabaseUnavailable */
export async function unlessLocked<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw isLocked(error) ? locked(error) : error;
  }
}
