// In charge of: files that move from one store to another while the program serves: what is not in the new place yet is read in the earlier one.
// What there is to do is read from both lists side by side, so that a move goes on where it was, whoever broke it off, without writing anything down.
import type { Observe } from '../../../base/observe.ts';
import { type BlobFacts, BlobMissing, type Blobs, inByteOrder } from './blobs.ts';
import { joinByBytes } from './in-parts.ts';

/** New bytes go to `current` alone; `previous` is only read, and what nobody wants any more is removed from both. */
export function openMovingBlobs(current: Blobs, previous: Blobs): Blobs {
  const blobs: Blobs = {
    write: current.write,
    async read(id, range) {
      return current.read(id, range).catch((error: unknown) => {
        if (!(error instanceof BlobMissing)) throw error;
        // It may have arrived since, and been removed there.
        return previous.read(id, range).catch(() => current.read(id, range));
      });
    },
    find: async (id) => (await current.find(id)) ?? previous.find(id),
    async copy(from, to) {
      try {
        await current.copy(from, to);
      } catch (error) {
        if (!(error instanceof BlobMissing)) throw error;
        await current.write(to, await previous.read(from), all);
      }
    },
    join: (parts, to, signal) => joinByBytes({ read: blobs.read, write: current.write }, parts, to, signal),
    async remove(ids) {
      // The earlier place first: removed there, nothing brings it back.
      await previous.remove(ids);
      await current.remove(ids);
    },
    async *list(signal) {
      for await (const [here, there] of sideBySide(current, previous, signal)) yield here ?? there!;
    },
    removeUnfinished: async (seconds) =>
      (await current.removeUnfinished(seconds)) + (await previous.removeUnfinished(seconds)),
    async close() {
      await current.close();
      await previous.close();
    },
  };
  return blobs;
}

const all = { maxBytes: Number.POSITIVE_INFINITY };

export interface Moved {
  readonly moved: number;
  readonly bytes: number;
  /** Already in the new place. */
  readonly there: number;
  readonly failed: number;
}

export interface MoveOptions {
  readonly current: Blobs;
  readonly previous: Blobs;
  readonly observe: Observe;
  readonly signal: AbortSignal;
  readonly onMoved?: (moved: Moved) => void;
}

/** So many failures in one run, and the store is away rather than a file damaged. */
const maxFailures = 100;
const parallelMoves = 4;

/** Copies what is not in the new place yet. What was there before stays. */
export async function moveBlobs({
  current,
  previous,
  observe,
  signal,
  onMoved,
}: MoveOptions): Promise<Moved> {
  let [moved, bytes, there, failed] = [0, 0, 0, 0];
  const report = (): Moved => ({ moved, bytes, there, failed });

  async function move({ id, sizeBytes }: BlobFacts): Promise<void> {
    try {
      const written = await current.write(id, await previous.read(id), { ...all, signal });
      if (written.sizeBytes !== sizeBytes) throw new Error(`${written.sizeBytes} bytes came of ${sizeBytes}`);
      moved += 1;
      bytes += sizeBytes;
      onMoved?.(report());
    } catch (error) {
      signal.throwIfAborted();
      // Removed meanwhile: there is nothing to move.
      if (error instanceof BlobMissing) return;
      failed += 1;
      observe({ kind: 'storage.move_failed', level: 'warn', id, error });
      if (failed >= maxFailures) throw error;
    }
  }

  const underWay = new Set<Promise<void>>();
  let failure: unknown;
  for await (const [here, earlier] of sideBySide(current, previous, signal)) {
    if (failure !== undefined) break;
    if (earlier === undefined) continue;
    if (here !== undefined && here.sizeBytes === earlier.sizeBytes) {
      there += 1;
      continue;
    }
    const one = move(earlier)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => underWay.delete(one));
    underWay.add(one);
    if (underWay.size >= parallelMoves) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure;
  return report();
}

async function* sideBySide(
  one: Blobs,
  other: Blobs,
  signal: AbortSignal,
): AsyncGenerator<readonly [BlobFacts | undefined, BlobFacts | undefined]> {
  const [ones, others] = [one, other].map((blobs) => blobs.list(signal)[Symbol.asyncIterator]());
  let [here, there] = await Promise.all([ones!.next(), others!.next()]);
  while (!here.done || !there.done) {
    const order = here.done ? 1 : there.done ? -1 : inByteOrder(here.value.id, there.value.id);
    yield [order <= 0 ? here.value : undefined, order >= 0 ? there.value : undefined];
    [here, there] = await Promise.all([
      order <= 0 ? ones!.next() : here,
      order >= 0 ? others!.next() : there,
    ]);
  }
}
