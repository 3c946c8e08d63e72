// In charge of: several processes of one database: one of them reads the changes, by lease, and hands them to the others by a table.
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { delay } from '../../../base/time.ts';
import type { Db } from '../db.ts';
import { type Lease, LeaseLost, type Leases } from '../leases.ts';
import type { Listener } from '../listener.ts';
import {
  type Batch,
  batchesChannel,
  deleteOldBatches,
  newestBatchId,
  readBatches,
  writeBatch,
} from './batches.ts';
import type { Change } from './change.ts';
import type { ChangeSource, Sink } from './source.ts';

export interface SharedOptions {
  readonly source: ChangeSource;
  readonly db: Pick<Db, 'asOwner'>;
  readonly leases: Leases;
  /** Undefined behind a transaction pooler: the table is read from time to time. */
  readonly listener: Listener | undefined;
  readonly observe: Observe;
}

const leaseName = 'changes of rows';
/** Two missed renewals, and another process takes over. */
const leaseSeconds = 3;
const renewEveryMs = 1_000;
const pollMs = 250;
const pollBesideListenMs = 1_000;
const deleteEveryMs = 15_000;
const afterFailureMs = 500;
/** For whoever still listens to take the lease over from one who does not any more. */
const othersMs = 2 * renewEveryMs;

/** Reads by `source` in one process at a time. The feed of each hears the same. */
export function openSharedSource({ source, db, leases, listener, observe }: SharedOptions): ChangeSource {
  let isFollowing = Promise.withResolvers<void>();
  let wake = () => {};
  const woken = () => wake();
  let hears = false;
  let trouble: string | undefined;

  const asAdmin: <T>(run: Parameters<typeof db.asOwner<T>>[1]) => Promise<T> = (run) =>
    db.asOwner('millrace_admin', run);

  /** Tells what stands in the table; gives false when there is no more at the moment. */
  async function take(
    sink: Sink,
    position: { id: string | undefined },
    signal: AbortSignal,
  ): Promise<boolean> {
    const batches = await asAdmin((client) => readBatches(client, position.id));
    for (const batch of batches) {
      if (signal.aborted) return false;
      if (position.id !== undefined && batch.afterId !== undefined && batch.afterId > position.id)
        await sink.gap('this process was too late for what another had read', batch.afterId);
      if (batch.kind === 'changes') await sink.receive(batch.changes);
      else if (batch.kind === 'mark') await sink.reach(batch.lastId, batch.token);
      else if ((sink.newest() ?? '') < batch.lastId) await sink.gap(batch.reason, batch.lastId);
      position.id = batch.lastId;
    }
    return batches.length > 0;
  }

  /** Tells what another process reads, until it does not hold the lease any more. */
  async function follow(
    sink: Sink,
    position: { id: string | undefined },
    signal: AbortSignal,
  ): Promise<Lease> {
    let askAtMs = performance.now() + renewEveryMs;
    while (!signal.aborted) {
      const more = await take(sink, position, signal);
      isFollowing.resolve();
      trouble = undefined;
      if (performance.now() >= askAtMs) {
        const lease = await leases.acquire(leaseName, leaseSeconds);
        if (lease) return lease;
        askAtMs = performance.now() + renewEveryMs;
      }
      if (more) continue;
      const news = new AbortController();
      wake = () => news.abort();
      await delay(hears ? pollBesideListenMs : pollMs, AbortSignal.any([news.signal, signal])).catch(
        () => {},
      );
    }
    throw signal.reason;
  }

  async function lead(
    sink: Sink,
    position: { id: string | undefined },
    lease: Lease,
    signal: AbortSignal,
  ): Promise<void> {
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    // What the one before has handed on and let go of stands here alone.
    while (await take(sink, position, stop));
    let written = await asAdmin(newestBatchId);
    observe({ kind: 'changes.leading', level: 'debug', fence: String(lease.fence) });

    async function write(batch: Batch): Promise<void> {
      try {
        await asAdmin((client) => writeBatch(client, batch, written, lease));
        written = batch.lastId;
        position.id = batch.lastId;
      } catch (error) {
        over.abort();
        throw error;
      }
    }
    const publishing: Sink = {
      ...sink,
      // A server that crashed has emptied the table: what is read again is for the others as well.
      async begin() {
        written = await asAdmin(newestBatchId);
      },
      async receive(changes) {
        const fresh = behind(changes, written);
        // Those here do not wait for the others; what comes next waits for both.
        const told = sink.receive(changes);
        if (fresh.length > 0) await write({ kind: 'changes', lastId: fresh.at(-1)!.id, changes: fresh });
        await told;
      },
      async reach(id, token) {
        if (token !== undefined && (written === undefined || id > written))
          await write({ kind: 'mark', lastId: id, token });
        await sink.reach(id, token);
      },
      async gap(reason, id) {
        await write({ kind: 'gap', lastId: id, reason });
        await sink.gap(reason, id);
      },
    };
    let lastRenewedAtMs = performance.now();
    const renewing = setInterval(() => {
      lease.renew().then(
        (holds) => {
          if (holds) lastRenewedAtMs = performance.now();
          else over.abort();
        },
        () => {
          // A database that does not answer cannot give it to another either, as far as we know.
          if (performance.now() - lastRenewedAtMs > leaseSeconds * 1_000) over.abort();
        },
      );
    }, renewEveryMs);
    const deleting = setInterval(() => {
      asAdmin(deleteOldBatches).catch((error: unknown) =>
        observe({ kind: 'changes.delete_failed', level: 'debug', message: errorMessage(error) }),
      );
    }, deleteEveryMs);
    try {
      await source.run(publishing, stop);
    } finally {
      clearInterval(renewing);
      clearInterval(deleting);
      await lease.release().catch(() => {});
    }
  }

  return {
    by: source.by,
    async run(sink, signal) {
      if (listener && !hears) {
        hears = true;
        listener.listen(batchesChannel, woken, woken);
      }
      const position: { id: string | undefined } = { id: sink.newest() };
      const onAbort = () => wake();
      signal.addEventListener('abort', onAbort, { once: true });
      while (!signal.aborted) {
        try {
          const lease =
            (await leases.acquire(leaseName, leaseSeconds)) ?? (await follow(sink, position, signal));
          isFollowing = Promise.withResolvers();
          await lead(sink, position, lease, signal);
        } catch (error) {
          if (signal.aborted) break;
          trouble = errorMessage(error);
          if (!(error instanceof LeaseLost))
            observe({ kind: 'changes.share_failed', level: 'warn', message: trouble });
          await delay(afterFailureMs, signal).catch(() => {});
        }
      }
      isFollowing = Promise.withResolvers();
    },
    ready: () => Promise.race([source.ready(), isFollowing.promise]),
    mark: (token) => source.mark(token),
    async letGo() {
      await delay(othersMs);
      // Another process reads, or is about to.
      const lease = await leases.acquire(leaseName, leaseSeconds);
      if (!lease) return;
      try {
        await source.letGo();
      } finally {
        await lease.release();
      }
    },
    trouble: () => source.trouble() ?? trouble,
  };
}

function behind(changes: readonly Change[], id: string | undefined): readonly Change[] {
  return id === undefined ? changes : changes.filter((change) => change.id > id);
}
