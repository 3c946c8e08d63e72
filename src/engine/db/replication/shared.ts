// In charge of: several processes of one database: one of them reads the changes, by lease, and hands them to the others: by a table, and by the broker
// where there is one.
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import { delay } from '../../../base/time.ts';
import type { Db } from '../db.ts';
import type { Fanout } from '../fanout.ts';
import { type Lease, LeaseLost, type Leases } from '../leases.ts';
import type { Listener } from '../listener.ts';
import {
  type Batch,
  deleteAfterBytes,
  deleteOldBatches,
  newestBatchId,
  readBatches,
  renderBatch,
  type StoredBatch,
  writeBatch,
} from './batches.ts';
import type { Change } from './change.ts';
import { carryBatch, openNews } from './news.ts';
import type { ChangeSource, Sink } from './source.ts';

export interface SharedOptions {
  readonly source: ChangeSource;
  readonly db: Pick<Db, 'asOwner'>;
  readonly leases: Leases;
  /** Undefined behind a transaction pooler: the table is read from time to time. */
  readonly listener: Listener | undefined;
  /** Carries each batch beside the table; undefined: nothing does. */
  readonly broker?: Fanout | undefined;
  readonly observe: Observe;
}

/** How far the telling is. */
interface Position {
  id: string | undefined;
}

const leaseName = 'changes of rows';
/** Two missed renewals, and another process takes over. */
const leaseSeconds = 3;
const renewEveryMs = 1_000;
const deleteEveryMs = 15_000;
const afterFailureMs = 500;
/** For whoever still listens to take the lease over from one who does not any more. */
const othersMs = 2 * renewEveryMs;

/** Reads by `source` in one process at a time. The feed of each hears the same. */
export function openSharedSource({
  source,
  db,
  leases,
  listener,
  broker,
  observe,
}: SharedOptions): ChangeSource {
  let isFollowing = Promise.withResolvers<void>();
  let trouble: string | undefined;
  let newest: string | undefined;
  const news = openNews({ listener, broker, newest: () => newest });

  const asAdmin: <T>(run: Parameters<typeof db.asOwner<T>>[1]) => Promise<T> = (run) =>
    db.asOwner('millrace_admin', run);

  async function tell(sink: Sink, position: Position, batch: StoredBatch): Promise<void> {
    if (position.id !== undefined && batch.afterId !== undefined && batch.afterId > position.id)
      await sink.gap('this process was too late for what another had read', batch.afterId);
    if (batch.kind === 'changes') await sink.receive(batch.changes);
    else if (batch.kind === 'mark') await sink.reach(batch.lastId, batch.token);
    else if ((sink.newest() ?? '') < batch.lastId) await sink.gap(batch.reason, batch.lastId);
    position.id = batch.lastId;
    newest = batch.lastId;
  }

  /** Tells what stands in the table; gives false when there is no more at the moment. */
  async function take(sink: Sink, position: Position, signal: AbortSignal): Promise<boolean> {
    const batches = await asAdmin((client) => readBatches(client, position.id));
    for (const batch of batches) {
      if (signal.aborted) return false;
      await tell(sink, position, batch);
    }
    return batches.length > 0;
  }

  /** Tells what came by the broker, as far as each follows the one before; what is missing stands in the table. */
  async function takeCarried(sink: Sink, position: Position, signal: AbortSignal): Promise<void> {
    for (let batch = news.next(); batch !== undefined && !signal.aborted; batch = news.next()) {
      if (position.id !== undefined && batch.lastId <= position.id) continue;
      if (batch.afterId !== position.id) return news.wish();
      await tell(sink, position, batch);
    }
  }

  /** Tells what another process reads, until it does not hold the lease any more. */
  async function follow(sink: Sink, position: Position, signal: AbortSignal): Promise<Lease> {
    let askAtMs = performance.now() + renewEveryMs;
    news.start();
    try {
      while (!signal.aborted) {
        if (!news.takeWish()) await takeCarried(sink, position, signal);
        else if (await take(sink, position, signal)) news.wish();
        isFollowing.resolve();
        trouble = undefined;
        if (performance.now() >= askAtMs) {
          const lease = await leases.acquire(leaseName, leaseSeconds);
          if (lease) return lease;
          askAtMs = performance.now() + renewEveryMs;
        }
        await news.wait(signal);
      }
    } finally {
      news.stop();
    }
    throw signal.reason;
  }

  const notCarried = (error: unknown) =>
    observe({ kind: 'changes.not_carried', level: 'debug', message: errorMessage(error) });

  async function lead(sink: Sink, position: Position, lease: Lease, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const stop = AbortSignal.any([signal, over.signal]);
    // What the one before has handed on and let go of stands here alone.
    while (await take(sink, position, stop));
    let written = await asAdmin(newestBatchId);
    let writtenBytes = 0;
    observe({ kind: 'changes.leading', level: 'debug', fence: String(lease.fence) });

    async function write(batch: Batch): Promise<void> {
      const text = renderBatch(batch);
      const afterId = written;
      try {
        const { lastId, kind } = batch;
        writtenBytes += await asAdmin((client) => writeBatch(client, { lastId, kind, text }, afterId, lease));
        written = lastId;
        position.id = lastId;
        newest = lastId;
        if (writtenBytes > deleteAfterBytes) {
          writtenBytes = 0;
          await asAdmin((client) => deleteOldBatches(client));
        }
      } catch (error) {
        over.abort();
        throw error;
      }
      // Nobody waits for it: who does not hear it finds it in the table.
      if (broker !== undefined) void carryBatch(broker, batch, afterId, text).catch(notCarried);
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
      asAdmin((client) => deleteOldBatches(client)).catch((error: unknown) =>
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
      const position: Position = { id: sink.newest() };
      newest = position.id;
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
    holdsTooMuch: () => source.holdsTooMuch(),
    trouble: () => source.trouble() ?? trouble,
  };
}

function behind(changes: readonly Change[], id: string | undefined): readonly Change[] {
  return id === undefined ? changes : changes.filter((change) => change.id > id);
}
