// In charge of: the files of a project whose rows are here already: what is missing is read from where it came from. What is done is seen by looking,
// so that a run that broke off is gone on with by running it again, whoever broke it off.
import { errorMessage, OperatorError } from '../../../base/errors.ts';
import type { Db } from '../../../engine/db/db.ts';
import { type Blobs, blobIdPattern, NoRoom, type Written } from '../blobs/blobs.ts';
import { keyIdIn } from '../blobs/sealed-id.ts';
import { eachObject, maxFailures, pageSize, patiently } from './each-object.ts';
import type { OtherProject } from './other-project.ts';

export interface ImportFilesOptions {
  readonly db: Pick<Db, 'asOwner'>;
  readonly blobs: Pick<Blobs, 'find' | 'write' | 'remove'>;
  readonly newBlobId: (bucket: string) => Promise<string>;
  readonly isEncrypted: (bucket: string) => boolean;
  readonly source: Pick<OtherProject, 'read'>;
  readonly signal: AbortSignal;
  readonly onFile: (report: ImportedFiles) => void;
  /** Of those that are not as their rows say. */
  readonly onTrouble: (trouble: Trouble) => void;
}

export interface ImportedFiles {
  /** Rows of objects. */
  readonly files: number;
  /** What came in this run. */
  readonly copied: number;
  readonly bytes: number;
  /** Those of them whose MD5 is what the row says; the others came in parts there, and their size and tag are compared. */
  readonly digests: number;
  /** Here before. */
  readonly there: number;
  /** The source has no bytes for them. */
  readonly missing: number;
  /** Overwritten there since the rows came. */
  readonly changed: number;
  readonly failed: number;
}

export interface Trouble {
  readonly kind: 'missing' | 'changed' | 'failed';
  /** `avatars/ada.png` */
  readonly place: string;
  readonly reason: string;
}

interface Row {
  readonly id: string;
  readonly bucket_id: string;
  readonly name: string;
  readonly version: string | null;
  readonly size: string | null;
  readonly etag: string | null;
}

const pageStatement = `
  select id::text, bucket_id, name, version, metadata ->> 'eTag' as etag,
    case when jsonb_typeof(metadata -> 'size') = 'number' then metadata ->> 'size' end as size
  from storage.objects where bucket_id is not null and name is not null and ($1::uuid is null or id > $1) order by id limit ${pageSize}`;

type Counts = { -readonly [Name in keyof ImportedFiles]: number };

/** @throws OperatorError where the source refuses the key; NoRoom; when too many failed */
export async function importFiles(options: ImportFilesOptions): Promise<ImportedFiles> {
  const { db, signal, onFile, onTrouble } = options;
  const counts: Counts = {
    files: 0,
    copied: 0,
    bytes: 0,
    digests: 0,
    there: 0,
    missing: 0,
    changed: 0,
    failed: 0,
  };

  async function take(row: Row): Promise<void> {
    counts.files += 1;
    const place = `${row.bucket_id}/${row.name}`;
    try {
      const outcome = await importFile(options, row);
      counts[outcome.kind] += 1;
      if (outcome.kind === 'copied') {
        counts.bytes += outcome.sizeBytes;
        if (outcome.isCompared) counts.digests += 1;
      } else if (outcome.kind !== 'there') onTrouble({ kind: outcome.kind, place, reason: outcome.reason });
    } catch (error) {
      if (signal.aborted || error instanceof OperatorError || error instanceof NoRoom) throw error;
      counts.failed += 1;
      onTrouble({ kind: 'failed', place, reason: errorMessage(error) });
      if (counts.failed >= maxFailures) throw error;
    }
    onFile(counts);
  }

  await eachObject<Row>({ db, statement: pageStatement, signal, work: take });
  return counts;
}

type Outcome =
  | { readonly kind: 'there' }
  | { readonly kind: 'copied'; readonly sizeBytes: number; readonly isCompared: boolean }
  | { readonly kind: 'missing' | 'changed'; readonly reason: string };

async function importFile(options: ImportFilesOptions, row: Row): Promise<Outcome> {
  const { db, blobs, newBlobId, isEncrypted, signal } = options;
  const { id, bucket_id: bucket, version } = row;
  if (await isHere(blobs, row)) return { kind: 'there' };
  // The version that the source has given is a name for bytes here, too, but where they are to be encrypted.
  const isName = version !== null && blobIdPattern.test(version) && keyIdIn(version) === undefined;
  const to = isName && !isEncrypted(bucket) ? version : await newBlobId(bucket);
  const outcome = await patiently(() => copyOnce(options, row, to), isFinal, signal);
  if (outcome.kind === 'copied' && to !== version && !(await nameAnew(db, id, version, to))) {
    await blobs.remove([to]);
    return { kind: 'changed', reason: 'its row has another version by now' };
  }
  signal.throwIfAborted();
  return outcome;
}

async function isHere(blobs: Pick<Blobs, 'find'>, { version, size }: Row): Promise<boolean> {
  const found = version === null ? undefined : await blobs.find(version);
  return found !== undefined && (size === null || found.sizeBytes === Number(size));
}

async function copyOnce(
  { blobs, source, signal }: ImportFilesOptions,
  row: Row,
  to: string,
): Promise<Outcome> {
  const found = await source.read(row.bucket_id, row.name);
  if (found === undefined) return { kind: 'missing', reason: 'the source has no bytes for it' };
  const written = await blobs.write(to, found.body, { maxBytes: Number.POSITIVE_INFINITY, signal });
  const difference = differenceOf(row, written, found.eTag);
  if (difference === undefined)
    return { kind: 'copied', sizeBytes: written.sizeBytes, isCompared: bare(row.etag) === written.md5 };
  await blobs.remove([to]);
  return { kind: 'changed', reason: difference };
}

/** Undefined: it is what the row says. A tag that is no MD5 is what the source still says of the file, or the file is another one. */
function differenceOf({ size, etag }: Row, { sizeBytes, md5 }: Written, eTag: string | undefined) {
  if (size !== null && Number(size) !== sizeBytes) return `${sizeBytes} bytes came in place of ${size}`;
  const expected = bare(etag);
  if (expected === undefined || expected === md5 || expected === bare(eTag)) return undefined;
  return `its tag is ${bare(eTag) ?? md5} in place of ${expected}`;
}

const bare = (eTag: string | null | undefined) => eTag?.replace(/^W\//, '').replaceAll('"', '') || undefined;

/** False: the row names others by now, or is gone. */
const nameAnew = (db: Pick<Db, 'asOwner'>, id: string, from: string | null, to: string) =>
  db.asOwner('supabase_storage_admin', async (client) => {
    const statement =
      'update storage.objects set version = $3 where id = $1 and version is not distinct from $2';
    const { rowCount } = await client.query(statement, [id, from, to]);
    return rowCount === 1;
  });

const isFinal = (error: unknown) => error instanceof OperatorError || error instanceof NoRoom;
