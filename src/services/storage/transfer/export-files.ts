// In charge of: the files of this project, brought to another one whose buckets are there. What is done is seen by looking, so that a run that broke off
// is gone on with by running it again.
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Db } from '../../../engine/db/db.ts';
import { BlobMissing, type Blobs } from '../blobs/blobs.ts';
import { eachObject, maxFailures, pageSize, patiently } from './each-object.ts';
import type { OtherProject } from './other-project.ts';

export interface ExportFilesOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly blobs: Pick<Blobs, 'find' | 'read'>;
  readonly target: Pick<OtherProject, 'look' | 'write'>;
  readonly signal: AbortSignal;
  readonly onFile: (report: ExportedFiles) => void;
  readonly onTrouble: (trouble: ExportTrouble) => void;
}

export interface ExportedFiles {
  /** Rows of objects. */
  readonly files: number;
  /** What was sent in this run. */
  readonly copied: number;
  readonly bytes: number;
  /** There before, with the same size and tag. */
  readonly there: number;
  /** Without bytes here. */
  readonly missing: number;
  readonly failed: number;
}

export interface ExportTrouble {
  readonly kind: 'missing' | 'failed';
  readonly place: string;
  readonly reason: string;
}

interface Row {
  readonly id: string;
  readonly bucket_id: string;
  readonly name: string;
  readonly version: string | null;
  readonly metadata: {
    readonly eTag?: unknown;
    readonly mimetype?: unknown;
    readonly cacheControl?: unknown;
  } | null;
  readonly user_metadata: Readonly<Record<string, unknown>> | null;
}

type Counts = { -readonly [Name in keyof ExportedFiles]: number };

/** @throws OperatorError where the other project refuses the key; when too many failed */
export async function exportFiles(options: ExportFilesOptions): Promise<ExportedFiles> {
  const { db, signal, onFile, onTrouble } = options;
  const counts: Counts = { files: 0, copied: 0, bytes: 0, there: 0, missing: 0, failed: 0 };

  async function bring(row: Row): Promise<void> {
    counts.files += 1;
    const place = `${row.bucket_id}/${row.name}`;
    try {
      const sizeBytes = await patiently(() => send(options, row), isFinal, signal);
      if (sizeBytes === undefined) counts.there += 1;
      else {
        counts.copied += 1;
        counts.bytes += sizeBytes;
      }
    } catch (error) {
      if (signal.aborted || error instanceof OperatorError) throw error;
      const kind = error instanceof BlobMissing ? 'missing' : 'failed';
      counts[kind] += 1;
      onTrouble({ kind, place, reason: errorMessage(error) });
      if (counts.failed >= maxFailures) throw error;
    }
    onFile(counts);
  }

  await eachObject<Row>({ db, statement: pageStatement, signal, work: bring });
  return counts;
}

/** How many bytes were sent; undefined: it is there already. */
async function send({ blobs, target }: ExportFilesOptions, row: Row): Promise<number | undefined> {
  const { bucket_id: bucket, name, version, metadata, user_metadata: userMetadata } = row;
  const found = version === null ? undefined : await blobs.find(version);
  if (found === undefined) throw new BlobMissing(version ?? '');
  const there = await target.look(bucket, name);
  if (there?.sizeBytes === found.sizeBytes && mayBeOne(there.eTag, metadata?.eTag)) return undefined;
  const { mimetype, cacheControl } = metadata ?? {};
  await target.write(bucket, name, {
    body: await blobs.read(found.id),
    sizeBytes: found.sizeBytes,
    headers: {
      'content-type': typeof mimetype === 'string' ? mimetype : 'application/octet-stream',
      ...(typeof cacheControl === 'string' && { 'cache-control': cacheControl }),
      ...(userMetadata !== null && {
        'x-metadata': Buffer.from(JSON.stringify(userMetadata)).toString('base64'),
      }),
    },
  });
  return found.sizeBytes;
}

/** A tag of parts is another one wherever the parts were others: then the size has to do. */
function mayBeOne(there: string | undefined, here: unknown): boolean {
  return there === here || [there, here].some((tag) => typeof tag === 'string' && tag.includes('-'));
}

const pageStatement = `
  select id::text, bucket_id, name, version, metadata, user_metadata from storage.objects
  where bucket_id is not null and name is not null and ($1::uuid is null or id > $1) order by id limit ${pageSize}`;

const isFinal = (error: unknown) => error instanceof OperatorError || error instanceof BlobMissing;
