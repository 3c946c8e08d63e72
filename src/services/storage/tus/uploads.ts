// In charge of: the tables of resumable uploads, which all processes share.
import type { PoolClient } from 'pg';
import type { Db } from '../../../engine/db/db.ts';
import type { UploadId } from './upload-id.ts';

type Metadata = Readonly<Record<string, string | null>>;

/** A stretch of the upload's bytes, in a blob of its own. */
export interface Part {
  readonly number: number;
  /** The blob. */
  readonly version: string;
  readonly sizeBytes: number;
  readonly md5: string;
}

export interface UploadRow extends UploadId {
  readonly metadata: Metadata;
  /** Undefined: the client has not said it yet. */
  readonly sizeBytes: number | undefined;
  /** How much is here for good. It is all of it only once the object is there. */
  readonly offsetBytes: number;
  /** What the object's version is to be, or is. */
  readonly objectVersion: string | undefined;
  readonly isComplete: boolean;
  readonly createdAt: Date;
  readonly lastPart: Part | undefined;
}

/** Whose turn it is: the process, and a number that grows from turn to turn. */
export interface Turn {
  readonly holder: string;
  readonly fence: bigint;
}

type Owned = Pick<Db, 'asOwner'>;

const asAdmin = <T>(db: Owned, run: (client: PoolClient) => Promise<T>) => db.asOwner('millrace_admin', run);

interface Found {
  readonly metadata: Metadata;
  readonly size_bytes: string | null;
  readonly offset_bytes: string;
  readonly object_version: string | null;
  readonly is_complete: boolean;
  readonly created_at: Date;
  readonly number: number | null;
  readonly part_version: string;
  readonly part_bytes: string;
  readonly md5: string;
}

export async function findUpload(
  db: Owned,
  { bucket, name, version }: UploadId,
): Promise<UploadRow | undefined> {
  const { rows } = await asAdmin(db, (client) =>
    client.query<Found>(
      `select upload.metadata, upload.size_bytes, upload.offset_bytes, upload.object_version, upload.is_complete, upload.created_at,
         part.number, part.version as part_version, part.size_bytes as part_bytes, part.md5
       from _millrace.resumable_uploads as upload
       left join lateral (
         select * from _millrace.resumable_parts where upload = upload.version order by number desc limit 1
       ) as part on true
       where upload.version = $1 and upload.bucket_id = $2 and upload.name = $3`,
      [version, bucket, name],
    ),
  );
  const found = rows[0];
  if (found === undefined) return undefined;
  return {
    bucket,
    name,
    version,
    metadata: found.metadata,
    sizeBytes: found.size_bytes === null ? undefined : Number(found.size_bytes),
    offsetBytes: Number(found.offset_bytes),
    objectVersion: found.object_version ?? undefined,
    isComplete: found.is_complete,
    createdAt: found.created_at,
    lastPart:
      found.number === null
        ? undefined
        : {
            number: found.number,
            version: found.part_version,
            sizeBytes: Number(found.part_bytes),
            md5: found.md5,
          },
  };
}

/** A new one, which is `holder`'s turn from the start. */
export async function insertUpload(
  db: Owned,
  upload: Pick<UploadRow, 'bucket' | 'name' | 'version' | 'metadata' | 'sizeBytes'> & {
    readonly owner: string | undefined;
  },
  { holder, fence }: Turn,
  holdSeconds: number,
): Promise<Date> {
  const { rows } = await asAdmin(db, (client) =>
    client.query<{ created_at: Date }>(
      `insert into _millrace.resumable_uploads (version, bucket_id, name, metadata, size_bytes, owner_id, holder, fence, held_until)
       values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + make_interval(secs => $9)) returning created_at`,
      [
        upload.version,
        upload.bucket,
        upload.name,
        JSON.stringify(upload.metadata),
        upload.sizeBytes ?? null,
        upload.owner ?? null,
        holder,
        String(fence),
        holdSeconds,
      ],
    ),
  );
  return rows[0]!.created_at;
}

/** False: it is somebody else's turn by now. */
export async function declareSize(
  db: Owned,
  version: string,
  { holder, fence }: Turn,
  sizeBytes: number,
): Promise<boolean> {
  const { rowCount } = await asAdmin(db, (client) =>
    client.query(
      'update _millrace.resumable_uploads set size_bytes = $4 where version = $1 and holder = $2 and fence = $3',
      [version, holder, String(fence), sizeBytes],
    ),
  );
  return rowCount === 1;
}

/** A part is here for good, behind or in the place of the last one, and counts by its row from now on; false: it is somebody else's turn by now. */
export async function addPart(
  db: Owned,
  { version: upload, fromBytes, toBytes }: { version: string; fromBytes: number; toBytes: number },
  { holder, fence }: Turn,
  { number, version, sizeBytes, md5 }: Part,
): Promise<boolean> {
  const { rowCount } = await asAdmin(db, (client) =>
    client.query(
      `with upload as (
         update _millrace.resumable_uploads set offset_bytes = $5
         where version = $1 and holder = $2 and fence = $3 and offset_bytes = $4 returning version
       ), claim as (
         update _millrace.upload_claims set bytes = bytes - ($5::bigint - $4::bigint)
         where id in (select version from upload)
       )
       insert into _millrace.resumable_parts (upload, number, version, size_bytes, md5)
       select upload.version, $6::integer, $7, $8::bigint, $9 from upload
       on conflict (upload, number) do update
         set version = excluded.version, size_bytes = excluded.size_bytes, md5 = excluded.md5`,
      [upload, holder, String(fence), fromBytes, toBytes, number, version, sizeBytes, md5],
    ),
  );
  return rowCount === 1;
}

export async function listParts(db: Owned, upload: string): Promise<readonly Part[]> {
  const { rows } = await asAdmin(db, (client) =>
    client.query<{ number: number; version: string; size_bytes: string; md5: string }>(
      'select number, version, size_bytes, md5 from _millrace.resumable_parts where upload = $1 order by number',
      [upload],
    ),
  );
  return rows.map(({ size_bytes, ...part }) => ({ ...part, sizeBytes: Number(size_bytes) }));
}

/** Writes down what the object is going to be before it is; false: it is somebody else's turn by now. */
export async function announceObject(
  db: Owned,
  version: string,
  { holder, fence }: Turn,
  objectVersion: string,
): Promise<boolean> {
  const { rowCount } = await asAdmin(db, (client) =>
    client.query(
      'update _millrace.resumable_uploads set object_version = $4 where version = $1 and holder = $2 and fence = $3',
      [version, holder, String(fence), objectVersion],
    ),
  );
  return rowCount === 1;
}

/** The object is there: the parts are let go. Nothing can be wrong about that any more, whoever says it. */
export async function markComplete(db: Owned, version: string, objectVersion: string): Promise<void> {
  await asAdmin(db, (client) =>
    client.query(
      `with parts as (delete from _millrace.resumable_parts where upload = $1),
         claim as (delete from _millrace.upload_claims where id = $1)
       update _millrace.resumable_uploads set is_complete = true, offset_bytes = size_bytes, object_version = $2 where version = $1`,
      [version, objectVersion],
    ),
  );
}

/** False: it is somebody else's turn by now. */
export async function deleteUpload(db: Owned, version: string, { holder, fence }: Turn): Promise<boolean> {
  const { rowCount } = await asAdmin(db, (client) =>
    client.query(
      `with upload as (
         delete from _millrace.resumable_uploads where version = $1 and holder = $2 and fence = $3 returning version
       ), claim as (
         delete from _millrace.upload_claims where id in (select version from upload)
       )
       select from upload`,
      [version, holder, String(fence)],
    ),
  );
  return rowCount === 1;
}

const deletedAtOnce = 500;

/** Of those that are older and that nobody works on; how many it were. */
export async function deleteExpired(db: Owned, seconds: number, signal: AbortSignal): Promise<number> {
  let all = 0;
  for (let count = deletedAtOnce; count === deletedAtOnce && !signal.aborted; all += count) {
    const { rowCount } = await asAdmin(db, (client) =>
      client.query(
        `delete from _millrace.resumable_uploads where version in (
           select version from _millrace.resumable_uploads
           where created_at < now() - make_interval(secs => $1) and (held_until is null or held_until < clock_timestamp())
           limit ${deletedAtOnce} for update skip locked
         )`,
        [seconds],
      ),
    );
    count = rowCount ?? 0;
  }
  return all;
}
