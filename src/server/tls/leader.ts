// In charge of: work that one process does at a time, for as long as it takes, held by a lease that is renewed meanwhile.
import type { Lease, Leases } from '../../engine/db/leases.ts';
import type { WhenLeader } from './acme.ts';

const ttlSeconds = 60;
const renewMs = 20_000;

/** Two processes of one database never work under the same name at once; the signal is aborted when the lease is lost. */
export function leaderByLease(leases: Leases, name: string): WhenLeader {
  return async (work) => {
    const lease = await leases.acquire(name, ttlSeconds);
    if (lease === undefined) return false;
    const lost = new AbortController();
    const renewing = setInterval(() => {
      void stillHeld(lease).then((held) => {
        if (!held) lost.abort(new Error(`the lease "${name}" was lost`));
      });
    }, renewMs).unref();
    try {
      await work(lost.signal);
      return true;
    } finally {
      clearInterval(renewing);
      // It runs out by itself when the database cannot be asked.
      await lease.release().catch(() => {});
    }
  };
}

/** A database that does not answer cannot say that it is still ours. */
async function stillHeld(lease: Lease): Promise<boolean> {
  try {
    return await lease.renew();
  } catch {
    return false;
  }
}
