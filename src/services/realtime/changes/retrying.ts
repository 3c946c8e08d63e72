// In charge of: asking a database that is away again, for a while.
import { type Clock, delay } from '../../../base/time.ts';
import { DatabaseUnavailable } from '../../../engine/db/db.ts';
import type { ChangeLimits } from './limits.ts';

export interface RetryParts {
  readonly limits: Pick<ChangeLimits, 'retryForMs'>;
  readonly now: Clock;
  readonly signal: AbortSignal;
}

/** @throws DatabaseUnavailable when the time is over */
export async function retrying<T>(parts: RetryParts, work: () => Promise<T>): Promise<T> {
  const until = parts.now() + parts.limits.retryForMs;
  for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, lastRetryMs)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable) || parts.signal.aborted || parts.now() > until) throw error;
      // Whoever closes does not wait.
      await delay(waitMs, parts.signal).catch(() => {});
    }
  }
}

const firstRetryMs = 100;
const lastRetryMs = 2_000;
