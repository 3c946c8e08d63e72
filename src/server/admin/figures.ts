// In charge of: what the metrics are made of: what is counted while requests are answered, and what is looked at when somebody asks.
import type { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Observe } from '../../base/observe.ts';
import type { Db } from '../../engine/db/db.ts';
import type { WatchedLeases } from './lease-watch.ts';
import type { RequestFigures } from './request-figures.ts';

export interface MetricsOptions {
  readonly db: Pick<Db, 'asOwner'>;
  /** The connections of requests at this moment, and the most that there may be. */
  readonly pool: () => { readonly total: number; readonly idle: number; readonly waiting: number };
  readonly poolSize: number;
  /** Requests that are being answered. */
  readonly inFlight: () => number;
  readonly leases: Pick<WatchedLeases, 'held'>;
  readonly build: { readonly version: string; readonly engine: string; readonly postgres: string };
  readonly observe: Observe;
}

export interface Figures {
  readonly requests: RequestFigures;
  /** How often, by reason. */
  readonly refusals: ReadonlyMap<string, number>;
  readonly sheds: number;
  readonly loop: ReturnType<typeof monitorEventLoopDelay>;
}

export const delayResolutionMs = 10;
