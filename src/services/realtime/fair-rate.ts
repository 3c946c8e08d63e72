// In charge of: a bound on something that all clients do together, and who is refused when it is reached: those who do more than their part of it, and
// nobody else. Upstream shuts down whoever gets a message then, so that one client can close the channels of all.
import type { Clock } from '../../base/time.ts';
import { openRate, type Rate } from './rate.ts';

export interface FairRate extends Pick<Rate, 'count' | 'average'> {
  /** What of it was that client's doing. */
  countFor(client: string, amount: number): void;
  /** Whether this client is to be refused: all are over, and it has its part or more. @param more what it is about to do */
  isOverFor(client: string, more?: number): boolean;
}

/** Clients that are told apart. Of more, those that were quiet longest begin anew. */
const maxClients = 10_000;
/** How many there are is counted this often. */
const countedEveryMs = 1_000;

/** @param beginning over how many ticks it counts from the beginning on; unset: as upstream */
export function openFairRate(
  now: Clock,
  bounds: { readonly max: () => number; readonly isReached: 'at' | 'beyond' },
  beginning?: { readonly ticks: number },
): FairRate {
  const all = openRate(now, beginning);
  /** The one that was active last is the last one. */
  const clients = new Map<string, Rate>();
  let active = 1;
  let countedAtMs = Number.NEGATIVE_INFINITY;

  const isReached = (average: number) =>
    bounds.isReached === 'at' ? average >= bounds.max() : average > bounds.max();

  /** Equal parts for all who did something in the last minute. */
  function part(): number {
    if (now() - countedAtMs >= countedEveryMs) {
      countedAtMs = now();
      for (const [client, rate] of clients) if (rate.average() === 0 && rate.isIdle()) clients.delete(client);
      active = Math.max(1, clients.size);
    }
    return bounds.max() / active;
  }

  return {
    count: all.count,
    average: all.average,
    countFor(client, amount) {
      const rate = clients.get(client) ?? openRate(now, all.age());
      clients.delete(client);
      clients.set(client, rate);
      rate.count(amount);
      for (const oldest of clients.keys()) {
        if (clients.size <= maxClients) break;
        clients.delete(oldest);
      }
    },
    isOverFor(client, more = 0) {
      const own = clients.get(client)?.average() ?? 0;
      // What is still to come may fill the bound, and no more.
      if (more > 0) return all.average() + more > bounds.max() && own + more > part();
      return isReached(all.average()) && own >= part();
    },
  };
}
