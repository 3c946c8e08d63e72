// In charge of: how often an address may present credentials that open nothing.
import type { Clock } from '../../base/time.ts';

export interface Failures {
  /** How long this address has to wait; 0 when it may try. */
  waitMs(address: string): number;
  count(address: string): void;
}

/** So many within the window, then none until it is over. */
const maxFailures = 10;
const windowMs = 60_000;
/** The oldest give way. Guessing gains nothing by that: what is bounded is our work, a token has 192 random bits. */
const maxAddresses = 10_000;

export function openFailures(now: Clock): Failures {
  const byAddress = new Map<string, { count: number; untilMs: number }>();
  return {
    waitMs(address) {
      const entry = byAddress.get(address);
      if (entry === undefined) return 0;
      const leftMs = entry.untilMs - now();
      if (leftMs <= 0) {
        byAddress.delete(address);
        return 0;
      }
      return entry.count >= maxFailures ? leftMs : 0;
    },
    count(address) {
      const entry = byAddress.get(address);
      if (entry !== undefined && entry.untilMs > now()) {
        entry.count += 1;
        return;
      }
      byAddress.delete(address);
      byAddress.set(address, { count: 1, untilMs: now() + windowMs });
      if (byAddress.size > maxAddresses) byAddress.delete(byAddress.keys().next().value!);
    },
  };
}
