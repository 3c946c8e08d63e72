// In charge of: which leases this process holds, for figures. Leases themselves are the database's business.
import type { Clock } from '../../base/time.ts';
import type { Lease, Leases } from '../../engine/db/leases.ts';

export interface WatchedLeases extends Leases {
  /** The leases that this process has asked for, and whether it holds each as far as it knows. */
  held(): ReadonlyMap<string, boolean>;
}

/** Names of leases are the program's own and few; one more than this is a mistake and is not shown. */
const maxNames = 256;

/** The same leases, with a look at who has them. */
export function watchLeases(leases: Leases, now: Clock): WatchedLeases {
  const heldUntilMs = new Map<string, number>();
  const note = (name: string, untilMs: number) => {
    if (heldUntilMs.has(name) || heldUntilMs.size < maxNames) heldUntilMs.set(name, untilMs);
  };
  return {
    async acquire(name, ttlSeconds) {
      // The time before the question: the database's term began after it.
      const askedMs = now();
      const lease = await leases.acquire(name, ttlSeconds);
      if (lease === undefined) {
        if (!heldUntilMs.has(name)) note(name, 0);
        return undefined;
      }
      note(name, askedMs + ttlSeconds * 1000);
      const watched: Lease = {
        name,
        fence: lease.fence,
        async renew() {
          const renewedMs = now();
          const holds = await lease.renew();
          note(name, holds ? renewedMs + ttlSeconds * 1000 : 0);
          return holds;
        },
        async release() {
          note(name, 0);
          await lease.release();
        },
      };
      return watched;
    },
    held: () => new Map([...heldUntilMs].map(([name, untilMs]) => [name, untilMs > now()])),
  };
}
