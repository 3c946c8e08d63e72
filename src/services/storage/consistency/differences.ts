// In charge of: where rows and bytes disagree. Two ordered lists are read side by side, however long they are; what differs is looked at once more,
// since both go on changing meanwhile.
import type { Db } from '../../../engine/db/db.ts';
import { type BlobFacts, type Blobs, inByteOrder } from '../blobs/blobs.ts';
import { findHeld, type Held, listHeld } from './holders.ts';

/** `orphan`: bytes that no row names; `missing`: a row whose bytes are not there; `size`: a row that says another size. */
export type Difference =
  | { readonly kind: 'orphan'; readonly blob: BlobFacts }
  | { readonly kind: 'missing'; readonly held: Held }
  | { readonly kind: 'size'; readonly held: Held; readonly blob: BlobFacts };

export interface Compared {
  readonly db: Pick<Db, 'asOwner'>;
  readonly blobs: Pick<Blobs, 'list' | 'find'>;
  readonly signal: AbortSignal;
  /** Every blob that is there and that a row names, as it is met. */
  readonly onPair?: (held: Held, blob: BlobFacts) => Promise<void>;
}

/** How many are looked at once more by one statement, which reads the whole table. */
const batchSize = 5_000;

/** Every difference that is still there when it is looked at again, in batches. */
export async function* listDifferences(compared: Compared): AsyncGenerator<readonly Difference[]> {
  let batch: Difference[] = [];
  for await (const difference of firstLook(compared)) {
    batch.push(difference);
    if (batch.length < batchSize) continue;
    yield await secondLook(compared, batch);
    batch = [];
  }
  if (batch.length > 0) yield await secondLook(compared, batch);
}

async function* firstLook({ db, blobs, signal, onPair }: Compared): AsyncGenerator<Difference> {
  const there = blobs.list(signal)[Symbol.asyncIterator]();
  let blob = await there.next();
  let last: BlobFacts | undefined;
  for await (const held of listHeld(db, signal)) {
    while (!blob.done && inByteOrder(blob.value.id, held.id) < 0) {
      yield { kind: 'orphan', blob: blob.value };
      blob = await there.next();
    }
    if (!blob.done && blob.value.id === held.id) {
      last = blob.value;
      blob = await there.next();
    }
    if (last?.id !== held.id) {
      if (held.mustBeThere) yield { kind: 'missing', held };
      continue;
    }
    if (held.sizeBytes !== null && held.sizeBytes !== last.sizeBytes)
      yield { kind: 'size', held, blob: last };
    await onPair?.(held, last);
  }
  while (!blob.done) {
    signal.throwIfAborted();
    yield { kind: 'orphan', blob: blob.value };
    blob = await there.next();
  }
}

async function secondLook(
  { db, blobs }: Compared,
  batch: readonly Difference[],
): Promise<readonly Difference[]> {
  const ids = batch.map((one) => (one.kind === 'orphan' ? one.blob.id : one.held.id));
  const held = Map.groupBy(await findHeld(db, ids), ({ id }) => id);
  const still: Difference[] = [];
  for (const one of batch) {
    const id = one.kind === 'orphan' ? one.blob.id : one.held.id;
    const rows = held.get(id) ?? [];
    if (one.kind === 'orphan' ? rows.length > 0 : !rows.some((row) => row.place === one.held.place)) continue;
    const found = await blobs.find(id);
    if (one.kind === 'missing' ? found === undefined : found !== undefined) still.push(one);
  }
  return still;
}
