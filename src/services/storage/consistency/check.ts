// In charge of: what `millrace storage check` finds and mends: rows and bytes compared, beside a running program or without it.
import { createHash } from 'node:crypto';
import type { Db } from '../../../engine/db/db.ts';
import { BlobDamaged, BlobMissing, type Blobs } from '../blobs/blobs.ts';
import { keyIdIn } from '../blobs/sealed-id.ts';
import { type Difference, listDifferences } from './differences.ts';
import type { Held } from './holders.ts';

export interface Finding {
  readonly kind: Difference['kind'] | 'digest';
  readonly id: string;
  /** The row; unset for an orphan. */
  readonly place?: string;
  readonly expected?: string | number;
  readonly found?: string | number;
  /** Whether this run has mended it. */
  readonly mended: boolean;
}

export interface CheckOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly blobs: Blobs;
  readonly signal: AbortSignal;
  /** Reads every file and compares its digest with the row's ETag. */
  readonly checksums: boolean;
  /** Removes orphans, and what was cut off while it was written, that are older. Undefined: nothing is changed. */
  readonly removeAfterSeconds: number | undefined;
  readonly now: () => number;
  readonly onFinding: (finding: Finding) => void;
}

export interface CheckReport {
  readonly blobs: number;
  readonly bytes: number;
  /** How many files' bytes were read and compared; those that came in parts have an ETag that does not tell. */
  readonly digests: number;
  readonly orphans: number;
  readonly missing: number;
  readonly wrongSize: number;
  readonly wrongDigest: number;
  readonly mended: number;
  /** Writes that were cut off, whose bytes were removed. */
  readonly unfinished: number;
}

export async function checkFiles(options: CheckOptions): Promise<CheckReport> {
  const { db, blobs, signal, onFinding } = options;
  const report = { blobs: 0, bytes: 0, digests: 0, mended: 0 };
  const counted = { orphan: 0, missing: 0, size: 0, digest: 0 };
  const tell = (finding: Finding) => {
    counted[finding.kind] += 1;
    if (finding.mended) report.mended += 1;
    onFinding(finding);
  };
  const batches = listDifferences({
    db,
    blobs,
    signal,
    async onPair(held, blob) {
      report.blobs += 1;
      report.bytes += blob.sizeBytes;
      const expected = digestIn(held);
      // What is encrypted says by itself whether it is what was written, also where no digest does.
      if (!options.checksums || (expected === undefined && keyIdIn(held.id) === undefined)) return;
      const found = await digestOf(blobs, held.id, signal);
      if (found === undefined) return;
      report.digests += 1;
      if (found === damaged || (expected !== undefined && found !== expected))
        tell({
          kind: 'digest',
          id: held.id,
          place: held.place,
          expected: expected ?? written,
          found,
          mended: false,
        });
    },
  });
  for await (const batch of batches) {
    const mended = await removeOrphans(options, batch);
    for (const difference of batch) tell(findingOf(difference, mended));
  }
  const { removeAfterSeconds } = options;
  const unfinished = removeAfterSeconds === undefined ? 0 : await blobs.removeUnfinished(removeAfterSeconds);
  return {
    ...report,
    unfinished,
    orphans: counted.orphan,
    missing: counted.missing,
    wrongSize: counted.size,
    wrongDigest: counted.digest,
  };
}

/** They are written down before they are removed: whatever ends this run, the program goes on with it. */
async function removeOrphans(
  { db, blobs, removeAfterSeconds, now }: CheckOptions,
  batch: readonly Difference[],
): Promise<ReadonlySet<string>> {
  if (removeAfterSeconds === undefined) return new Set();
  const before = now() - removeAfterSeconds * 1000;
  const ids = batch.flatMap((one) =>
    one.kind === 'orphan' && one.blob.writtenAt.getTime() <= before ? [one.blob.id] : [],
  );
  if (ids.length === 0) return new Set();
  await db.asOwner('millrace_admin', (client) =>
    client.query('insert into _millrace.blob_garbage (version) select unnest($1::text[])', [ids]),
  );
  await blobs.remove(ids);
  await db.asOwner('millrace_admin', (client) =>
    client.query('delete from _millrace.blob_garbage where version = any ($1::text[])', [ids]),
  );
  return new Set(ids);
}

function findingOf(difference: Difference, mended: ReadonlySet<string>): Finding {
  switch (difference.kind) {
    case 'orphan': {
      const { id, sizeBytes } = difference.blob;
      return { kind: 'orphan', id, found: sizeBytes, mended: mended.has(id) };
    }
    case 'missing': {
      const { id, place } = difference.held;
      return { kind: 'missing', id, place, mended: false };
    }
    case 'size': {
      const { held, blob } = difference;
      const expected = held.sizeBytes ?? 0;
      return { kind: 'size', id: held.id, place: held.place, expected, found: blob.sizeBytes, mended: false };
    }
  }
}

/** The MD5 in an ETag of a file that came in one piece. */
function digestIn({ eTag }: Held): string | undefined {
  return /^"([0-9a-f]{32})"$/.exec(eTag ?? '')?.[1];
}

/** In the place of digests. */
const damaged = 'that of damaged bytes';
const written = 'that of what was written';

/** Undefined: it has been removed meanwhile. */
async function digestOf(blobs: Blobs, id: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const digest = createHash('md5');
    for await (const chunk of await blobs.read(id)) {
      signal.throwIfAborted();
      digest.update(chunk as Buffer);
    }
    return digest.digest('hex');
  } catch (error) {
    if (error instanceof BlobMissing) return undefined;
    if (error instanceof BlobDamaged) return damaged;
    throw error;
  }
}
