// In charge of: the tables storage.s3_multipart_uploads and …_parts. A part's row names its bytes; a trigger writes down the bytes of a row that goes.
// Source: supabase/storage src/storage/database/pg.ts.
import { randomUUID } from 'node:crypto';
import type { Db } from '../../../engine/db/db.ts';
import { asJson, askCount, askRows, escapeLike, isoTime, type Question, rowsOf, workOf } from '../ask.ts';
import type { Asking } from '../context.ts';
import { entityTooLarge, noSuchUpload } from '../errors.ts';

export interface UploadRow {
  readonly id: string;
  readonly key: string;
  readonly created_at: string;
  readonly user_metadata: Readonly<Record<string, unknown>> | null;
  readonly metadata: { readonly mimetype?: string; readonly cacheControl?: string } | null;
}

export interface PartRow {
  readonly part_number: number;
  readonly etag: string;
  readonly size: number;
  readonly version: string;
  readonly created_at: string;
}

export interface UploadPlace {
  readonly id: string;
  readonly bucket: string;
  readonly key: string;
}

type AsOne = Pick<Db, 'as'>;

export async function insertUpload(
  db: AsOne,
  asking: Asking,
  { id, bucket, key }: UploadPlace,
  facts: {
    readonly owner: string | undefined;
    readonly userMetadata: Readonly<Record<string, unknown>>;
    readonly metadata: NonNullable<UploadRow['metadata']>;
  },
): Promise<void> {
  await askCount(db, asking, {
    text: `
      insert into storage.s3_multipart_uploads (id, bucket_id, key, version, upload_signature, owner_id, user_metadata, metadata)
      values ($1, $2, $3, $4, '', $5, $6::jsonb, $7::jsonb)`,
    params: [
      id,
      bucket,
      key,
      randomUUID(),
      facts.owner ?? null,
      JSON.stringify(facts.userMetadata),
      JSON.stringify(facts.metadata),
    ],
  });
}

/** @throws NoSuchUpload, also for one to another place */
export async function loadUpload(db: AsOne, asking: Asking, place: UploadPlace): Promise<UploadRow> {
  const text = `
    select id, key, ${isoTime('created_at')}, user_metadata, metadata from storage.s3_multipart_uploads
    where id = $1 and bucket_id = $2 and key = $3`;
  const [found] = await askRows<UploadRow>(db, asking, { text, params: [place.id, place.bucket, place.key] });
  if (found === undefined) throw noSuchUpload();
  return found;
}

/** False: somebody else has ended it meanwhile. */
export async function deleteUpload(db: AsOne, asking: Asking, id: string): Promise<boolean> {
  const text = 'delete from storage.s3_multipart_uploads where id = $1';
  return (await askCount(db, asking, { text, params: [id] })) > 0;
}

const partColumns = `part_number, etag, size, version, ${isoTime('created_at')}`;

export async function listPartRows(
  db: AsOne,
  asking: Asking,
  id: string,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<readonly PartRow[]> {
  const text = `
    select ${partColumns} from storage.s3_multipart_uploads_parts
    where upload_id = $1 and part_number > $2::int order by part_number limit $3::int`;
  return askRows<PartRow>(db, asking, { text, params: [id, String(after), String(limit)] });
}

export async function sumOfParts(db: AsOne, asking: Asking, id: string, except: number): Promise<number> {
  const text = `
    select coalesce(sum(size), 0)::bigint as size from storage.s3_multipart_uploads_parts
    where upload_id = $1 and part_number <> $2::int`;
  const [found] = await askRows<{ size: number }>(db, asking, { text, params: [id, String(except)] });
  return found?.size ?? 0;
}

export interface NewPart {
  readonly number: number;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly version: string;
  readonly owner: string | undefined;
}

/**
 * Puts a part in the place of an earlier one of its number. The upload's row is locked first, so that two that come at once are one behind the
 * other, and both see what the other has written.
 * @throws NoSuchUpload; EntityTooLarge when all parts together are more than the object may have
 */
export async function replacePart(
  db: Pick<Db, 'transaction'>,
  asking: Asking,
  { id, bucket, key }: UploadPlace,
  part: NewPart,
  maxBytes: number,
): Promise<void> {
  await db.transaction(asking.caller, async (step) => {
    const ask = async <R>(question: Question) => rowsOf<R>(await step(workOf(asking, asJson(question))));
    const locked = await ask({
      text: 'select id from storage.s3_multipart_uploads where id = $1 and bucket_id = $2 and key = $3 for update',
      params: [id, bucket, key],
    });
    if (locked.length === 0) throw noSuchUpload();
    const [others] = await ask<{ size: number }>({
      text: `
        select coalesce(sum(size), 0)::bigint as size from storage.s3_multipart_uploads_parts
        where upload_id = $1 and part_number <> $2::int`,
      params: [id, String(part.number)],
    });
    const total = (others?.size ?? 0) + part.sizeBytes;
    if (total > maxBytes) throw entityTooLarge();
    await step(
      workOf(asking, {
        text: `
          with gone as (
            delete from storage.s3_multipart_uploads_parts where upload_id = $1 and part_number = $4::int
          ), counted as (
            update storage.s3_multipart_uploads set in_progress_size = $9::bigint where id = $1
          )
          insert into storage.s3_multipart_uploads_parts (upload_id, bucket_id, key, part_number, etag, size, version, owner_id)
          values ($1, $2, $3, $4::int, $5, $6::bigint, $7, $8)`,
        params: [
          id,
          bucket,
          key,
          String(part.number),
          part.etag,
          String(part.sizeBytes),
          part.version,
          part.owner ?? null,
          String(total),
        ],
      }),
    );
  });
}

export interface UploadPage {
  readonly prefix: string;
  /** The key that the page before ended with. */
  readonly afterKey: string | undefined;
  /** Of that key, the upload that it ended with. */
  readonly afterId: string | undefined;
  readonly limit: number;
}

export async function listUploadRows(
  db: AsOne,
  asking: Asking,
  bucket: string,
  { prefix, afterKey, afterId, limit }: UploadPage,
): Promise<readonly Pick<UploadRow, 'id' | 'key' | 'created_at'>[]> {
  const text = `
    select id, key, ${isoTime('created_at')} from storage.s3_multipart_uploads
    where bucket_id = $1 and key like $2
      and ($3::text is null or key collate "C" > $3 or ($4::text is not null and key = $3 and id collate "C" > $4))
    order by key collate "C", id collate "C" limit $5::int`;
  const params = [bucket, `${escapeLike(prefix)}%`, afterKey ?? null, afterId ?? null, String(limit)];
  return askRows(db, asking, { text, params });
}

const batchSize = 200;

/** Those that got no part for so long are aborted, in steps. */
export async function deleteOldUploads(
  db: Pick<Db, 'asOwner'>,
  olderThanSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  const text = `
    delete from storage.s3_multipart_uploads where id in (
      select upload.id from storage.s3_multipart_uploads as upload
      where greatest(
        upload.created_at,
        (select max(part.created_at) from storage.s3_multipart_uploads_parts as part where part.upload_id = upload.id)
      ) < now() - make_interval(secs => $1::double precision)
      limit ${batchSize} for update skip locked)`;
  for (let count = batchSize; count === batchSize && !signal.aborted; ) {
    count = await db.asOwner('supabase_storage_admin', async (client) => {
      const { rowCount } = await client.query(text, [olderThanSeconds]);
      return rowCount ?? 0;
    });
  }
}
